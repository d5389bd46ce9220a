//! Two sweeps, for a terminal.

use std::fmt;

use super::{Pair, PairArm};
use crate::{
    escape::visible,
    numbers::{dash, plus_minus, signed_loss},
};

impl Pair {
    /// Whether the differences can be trusted to be those of the settings.
    pub fn caution(&self) -> Option<&'static str> {
        match (self.is_same_text, self.is_paired()) {
            (false, _) => Some(
                "The two are trained on different texts, or on texts cut in different ways: their \
                 losses are not of the same tokens.",
            ),
            (true, false) => Some(
                "The two have no seed in common, so differences are not paired (Welch's \
                 interval): the same `seed` in both files makes them sharper.",
            ),
            (true, true) => None,
        }
    }

    /// The header of the table of arms, and its rows.
    pub fn table(&self) -> Vec<Vec<String>> {
        let header = ["arm", "A", "B", "B − A", "95 % interval", "n", "verdict"];
        let rows = self.arms.iter().map(row);
        [header.map(str::to_owned).to_vec()].into_iter().chain(rows).collect()
    }

    /// The settings that differ, a line each.
    pub fn differences(&self) -> Vec<String> {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(dash);
        let line = |one: &outgrow_core::sweep::Difference| {
            let [a, b] = one.values.each_ref().map(value);
            format!("{} {} → {}", visible(&one.field), visible(&a), visible(&b))
        };
        let mut lines: Vec<String> = self.settings.iter().map(line).collect();
        if !self.is_same_text {
            lines.push("another text".into());
        }
        lines
    }
}

fn row(arm: &PairArm) -> Vec<String> {
    let loss = |side: usize| {
        let loss = arm.sides[side].as_ref().and_then(|side| side.final_loss);
        loss.map_or_else(dash, |loss| plus_minus(&loss, 3))
    };
    let difference = arm.difference();
    let bounds = difference.and_then(|difference| difference.bounds);
    vec![
        arm.shown.clone(),
        loss(0),
        loss(1),
        difference.map_or_else(dash, |difference| signed_loss(difference.mean)),
        bounds.map_or_else(dash, |[low, high]| {
            format!("[{}, {}]", signed_loss(low), signed_loss(high))
        }),
        difference.map_or_else(dash, |difference| difference.n.to_string()),
        verdict(arm).into(),
    ]
}

fn verdict(arm: &PairArm) -> &'static str {
    let Some(difference) = arm.difference() else { return "in one only" };
    let is_clear = arm
        .paired
        .as_ref()
        .map_or_else(|| difference.excludes_zero(), crate::tested::Tested::is_significant);
    match (is_clear, difference.mean > 0.0) {
        _ if difference.mean == 0.0 && difference.bounds == Some([0.0, 0.0]) => "equal",
        (false, _) => "no clear difference",
        (true, true) => "B ends higher",
        (true, false) => "B ends lower",
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = self.names.each_ref().map(|name| visible(name));
        write!(f, "A: {a}\nB: {b}\n\n")?;
        match self.differences() {
            none if none.is_empty() => f.write_str("Their settings are the same.\n")?,
            all => writeln!(f, "Settings, A → B:\n  {}", all.join("\n  "))?,
        }
        for row in lines(&self.table()) {
            write!(f, "\n{row}")?;
        }
        self.caution().map_or(Ok(()), |caution| write!(f, "\n\n{caution}"))
    }
}

/// Rows in columns.
fn lines(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| visible(&row[column]).chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).map(|n| width(n).unwrap_or(0)).collect();
    let cell = |(n, (cell, width)): (usize, (&String, &usize))| match n {
        0 => format!("{:<width$}", visible(cell)),
        n if n + 1 == widths.len() => visible(cell),
        _ => format!("{:>width$}", visible(cell)),
    };
    let line =
        |row: &Vec<String>| row.iter().zip(&widths).enumerate().map(cell).collect::<Vec<_>>();
    rows.iter().map(|row| line(row).join("  ")).collect()
}
