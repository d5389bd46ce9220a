//! The frontier and the gaps as rows for a database.

use outgrow_core::rows::{Bounded, Estimates, FrontierRow, GapRow};

use crate::{
    born::Born,
    compared::compared,
    frontier::{Against, ArmGap, Budget, Censored},
    input::Input,
    interval::Interval,
    runs::Runs,
    tuned::Tuned,
};

/// What the report of a sweep says of its frontier; nothing without one.
pub fn estimates(input: &Input) -> Estimates {
    let input = &*compared(input);
    let runs = Runs::new(input);
    let Some(born) = Born::of(input, &runs, &Tuned::of(input, &runs)) else {
        return Estimates::default();
    };
    let budgets = born.frontier.budgets.iter();
    let gaps = born.frontier.gaps.iter();
    Estimates {
        frontier: budgets.map(|budget| frontier_row(&born, budget)).collect(),
        gaps: gaps.map(|gap| gap_row(&born, gap)).collect(),
    }
}

fn frontier_row(born: &Born, budget: &Budget) -> FrontierRow {
    let vertex = budget.vertex.as_ref().ok();
    FrontierRow {
        budget: born.budgets[budget.budget],
        unit: born.unit.describe().to_owned(),
        train_flops: budget.flops,
        n_star: vertex.map_or_else(Bounded::default, |vertex| of(&vertex.n_star)),
        val_loss: vertex.map_or_else(Bounded::default, |vertex| of(&vertex.loss)),
        law_minus_vertex: budget.law_minus_vertex.map(|law| law.mean),
        n: vertex.map(|vertex| vertex.loss.n),
        reason: budget.vertex.as_ref().err().map(ToString::to_string),
    }
}

fn gap_row(born: &Born, gap: &ArmGap) -> GapRow {
    let against = gap.against.as_ref().ok();
    let (multiplier, censored) = against.map_or_else(Default::default, multiplier);
    GapRow {
        strategy: gap.arm.clone(),
        budget: born.budgets[gap.budget],
        unit: born.unit.describe().to_owned(),
        train_flops: gap.flops,
        gap: against.map_or_else(Bounded::default, |against| Bounded {
            value: Some(against.gap.value.mean),
            ..of(&against.gap.corrected)
        }),
        p_holm: against.and_then(|against| against.gap.p_corrected),
        multiplier,
        censored,
        n: against.map(|against| against.gap.value.n),
        reason: gap.against.as_ref().err().map(ToString::to_string),
    }
}

fn multiplier(against: &Against) -> (Bounded, Option<&'static str>) {
    let Some(multiplier) = &against.multiplier else { return Default::default() };
    let (value, censored) = match multiplier.value {
        Censored::At(value) => (value, None),
        Censored::Above(value) => (value, Some("above")),
        Censored::Below(value) => (value, Some("below")),
    };
    let [low, high] = multiplier.corrected;
    (Bounded { value: Some(value), low, high }, censored)
}

fn of(interval: &Interval) -> Bounded {
    let end = |end: usize| interval.bounds.map(|bounds| bounds[end]);
    Bounded { value: Some(interval.mean), low: end(0), high: end(1) }
}
