//! What a reader must know of the ends that a frontier is drawn from, and of those judged by it.

use outgrow_core::sweep::budget_text;
use serde::Serialize;

use crate::{
    frontier::Undercut,
    numbers::{bounds, short, signed_loss},
    strategy::{Role, Strategy},
};

/// Of born sizes and growing arms, at all budgets.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cautions {
    /// Those whose best learning rate is at an edge of the grid at some budget.
    pub at_the_edge: Vec<String>,
    /// The most learning rates that one of them was trained at.
    pub most_rates: usize,
    /// How many seeds, which nothing else uses, chose the learning rates; 0 where those did that are
    /// compared.
    pub tuning_seeds: usize,
    /// Those whose rate the seeds that are compared chose at some budget.
    pub untuned: Vec<String>,
    /// Born ends whose text was repeated, as `born_1 at 40`: they are in no parabola and no law.
    pub repeated: Vec<String>,
    /// Ends of growing arms whose text was, and which are judged all the same.
    pub grown_repeated: Vec<String>,
    /// Whether more may have repeated it, for how large the text is was not recorded.
    pub may_repeat: bool,
    /// Budgets, in words, whose least loss is too high, and the size that shows it.
    pub undercut: Vec<(String, Undercut)>,
}

impl Cautions {
    /// Notes those of an arm at a budget, whose text was repeated or not.
    pub fn take(&mut self, arm: &Strategy, budget: f64, repeats: bool) {
        self.tuning_seeds = self.tuning_seeds.max(arm.tuning_seeds);
        self.most_rates = self.most_rates.max(arm.learning_rates);
        let notes = [
            (&mut self.untuned, arm.tuning_seeds == 0),
            (&mut self.at_the_edge, arm.is_at_the_edge),
        ];
        for (names, _) in notes.into_iter().filter(|(_, holds)| *holds) {
            if !names.contains(&arm.name) {
                names.push(arm.name.clone());
            }
        }
        if repeats && arm.complete().next().is_some() {
            let end = format!("{} at {}", arm.name, budget_text(budget));
            match arm.role {
                Role::Grown => self.grown_repeated.push(end),
                _ => self.repeated.push(end),
            }
        }
    }

    /// All of them in sentences, each behind a space.
    pub fn words(&self) -> String {
        [self.on_choice(), self.on_edges(), self.on_repeats(), self.on_undercuts()].concat()
    }

    /// Where growing looks better than it is, as far as trained sizes show it.
    pub fn on_undercuts(&self) -> String {
        let one = |(budget, Undercut { n, by, .. }): &(String, Undercut)| {
            format!(
                " At {budget} the frontier is too high: the born size of {} parameters ends below it, \
                 {} {}. Loss against size may have a step, as between models of two and of three \
                 layers, and growing look better than it is: sizes of one shape would tell, or other \
                 shapes of each size (frontier.checks = [\"all_shapes\"]).",
                short(*n),
                signed_loss(by.mean, 4),
                bounds(by, signed_loss, 4),
            )
        };
        self.undercut.iter().map(one).collect()
    }

    /// Which seeds chose the learning rates.
    fn on_choice(&self) -> String {
        let but = match self.untuned.is_empty() {
            true => String::new(),
            false => format!(
                ", but those of {} on the seeds that are compared, for want of such trials",
                self.untuned.join(", ")
            ),
        };
        match self.tuning_seeds {
            0 if self.most_rates < 2 => " All have the same learning rate, tuned for none.".into(),
            0 => " Learning rates are the best of the grid on the seeds that are compared.".into(),
            n => format!(
                " Learning rates were chosen on {n} seeds of their own, which are in no \
                 comparison{but}."
            ),
        }
    }

    fn on_edges(&self) -> String {
        match self.at_the_edge.is_empty() {
            true => String::new(),
            false => format!(
                " At the edge of the grid of learning rates: {}. A wider grid may change them.",
                self.at_the_edge.join(", ")
            ),
        }
    }

    fn on_repeats(&self) -> String {
        let ends = [
            ("Their text was repeated, so these ends are in no vertex and no law", &self.repeated),
            (
                "Growing ends whose text was repeated, which may cost them a little",
                &self.grown_repeated,
            ),
        ];
        let ends = ends.into_iter().filter(|(_, ends)| !ends.is_empty());
        let said: String =
            ends.map(|(what, ends)| format!(" {what}: {}.", ends.join(", "))).collect();
        match self.may_repeat {
            true => said + " Some trials may have repeated their text (allow_repeats).",
            false => said,
        }
    }
}
