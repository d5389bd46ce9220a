//! What was meant by a name that the database does not know.

use crate::{
    StoreError,
    schema::{
        ATTEMPT, CHECKPOINT, ENVIRONMENT, EVAL_METRIC, FRONTIER_ESTIMATE, GAP_ESTIMATE,
        GROWTH_EVENT, MEMBER, SHARED_PREFIX, SNAPSHOT, STEP_METRIC, SWEEP, TRIAL, Table,
    },
    views::{SWEEP_VIEWS, VIEWS, View},
};

static TABLES: [&Table; 13] = [
    &SWEEP,
    &TRIAL,
    &MEMBER,
    &ENVIRONMENT,
    &ATTEMPT,
    &STEP_METRIC,
    &EVAL_METRIC,
    &GROWTH_EVENT,
    &CHECKPOINT,
    &SNAPSHOT,
    &SHARED_PREFIX,
    &FRONTIER_ESTIMATE,
    &GAP_ESTIMATE,
];

/// Views, the most wanted ones first.
fn views() -> impl Iterator<Item = &'static View> {
    VIEWS.iter().chain(&SWEEP_VIEWS)
}

impl StoreError {
    /// With what was meant by a name of the query that the database does not know.
    #[must_use]
    pub fn hinted(self, sql: &str) -> Self {
        match self {
            StoreError::Query(said) => StoreError::Query(hinted(said, sql)),
            other => other,
        }
    }
}

/// What the database said of a query, and the name that was meant where it knows none of that.
fn hinted(said: String, sql: &str) -> String {
    let after = |start: &str| Some(said.split_once(start)?.1.split_whitespace().next()?.to_owned());
    let before = |end: &str| said.split_once(end)?.0.rsplit(' ').next().map(str::to_owned);
    let missing = " does not exist";
    let is_table = said.contains("no such table") || said.contains("relation ");
    let named = after("no such table: ")
        .or_else(|| after("no such column: "))
        .or_else(|| before(missing).filter(|_| is_table || said.contains("column ")));
    let Some(named) = named else { return said };
    let named = named.trim_matches('"').rsplit('.').next().unwrap_or_default().trim_matches('"');
    let known = if is_table { tables() } else { columns(sql) };
    match (meant(named, &known), is_table) {
        (Some(meant), _) => format!("{said}; did you mean {meant}?"),
        (None, true) => {
            let views: Vec<&str> = views().map(|view| view.name).collect();
            format!("{said}; the views are {}", views.join(", "))
        }
        (None, false) => format!("{said}; docs/database.md lists the columns of each view"),
    }
}

fn tables() -> Vec<&'static str> {
    views().map(|view| view.name).chain(TABLES.iter().map(|table| table.name)).collect()
}

/// The columns of what a query names, or of all views if it names nothing that is known.
fn columns(sql: &str) -> Vec<&'static str> {
    let words: Vec<&str> = sql
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let is_named = |name: &str| words.iter().any(|word| word.eq_ignore_ascii_case(name));
    let of_view = |view: &'static View| -> Vec<&'static str> {
        view.all_columns().map(|(name, _)| name).collect()
    };
    let views = || views().map(|view| (view.name, of_view(view)));
    let tables = TABLES.iter().map(|table| {
        (table.name, table.columns.iter().map(|(name, _)| *name).chain(["number", "id"]).collect())
    });
    let all = views().chain(tables);
    let named: Vec<_> = all.filter(|(name, _)| is_named(name)).flat_map(|(_, all)| all).collect();
    match named.is_empty() {
        true => views().flat_map(|(_, all)| all).collect(),
        false => named,
    }
}

/// The name among those known that is the most like another, if one is much like it: with a third
/// of its letters wrong at most, or one that has it as a part.
fn meant<'a>(named: &str, known: &[&'a str]) -> Option<&'a str> {
    let named = named.to_lowercase();
    let wrong = |other: &str| strsim::damerau_levenshtein(&named, other);
    let is_part = |other: &str| named.len() >= 4 && other.contains(&named);
    let like =
        known.iter().filter(|other| wrong(other) <= named.len().max(3) / 3 || is_part(other));
    like.min_by_key(|other| wrong(other)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_meant_are_told() {
        for (said, sql, expected) in [
            ("no such table: final", "SELECT * FROM final", "did you mean finals?"),
            ("no such table: main.curve", "SELECT * FROM main.curve", "did you mean curves?"),
            ("no such table: results", "SELECT * FROM results", "the views are finals, curves"),
            ("no such column: val_los", "SELECT val_los FROM finals", "did you mean val_loss?"),
            ("no such column: f.loss", "SELECT f.loss FROM finals f", "did you mean val_loss?"),
            ("no such column: stat", "SELECT stat FROM trial", "did you mean state?"),
            (
                "no such column: \"lerning_rate\" - should this be a string literal in \
                 single-quotes?",
                "SELECT \"lerning_rate\" FROM tuned",
                "did you mean learning_rate?",
            ),
            ("no such column: zzzz", "SELECT zzzz FROM finals", "docs/database.md"),
            (
                "relation \"speedup\" does not exist",
                "SELECT 1 FROM speedup",
                "did you mean speedups?",
            ),
            ("column \"stp\" does not exist", "SELECT stp FROM curves", "did you mean step?"),
            ("column c.stp does not exist", "SELECT c.stp FROM curves c", "did you mean step?"),
        ] {
            let hinted = hinted(said.into(), sql);
            assert!(hinted.starts_with(said) && hinted.contains(expected), "{hinted}");
        }
        assert_eq!(
            hinted("near \"SELEC\": syntax error".into(), ""),
            "near \"SELEC\": syntax error"
        );
    }
}
