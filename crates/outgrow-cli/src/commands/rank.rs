//! `outgrow rank`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use outgrow::{
    Error, SweepFile, Workspace,
    rank::{
        Drawn, HoldOut, OtherPlans, PredictBy, PredictedPlan, PredictorSettings, RankSettings,
        RankedPlans,
    },
};
use serde_json::{Value, json};

use crate::output::{print, print_json, table};

/// How well can the final losses of plans be told before they are trained, or early?
///
/// Of the growing plans of a sweep that came to their end under the same seeds: Spearman's rank
/// correlation of the final loss with what each predictor says, beside that of a perfect predictor,
/// which noise between seeds keeps below 1. `ridge`, `boosted_trees` and `nar`, a small transformer that
/// reads what happens in a plan, see the plan alone and predict it from other plans; the others are
/// losses that were seen on the way under another seed, minus that of all plans at the same compute, and
/// `final loss` is what a whole training under another seed tells. With --from, `the same plan there` is
/// the mean of its losses in the other sweep, under other seeds. With --plans it predicts plans that
/// were not trained.
#[derive(clap::Args)]
pub struct Rank {
    /// Name or identity of a sweep
    #[arg(required_unless_present = "load")]
    pub sweep: Option<String>,
    /// Predict which plans without having seen the like
    #[arg(long, value_enum, default_value_t, conflicts_with = "plans")]
    pub hold_out: Unseen,
    /// Predict its plans from those of another sweep, as of a smaller budget
    #[arg(long, value_name = "SWEEP", conflicts_with_all = ["plans", "hold_out"])]
    pub from: Option<String>,
    /// Predict the plans of this sweep file, the lowest first, by all plans of the sweep
    #[arg(long, value_name = "FILE.toml")]
    pub plans: Option<PathBuf>,
    /// Of them print so many
    #[arg(long, value_name = "N", default_value_t = 10, requires = "plans")]
    pub top: usize,
    /// Keep the predictor `nar` in this file
    #[arg(long, value_name = "FILE.safetensors", requires = "plans")]
    pub save: Option<PathBuf>,
    /// Predict by a file of --save, and not by a sweep
    #[arg(long, value_name = "FILE.safetensors", requires = "plans", conflicts_with_all = ["sweep", "save"])]
    pub load: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// What plans are predicted without having seen.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Unseen {
    /// A tenth of the plans
    #[default]
    Plans,
    /// All plans that begin with the same sizes
    InitialSizes,
}

/// Ranks the plans of a sweep, or predicts those of a file.
pub fn run(workspace: &Workspace, args: &Rank) -> Result<(), Error> {
    if let Some(file) = &args.plans {
        return predict(workspace, args, file);
    }
    let hold_out = match (&args.from, args.hold_out) {
        (Some(other), _) => HoldOut::Sweep(other),
        (None, Unseen::Plans) => HoldOut::Plans,
        (None, Unseen::InitialSizes) => HoldOut::InitialSizes,
    };
    let sweep = args.sweep.as_deref().unwrap_or_default();
    let ranked = workspace.rank(sweep, hold_out, RankSettings::default())?;
    match args.json {
        true => print_json(&as_json(&ranked)),
        false => print(&words(&ranked)),
    }
}

fn predict(workspace: &Workspace, args: &Rank, file: &Path) -> Result<(), Error> {
    let by = match (&args.load, &args.sweep) {
        (Some(path), _) => PredictBy::File(path),
        (None, sweep) => {
            let (sweep, save) = (sweep.as_deref().unwrap_or_default(), args.save.as_deref());
            PredictBy::Sweep(sweep, PredictorSettings::default(), save)
        }
    };
    let all = workspace.predict(&SweepFile::read(file)?, by)?;
    let top = &all[..args.top.min(all.len())];
    if args.json {
        return print_json(&Value::from(top.iter().map(plan_as_json).collect::<Vec<_>>()));
    }
    let row = |plan: &PredictedPlan| {
        let PredictedPlan { name, nar: [mean, sd], ridge, beyond, growths } = plan;
        let ridge = ridge.map_or_else(String::new, |ridge| format!("{ridge:.4}"));
        let mark = if *beyond { " \u{2020}" } else { "" };
        vec![name.clone(), format!("{mean:.4} \u{00b1} {sd:.4}{mark}"), ridge, growths.clone()]
    };
    let beyond = match top.iter().any(|plan| plan.beyond) {
        false => "",
        true => {
            "; \u{2020} nothing like it was seen: another target, other numbers of tokens or other \
             growths, so nobody knows how wrong this is"
        }
    };
    let head = ["plan", "nar, nats", "ridge, nats", "growths, each after a share of the compute"];
    print(&format!(
        "the {} of {} plans with the lowest predicted final losses; \u{00b1} is the standard deviation \
         over the networks of nar{beyond}\n\n{}",
        top.len(),
        all.len(),
        table(&head, top.iter().map(row).collect(), &[1, 2])
    ))
}

fn plan_as_json(plan: &PredictedPlan) -> Value {
    let PredictedPlan { name, nar: [mean, sd], ridge, beyond, growths } = plan;
    json!({
        "plan": name, "nar": mean, "nar_sd": sd, "ridge": ridge, "beyond": beyond, "growths": growths,
    })
}

fn words(RankedPlans { plans, seeds, left_out, from, ranking }: &RankedPlans) -> String {
    let number = |value: f64, digits: usize| format!("{value:.digits$}").replace('-', "\u{2212}");
    let interval = |Drawn { value, low, high }: Drawn| {
        format!("{} [{}, {}]", number(value, 2), number(low, 2), number(high, 2))
    };
    let rows = ranking.predictors.iter().map(|one| {
        vec![
            one.name.clone(),
            interval(one.spearman),
            one.of_ceiling.map_or_else(String::new, interval),
            interval(one.minus_ridge),
            number(one.picked[0], 4),
            number(one.picked[1], 4),
        ]
    });
    let head = ["predictor", "Spearman", "of the ceiling", "minus ridge", "first", "first 3"];
    let unfinished = |left_out: usize| match left_out {
        0 => String::new(),
        n => format!(" ({n} others were not trained to their end under all of these)"),
    };
    let from = from.as_ref().map_or_else(String::new, |OtherPlans { plans, seeds, left_out, alike }| {
        format!(
            " Predictors know {plans} plans of the other sweep under {seeds} seeds{}; {alike} of those \
             that they predict are among them but for the budget.",
            unfinished(*left_out)
        )
    });
    let left_out = unfinished(*left_out);
    format!(
        "{plans} plans under the same {seeds} seeds{left_out}.{from} What is predicted or seen under other seeds \
         is compared with the final loss under one: a perfect predictor would have a correlation of {}, for \
         single seeds agree by {}. Intervals of 95 % over plans, not over seeds. `first`: loss of the plan \
         that is ranked first minus the mean of all plans, nats\n\n{}",
        interval(ranking.ceiling),
        ranking.agreement.iter().map(|one| number(*one, 2)).collect::<Vec<_>>().join(", "),
        table(&head, rows.collect(), &[1, 2, 3, 4, 5])
    )
}

fn as_json(RankedPlans { plans, seeds, left_out, from, ranking }: &RankedPlans) -> Value {
    let drawn = |one: Drawn| json!([one.value, one.low, one.high]);
    let predictors = ranking.predictors.iter().map(|one| {
        json!({
            "predictor": one.name, "spearman": drawn(one.spearman),
            "of_ceiling": one.of_ceiling.map(drawn), "minus_ridge": drawn(one.minus_ridge),
            "picked": one.picked,
        })
    });
    let from = from.as_ref().map(|OtherPlans { plans, seeds, left_out, alike }| {
        json!({ "plans": plans, "seeds": seeds, "left_out": left_out, "alike": alike })
    });
    json!({
        "plans": plans, "seeds": seeds, "left_out": left_out, "from": from, "ceiling": drawn(ranking.ceiling),
        "agreement": ranking.agreement,
        "predictors": predictors.collect::<Vec<_>>(),
    })
}
