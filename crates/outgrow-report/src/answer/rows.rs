//! The table of the answer, and what stands in its cells.

use super::value::{Answer, Finding, Quantity, Verdict};
use crate::{
    numbers::{bounds, dash, percent, signed_loss},
    on_the_way::marked,
    unit::LossUnit,
};

impl Answer {
    /// The names of the table's columns.
    pub const HEADER: [&str; 6] =
        ["comparison", "parameters", "difference", "95 % interval", "n", "verdict"];

    /// The table: a row for each comparison, without the header.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let findings = self.findings.iter().chain(&self.contrasts).map(|finding| self.row(finding));
        findings.collect()
    }

    fn row(&self, finding: &Finding) -> Vec<String> {
        let is_bound = matches!(finding.verdict, Verdict::NotReached { .. });
        let [difference, interval] = finding.numbers(self.unit);
        let (difference, interval) = match finding.quantity {
            Quantity::ComputeSaved if is_bound => (format!("at most {difference}"), dash()),
            _ => (difference, interval),
        };
        let n = finding.value.n.to_string();
        let sizes = self.sizes(finding);
        vec![self.what(finding), sizes, difference, interval, n, finding.verdict.words()]
    }

    /// "19k → 42k vs 31k".
    fn sizes(&self, finding: &Finding) -> String {
        let words = |name: &String| self.parameters.get(name).map_or_else(dash, |s| s.words());
        format!("{} vs {}", words(&finding.strategy), words(&finding.against))
    }

    fn what(&self, finding: &Finding) -> String {
        let [strategy, against] =
            [&finding.strategy, &finding.against].map(|name| self.shown(name));
        let plans = match finding.plans {
            n if n > 1 && finding.quantity == Quantity::ComputeSaved => format!(" ({n} plans)"),
            _ => String::new(),
        };
        let extreme = finding.extreme_of.map_or_else(String::new, |of| {
            format!(" (an extreme of {of}; all are in the table of controls)")
        });
        let quantity = match finding.quantity {
            Quantity::ComputeSaved => "compute saved",
            Quantity::LossAtSameCompute => "final loss, same compute",
            Quantity::LossToBestFixedSize if self.fixed_sizes > 1 => {
                "final loss, same compute, best size that never grows"
            }
            Quantity::LossToBestFixedSize => "final loss, same compute, never grows",
            Quantity::LossDifference => "contrast, final loss",
            Quantity::SavingDifference => "contrast, compute saved",
        };
        format!("{strategy}{plans} vs {against}: {quantity}{extreme}")
    }
}

impl Finding {
    /// The difference with its unit, and its interval.
    pub(super) fn numbers(&self, unit: LossUnit) -> [String; 2] {
        let value = &self.value;
        let saving = |counted: &str| {
            let text = format!("{} {counted}", percent(value.mean, 0));
            [marked(text, self.on_the_way), bounds(value, percent, 0)]
        };
        match self.quantity {
            Quantity::ComputeSaved => saving("%"),
            Quantity::SavingDifference => saving("points"),
            _ => [
                format!("{} {}", signed_loss(value.mean, 3), unit.short()),
                bounds(value, signed_loss, 3),
            ],
        }
    }
}

impl Verdict {
    pub(super) fn words(self) -> String {
        match self {
            Self::Cheaper => "less compute".into(),
            Self::Dearer => "more compute".into(),
            Self::Unclear { seeds_needed: None } => "no clear difference".into(),
            Self::Unclear { seeds_needed: Some(seeds) } => {
                format!("no clear difference ({seeds} seeds would tell)")
            }
            Self::NotReached { reached, of } => {
                format!("reached it in {reached} of {of} trials")
            }
            Self::Lower => "ends lower".into(),
            Self::Equal => "ends equal".into(),
            Self::Higher => "ends higher".into(),
        }
    }
}
