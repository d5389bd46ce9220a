//! From an analysis to the answer.

use super::value::{Answer, ControlState, Count, Finding, Preserved, Quantity, Verdict};
use crate::{
    analysis::Analysis,
    comparison::{Comparison, Gap},
    contrast::Contrast,
    interval::Interval,
    strategy::{Role, Strategy},
    tested::Tested,
};
use outgrow_core::TrialState;

/// Of more strategies than these, the extremes of their losses are given.
const LISTED: usize = 8;

impl Answer {
    /// The answer that an analysis gives.
    pub fn new(analysis: &Analysis) -> Self {
        let control = ControlState::of(analysis);
        let grown: Vec<&Strategy> = analysis.grown().collect();
        let is_trained = matches!(control, ControlState::Trained { .. });
        let found = if is_trained { findings(analysis, &grown) } else { vec![] };
        let edge = analysis.strategies.iter().filter(|s| is_trained && s.is_at_the_edge);
        Self {
            sweep: analysis.sweep.clone(),
            unit: analysis.unit,
            bits_per_byte: analysis.bits_per_byte,
            progress: analysis.progress(),
            control,
            tested: grown.iter().filter(|strategy| is_tested(strategy)).count(),
            names: analysis.names.clone(),
            fixed_sizes: analysis.fixed_sizes(),
            fixed_size: analysis.fixed_size().map(|strategy| strategy.name.clone()),
            parameters: analysis.sizes(),
            counts: found.iter().filter_map(|all| count(all.as_slice())).collect(),
            findings: found.into_iter().flat_map(extremes).collect(),
            families: analysis.families.clone(),
            contrasts: analysis.contrasts.iter().flat_map(|one| contrast(analysis, one)).collect(),
            jumps: analysis.jumps.clone(),
            spikes: analysis.spikes.clone(),
            born: analysis.born.clone(),
            drawn: analysis.drawn.clone(),
            preserved: analysis.worst_growth.map(|(worst, events)| Preserved { events, worst }),
            locked: analysis.locked,
            lost: analysis.count(&[TrialState::Diverged, TrialState::Failed]),
            at_the_edge: edge.map(|strategy| strategy.name.clone()).collect(),
        }
    }
}

impl ControlState {
    fn of(analysis: &Analysis) -> Self {
        let is_control = |strategy: &&Strategy| strategy.role == Role::Control;
        let Some(control) = analysis.strategies.iter().find(is_control) else {
            return Self::Missing;
        };
        let &Strategy { learning_rate, learning_rates, .. } = control;
        match control.final_loss {
            Some(loss) => Self::Trained { loss, learning_rate, learning_rates },
            None if control.lost == control.trials => Self::Lost,
            None => Self::Open,
        }
    }
}

fn is_tested(strategy: &Strategy) -> bool {
    strategy.comparison.as_ref().is_some_and(|comparison| comparison.test.is_some())
}

/// Of each quantity, what was found of all strategies.
fn findings(analysis: &Analysis, grown: &[&Strategy]) -> Vec<Vec<Finding>> {
    let control = analysis.control.as_deref().unwrap_or_default();
    vec![
        grown.iter().filter_map(|s| saving(s, control)).collect(),
        losses(grown, Quantity::LossAtSameCompute, |c| c.same_flops.as_ref()),
        losses(grown, Quantity::LossToBestFixedSize, |c| c.best_fixed_size.as_ref()),
    ]
}

/// How many are better; none where there are none.
fn count(all: &[Finding]) -> Option<Count> {
    let n = |is: fn(&Finding) -> bool| all.iter().filter(|finding| is(finding)).count();
    Some(Count {
        quantity: all.first()?.quantity,
        better: n(|finding| match (finding.quantity, finding.verdict) {
            (_, Verdict::NotReached { .. }) => false,
            (Quantity::ComputeSaved, _) => finding.value.mean > 0.0,
            _ => finding.value.mean < 0.0,
        }),
        clear: n(|finding| matches!(finding.verdict, Verdict::Cheaper | Verdict::Lower)),
        of: all.len(),
        tested: n(|finding| finding.value.n > 1),
    })
}

/// Of losses of many strategies the lowest and the highest.
fn extremes(all: Vec<Finding>) -> Vec<Finding> {
    let is_saving = all.iter().all(|finding| finding.quantity == Quantity::ComputeSaved);
    if is_saving || all.len() <= LISTED {
        return all;
    }
    let mean = |finding: &&Finding| finding.value.mean;
    let lowest = all.iter().min_by(|a, b| mean(a).total_cmp(&mean(b)));
    let highest = all.iter().max_by(|a, b| mean(a).total_cmp(&mean(b)));
    let extremes = lowest.into_iter().chain(highest);
    extremes.map(|one| Finding { extreme_of: Some(all.len()), ..one.clone() }).collect()
}

fn saving(strategy: &Strategy, control: &str) -> Option<Finding> {
    let comparison = strategy.comparison.as_ref()?;
    let value = comparison.compute_corrected()?;
    Some(Finding {
        strategy: strategy.name.clone(),
        plans: strategy.plans,
        quantity: Quantity::ComputeSaved,
        against: control.to_owned(),
        value,
        verdict: judged(comparison, &value),
        on_the_way: comparison.is_on_the_way(),
        extreme_of: None,
    })
}

fn judged(comparison: &Comparison, saving: &Interval) -> Verdict {
    let [reached, of] = comparison.reached;
    match (comparison.is_significant() && saving.n > 1, saving.mean > 0.0) {
        _ if comparison.is_censored() => Verdict::NotReached { reached, of },
        (true, true) => Verdict::Cheaper,
        (true, false) => Verdict::Dearer,
        (false, _) => {
            comparison.test.as_ref().map_or(Verdict::Unclear { seeds_needed: None }, unclear)
        }
    }
}

/// How the growing models end against a control of their budget.
fn losses(
    grown: &[&Strategy],
    quantity: Quantity,
    gap: fn(&Comparison) -> Option<&Gap>,
) -> Vec<Finding> {
    let one = |strategy: &&Strategy| {
        let gap = gap(strategy.comparison.as_ref()?)?;
        Some(Finding {
            strategy: strategy.name.clone(),
            plans: strategy.plans,
            quantity,
            against: gap.against.clone(),
            value: gap.difference.corrected,
            verdict: end(&gap.difference),
            on_the_way: false,
            extreme_of: None,
        })
    };
    grown.iter().filter_map(one).collect()
}

/// What a contrast says of losses and of savings.
fn contrast(analysis: &Analysis, contrast: &Contrast) -> Vec<Finding> {
    let is_early = [&contrast.a, &contrast.b].into_iter().any(|arm| analysis.is_on_the_way(arm));
    let finding = |quantity, tested: &Tested, verdict| Finding {
        strategy: contrast.a.clone(),
        plans: 1,
        quantity,
        against: contrast.b.clone(),
        value: tested.corrected,
        verdict,
        on_the_way: is_early && quantity == Quantity::SavingDifference,
        extreme_of: None,
    };
    let loss = contrast.loss.as_ref();
    let saving = contrast.saving.as_ref();
    loss.map(|tested| finding(Quantity::LossDifference, tested, end(tested)))
        .into_iter()
        .chain(saving.map(|tested| finding(Quantity::SavingDifference, tested, saves(tested))))
        .collect()
}

/// No difference that these seeds tell.
fn unclear(difference: &Tested) -> Verdict {
    let more = |seeds: &usize| *seeds > difference.value.n;
    Verdict::Unclear { seeds_needed: difference.seeds_needed().filter(more) }
}

fn end(difference: &Tested) -> Verdict {
    match difference.value.mean {
        0.0 if difference.value.bounds == Some([0.0, 0.0]) => Verdict::Equal,
        _ if !difference.is_significant() => unclear(difference),
        mean if mean > 0.0 => Verdict::Higher,
        _ => Verdict::Lower,
    }
}

fn saves(difference: &Tested) -> Verdict {
    match difference.value.mean {
        0.0 if difference.value.bounds == Some([0.0, 0.0]) => Verdict::Equal,
        _ if !difference.is_significant() => unclear(difference),
        mean if mean > 0.0 => Verdict::Cheaper,
        _ => Verdict::Dearer,
    }
}
