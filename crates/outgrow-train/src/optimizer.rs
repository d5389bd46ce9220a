//! AdamW on the flat state, with an age for each entry.

use outgrow_core::{
    ParamId,
    plan::{Factors, LearningRateAtGrowth, OptimizerAtGrowth},
    sweep::StepSettings,
};
use tch::{Device, Kind, Tensor, no_grad};

use crate::{
    fused::{
        self,
        adamw::{Rate, Rates, Stretch},
    },
    state::{self, TrainingState},
};

/// One AdamW step (Loshchilov & Hutter 2019, decoupled decay) with clipping of the
/// global gradient norm; gives that norm before clipping, still on the device; of stacked
/// replicates one for each.
///
/// Unless the policy says otherwise, bias correction uses each entry's own age: with a step
/// counter shared by old and new entries, an entry born at step 1,000 under β₂ = 0.999 would first
/// move by 3.2 times the learning rate and by up to 6.6 times within its first dozen steps.
pub fn step(
    state: &mut TrainingState,
    gradient: &Tensor,
    settings: &StepSettings,
    learning_rate: f64,
) -> Tensor {
    state.step += 1;
    let cohorts = cohorts(state, settings);
    if state.weights.device() == Device::Cpu
        && state.master() == Kind::Float
        && state.replicates().is_none()
    {
        return step_fused(state, gradient, settings, learning_rate, &cohorts);
    }
    let spec = &settings.optimizer;
    no_grad(|| {
        let norm = gradient.norm_scalaropt_dim(2.0, [-1].as_slice(), true);
        let gradient = clip(gradient, &norm, spec.clip_norm);
        let _ = state.first_moment.lerp_(&gradient, 1.0 - spec.beta1);
        let _ = state.second_moment.lerp_(&gradient.square(), 1.0 - spec.beta2);
        let corrections = corrections(state, &cohorts);
        if spec.weight_decay > 0.0 {
            decay(state, settings, &corrections, learning_rate * spec.weight_decay);
        }
        let factors = own_factors(state, settings);
        let root = state.second_moment.sqrt();
        let update = match corrections {
            Corrections::Same(Cohort { c1, root_c2, factor }) => {
                let denominator = add_eps(root / root_c2, spec.eps, &factors);
                state.first_moment.g_div(&denominator).g_mul_scalar_(learning_rate * factor / c1)
            }
            Corrections::PerEntry { factor_over_c1, root_c2, .. } => {
                let mut root = root;
                let denominator = add_eps(root.g_div_(&root_c2), spec.eps, &factors);
                state
                    .first_moment
                    .g_div(&denominator)
                    .g_mul_(&factor_over_c1)
                    .g_mul_scalar_(learning_rate)
            }
        };
        for (at, len, Factors { rate, .. }) in factors {
            if rate != 1.0 {
                let _ = update.narrow(-1, at, len).g_mul_scalar_(rate);
            }
        }
        let _ = state.weights.g_sub_(&update);
        norm.squeeze_dim(-1)
    })
}

/// The same on a processor, in one pass over memory.
fn step_fused(
    state: &mut TrainingState,
    gradient: &Tensor,
    settings: &StepSettings,
    learning_rate: f64,
    cohorts: &[Cohort],
) -> Tensor {
    let spec = &settings.optimizer;
    let gradient = gradient.contiguous();
    let norm = fused::norm(&gradient);
    let clip = if spec.clip_norm > 0.0 { (spec.clip_norm / (norm + 1e-12)).min(1.0) } else { 1.0 };
    let frozen =
        settings.policy.learning_rate == LearningRateAtGrowth::NewOnly && !all_same(cohorts);
    let rate = |cohort: &Cohort| Rate {
        step: (learning_rate * cohort.factor / cohort.c1) as f32,
        root: (1.0 / cohort.root_c2) as f32,
        keep: (1.0 - learning_rate * spec.weight_decay * if frozen { cohort.factor } else { 1.0 })
            as f32,
    };
    let table: Vec<Rate> = cohorts.iter().map(rate).collect();
    let rates = Rates {
        new: [1.0 - spec.beta1, 1.0 - spec.beta2].map(|x| x as f32),
        // A gradient that is not a number must not look as if it were clipped away.
        clip: if norm.is_nan() { f32::NAN } else { clip as f32 },
    };
    let stretches = stretches(state, settings);
    let (mut flat, ages) = fused::flat(state, &gradient);
    for stretch in &stretches {
        match all_same(cohorts) {
            true => flat.step(&rates, stretch, table[0]),
            false => flat.step_by_age(&rates, stretch, &table, ages),
        }
    }
    Tensor::from(norm)
}

/// What each parameter has of its own.
fn stretches(state: &TrainingState, settings: &StepSettings) -> Vec<Stretch> {
    let factors = settings.factors(state.architecture());
    let stretch = |(param, at, len): (ParamId, i64, i64)| {
        let factors = factors(param);
        Stretch {
            range: at as usize..(at + len) as usize,
            factor: factors.rate as f32,
            eps: (settings.optimizer.eps * factors.eps) as f32,
            decays: at < state.layout().decayed(),
        }
    };
    state.layout().segments().map(stretch).collect()
}

/// Decoupled weight decay; what is frozen does not decay.
fn decay(state: &TrainingState, settings: &StepSettings, corrections: &Corrections, by: f64) {
    let mut decayed = state.weights.narrow(-1, 0, state.layout().decayed());
    let _ = match (corrections, settings.policy.learning_rate) {
        (Corrections::PerEntry { factor, .. }, LearningRateAtGrowth::NewOnly) => {
            decayed.g_mul_(&(1.0 - factor.narrow(-1, 0, state.layout().decayed()) * by))
        }
        _ => decayed.g_mul_scalar_(1.0 - by),
    };
}

/// The factors of whole parameters, with the place and the length of each; none if all are 1.
fn own_factors(state: &TrainingState, settings: &StepSettings) -> Vec<(i64, i64, Factors)> {
    let factors = settings.factors(state.architecture());
    let all: Vec<_> =
        state.layout().segments().map(|(param, at, len)| (at, len, factors(param))).collect();
    if all.iter().all(|(.., factors)| *factors == Factors::ONE) { vec![] } else { all }
}

/// Adds to each parameter's entries its own ε.
fn add_eps(mut root: Tensor, eps: f64, factors: &[(i64, i64, Factors)]) -> Tensor {
    if factors.iter().all(|(.., factors)| factors.eps == 1.0) {
        return root.g_add_scalar_(eps);
    }
    for (at, len, factors) in factors {
        let _ = root.narrow(-1, *at, *len).g_add_scalar_(eps * factors.eps);
    }
    root
}

fn clip(gradient: &Tensor, norm: &Tensor, clip_norm: f64) -> Tensor {
    match clip_norm {
        0.0 => gradient.shallow_clone(),
        // Without a look at the norm from the host, which would wait for the device.
        max => gradient * (norm + 1e-12).reciprocal().g_mul_scalar_(max).clamp_max_(1.0),
    }
}

/// Forgets the past of all entries, if the policy says so.
pub fn at_growth(state: &mut TrainingState, policy: OptimizerAtGrowth) {
    if policy == OptimizerAtGrowth::Reset {
        no_grad(|| {
            let _ = (state.first_moment.zero_(), state.second_moment.zero_());
        });
    }
}

/// What entries that were born together have in common.
#[derive(Clone, Copy)]
struct Cohort {
    /// 1 − β₁ᵃ at age a.
    c1: f64,
    /// √(1 − β₂ᵃ).
    root_c2: f64,
    /// On the learning rate.
    factor: f64,
}

enum Corrections {
    /// The same for all entries.
    Same(Cohort),
    /// Entry by entry.
    PerEntry { factor_over_c1: Tensor, root_c2: Tensor, factor: Tensor },
}

/// What the entries of each birth have in common, in the order of `state.cohorts`.
fn cohorts(state: &TrainingState, settings: &StepSettings) -> Vec<Cohort> {
    let spec = &settings.optimizer;
    let grown = state.cohorts.iter().any(|&born| born > 0);
    let cohort = |&born: &i64| {
        let age = settings.age(state.step, born).clamp(1, i32::MAX as i64) as i32;
        let factor = settings.entry_factor(born > 0, grown, state.step - born);
        Cohort {
            c1: 1.0 - spec.beta1.powi(age),
            root_c2: (1.0 - spec.beta2.powi(age)).sqrt(),
            factor,
        }
    };
    state.cohorts.iter().map(cohort).collect()
}

/// Whether the ages of all entries come to the same numbers, as those of old ones do.
fn all_same(cohorts: &[Cohort]) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    let same = |a: &Cohort, b: &Cohort| {
        near(a.c1, b.c1) && near(a.root_c2, b.root_c2) && near(a.factor, b.factor)
    };
    cohorts.iter().all(|cohort| same(cohort, &cohorts[0]))
}

fn corrections(state: &TrainingState, cohorts: &[Cohort]) -> Corrections {
    // What float32 can't tell apart need not be looked up.
    if all_same(cohorts) {
        return Corrections::Same(cohorts[0]);
    }
    let each = |of: fn(&Cohort) -> f64| {
        let values: Vec<f64> = cohorts.iter().map(of).collect();
        let table =
            Tensor::from_slice(&values).to_kind(state.master()).to_device(state.weights.device());
        state::look_up(&table, &state.cohort)
    };
    let (factor_over_c1, root_c2) = (each(|c| c.factor / c.c1), each(|c| c.root_c2));
    Corrections::PerEntry { factor_over_c1, root_c2, factor: each(|c| c.factor) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{device::Device, state::GrowOptions};
    use outgrow_core::{
        Architecture, Form, GrowthPlan, LayerShape, Norm, Stage,
        edit::Initializer,
        growth::{
            grow_all,
            transform::{HiddenExpansion, LayerAddition},
        },
        plan::{GrowthPolicy, RateRule},
        sweep::{OptimizerSpec, Precision},
    };

    /// Steps before the growth: so many that the global step's corrections have died out.
    const BEFORE: i64 = 200_000;
    const RATE: f64 = 1e-3;

    fn settings(
        beta2: f64,
        optimizer: OptimizerAtGrowth,
        learning_rate: LearningRateAtGrowth,
    ) -> StepSettings {
        let form = Form::decoder(Norm::RmsNorm, 1e-5);
        let initial = Architecture::uniform(8, 4, 6, 1, LayerShape::uniform(1, 2, 2, 4), form);
        let growths = vec![
            HiddenExpansion { d_model: 9 }.into(),
            LayerAddition { index: 1, shape: None }.into(),
        ];
        let plan =
            GrowthPlan::new(initial, vec![Stage::new(BEFORE as u64 * 4, growths)]).expect("a plan");
        let initializer = Initializer::Normal { scale: 1.0 };
        let policy = GrowthPolicy { initializer, optimizer, learning_rate };
        let optimizer =
            OptimizerSpec { beta1: 0.9, beta2, eps: 1e-12, weight_decay: 0.0, clip_norm: 0.0 };
        let usual = StepSettings::usual(plan.initial(), Precision::Float64);
        StepSettings { optimizer, step_tokens: 4, ..usual }.growing(plan, policy)
    }

    /// The learning rate after so many tokens.
    fn rate_at(settings: &StepSettings, tokens: u64) -> f64 {
        RATE * settings.policy.factor(&settings.plan, tokens, settings.step_tokens)
    }

    /// Mean size of the first update after the growth, over the learning rate: of old entries, and
    /// of new ones.
    fn first_update(settings: &StepSettings) -> (f64, f64) {
        let initial = settings.plan.initial();
        let mut state = TrainingState::fresh(initial, 1, Kind::Double, Device::Cpu);
        state.step = BEFORE;
        // Old entries have seen gradients of size 1 for long.
        let _ = no_grad(|| (state.first_moment.fill_(1.0), state.second_moment.fill_(1.0)));
        let stage = &settings.plan.stages()[0];
        let policy = &settings.policy;
        let grown = grow_all(initial, &stage.growths, 0).expect("the plan was checked");
        let options =
            GrowOptions { initializer: &policy.initializer, copies: false, seed: 1, event: 0 };
        let mut state = no_grad(|| state.grown(&grown, &options));
        at_growth(&mut state, policy.optimizer);
        let before = state.weights.detach().copy();
        let gradient = before.ones_like();
        let rate = rate_at(settings, stage.tokens);
        let _ = step(&mut state, &gradient, settings, rate);
        let moved = (&before - state.weights.detach()) / RATE;
        let is_new = state.born().eq(BEFORE).to_kind(Kind::Double);
        // A scaled entry's moments were scaled with it: those of size 1 are the untouched ones.
        let mean = |of: &Tensor| {
            ((&moved * of).sum(Kind::Double) / of.sum(Kind::Double)).double_value(&[])
        };
        (mean(&(1.0 - &is_new)), mean(&is_new))
    }

    #[test]
    fn the_first_update_of_new_entries_has_the_right_size() {
        for (beta2, wrong) in [(0.95, 0.447), (0.999, 3.162)] {
            let own =
                settings(beta2, OptimizerAtGrowth::KeepEntryAge, LearningRateAtGrowth::Unchanged);
            assert!((first_update(&own).1 - 1.0).abs() < 0.05, "{:?}", first_update(&own));
            let shared =
                settings(beta2, OptimizerAtGrowth::KeepGlobalStep, LearningRateAtGrowth::Unchanged);
            assert!((first_update(&shared).1 - wrong).abs() < 0.01, "{:?}", first_update(&shared));
            let reset = settings(beta2, OptimizerAtGrowth::Reset, LearningRateAtGrowth::Unchanged);
            let (old, new) = first_update(&reset);
            assert!((old - 1.0).abs() < 1e-6 && (new - 1.0).abs() < 1e-6, "{old} {new}");
        }
    }

    /// The state after a growth and five steps, in a kind of numbers.
    fn after_steps(settings: &StepSettings, kind: Kind) -> Tensor {
        let stage = &settings.plan.stages()[0];
        let policy = &settings.policy;
        let mut state = TrainingState::fresh(settings.plan.initial(), 1, kind, Device::Cpu);
        state.step = 30;
        let grown =
            grow_all(settings.plan.initial(), &stage.growths, 0).expect("the plan was checked");
        let options =
            GrowOptions { initializer: &policy.initializer, copies: false, seed: 1, event: 0 };
        let mut state = no_grad(|| state.grown(&grown, &options));
        for step in 0..5 {
            let n = state.weights.numel() as i64;
            let gradient = ((Tensor::arange(n, (Kind::Double, tch::Device::Cpu)) + step) * 0.7)
                .sin()
                .to_kind(kind);
            let rate = rate_at(settings, stage.tokens + 4 * step as u64);
            let _ = super::step(&mut state, &gradient, settings, rate);
        }
        state.weights.detach().to_kind(Kind::Double)
    }

    #[test]
    fn in_one_pass_it_steps_as_in_many() {
        use LearningRateAtGrowth::*;
        let rebase = Rebase { rule: RateRule::CompleteP, rewarm_new: 40 };
        for policy in [Unchanged, RewarmNew { tokens: 40 }, NewOnly, MupRebase, rebase] {
            for clip_norm in [0.0, 0.5] {
                let mut settings = settings(0.95, OptimizerAtGrowth::KeepEntryAge, policy);
                settings.optimizer.weight_decay = 0.1;
                settings.optimizer.clip_norm = clip_norm;
                settings.optimizer.eps = 1e-3;
                let [many, one] =
                    [Kind::Double, Kind::Float].map(|kind| after_steps(&settings, kind));
                let off = (many - one).abs().max().double_value(&[]);
                assert!(off < 1e-6, "{policy:?}, clipping at {clip_norm}: {off}");
            }
        }
    }

    #[test]
    fn the_old_can_be_frozen_and_matrices_rebased() {
        let mut frozen =
            settings(0.95, OptimizerAtGrowth::KeepEntryAge, LearningRateAtGrowth::NewOnly);
        frozen.optimizer.weight_decay = 0.1;
        let (old, new) = first_update(&frozen);
        assert!(old == 0.0 && (new - 1.0).abs() < 0.05, "{old} {new}");
        let plain = first_update(&settings(
            0.95,
            OptimizerAtGrowth::KeepEntryAge,
            LearningRateAtGrowth::Unchanged,
        ));
        let rebased = first_update(&settings(
            0.95,
            OptimizerAtGrowth::KeepEntryAge,
            LearningRateAtGrowth::MupRebase,
        ));
        // 6 channels became 9: matrices that read them move by 2/3, tables, gains and W_o as
        // before.
        assert!(
            rebased.1 < plain.1 * 0.95 && rebased.1 > plain.1 * 2.0 / 3.0,
            "{rebased:?} {plain:?}"
        );
    }

    #[test]
    fn rewarming_holds_back_all_or_only_the_new() {
        let rewarmed = |rate| first_update(&settings(0.95, OptimizerAtGrowth::KeepEntryAge, rate));
        let (old, new) = rewarmed(LearningRateAtGrowth::Unchanged);
        let all = rewarmed(LearningRateAtGrowth::RewarmAll { tokens: 40 });
        assert!((all.0 - old * 0.1).abs() < 1e-9 && (all.1 - new * 0.1).abs() < 1e-9, "{all:?}");
        let only_new = rewarmed(LearningRateAtGrowth::RewarmNew { tokens: 40 });
        assert!(
            (only_new.0 - old).abs() < 1e-9 && (only_new.1 - new * 0.1).abs() < 1e-9,
            "{only_new:?}"
        );
    }
}
