//! When each plan of a sweep grows, and how.

use std::collections::BTreeSet;

use outgrow_core::sweep::{Member, budget_text};

use super::Plan;
use crate::phases::{Phase, phases};

/// Plans that are shown unless all are asked for.
const SHOWN: usize = 24;

impl Plan {
    /// The growths of each plan, a line for each: its place as a share of the tokens and of the
    /// compute, the sizes that it changes, and where new layers stand. Of many plans the first,
    /// unless `all` are asked for; empty if nothing grows.
    pub fn describe_stages(&self, all: bool) -> String {
        let mut seen = BTreeSet::new();
        let is_first = |member: &&Member| {
            let budget = member.budget.map(f64::to_bits);
            let plan = (member.strategy.clone(), member.plan, member.setting.clone(), budget);
            !member.trial.plan.stages().is_empty() && seen.insert(plan)
        };
        let plans: Vec<&Member> = self.members().iter().filter(is_first).collect();
        if plans.is_empty() {
            return String::new();
        }
        let shown = if all { plans.len() } else { plans.len().min(SHOWN) };
        let lines: String = plans[..shown].iter().map(|member| lines(member)).collect();
        let more = match plans.len() - shown {
            0 => String::new(),
            n => format!("  and {n} plans more: --stages shows all\n"),
        };
        format!(
            "growths, each after a share of the trial's tokens (and of its compute); layers count \
             from 0 at the input\n{lines}{more}"
        )
    }
}

/// A line for each growth of a plan, the first with its name.
fn lines(member: &Member) -> String {
    let line = |(number, ([tokens, compute], growth)): (usize, ([f64; 2], String))| {
        let setting = &member.setting;
        let setting = if setting.is_empty() { String::new() } else { format!(" [{setting}]") };
        let name = if number == 0 { plan_name(member) + &setting } else { String::new() };
        let at = format!("{:.0} % ({:.0} %)", 100.0 * tokens, 100.0 * compute);
        format!("  {name:20}  {at:>13}  {growth}\n")
    };
    growths(member).into_iter().enumerate().map(line).collect()
}

/// A strategy's plan, and the budget where there are several.
pub(crate) fn plan_name(Member { strategy, plan, budget, .. }: &Member) -> String {
    let budget = budget.map_or_else(String::new, |budget| format!(" at {}", budget_text(budget)));
    format!("{strategy}/{plan}{budget}")
}

/// Each growth of a plan: its place as a share of the tokens and of the compute, and what it does.
pub(crate) fn growths(member: &Member) -> Vec<([f64; 2], String)> {
    let phases = phases(&member.trial);
    let mut at = [0.0; 2];
    let mut one = |both: &[Phase]| {
        at = [at[0] + both[0].tokens_share, at[1] + both[0].flops_share];
        (at, growth(&both[1]))
    };
    phases.windows(2).map(&mut one).collect()
}

fn growth(after: &Phase) -> String {
    let new: Vec<String> = (0..after.layers.len())
        .filter(|layer| after.layers[*layer])
        .map(|layer| layer.to_string())
        .collect();
    let operators: Vec<&str> = after
        .growths
        .iter()
        .filter(|name| {
            !outgrow_core::growth::TransformKind::ALL.iter().any(|kind| kind.name() == **name)
        })
        .copied()
        .collect();
    let mut parts = operators.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    parts.extend(after.changes.iter().cloned());
    if !new.is_empty() {
        parts.push(format!("new layers {}", new.join(", ")));
    }
    parts.join("; ")
}
