//! The controls that a comparison needs, derived from the strategies that it compares.

use std::collections::BTreeSet;

use super::{
    arm::Arm,
    error::{SweepError, bad},
    frontier::{born_number, check_of},
    resolved::Sweep,
    shapes::{between, is_uniform},
    spec::{ControlsSpec, StrategySpec},
};
use crate::{
    flops::train_flops_per_token,
    model::Architecture,
    plan::{GrowthPlan, Strategy},
};

/// What controls of the target size are called; those of other budgets with the percent of them
/// behind it.
const BORN: &str = "from_scratch";

/// What sizes between the initial and the target one are called, with their number, and with the
/// percent where there are several budgets.
const FIXED: &str = "fixed_size";

/// Budgets that differ by less are one.
const SAME: f64 = 0.02;

/// How many sizes in between a sweep file that says nothing gets, with a frontier or without.
pub(super) fn usual_fixed_sizes(
    [initial, target]: [&Architecture; 2],
    has_frontier: bool,
) -> usize {
    usize::from(!has_frontier && is_uniform(initial) && is_uniform(target))
}

/// Checks what only the whole sweep can tell.
pub(super) fn check(sweep: &Sweep) -> Result<(), SweepError> {
    if sweep.fixed_sizes() > 0 && !(is_uniform(&sweep.initial) && is_uniform(&sweep.target)) {
        return Err(SweepError::Value {
            field: "controls.fixed_sizes".into(),
            value: sweep.fixed_sizes().to_string(),
            allowed: "sizes between initial and target need layers and heads that are all alike; \
                      set it to 0"
                .into(),
        });
    }
    check_names(sweep)
}

/// Refuses strategies that have the name of a control, whatever the budgets turn out to be.
fn check_names(sweep: &Sweep) -> Result<(), SweepError> {
    let &ControlsSpec { same_tokens, same_compute, .. } = &sweep.spec.controls;
    let fixed_sizes = sweep.fixed_sizes();
    let scheduled = same_tokens || same_compute;
    let has_own = sweep
        .spec
        .strategies
        .iter()
        .any(|other| matches!(other.strategy, Strategy::FromScratch(_)));
    for StrategySpec { name, strategy, .. } in &sweep.spec.strategies {
        if name == BORN && !matches!(strategy, Strategy::FromScratch(_)) {
            let allowed =
                "only a strategy of that kind may be called so: the report compares with it";
            return bad("strategies.name", format!("{name:?}"), allowed);
        }
        let clash = match control(name) {
            Some(Control::Born { percent }) if scheduled && (percent || !has_own) => {
                "`controls.same_tokens` or `controls.same_compute`"
            }
            Some(Control::Fixed { number }) if (1..=fixed_sizes).contains(&number) => {
                "`controls.fixed_sizes`"
            }
            Some(Control::Frontier) if sweep.spec.frontier.is_some() => "`[frontier]`",
            _ => continue,
        };
        let allowed = format!(
            "{clash} may schedule a control of that name: call the strategy something else"
        );
        return bad("strategies.name", format!("{name:?}"), &allowed);
    }
    Ok(())
}

/// Whether a control may have such a name.
pub(super) fn is_a_controls_name(name: &str) -> bool {
    control(name).is_some()
}

/// Which control has such a name, if any.
enum Control {
    Born { percent: bool },
    Fixed { number: usize },
    Frontier,
}

fn control(name: &str) -> Option<Control> {
    let is_percent =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if name == BORN {
        return Some(Control::Born { percent: false });
    }
    if let Some(percent) = name.strip_prefix(BORN).and_then(|rest| rest.strip_prefix('_')) {
        return is_percent(percent).then_some(Control::Born { percent: true });
    }
    if born_number(name).is_some() || check_of(name).is_some() {
        return Some(Control::Frontier);
    }
    let rest = name.strip_prefix(FIXED)?.strip_prefix('_')?;
    let (number, percent) = rest.split_once('_').unwrap_or((rest, "0"));
    Some(Control::Fixed { number: number.parse().ok().filter(|_| is_percent(percent))? })
}

/// Percents with as few decimals as tell each from all others.
fn percents(values: Vec<f64>) -> Vec<String> {
    let text = |value: f64, decimals: usize| format!("{value:.decimals$}");
    let alone = |n: usize, decimals: usize| {
        let others = values.iter().enumerate().filter(|(other, _)| *other != n);
        let own = text(values[n], decimals);
        others.map(|(_, value)| text(*value, decimals)).all(|other| other != own)
    };
    // Of two different numbers the decimals differ somewhere.
    let shortest = |n| (0..400).find(|&decimals| alone(n, decimals)).unwrap_or(400);
    (0..values.len()).map(|n| text(values[n], shortest(n))).collect()
}

/// The controls to the arms that grow.
pub(super) fn arms(sweep: &Sweep, own: &[Arm]) -> Result<Vec<Arm>, SweepError> {
    let mut controls = vec![];
    let grown: Vec<&Arm> = own.iter().filter(|arm| !arm.plan.stages().is_empty()).collect();
    let control_tokens = sweep.whole_steps(sweep.spec.training.tokens);
    let &ControlsSpec { same_tokens, same_compute, .. } = &sweep.spec.controls;
    let fixed_sizes = sweep.fixed_sizes();
    if same_tokens || same_compute {
        if own.iter().all(|arm| arm.kind != "from_scratch") {
            controls.push(born(sweep, BORN.into(), "from_scratch", &sweep.target, control_tokens)?);
        }
        let per_token = train_flops_per_token(&sweep.target);
        let asked = |(flops, tokens): (f64, Option<f64>)| {
            let tokens = tokens.filter(|_| same_tokens);
            same_compute.then_some(flops / per_token).into_iter().chain(tokens)
        };
        let budgets = strategies(&grown).into_iter().flat_map(asked);
        let nominal = sweep.spec.training.tokens as f64;
        let budgets = distinct(budgets.collect(), nominal);
        // What differs by less than a step is one training.
        let mut lengths = BTreeSet::from([control_tokens]);
        let is_new = |tokens: &f64| lengths.insert(sweep.whole_steps(tokens.round() as u64));
        let budgets: Vec<f64> = budgets.into_iter().filter(is_new).collect();
        let percents = percents(budgets.iter().map(|tokens| 100.0 * tokens / nominal).collect());
        for (tokens, percent) in budgets.iter().zip(percents) {
            let name = format!("{BORN}_{percent}");
            let tokens = sweep.budget(&name, *tokens)?;
            controls.push(born(sweep, name, "from_scratch_annealed", &sweep.target, tokens)?);
        }
    }
    let of_control = sweep.control_flops();
    let budgets = strategies(&grown).into_iter().map(|(flops, _)| flops);
    let budgets = distinct(budgets.collect(), 0.0);
    let percents = percents(budgets.iter().map(|flops| 100.0 * flops / of_control).collect());
    for number in 1..=fixed_sizes {
        let size = between(&sweep.initial, &sweep.target, number as f64 / (fixed_sizes + 1) as f64);
        for (flops, percent) in budgets.iter().zip(&percents) {
            let name = match budgets.len() {
                1 => format!("{FIXED}_{number}"),
                _ => format!("{FIXED}_{number}_{percent}"),
            };
            let tokens = sweep.budget(&name, flops / train_flops_per_token(&size))?;
            controls.push(born(sweep, name, "fixed_size", &size, tokens)?);
        }
    }
    Ok(controls)
}

/// FLOPs and tokens of each strategy, the mean over its plans. How many tokens one trains that sees on the
/// way how it grows is not known beforehand.
fn strategies(grown: &[&Arm]) -> Vec<(f64, Option<f64>)> {
    let of = |plans: &[&Arm]| {
        let n = plans.len() as f64;
        let sum = |of: fn(&Arm) -> f64| plans.iter().map(|arm| of(arm)).sum::<f64>() / n;
        let tokens =
            (!plans.iter().any(|arm| arm.plan.looks_around())).then(|| sum(|arm| arm.nominal.1));
        (sum(|arm| arm.nominal.0), tokens)
    };
    let is_one = |a: &&Arm, b: &&Arm| (&a.strategy, &a.setting) == (&b.strategy, &b.setting);
    grown.chunk_by(is_one).map(of).collect()
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
pub(super) fn born(
    sweep: &Sweep,
    strategy: String,
    kind: &'static str,
    size: &Architecture,
    tokens: u64,
) -> Result<Arm, SweepError> {
    let named = |error| SweepError::Plan { name: strategy.clone(), error };
    let plan = GrowthPlan::new(size.clone(), vec![]).map_err(named)?;
    let growth = sweep.spec.training.growth.clone();
    let setting = String::new();
    let nominal = (plan.train_flops(tokens) as f64, tokens as f64);
    Ok(Arm {
        strategy,
        kind,
        number: 0,
        setting,
        budget: None,
        plan,
        tokens,
        nominal,
        growth,
        batch_size: sweep.spec.training.batch_size,
        widens: false,
        replicate: None,
        continues: false,
    })
}
