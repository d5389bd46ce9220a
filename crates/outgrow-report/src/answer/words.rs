//! The answer in words: at most three sentences, and a table.

use std::fmt;

use outgrow_core::sweep::About;

use super::value::{Answer, ControlState, Count, Quantity};
use crate::{
    escape::visible,
    judge::Family,
    jump::{Jump, Spike},
    numbers::{plus_minus, short, signed_loss},
    on_the_way::FOOTNOTE,
};

/// Strategies whose jumps are named.
const JUMPS: usize = 3;

/// How a name is written: as the format wants it that the text is for.
pub type Say = fn(&str) -> String;

impl Answer {
    /// What people read for the name of an arm.
    pub(super) fn shown<'a>(&'a self, name: &'a str) -> &'a str {
        self.names.get(name).map_or(name, String::as_str)
    }

    /// The size that never grows, or the best of several.
    fn fixed(&self, say: Say) -> String {
        match (&self.fixed_size, self.fixed_sizes) {
            (Some(only), 0 | 1) => format!("{}, which never grows,", say(self.shown(only))),
            (_, n) => format!("the best of the {n} sizes that never grow"),
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
                let both = |bits: f64| format!(" or {:.3} bits per byte", loss.mean * bits);
                let both = self.bits_per_byte.map_or_else(String::new, both);
                let (n, loss, unit) = (loss.n, plus_minus(loss, 3), self.unit.words());
                let counts = self.better(say);
                format!(
                    "from scratch ends at a validation loss of {loss} {unit}{both} (n = {n} \
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
    fn better(&self, say: Say) -> String {
        let words = |count: &Count| match count.quantity {
            Quantity::ComputeSaved => "need less compute to reach it".to_owned(),
            Quantity::LossAtSameCompute => "end below the target size with the same compute".into(),
            _ => format!("end below {} with the same compute", self.fixed(say)),
        };
        let clause = |count: &Count| {
            let Count { better, clear, of, tested, .. } = count;
            let (words, on_average) = (words(count), if *tested > 0 { " on average" } else { "" });
            match (better, tested) {
                (0, _) => format!("0 of {of} {words}"),
                (_, 0) => format!("{better} of {of} {words} (one seed, so it is not tested)"),
                _ => format!("{better} of {of} {words}{on_average}, {clear} after correction"),
            }
        };
        let clauses: Vec<String> = self.counts.iter().map(clause).collect();
        match clauses.is_empty() {
            true => String::new(),
            false => format!("; of the growing strategies, {}", clauses.join("; ")),
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
        let mut findings = self.findings.iter().chain(&self.contrasts);
        let footnote = findings.any(|finding| finding.on_the_way).then(|| FOOTNOTE.to_owned());
        let said = limits.into_iter().chain(method).chain(footnote);
        said.chain(self.judged(say)).collect()
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

    /// Where the loss goes up after growth.
    fn jumped(&self, say: Say) -> Option<String> {
        let one = |jump: &Jump| {
            format!(
                "{} {} {} within {} tokens",
                say(self.shown(&jump.strategy)),
                signed_loss(jump.rise.mean, 3),
                self.unit.short(),
                short(jump.tokens)
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

    /// Where it goes up in single trials.
    fn spiked(&self, say: Say) -> Option<String> {
        let one = |spike: &Spike| {
            let Spike { strategy, trials, of, largest } = spike;
            format!(
                "{} in {trials} of {of} trials (at most {} {})",
                say(self.shown(strategy)),
                signed_loss(*largest, 3),
                self.unit.short()
            )
        };
        let listed: Vec<String> = self.spikes.iter().take(JUMPS).map(one).collect();
        let more = match self.spikes.len().saturating_sub(JUMPS) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        (!listed.is_empty()).then(|| {
            format!(
                "in single trials the loss after a growth exceeds that before it by more than the \
                 seeds' spread: {}{more}",
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
                "the best learning rate may lie outside the grid: {} did best at its lowest or \
                 highest rate, so a wider grid may change what is said of them",
                names.join(", ")
            )
        });
        [self.jumped(say), self.spiked(say), preserved, locked, lost, edge]
            .into_iter()
            .flatten()
            .chain(self.drawn_words(say))
            .collect()
    }

    /// Of drawn plans: what the intervals cover.
    fn drawn_words(&self, say: Say) -> Vec<String> {
        let named = |about: About, words: &str| {
            let own = self.drawn.iter().filter(|drawn| drawn.about == about);
            let names: Vec<String> = own.map(|drawn| say(self.shown(&drawn.strategy))).collect();
            (!names.is_empty()).then(|| format!("plans are drawn in {}: {words}", names.join(", ")))
        };
        let rule = "each seed has plans of its own, so intervals cover their choice";
        let plan = "all seeds have the same plans, so intervals do not cover their choice";
        [named(About::Rule, rule), named(About::Plan, plan)].into_iter().flatten().collect()
    }
}

/// For a terminal: the headline, the table, and the notes.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(born) = self.against_born(visible) {
            write!(f, "{born}\n\n")?;
            write_table(f, &self.gap_rows())?;
            f.write_str(if self.gap_rows().is_empty() { "" } else { "\n\n" })?;
        }
        f.write_str(&self.headline(visible))?;
        if let Some(contrasted) = self.contrasted(visible) {
            write!(f, "\n\n{contrasted}")?;
        }
        let header = Self::HEADER.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = [header].into_iter().chain(self.rows()).collect();
        if rows.len() > 1 {
            f.write_str("\n\n")?;
            write_table(f, &rows)?;
        }
        self.notes(visible).iter().try_for_each(|note| write!(f, "\n\n{note}"))
    }
}

/// Rows below each other.
fn write_table(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let lines: Vec<String> = rows.iter().map(|row| line(row, &widths(rows))).collect();
    f.write_str(&lines.join("\n"))
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
