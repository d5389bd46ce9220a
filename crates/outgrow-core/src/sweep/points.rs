//! A sweep at the points of its grid.

use toml::Table;

use super::{
    arm::Arm,
    error::{SweepError, bad},
    file,
    grid::{Axis, Choice, Grid, product},
    resolved::Sweep,
    spec::{StrategySpec, SweepSpec},
};

/// A sweep at one point of its grid, the fields of single strategies left out.
pub(super) struct Point {
    choices: Vec<Choice>,
    pub sweep: Sweep,
}

/// A strategy at one point of the fields that are its own.
pub(super) struct OwnPoint {
    choices: Vec<Choice>,
    pub strategy: StrategySpec,
}

impl Point {
    /// What tells a plan at this point from the same at others; all choices if `whole`.
    pub(super) fn setting(&self, arm: &Arm, whole: bool) -> String {
        let shared = self.choices.iter().filter(|choice| whole || choice.concerns(arm));
        let mut labels: Vec<String> = shared.map(Choice::label).collect();
        labels.extend((!arm.setting.is_empty()).then(|| arm.setting.clone()));
        labels.join(", ")
    }
}

impl OwnPoint {
    /// What tells the strategy at this point from the same at others.
    pub(super) fn setting(&self) -> String {
        self.choices.iter().map(Choice::label).collect::<Vec<_>>().join(", ")
    }
}

impl Sweep {
    /// The sweep at each point of its grid, learning rates and the fields of strategies left out.
    pub(super) fn points(&self) -> Result<Vec<Point>, SweepError> {
        let points = product(self.spec.grid.axes()?.into_iter().filter(Axis::is_shared));
        let at = |choices: Vec<Choice>| {
            let sweep = match choices.is_empty() {
                true => self.clone(),
                false => {
                    let mut sweep = Sweep::new(self.spec.at(&choices)?)?;
                    sweep.spec.tuning_replicates = self.spec.tuning_replicates;
                    sweep.spec.widen = self.spec.widen;
                    sweep
                }
            };
            Ok(Point { choices, sweep })
        };
        points.into_iter().map(at).collect()
    }

    /// A strategy of this sweep at each point of the fields that are its own. `grid` is that of the
    /// whole sweep.
    pub(super) fn own_points(
        &self,
        strategy: &StrategySpec,
        grid: &Grid,
    ) -> Result<Vec<OwnPoint>, SweepError> {
        let own = |axis: &Axis| axis.strategy() == Some(&strategy.name);
        let find =
            |spec: SweepSpec| spec.strategies.into_iter().find(|found| found.name == strategy.name);
        let points = product(grid.axes()?.into_iter().filter(own));
        let at = |choices: Vec<Choice>| {
            let strategy = match choices.is_empty() {
                true => strategy.clone(),
                false => find(self.spec.at(&choices)?).unwrap_or_else(|| strategy.clone()),
            };
            Ok(OwnPoint { choices, strategy })
        };
        points.into_iter().map(at).collect()
    }

    /// Refuses a grid with a point that is no sweep.
    pub(super) fn check_grid(&self) -> Result<(), SweepError> {
        if self.spec.grid.is_empty() {
            return Ok(());
        }
        for axis in self.spec.grid.axes()? {
            let known = |name| self.spec.strategies.iter().any(|strategy| strategy.name == name);
            if let Some(name) = axis.strategy().filter(|name| !known(*name)) {
                let names: Vec<_> = self.spec.strategies.iter().map(|s| s.name.as_str()).collect();
                let allowed = format!("the strategies are {}", names.join(", "));
                return bad("grid.strategies", format!("of a strategy {name:?}"), &allowed);
            }
        }
        for point in self.points()? {
            for strategy in &point.sweep.spec.strategies {
                // At no choices it was sampled when the sweep was made.
                let own = point.sweep.own_points(strategy, &self.spec.grid)?;
                for own in own.iter().filter(|own| !own.choices.is_empty()) {
                    point.sweep.sample(&own.strategy, (0, 0))?;
                }
            }
        }
        Ok(())
    }
}

impl SweepSpec {
    /// The sweep with some fields changed, without a grid and so with nothing to tune.
    fn at(&self, choices: &[Choice]) -> Result<Self, SweepError> {
        let spec = Self {
            grid: Grid::default(),
            tuning_replicates: 0,
            widen: false,
            search: None,
            ..self.clone()
        };
        let mut table = Table::try_from(&spec).expect("a sweep is plain data");
        for choice in choices {
            file::change(&mut table, choice.table()).map_err(|error| choice.refused(error))?;
        }
        file::complete(table).map_err(|error| choices[choices.len() - 1].refused(error))
    }
}

impl Choice {
    /// Whether it changes anything of a plan's training.
    fn concerns(&self, arm: &Arm) -> bool {
        let starts = |begin: &[&str]| self.way.iter().zip(begin).all(|(own, begin)| own == begin);
        let grows = !arm.plan.stages().is_empty();
        let is_born_large = arm.kind.starts_with("from_scratch");
        !(starts(&["training", "growth"]) && !grows || starts(&["initial"]) && is_born_large)
    }

    /// An error, with the choice that led to it.
    fn refused(&self, error: SweepError) -> SweepError {
        let field = format!("grid.{}", self.way.join("."));
        let message = match error {
            SweepError::Field { field, message, .. } => format!("{field}: {message}"),
            other => other.to_string(),
        };
        SweepError::Field { field, message, at: Default::default() }
    }
}
