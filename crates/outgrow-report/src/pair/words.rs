//! Two sweeps, for a terminal.

use std::{collections::BTreeMap, fmt};

use outgrow_core::sweep::Difference;

use super::{Pair, PairArm};
use crate::{
    escape::visible,
    numbers::{bounds, dash, plus_minus, signed_loss},
    unit::LossUnit,
};

impl Pair {
    /// What to know of the differences before they are taken for those of the settings.
    pub fn cautions(&self) -> Vec<&'static str> {
        let tokens = "The two have different tokenizers. Nats per token of different tokenizers can't be \
                      compared, so losses are in bits per byte of the text that each sweep's \
                      evaluations predict.";
        let tokens = (!self.is_same_tokenizer).then_some(tokens);
        tokens.into_iter().chain(self.caution()).collect()
    }

    fn caution(&self) -> Option<&'static str> {
        match (self.is_same_text, self.is_paired()) {
            (false, _) if !self.is_same_tokenizer => Some(
                "Their texts, or the windows of them that are evaluated, may differ, too: compare \
                 sweeps whose validation text is the same.",
            ),
            (false, _) => Some(
                "The two are trained on different texts, or on texts cut in different ways: their \
                 losses are not of the same tokens.",
            ),
            (true, false) if self.arms.iter().all(|arm| arm.difference().is_none()) => Some(
                "No arm of the same name is trained under two seeds or more in both, so no difference \
                 is told from chance.",
            ),
            (true, false) => Some(
                "The two have no seed in common, so differences are not paired (Welch's \
                 test): the same `seed` in both files makes them sharper.",
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
        let mut lines = setting_lines(&self.settings);
        if !self.is_same_text {
            lines.push("another text".into());
        }
        lines
    }
}

/// Differences of settings, a line each; a strategy that only one of the sweeps has is one line.
pub fn setting_lines(settings: &[Difference]) -> Vec<String> {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(dash);
    let line = |one: &Difference| {
        let [a, b] = one.values.each_ref().map(value);
        format!("{} {} → {}", visible(&one.field), visible(&a), visible(&b))
    };
    let alone = alone(settings);
    let is_told = |one: &&Difference| !alone.iter().any(|(arm, _)| one.field.starts_with(arm));
    let others = alone.iter().map(|(arm, side)| {
        format!("{} in {} only", visible(arm.trim_end_matches('.')), ["A", "B"][*side])
    });
    settings.iter().filter(is_told).map(line).chain(others).collect()
}

/// The strategies that one of the sweeps has alone: `strategies.NAME.`, and which.
fn alone(settings: &[Difference]) -> Vec<(String, usize)> {
    let mut sides: BTreeMap<String, [bool; 2]> = BTreeMap::new();
    for one in settings {
        let mut parts = one.field.splitn(3, '.');
        if let (Some("strategies"), Some(name), Some(field)) =
            (parts.next(), parts.next(), parts.next())
        {
            let has = sides.entry(format!("strategies.{name}.")).or_insert([true, true]);
            let known = one.values.each_ref().map(Option::is_some);
            // A strategy without a kind is none.
            let is_whole = field == "kind" && known[0] != known[1];
            *has = if is_whole { known } else { *has };
        }
    }
    let of = |(name, has): (String, [bool; 2])| {
        let side = has.iter().position(|has| *has)?;
        (has[0] != has[1]).then_some((name, side))
    };
    sides.into_iter().filter_map(of).collect()
}

fn row(arm: &PairArm) -> Vec<String> {
    let loss = |side: usize| {
        let loss = arm.sides[side].as_ref().and_then(|side| side.final_loss);
        loss.map_or_else(dash, |loss| plus_minus(&loss, 3))
    };
    let difference = arm.difference();
    vec![
        arm.shown.clone(),
        loss(0),
        loss(1),
        difference.map_or_else(dash, |difference| signed_loss(difference.mean, 3)),
        difference.map_or_else(dash, |difference| bounds(&difference, signed_loss, 3)),
        arm.n().unwrap_or_else(dash),
        verdict(arm).into(),
    ]
}

fn verdict(arm: &PairArm) -> &'static str {
    let Some(tested) = arm.tested() else { return "in one only" };
    let difference = tested.corrected;
    match (tested.is_significant(), difference.mean > 0.0) {
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
        if self.unit != LossUnit::default() {
            write!(f, "\n\nLosses are in {}.", self.unit.words())?;
        }
        self.cautions().iter().try_for_each(|caution| write!(f, "\n\n{caution}"))
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
