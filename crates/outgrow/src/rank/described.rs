//! What is known of a plan before it is trained.

use std::collections::BTreeMap;

use outgrow_core::{
    Trial,
    growth::{TransformKind, axes},
    plan::{Element, Phase},
};

/// For predictors.
pub(super) struct Described {
    /// For those that read numbers.
    pub features: Vec<f64>,
    /// For those that read what happens.
    pub sequence: Vec<Element>,
}

impl Described {
    pub fn of(trial: &Trial) -> Self {
        let sequence = trial.plan.sequence(trial.settings.tokens);
        Self { features: features(trial), sequence }
    }
}

/// For each plan the number of the sizes that it begins with.
pub(super) fn initial_sizes(plans: &[Described]) -> Vec<usize> {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let number = |plan: &Described| {
        let next = known.len();
        *known.entry(format!("{:?}", plan.sequence.first())).or_insert(next)
    };
    plans.iter().map(number).collect()
}

/// How much it grows, how often and when; sizes over its compute and over its tokens; when each axis
/// grows first and last, and how often.
fn features(trial: &Trial) -> Vec<f64> {
    let (plan, tokens) = (&trial.plan, trial.settings.tokens);
    let phases = plan.phases();
    let size = |phase: &Phase| (phase.parameters as f64).ln();
    let (Some(first), Some(end)) = (phases.first(), phases.last()) else { return vec![] };
    let spent = |tokens: u64| plan.train_flops(tokens) as f64;
    let places: Vec<f64> =
        plan.stages().iter().map(|stage| spent(stage.tokens) / spent(tokens)).collect();
    let over = |starts: &[f64]| -> f64 {
        let ends = starts.iter().skip(1).copied().chain([1.0]);
        let spans = starts.iter().zip(ends).zip(&phases);
        spans.map(|((from, to), phase)| (to - from) * (size(phase) - size(end))).sum()
    };
    let of_compute: Vec<f64> = [0.0].into_iter().chain(places.iter().copied()).collect();
    let of_tokens: Vec<f64> =
        phases.iter().map(|phase| phase.tokens as f64 / tokens.max(1) as f64).collect();
    let largest = phases.windows(2).map(|pair| size(&pair[1]) - size(&pair[0]));
    let mut features = vec![
        places.len() as f64,
        size(end) - size(first),
        largest.fold(0.0, f64::max),
        places.first().copied().unwrap_or(1.0),
        places.last().copied().unwrap_or(1.0),
        over(&of_compute),
        over(&of_tokens),
    ];
    let grown: Vec<(f64, Vec<TransformKind>)> = (places.into_iter().enumerate())
        .map(|(stage, at)| {
            let [before, after] = [stage, stage + 1].map(|n| plan.architecture_after(n));
            (at, axes(before, after, &plan.stages()[stage].growths))
        })
        .collect();
    for axis in TransformKind::ALL {
        let own = grown.iter().filter(|(_, axes)| axes.contains(&axis));
        let own: Vec<f64> = own.map(|(at, _)| *at).collect();
        features.push(own.first().copied().unwrap_or(0.0));
        features.push(own.last().copied().unwrap_or(0.0));
        features.push(own.len() as f64);
    }
    features
}
