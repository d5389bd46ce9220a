//! What the frontier of a sweep is, and what it costs.

use outgrow_core::{
    model::n_parameters,
    sweep::{BORN, BornBudget, BornSize, Member, budget_text, in_order},
};
use serde::Serialize;

use super::{Plan, begun, charged, saved};
use crate::readable::{count, duration, flops, table};

/// Born sizes, budgets, and what all trials of them cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrontierCost {
    /// In which budgets are counted.
    pub unit: &'static str,
    /// From small to large.
    pub sizes: Vec<PlannedSize>,
    /// From small to large.
    pub budgets: Vec<PlannedBudget>,
    /// Trials of born sizes.
    pub trials: usize,
    /// Training FLOPs of these, each trained from its first step.
    pub charged_flops: f64,
    /// Training FLOPs with trunks trained once, by themselves: trials of other strategies that share
    /// them are left out.
    pub spent_flops: f64,
}

/// A born size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedSize {
    /// `born_1` and on.
    pub name: String,
    /// Parameters without embeddings, with the unembedding.
    pub n: u64,
    /// All trainable ones.
    pub parameters: u64,
    /// Its sizes in words.
    pub sizes: String,
    /// Tokens at each budget.
    pub tokens: Vec<u64>,
}

/// A budget of the frontier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedBudget {
    /// In the unit of the file.
    pub budget: f64,
    /// Tokens of the target.
    pub tokens: u64,
    /// Training FLOPs of each trial.
    pub train_flops: f64,
    /// Whether growing strategies end here, too.
    pub has_strategies: bool,
}

impl Plan {
    /// The frontier of the sweep; none without one.
    pub fn frontier(&self) -> Option<FrontierCost> {
        let frontier = self.sweep().spec().frontier.as_ref()?;
        let mut born = in_order(self.members());
        born.retain(|member| member.kind == BORN);
        let trials = born.len();
        let born = begun(born);
        let charged_flops = born.iter().map(|(member, _)| charged(member)).sum();
        let at = frontier.strategies_at.clone().unwrap_or_default();
        let budget = |BornBudget { budget, tokens, train_flops }: BornBudget| PlannedBudget {
            has_strategies: at.contains(&budget),
            budget,
            tokens,
            train_flops,
        };
        Some(FrontierCost {
            unit: frontier.unit.describe(),
            sizes: self
                .sweep()
                .born_sizes()
                .into_iter()
                .map(|size| self.planned_size(size))
                .filter(|size| !size.tokens.is_empty())
                .collect(),
            budgets: self.sweep().born_budgets().into_iter().map(budget).collect(),
            trials,
            charged_flops,
            spent_flops: charged_flops - saved(&born),
        })
    }

    fn planned_size(&self, size: BornSize) -> PlannedSize {
        let mut tokens: Vec<(f64, u64)> = self
            .members()
            .iter()
            .filter(|member| member.strategy == size.name)
            .filter_map(|Member { budget, trial, .. }| Some(((*budget)?, trial.settings.tokens)))
            .collect();
        tokens.sort_by(|a, b| a.0.total_cmp(&b.0));
        tokens.dedup();
        PlannedSize {
            n: size.n,
            parameters: n_parameters(&size.architecture),
            sizes: size.architecture.describe(),
            tokens: tokens.into_iter().map(|(_, tokens)| tokens).collect(),
            name: size.name,
        }
    }
}

impl FrontierCost {
    /// Tables of sizes and budgets, and the cost in a line; hours where the FLOP/s of a worker are
    /// given. The tables `fit` the terminal if they are to.
    pub(super) fn describe(&self, speed: Option<f64>, fits: bool) -> String {
        let hours = speed.map_or_else(String::new, |speed| {
            format!(", {} on one worker", duration(self.spent_flops / speed))
        });
        format!(
            "born sizes; N counts parameters without embeddings, with the unembedding\n{}\n\n\
             budgets in {}; every size trains the tokens that cost the same\n{}\n\n\
             {} trials of born sizes: {} charged, each as if alone; {} spent, trunks trained once \
             ({:.3} of it){hours}",
            self.size_table(fits),
            self.unit,
            self.budget_table(fits),
            self.trials,
            flops(self.charged_flops),
            flops(self.spent_flops),
            self.spent_flops / self.charged_flops
        )
    }

    fn size_table(&self, fits: bool) -> String {
        let before = [None].into_iter().chain(self.sizes.iter().map(Some));
        let row = |(size, before): (&PlannedSize, Option<&PlannedSize>)| {
            let spacing = before.map(|before| format!("{:.2}", size.n as f64 / before.n as f64));
            vec![
                size.name.clone(),
                count(size.n as f64),
                spacing.unwrap_or_default(),
                count(size.parameters as f64),
                size.sizes.clone(),
            ]
        };
        let rows: Vec<_> = self.sizes.iter().zip(before).map(row).collect();
        table(&["size", "N", "times", "parameters", "sizes"], &rows, &[1, 2, 3], fits)
    }

    fn budget_table(&self, fits: bool) -> String {
        let row = |(number, budget): (usize, &PlannedBudget)| {
            let tokens = |size: Option<&PlannedSize>| {
                let tokens = size.and_then(|size| size.tokens.get(number));
                tokens.map_or_else(String::new, |tokens| count(*tokens as f64))
            };
            vec![
                budget_text(budget.budget),
                flops(budget.train_flops),
                count(budget.tokens as f64),
                tokens(self.sizes.first()),
                tokens(self.sizes.last()),
                if budget.has_strategies { "yes".into() } else { String::new() },
            ]
        };
        let rows: Vec<_> = self.budgets.iter().enumerate().map(row).collect();
        let [first, last] = [self.sizes.first(), self.sizes.last()]
            .map(|size| size.map_or_else(String::new, |size| format!("of {}", size.name)));
        let header =
            ["budget", "compute of a trial", "tokens of the target", &first, &last, "strategies"];
        table(&header, &rows, &[0, 1, 2, 3, 4], fits)
    }
}
