//! What sweeps and strategies may be called: their names become files, cells of tables, and words
//! of shells and of LaTeX.

use super::error::{SweepError, bad};

/// No name has more bytes.
const LONGEST: usize = 64;

/// What one kind of names is made of.
struct Rule {
    field: &'static str,
    /// Beside letters and digits of ASCII.
    marks: &'static str,
    /// Of those, what a name may begin with.
    first: &'static str,
    allowed: &'static str,
}

const SWEEP: Rule = Rule {
    field: "name",
    marks: "-_",
    first: "_",
    allowed: "a sweep's name is made of up to 64 letters (A to Z, a to z), digits, `-` and `_`, \
              and does not begin with `-`",
};

const STRATEGY: Rule = Rule {
    field: "strategies.name",
    marks: " -_.+=,()%",
    first: "",
    allowed: "a strategy's name is made of up to 64 letters (A to Z, a to z), digits, spaces and \
              `-_.+=,()%`, begins with a letter or a digit, \
              does not end in a space or a dot, and has no two dots in a row",
};

/// Refuses what no sweep may be called.
pub(super) fn check_sweep(name: &str) -> Result<(), SweepError> {
    SWEEP.check(name)
}

/// Refuses what no strategy may be called.
pub(super) fn check_strategy(name: &str) -> Result<(), SweepError> {
    STRATEGY.check(name)
}

impl Rule {
    fn check(&self, name: &str) -> Result<(), SweepError> {
        match self.fault(name) {
            None => Ok(()),
            Some(fault) => bad(self.field, shown(name), &format!("{fault}: {}", self.allowed)),
        }
    }

    /// What is wrong with a name.
    fn fault(&self, name: &str) -> Option<String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || self.marks.contains(c);
        let begins = |c: char| c.is_ascii_alphanumeric() || self.first.contains(c);
        if let Some((at, c)) = name.chars().enumerate().find(|(_, c)| !allowed(*c)) {
            return Some(format!("character {} of it is {c:?}", at + 1));
        }
        match name.chars().next() {
            None => return Some("it is empty".into()),
            Some(c) if !begins(c) => return Some(format!("it begins with {c:?}")),
            _ => {}
        }
        if let Some(at) = name.find("..") {
            return Some(format!("there are two dots at character {}", at + 1));
        }
        if let Some(c) = name.chars().next_back().filter(|c| " .".contains(*c)) {
            return Some(format!("it ends in {c:?}"));
        }
        (name.len() > LONGEST).then(|| format!("it has {} characters", name.len()))
    }
}

/// A name as it can be printed, however long it is and whatever is in it.
fn shown(name: &str) -> String {
    let begin: String = name.chars().take(LONGEST).collect();
    let rest = if begin.len() < name.len() { "…" } else { "" };
    format!("{begin:?}{rest}")
}
