//! What is known of a plan before it is trained.

use outgrow_core::{
    Architecture, Trial,
    growth::{TransformKind, axes},
    plan::{Element, GrowthPolicy, Phase},
};

/// For predictors. They see no learning rate and no policy at growth.
pub(super) struct Described {
    /// Names the plan: equal plans have equal names.
    pub plan: String,
    /// The model that it begins with.
    pub initial: Architecture,
    /// What happens at growth beside the plan.
    policy: Option<GrowthPolicy>,
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
            policy: trial.settings.training.growth.clone(),
            features: features(trial),
            sequence: trial.plan.sequence(trial.settings.tokens, target),
        }
    }

    /// The number of the same plan among others, at another budget: it has the same sizes at the same
    /// shares of it, as far as steps allow.
    pub fn nearest<'a>(&self, others: impl Iterator<Item = &'a Self>) -> Option<usize> {
        let distance = |other: &Self| {
            let is_comparable = self.initial == other.initial && self.policy == other.policy;
            let pairs = self.features.iter().zip(&other.features);
            let most = pairs.map(|(own, other)| (own - other).abs()).fold(0.0, f64::max);
            (is_comparable && most < SAME).then_some(most)
        };
        let near =
            others.enumerate().filter_map(|(number, other)| Some((number, distance(other)?)));
        near.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(number, _)| number)
    }
}

/// By so much the features of one plan at two budgets may differ, because it grows at whole steps.
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

#[cfg(test)]
mod tests {
    use outgrow_core::Sweep;

    use super::*;

    /// The plans of a lattice at a budget.
    fn plans(tokens: u64, learning_rate: &str) -> Vec<Described> {
        let sweep = Sweep::parse(&format!(
            "name = \"a\"\nreplicates = 1\ndata = {{ corpus = \"rust-crates\", seq_len = 16 }}
             training = {{ tokens = {tokens}, match_budget = \"flops\", batch_size = 1, \
                growth = {{ learning_rate = {{ kind = \"{learning_rate}\" }} }} }}
             initial = {{ d_model = 8, n_layers = 1, n_heads = 1, d_k = 8, d_v = 8, d_ff = 16 }}
             target = {{ d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 32 }}
             controls = {{ same_tokens = false, same_compute = false, fixed_sizes = 0 }}
             [[strategies]]
             name = \"lattice\"
             kind = \"enumerated\"
             at_compute = [0.1, 0.2, 0.4]
             max_stages = 2
             axes = [
               {{ name = \"width\", levels = [{{ d_model = 8, n_heads = 1, d_ff = 16 }}, \
                  {{ d_model = 16, n_heads = 2, d_ff = 32 }}] }},
               {{ name = \"depth\", levels = [{{ n_layers = 1 }}, {{ n_layers = 2 }}] }},
             ]"
        ))
        .expect("a sweep");
        let members = sweep.members("d").expect("members");
        let grows = members.iter().filter(|member| !member.trial.plan.stages().is_empty());
        grows.map(|member| Described::of(&member.trial, sweep.target())).collect()
    }

    #[test]
    fn a_plan_is_found_at_another_budget_and_under_its_policy_alone() {
        let (few, many) = (plans(16_384, "unchanged"), plans(32_768, "unchanged"));
        assert!(few.len() > 10);
        for (number, plan) in few.iter().enumerate() {
            assert_eq!(plan.nearest(many.iter()), Some(number));
        }
        let other = plans(32_768, "new_only");
        assert!(few.iter().all(|plan| plan.nearest(other.iter()).is_none()));
        assert_eq!(few[0].nearest(many[1..].iter()), None, "it is not there");
    }
}
