//! The controls that a comparison needs, derived from the strategies that it compares.

use super::{Arm, ControlsSpec, Sweep, SweepError};
use crate::{
    architecture::{Architecture, HeadShape, LayerShape},
    cost,
    plan::GrowthPlan,
};

/// Budgets that differ by less are one.
const SAME: f64 = 0.02;

impl ControlsSpec {
    /// What a sweep file that says nothing gets: all three controls, at the one learning rate.
    pub(super) fn default_for(initial: &Architecture, target: &Architecture) -> Self {
        let fixed_sizes = usize::from(is_uniform(initial) && is_uniform(target));
        Self { same_tokens: true, same_compute: true, fixed_sizes, learning_rates: vec![] }
    }
}

fn is_uniform(architecture: &Architecture) -> bool {
    let first = &architecture.layers[0];
    architecture.layers.iter().all(|layer| layer == first) && first.heads.iter().all(|head| *head == first.heads[0])
}

/// Checks what only the whole sweep can tell.
pub(super) fn check(sweep: &Sweep) -> Result<(), SweepError> {
    if sweep.controls().fixed_sizes > 0 && !(is_uniform(&sweep.initial) && is_uniform(&sweep.target)) {
        return Err(SweepError::Value {
            field: "controls.fixed_sizes".into(),
            value: sweep.controls().fixed_sizes.to_string(),
            allowed: "sizes between initial and target need layers and heads that are all alike; set it to 0".into(),
        });
    }
    Ok(())
}

/// The controls to the arms that grow.
pub(super) fn arms(sweep: &Sweep, own: &[Arm]) -> Result<Vec<Arm>, SweepError> {
    let mut controls = vec![];
    let grown: Vec<&Arm> = own.iter().filter(|arm| !arm.plan.stages().is_empty()).collect();
    let control_tokens = sweep.whole_steps(sweep.spec.training.tokens);
    let &ControlsSpec { same_tokens, same_compute, fixed_sizes, .. } = sweep.controls();
    if same_tokens || same_compute {
        if own.iter().all(|arm| arm.kind != "from_scratch") {
            controls.push(born(sweep, "from_scratch".into(), "from_scratch", &sweep.target, control_tokens)?);
        }
        let per_token = flops_per_token(&sweep.target);
        let asked = |(flops, tokens): (f64, f64)| {
            same_compute.then_some(flops / per_token).into_iter().chain(same_tokens.then_some(tokens))
        };
        let budgets = strategies(&grown).into_iter().flat_map(asked);
        for tokens in distinct(budgets.collect(), control_tokens as f64) {
            let percent = (100.0 * tokens / control_tokens as f64).round();
            let tokens = sweep.whole_steps(tokens.round() as u64);
            let name = format!("from_scratch_{percent}");
            controls.push(born(sweep, name, "from_scratch_annealed", &sweep.target, tokens)?);
        }
    }
    let budgets = strategies(&grown).into_iter().map(|(flops, _)| flops);
    let budgets = distinct(budgets.collect(), 0.0);
    for number in 1..=fixed_sizes {
        let size = between(&sweep.initial, &sweep.target, number as f64 / (fixed_sizes + 1) as f64);
        for flops in &budgets {
            let percent = (100.0 * flops / (flops_per_token(&sweep.target) * control_tokens as f64)).round();
            let name = if budgets.len() > 1 {
                format!("fixed_size_{number}_{percent}")
            } else {
                format!("fixed_size_{number}")
            };
            let tokens = sweep.whole_steps((flops / flops_per_token(&size)).round() as u64);
            controls.push(born(sweep, name, "fixed_size", &size, tokens)?);
        }
    }
    Ok(controls)
}

fn flops_per_token(architecture: &Architecture) -> f64 {
    cost::train_flops(architecture, architecture.seq_len) as f64 / architecture.seq_len as f64
}

/// FLOPs and tokens of each strategy, the mean over its plans.
fn strategies(grown: &[&Arm]) -> Vec<(f64, f64)> {
    let of = |plans: &[&Arm]| {
        let n = plans.len() as f64;
        let flops: u128 = plans.iter().map(|arm| arm.plan.train_flops(arm.tokens)).sum();
        (flops as f64 / n, plans.iter().map(|arm| arm.tokens).sum::<u64>() as f64 / n)
    };
    grown.chunk_by(|a, b| a.strategy == b.strategy).map(of).collect()
}

/// The budgets without those that are nearly one that was there before, or nearly `known`.
fn distinct(budgets: Vec<f64>, known: f64) -> Vec<f64> {
    let mut kept: Vec<f64> = vec![];
    for budget in budgets {
        if [known].iter().chain(&kept).all(|other| (budget / other - 1.0).abs() > SAME) {
            kept.push(budget);
        }
    }
    kept
}

/// A model that never grows.
fn born(
    sweep: &Sweep,
    strategy: String,
    kind: &'static str,
    size: &Architecture,
    tokens: u64,
) -> Result<Arm, SweepError> {
    let named = |error| SweepError::Plan { name: strategy.clone(), error };
    let plan = GrowthPlan::new(size.clone(), vec![]).map_err(named)?;
    let growth = sweep.spec.training.growth.clone();
    Ok(Arm { strategy, kind, number: 0, plan, tokens, growth, continues: false })
}

/// The size at `share` of the way between two, in equal ratios.
fn between(from: &Architecture, to: &Architecture, share: f64) -> Architecture {
    let mean = |a: usize, b: usize| (a as f64 * (b as f64 / a as f64).powf(share)).round() as usize;
    let (a, b) = (&from.layers[0], &to.layers[0]);
    let head = HeadShape {
        n_queries: mean(a.heads[0].n_queries, b.heads[0].n_queries),
        d_k: to.form.whole_d_k(mean(a.heads[0].d_k, b.heads[0].d_k)),
        d_v: mean(a.heads[0].d_v, b.heads[0].d_v),
    };
    let layer = LayerShape { heads: vec![head; mean(a.heads.len(), b.heads.len())], d_ff: mean(a.d_ff, b.d_ff) };
    let layers = vec![layer; mean(from.layers.len(), to.layers.len())];
    Architecture { d_model: mean(from.d_model, to.d_model), layers, ..to.clone() }
}
