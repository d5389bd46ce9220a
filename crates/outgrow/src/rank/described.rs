//! What is known of a plan before it is trained.

use outgrow_core::{
    Architecture, Trial,
    growth::{TransformKind, axes},
    plan::{Element, Phase},
};

/// For predictors. They see no learning rate and no policy at growth.
pub(super) struct Described {
    /// Names the plan: equal plans have equal names.
    pub plan: String,
    /// The model that it begins with.
    pub initial: Architecture,
    /// For those that read numbers.
    pub features: Vec<f64>,
    /// For those that read what happens.
    pub sequence: Vec<Element>,
}

impl Described {
    /// In a sweep to that target.
    pub fn of(trial: &Trial, target: &Architecture) -> Self {
        Self {
            plan: trial.plan.id(),
            initial: trial.plan.initial().clone(),
            features: features(trial),
            sequence: trial.plan.sequence(trial.settings.tokens, target),
        }
    }

    /// Whether it is the same plan but for its budget: the same sizes at the same shares of it, as far as
    /// steps allow.
    pub fn is_like(&self, other: &Self) -> bool {
        let mut pairs = self.features.iter().zip(&other.features);
        self.initial == other.initial
            && self.features.len() == other.features.len()
            && pairs.all(|(own, other)| (own - other).abs() < SAME)
    }
}

/// Places of one plan at two budgets differ by less, and those of two plans by more.
const SAME: f64 = 0.01;

/// For each of some things its number among those that differ.
pub(super) fn numbered<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<usize> {
    let mut known: Vec<T> = vec![];
    let number = |one: T| {
        known.iter().position(|other| *other == one).unwrap_or_else(|| {
            known.push(one);
            known.len() - 1
        })
    };
    all.map(number).collect()
}

/// How much it grows, to what, how often and when; sizes over its compute and over its tokens; when each axis
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
        size(end),
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
