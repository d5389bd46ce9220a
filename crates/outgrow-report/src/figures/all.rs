//! Every figure of a sweep.

use super::{
    around_growth, axis_when, born, compute_saving, contrasts, figure::Figure, final_loss,
    iso_flop_gap, learning_rate, loss, saving_by_target, timeline,
};
use crate::{analysis::Analysis, runs::Cost};

/// Every figure that the sweep has rows for. Each says it where what it shows is not the whole.
pub fn all(analysis: &Analysis) -> Vec<Figure> {
    let costs = [Cost::Tokens, Cost::TrainFlops, Cost::WallSeconds];
    let is_shown = |cost: &Cost| *cost != Cost::WallSeconds || analysis.clock.is_steady();
    let mut figures = born::figures(analysis);
    let costs = costs.into_iter().filter(is_shown);
    figures.extend(costs.filter_map(|cost| loss::figure(analysis, cost)));
    figures.extend(timeline::figure(analysis));
    figures.extend(around_growth::figure(analysis));
    figures.extend(final_loss::figure(analysis));
    figures.extend(contrasts::figure(analysis));
    figures.extend(learning_rate::figure(analysis));
    figures.extend(compute_saving::figure(analysis));
    figures.extend(saving_by_target::figure(analysis));
    figures.extend(iso_flop_gap::figure(analysis));
    figures.extend(axis_when::figure(analysis));
    for figure in &mut figures {
        figure.caption = [analysis.note(), Some(figure.caption.clone())]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ");
    }
    figures
}
