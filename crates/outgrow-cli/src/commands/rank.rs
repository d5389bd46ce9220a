//! `outgrow rank`.

use outgrow::{
    Error, Workspace,
    rank::{Drawn, RankedPlans},
};
use serde_json::{Value, json};

use crate::output::{print, print_json, table};

/// How well can the final losses of plans be told before they are trained, or early?
///
/// Of the growing plans of a sweep that came to their end under the same seeds: Spearman's rank
/// correlation of the final loss with what each predictor says, beside that of a perfect predictor,
/// which noise between seeds keeps below 1. `ridge` and `boosted_trees` see the plan alone and predict
/// it from other plans; the others are losses that were seen on the way under another seed, minus that
/// of all plans at the same compute.
#[derive(clap::Args)]
pub struct Rank {
    /// Name or identity of a sweep
    pub sweep: String,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Ranks the plans of a sweep.
pub fn run(workspace: &Workspace, args: &Rank) -> Result<(), Error> {
    let ranked = workspace.rank(&args.sweep)?;
    match args.json {
        true => print_json(&as_json(&ranked)),
        false => print(&words(&ranked)),
    }
}

fn words(RankedPlans { plans, seeds, left_out, ranking }: &RankedPlans) -> String {
    let interval = |one: Drawn, digits: usize| {
        let Drawn { value, low, high } = one;
        format!("{value:.digits$} [{low:.digits$}, {high:.digits$}]").replace('-', "\u{2212}")
    };
    let rows = ranking.predictors.iter().map(|one| {
        vec![
            one.name.clone(),
            interval(one.spearman, 2),
            one.of_ceiling.map_or_else(String::new, |share| interval(share, 2)),
            interval(one.minus_ridge, 2),
            format!("{:.4}", one.regret[0]),
            format!("{:.4}", one.regret[1]),
        ]
    });
    let head =
        ["predictor", "Spearman", "of the ceiling", "minus ridge", "regret", "of the first 3"];
    let left_out = match left_out {
        0 => String::new(),
        n => format!(" ({n} others were not trained to their end under all of these)"),
    };
    format!(
        "{plans} plans under the same {seeds} seeds{left_out}. What is predicted, or seen under one \
         seed, is compared with the mean final loss under the others: a perfect predictor would have a \
         correlation of {}. Intervals of 95 % over plans; regret is how far the plan that is ranked first \
         is above the best one, nats\n\n{}",
        interval(ranking.ceiling, 2),
        table(&head, rows.collect(), &[1, 2, 3, 4, 5])
    )
}

fn as_json(RankedPlans { plans, seeds, left_out, ranking }: &RankedPlans) -> Value {
    let drawn = |one: Drawn| json!([one.value, one.low, one.high]);
    let predictors = ranking.predictors.iter().map(|one| {
        json!({
            "predictor": one.name, "spearman": drawn(one.spearman),
            "of_ceiling": one.of_ceiling.map(drawn), "minus_ridge": drawn(one.minus_ridge),
            "regret": one.regret,
        })
    });
    json!({
        "plans": plans, "seeds": seeds, "left_out": left_out, "ceiling": drawn(ranking.ceiling),
        "predictors": predictors.collect::<Vec<_>>(),
    })
}
