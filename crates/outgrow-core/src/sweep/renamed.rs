//! Fields of sweep files that had another name.

use super::error::{SweepError, bad};

/// Where a field was, and what to write in its place; `*` stands for each entry of a list.
const RENAMED: &[(&[&str], &str)] = &[
    (&["training", "equal"], "match_budget, with \"tokens\" or \"flops\""),
    (&["model", "eps_sum"], "norm_eps, on the mean of squares: eps_sum divided by target.d_model"),
    (&["strategies", "*", "window"], "grow_between"),
    (&["controls", "learning_rates"], "training.learning_rate under [grid]"),
];

/// The first field of a file that is known under another name, as an error that says which.
pub(super) fn find(table: &toml::Table) -> Option<SweepError> {
    let table = toml::Value::Table(table.clone());
    let (path, new) = RENAMED.iter().find(|(path, _)| has(&table, path))?;
    let field = path.join(".").replace(".*.", ".");
    bad::<()>(&field, "not known under this name", &format!("write {new}")).err()
}

fn has(value: &toml::Value, path: &[&str]) -> bool {
    match path {
        [] => true,
        ["*", rest @ ..] => {
            value.as_array().is_some_and(|list| list.iter().any(|entry| has(entry, rest)))
        }
        [field, rest @ ..] => value.get(field).is_some_and(|inner| has(inner, rest)),
    }
}
