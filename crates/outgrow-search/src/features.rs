//! Plans as numbers.

use crate::space::{Plan, Space};

impl Space {
    /// What a surface knows of a plan: its traits, squares and products of the shares among them.
    pub fn features(&self, plan: &Plan) -> Vec<f64> {
        let times = self.times(plan);
        let products = (0..times.len()).flat_map(|i| (i..times.len()).map(move |j| (i, j)));
        let products: Vec<f64> = products.map(|(i, j)| times[i] * times[j]).collect();
        times.into_iter().chain(products).chain(self.rest(plan)).collect()
    }

    /// A plan as numbers. For each level of each axis: at which share of the trial it is reached, 0 if
    /// it begins there, 1 if never; the number of stages; and each value of each choice.
    pub fn traits(&self, plan: &Plan) -> Vec<f64> {
        self.times(plan).into_iter().chain(self.rest(plan)).collect()
    }

    fn times(&self, plan: &Plan) -> Vec<f64> {
        let way = &plan.way;
        let places = &self.lattice.at.of().0;
        let at = |phase: usize| match phase.checked_sub(1).map(|stage| &way.stages[stage]) {
            None => 0.0,
            Some(step) => places.get(usize::from(step.place)).copied().unwrap_or(1.0),
        };
        let reached = |axis: usize, level: u8| {
            let phase = way.phases().position(|levels| levels[axis] >= level);
            phase.map_or(1.0, at)
        };
        let top = self.lattice.top();
        (0..top.len())
            .flat_map(|axis| (1..=top[axis]).map(move |level| (axis, level)))
            .map(|(axis, level)| reached(axis, level))
            .collect()
    }

    fn rest(&self, plan: &Plan) -> Vec<f64> {
        let choices = self.choices.iter().zip(&plan.choices).flat_map(|(choice, value)| {
            (1..choice.values).map(move |other| if *value == other { 1.0 } else { 0.0 })
        });
        std::iter::once(plan.way.stages.len() as f64).chain(choices).collect()
    }
}
