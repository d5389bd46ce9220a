//! The growing arms against the frontier of being born, in words.

use super::{value::Answer, words::Say};
use crate::{
    born::Born,
    frontier::{Against, ArmGap, Censored},
    numbers::{bounds, dash, short, signed_loss},
};

impl Answer {
    /// What the gaps say in one sentence; none without a frontier.
    pub fn against_born(&self, say: Say) -> Option<String> {
        let born = self.born.as_ref()?;
        let judged: Vec<(String, &ArmGap, &Against)> = judged(born).collect();
        let best = judged.iter().min_by(|a, b| a.2.gap.value.mean.total_cmp(&b.2.gap.value.mean));
        let Some((budget, gap, against)) = best else { return Some(unjudged(born)) };
        let n = |is: fn(&Against) -> bool| judged.iter().filter(|one| is(one.2)).count();
        let lower = n(|against| against.gap.value.mean < 0.0);
        let clear = n(|against| against.gap.corrected.mean < 0.0 && is_clear(against));
        let multiplier = against.multiplier.as_ref().map_or_else(String::new, |multiplier| {
            let times = match multiplier.value {
                Censored::At(times) => format!("{times:.2}"),
                Censored::Above(times) => format!("more than {times:.2}"),
                Censored::Below(times) => format!("less than {times:.2}"),
            };
            format!(
                "; a model of the best born size needs {times} times that compute for the same loss"
            )
        });
        Some(format!(
            "Against the best size that a model can be born with, at equal compute and at the end of \
             a schedule: {lower} of {} arms and budgets end lower on average, {clear} after \
             correction; the lowest is {} at {budget} ({}, {} {} {}{multiplier}).",
            judged.len(),
            say(self.shown(&gap.arm)),
            born.unit.describe(),
            signed_loss(against.gap.value.mean, 4),
            self.unit.short(),
            bounds(&against.gap.corrected, signed_loss, 4),
        ))
    }

    /// A row of the table for each arm and budget that could be judged.
    pub(super) fn gap_rows(&self) -> Vec<Vec<String>> {
        let row = |(budget, gap, against): (String, &ArmGap, &Against)| {
            let tested = &against.gap;
            let verdict = match tested.corrected.mean {
                _ if !is_clear(against) => "no clear difference",
                mean if mean < 0.0 => "ends lower",
                _ => "ends higher",
            };
            let own = self.parameters.get(&gap.arm).map_or_else(dash, |sizes| sizes.words());
            vec![
                format!("{} at {budget} vs best born size: final loss", self.shown(&gap.arm)),
                format!("{own} vs {}", best_size(self.born.as_ref(), gap)),
                format!("{} {}", signed_loss(tested.value.mean, 4), self.unit.short()),
                bounds(&tested.corrected, signed_loss, 4),
                tested.value.n.to_string(),
                verdict.into(),
            ]
        };
        self.born.iter().flat_map(judged).map(row).collect()
    }
}

fn judged(born: &Born) -> impl Iterator<Item = (String, &ArmGap, &Against)> {
    born.gaps().filter_map(|(budget, gap)| Some((budget, gap, gap.against.as_ref().ok()?)))
}

/// The best born size at the budget of an arm.
fn best_size(born: Option<&Born>, gap: &ArmGap) -> String {
    let budgets = born.iter().flat_map(|born| &born.frontier.budgets);
    let own = budgets.filter(|budget| budget.budget == gap.budget);
    let vertex = own.filter_map(|budget| budget.vertex.as_ref().ok()).next();
    vertex.map_or_else(dash, |vertex| short(vertex.n_star.mean))
}

fn is_clear(against: &Against) -> bool {
    against.gap.p_corrected.is_some_and(|p| p < 0.05)
}

/// Why nothing is judged: the first reason that there is.
fn unjudged(born: &Born) -> String {
    let why = born.gaps().find_map(|(budget, gap)| Some((budget, gap.against.as_ref().err()?)));
    match why {
        Some((budget, why)) => format!(
            "No arm could be judged against the frontier of being born; at {budget}, for example: \
             {why}."
        ),
        None => "No growing arm is trained to the end of a budget of the frontier yet.".into(),
    }
}
