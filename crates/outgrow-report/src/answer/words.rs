//! The answer in words: at most three sentences, and a table.

use std::fmt;

use super::value::{Answer, ControlState, Finding, Quantity, Verdict};
use crate::{
    escape::visible,
    interval::Interval,
    judge::Family,
    jump::Jump,
    numbers::{dash, percent, plus_minus, signed_loss},
};

/// Strategies whose jumps are named.
const JUMPS: usize = 3;

/// How a name is written: as the format wants it that the text is for.
pub type Say = fn(&str) -> String;

impl Answer {
    /// The names of the table's columns.
    pub const HEADER: [&str; 5] = ["comparison", "difference", "95 % interval", "n", "verdict"];

    /// The table: a row for each comparison, without the header.
    pub fn rows(&self) -> Vec<Vec<String>> {
        self.findings.iter().chain(&self.contrasts).map(|finding| self.row(finding)).collect()
    }

    /// What people read for the name of an arm.
    fn shown<'a>(&'a self, name: &'a str) -> &'a str {
        self.names.get(name).map_or(name, String::as_str)
    }

    /// The sizes that never grow: of one there is no best.
    fn fixed(&self) -> &'static str {
        match self.fixed_sizes {
            0 | 1 => "the one size between that never grows",
            _ => "the best size that never grows",
        }
    }

    /// What the table says in one sentence, or why there is nothing to compare.
    pub fn headline(&self, say: Say) -> String {
        let sweep = say(&self.sweep);
        let rest = match &self.control {
            ControlState::Missing => {
                "the sweep has no from_scratch control with an evaluation, so there is nothing to \
                 compare with"
                    .into()
            }
            ControlState::Lost => {
                "every from-scratch control diverged or failed, so there is nothing to compare with"
                    .into()
            }
            ControlState::Open => "no from-scratch control is trained to its end yet".into(),
            ControlState::Trained { loss, learning_rate, learning_rates } => {
                let rate = match learning_rates {
                    0 | 1 => String::new(),
                    n => format!(", learning rate {learning_rate} of {n} tried"),
                };
                let (n, loss) = (loss.n, plus_minus(loss, 3));
                let counts = self.counts();
                format!(
                    "from scratch ends at a validation loss of {loss} nats per token (n = {n} \
                     seeds{rate}){counts}"
                )
            }
        };
        match self.progress.words() {
            Some(progress) => format!("{progress}; {sweep}: {rest}."),
            None => format!("{sweep}: {rest}."),
        }
    }

    /// How many strategies did better than each control.
    fn counts(&self) -> String {
        let (cheaper, lower) = (Verdict::Cheaper, Verdict::Lower);
        let same = "end below the target size with the same compute, annealed to it";
        let fixed = format!("end below {}, with the same compute", self.fixed());
        let clauses = [
            self.count(Quantity::ComputeSaved, cheaper, "reach it with less compute"),
            self.count(Quantity::LossAtSameCompute, lower, same),
            self.count(Quantity::LossToBestFixedSize, lower, &fixed),
        ];
        let clauses: Vec<String> = clauses.into_iter().flatten().collect();
        match clauses.is_empty() {
            true => String::new(),
            false => format!("; of the growing strategies, {}", clauses.join(", ")),
        }
    }

    fn count(&self, quantity: Quantity, better: Verdict, words: &str) -> Option<String> {
        let own = self.findings.iter().filter(|finding| finding.quantity == quantity);
        let all: Vec<&Finding> = own.collect();
        let n = all.iter().filter(|finding| finding.verdict == better).count();
        match all.first()?.extreme_of {
            None => Some(format!("{n} of {} {words}", all.len())),
            // Of the extremes it is known whether there is one.
            Some(of) if n == 0 => Some(format!("0 of {of} {words}")),
            Some(of) => Some(format!("some of {of} {words}")),
        }
    }

    /// What limits the answer, and how its numbers are meant: none to two sentences.
    pub fn notes(&self, say: Say) -> Vec<String> {
        let limits = self.limits(say).join("; ");
        let mut letters = limits.chars();
        let limits =
            letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str()));
        let method = matches!(self.control, ControlState::Trained { .. }).then(|| {
            String::from(
                "Savings count every FLOP since the smallest model; values are means over seeds \
                 with 95 % Student-t intervals, paired by seed and data order.",
            )
        });
        limits.into_iter().chain(method).chain(self.judged(say)).collect()
    }

    /// What is judged together.
    fn judged(&self, say: Say) -> Option<String> {
        let one = |family: &Family| format!("{} × {}", family.n, say(&family.what));
        let all: Vec<String> = self.families.iter().map(one).collect();
        (!all.is_empty()).then(|| {
            format!(
                "Judged together (Holm's correction): {}. What is asked twice is judged once; an \
                 interval excludes zero exactly where the verdict says so.",
                all.join("; ")
            )
        })
    }

    /// What the contrasts say, in one sentence; none where none was asked for.
    pub fn contrasted(&self, say: Say) -> Option<String> {
        let all: Vec<&Finding> =
            self.contrasts.iter().filter(|f| f.quantity == Quantity::LossDifference).collect();
        let clauses: Vec<String> = all
            .iter()
            .map(|finding| {
                let [a, b] =
                    [&finding.strategy, &finding.against].map(|name| say(self.shown(name)));
                let number = format!(
                    "{} nats{}",
                    signed_loss(finding.value.mean),
                    match finding.value.bounds {
                        Some(_) => format!(" {}", interval(&finding.value, signed_loss)),
                        None => String::new(),
                    }
                );
                match finding.verdict {
                    Verdict::Lower => format!("{a} ends lower than {b} ({number})"),
                    Verdict::Higher => format!("{a} ends higher than {b} ({number})"),
                    Verdict::Equal => format!("{a} ends as {b} does"),
                    _ => format!("no clear difference between {a} and {b} ({number})"),
                }
            })
            .collect();
        (!clauses.is_empty()).then(|| format!("Contrasts: {}.", clauses.join("; ")))
    }

    /// Where the loss goes up after growth.
    fn jumped(&self, say: Say) -> Option<String> {
        let one = |jump: &Jump| {
            format!(
                "{} {} nats within {} tokens",
                say(self.shown(&jump.strategy)),
                signed_loss(jump.rise.mean),
                thousands(jump.tokens)
            )
        };
        let listed: Vec<String> = self.jumps.iter().take(JUMPS).map(one).collect();
        let more = match self.jumps.len().saturating_sub(JUMPS) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let hint = match self.jumps.iter().any(|jump| jump.is_rate_unchanged) {
            true => " (the learning rate goes on at its height: see `rewarm_new` and `rewarm_all`)",
            false => "",
        };
        (!listed.is_empty()).then(|| {
            format!(
                "the loss jumps after growth by more than the seeds' spread: {}{more}{hint}",
                listed.join(", ")
            )
        })
    }

    fn limits(&self, say: Say) -> Vec<String> {
        let preserved = self.preserved.map(|all| {
            let within = if all.worst <= 1.0 { "within" } else { "NOT within" };
            format!(
                "all {} growth events that claim to preserve the function were {within} the \
                 tolerance (worst: {:.2} of it)",
                all.events, all.worst
            )
        });
        let locked = (self.locked > 0).then(|| {
            format!(
                "at {} growth events copied units got equal gradients and are bound to stay equal \
                 (see the growth doctor)",
                self.locked
            )
        });
        let lost = (self.lost > 0)
            .then(|| format!("{} trials diverged or failed and are not in the means", self.lost));
        let names: Vec<String> =
            self.at_the_edge.iter().map(|name| say(self.shown(name))).collect();
        let edge = (!names.is_empty()).then(|| {
            format!(
                "not tuned for certain: {} did best at the lowest or the highest learning rate of \
                 the grid, so a wider one may change what is said of them",
                names.join(", ")
            )
        });
        [self.jumped(say), preserved, locked, lost, edge].into_iter().flatten().collect()
    }
}

/// For a terminal: the headline, the table, and the notes.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline(visible))?;
        if let Some(contrasted) = self.contrasted(visible) {
            write!(f, "\n\n{contrasted}")?;
        }
        let header = Self::HEADER.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = [header].into_iter().chain(self.rows()).collect();
        if rows.len() > 1 {
            f.write_str("\n")?;
        }
        for row in rows.iter().filter(|_| rows.len() > 1) {
            write!(f, "\n{}", line(row, &widths(&rows)))?;
        }
        self.notes(visible).iter().try_for_each(|note| write!(f, "\n\n{note}"))
    }
}

/// Characters of the widest cell of each column.
fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let width = |column: usize| rows.iter().map(|row| visible(&row[column]).chars().count()).max();
    (0..rows[0].len()).map(|column| width(column).unwrap_or(0)).collect()
}

/// A row for a terminal; the columns between the first and the last are numbers.
fn line(row: &[String], widths: &[usize]) -> String {
    let cell = |(n, (cell, &width)): (usize, (&String, &usize))| match n {
        0 => format!("{:<width$}", visible(cell)),
        n if n + 1 == row.len() => visible(cell),
        _ => format!("{:>width$}", visible(cell)),
    };
    row.iter().zip(widths).enumerate().map(cell).collect::<Vec<_>>().join("  ")
}

impl Answer {
    fn row(&self, finding: &Finding) -> Vec<String> {
        let value = &finding.value;
        let is_bound = matches!(finding.verdict, Verdict::NotReached { .. });
        let (difference, spread) = match finding.quantity {
            Quantity::ComputeSaved if is_bound => {
                (format!("at most {} %", percent(value.mean)), dash())
            }
            Quantity::ComputeSaved => {
                (format!("{} %", percent(value.mean)), interval(value, percent))
            }
            Quantity::SavingDifference => {
                (format!("{} points", percent(value.mean)), interval(value, percent))
            }
            _ => (format!("{} nats", signed_loss(value.mean)), interval(value, signed_loss)),
        };
        let n = value.n.to_string();
        vec![self.what(finding), difference, spread, n, finding.verdict.words()]
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
            Quantity::ComputeSaved => "compute saved".to_owned(),
            Quantity::LossAtSameCompute => "final loss, same compute".into(),
            Quantity::LossToBestFixedSize => format!("final loss, {}", self.fixed()),
            Quantity::LossDifference => "contrast, final loss".into(),
            Quantity::SavingDifference => "contrast, compute saved".into(),
        };
        format!("{strategy}{plans} vs {against}: {quantity}{extreme}")
    }
}

/// "3k", "1.2M".
fn thousands(tokens: f64) -> String {
    match tokens {
        t if t >= 1e6 => format!("{:.1}M", t / 1e6),
        t if t >= 1e3 => format!("{:.0}k", t / 1e3),
        t => format!("{t:.0}"),
    }
}

fn interval(value: &Interval, number: fn(f64) -> String) -> String {
    value.bounds.map_or_else(
        || "one seed".into(),
        |[low, high]| format!("[{}, {}]", number(low), number(high)),
    )
}

impl Verdict {
    fn words(self) -> String {
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
