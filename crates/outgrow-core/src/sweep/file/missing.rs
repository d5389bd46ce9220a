//! What a file must say and does not, all at once.

use toml::{Table, Value};

use super::defaults::at;
use crate::sweep::{error::SweepError, merge::name_of, spec::StrategySpec};

/// A field that has no default, and what to write there.
const REQUIRED: &[(&[&str], &str)] = &[
    (&["name"], "what the sweep is called, such as \"depth-or-width\""),
    (
        &["training", "tokens"],
        "training tokens of a model of the target size, such as 2_000_000; or frontier.strategies_at, \
         by which they follow",
    ),
    (
        &["initial"],
        "where growing begins: sizes that differ from the target's, such as { n_layers = 2 }",
    ),
    (&["target", "d_model"], "width of the residual stream where growing ends, such as 64"),
    (
        &["strategies"],
        "rules of growth, such as [[strategies]] with kind = \"all_at_once\", at = 0.4",
    ),
];

/// Of a target without `layers`.
const SIZES: &[(&str, &str)] = &[
    ("n_layers", "layers where growing ends, such as 4"),
    ("n_heads", "heads of a layer, such as 4"),
    ("d_k", "width of a head's queries and keys, such as 16"),
    ("d_v", "width of a head's values, such as 16"),
    ("d_ff", "width of the MLP, such as 256"),
];

/// Refuses a sweep that lacks fields, and names them all.
pub(super) fn refuse(all: &Table) -> Result<(), SweepError> {
    let continues = at(all, &["initial", "checkpoint"]).is_some();
    let mut missing = vec![];
    if at(all, &["data", "paths"]).or(at(all, &["data", "corpus"])).is_none() {
        let hint = "files and folders of text, such as [\"corpus/\"]; or data.corpus = \
                    \"rust-crates\", which is built in";
        missing.push(("data.paths".to_owned(), hint.to_owned()));
    }
    let required = REQUIRED.iter().filter(|(way, _)| {
        let is_the_checkpoints = continues && way[0] == "target";
        at(all, way).is_none() && !is_the_checkpoints
    });
    missing.extend(required.map(|(way, hint)| (way.join("."), (*hint).to_owned())));
    if let Some(Value::Table(target)) = all.get("target")
        && !target.contains_key("layers")
        && !continues
    {
        let number = |field: &str| target.get(field).and_then(Value::as_integer);
        let uneven = number("d_model").zip(number("n_heads")).filter(|(d, n)| *n > 0 && d % n != 0);
        let why = uneven.map_or_else(String::new, |(d, n)| {
            format!(" (d_model {d} is not a multiple of n_heads {n}, so it does not follow)")
        });
        let sizes = SIZES.iter().filter(|(field, _)| !target.contains_key(*field));
        let with_reason = |(field, hint): &(&str, &str)| {
            let why = if field.starts_with("d_k") || *field == "d_v" { why.as_str() } else { "" };
            (format!("target.{field}"), format!("{hint}{why}"))
        };
        missing.extend(sizes.map(with_reason));
    }
    missing.extend(of_strategies(all));
    if missing.is_empty() { Ok(()) } else { Err(SweepError::Missing(missing)) }
}

/// Fields that strategies lack, each by the strategy's name.
fn of_strategies(all: &Table) -> Vec<(String, String)> {
    let Some(Value::Array(strategies)) = all.get("strategies") else { return vec![] };
    let lacking = |(number, strategy): (usize, &Value)| {
        let Err(error) = strategy.clone().try_into::<StrategySpec>() else { return None };
        let field = error.message().strip_prefix("missing field `")?.split('`').next()?.to_owned();
        let name = name_of(strategy).map_or_else(|| number.to_string(), str::to_owned);
        Some((format!("strategies.{name}.{field}"), hint(&field).to_owned()))
    };
    strategies.iter().enumerate().filter_map(lacking).collect()
}

fn hint(field: &str) -> &'static str {
    match field {
        "at" => "when, as a share of the trial's tokens, such as 0.4 (or at_compute: of its FLOPs)",
        "grow_between" => {
            "first and last place as shares of the trial's tokens, such as [0.1, 0.5]"
        }
        "stages" => "how many growths, such as 3",
        "max_stages" => "at most how many growths, such as 4",
        "first" => "the transform of the early axis, such as \"mlp_expansion\"",
        "operator" => "a published operator, such as { kind = \"lemon\" }",
        "kind" => "the rule, such as \"all_at_once\"",
        _ => "has no default",
    }
}
