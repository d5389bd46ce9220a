//! One table laid over another.

use toml::{Table, Value};

/// Fields that leave no room for others of the same table.
const REPLACES: &[(&str, &[&str])] = &[
    ("corpus", &["paths", "validation", "validation_paths", "tokenizer", "field", "format"]),
    ("paths", &["corpus"]),
    ("validation", &["validation_paths"]),
    ("validation_paths", &["validation"]),
    ("at", &["at_compute"]),
    ("at_compute", &["at"]),
    ("grow_between", &["grow_between_compute"]),
    ("grow_between_compute", &["grow_between"]),
    (
        "layers",
        &["n_layers", "unique_layers", "sharing", "n_heads", "n_kv_heads", "d_k", "d_v", "d_ff"],
    ),
    ("n_layers", &["layers"]),
    (
        "checkpoint",
        &[
            "d_model",
            "n_layers",
            "unique_layers",
            "sharing",
            "n_heads",
            "n_kv_heads",
            "d_k",
            "d_v",
            "d_ff",
            "layers",
        ],
    ),
];

/// Lays `above` over `below`: tables field by field, lists and values as a whole. Of two kinds
/// (`kind = …`) the upper one replaces the lower. A table over a list changes those of its elements
/// that its fields name.
///
/// # Errors
/// If a table names an element that the list has not.
pub(super) fn merge(below: &mut Value, above: Value) -> Result<(), String> {
    match (below, above) {
        (Value::Table(below), Value::Table(above)) if !is_another_kind(below, &above) => {
            merge_tables(below, above)
        }
        (Value::Array(list), Value::Table(above)) if list.iter().all(Value::is_table) => {
            above.into_iter().try_for_each(|(name, value)| {
                let number = element(list, &name)?;
                merge(&mut list[number], value)
            })
        }
        (below, above) => {
            *below = above;
            Ok(())
        }
    }
}

/// The same of two tables of one kind.
pub(super) fn merge_tables(below: &mut Table, above: Table) -> Result<(), String> {
    for (field, gone) in REPLACES {
        if above.contains_key(*field) {
            gone.iter().for_each(|gone| drop(below.remove(*gone)));
        }
    }
    for (field, value) in above {
        // An empty grid is no grid, whatever is below it.
        if field == "grid" && value.as_table().is_some_and(Table::is_empty) {
            below.remove(&field);
            continue;
        }
        match below.get_mut(&field) {
            Some(old) => merge(old, value)?,
            None => drop(below.insert(field, value)),
        }
    }
    Ok(())
}

/// What a list calls its elements: by `name`, or as a strategy is called that has none.
pub(super) fn name_of(element: &Value) -> Option<&str> {
    if let Some(name) = element.get("name") {
        return name.as_str();
    }
    match element.get("kind")?.as_str()? {
        "operator" => element.get("operator")?.get("kind")?.as_str(),
        kind => Some(kind),
    }
}

/// Which element of a list is meant by a name, or by a number from 0.
fn element(list: &[Value], name: &str) -> Result<usize, String> {
    let named = || list.iter().position(|element| name_of(element) == Some(name));
    let numbered = || name.parse().ok().filter(|&number: &usize| number < list.len());
    named().or_else(numbered).ok_or_else(|| {
        let names: Vec<&str> = list.iter().filter_map(name_of).collect();
        format!("there is no `{name}`; there are: {}", names.join(", "))
    })
}

fn is_another_kind(below: &Table, above: &Table) -> bool {
    match (below.get("kind"), above.get("kind")) {
        (Some(below), Some(above)) => below != above,
        _ => false,
    }
}
