//! What a sweep file need not say.

use toml::{Table, Value};

use crate::sweep::{
    merge::{merge, merge_tables},
    spec::VOCAB_SIZE,
};

/// Share of a text of one's own that is validation text.
const VALIDATION: f64 = 0.05;

/// An evaluation is on 2 % as many tokens as are trained, but on no fewer and no more than so many.
const FEWEST_EVALUATED: u64 = 4096;
const MOST_EVALUATED: u64 = 16_384;

/// Sizes of a frontier: one below the initial, one above the target, three between.
const BORN_SIZES: i64 = 7;

/// What the defaults that are shares of the tokens are computed from.
#[derive(Clone, Copy)]
struct Tokens {
    /// `training.tokens`.
    all: u64,
    /// Those of one optimizer step.
    step: u64,
}

impl Tokens {
    /// So many percent of all, at least one step.
    fn percent(self, percent: u64) -> Value {
        let share = u128::from(self.all) * u128::from(percent) / 100;
        Value::Integer(i64::try_from(share.max(self.step.into())).unwrap_or(i64::MAX))
    }
}

/// Puts the defaults below what a file says, and the sizes of the target below those of initial
/// models.
///
/// # Errors
/// If a table stands where a list with other elements is.
pub(super) fn fill(said: Table) -> Result<Table, String> {
    let mut all: Table = include_str!("defaults.toml").parse().expect("the defaults are TOML");
    if at(&said, &["initial", "checkpoint"]).is_some() {
        // The form is the checkpoint's.
        all.remove("model");
    }
    if at(&said, &["data", "paths"]).is_some() && at(&said, &["data", "validation_paths"]).is_none()
    {
        table(&mut all, "data").insert("validation".into(), VALIDATION.into());
    }
    merge_tables(&mut all, said)?;
    // A control with the tokens of each growing strategy is dear where all have the same compute.
    let matches_tokens =
        at(&all, &["training", "match_budget"]).and_then(Value::as_str) == Some("tokens");
    if let Some(Value::Table(controls)) = all.get_mut("controls") {
        controls.entry("same_tokens").or_insert(matches_tokens.into());
    }
    let tokens = tokens(&all);
    fill_training(&mut all, tokens);
    for (section, field, percent) in [
        ("evaluation", "every_tokens", 2),
        ("evaluation", "record_every_tokens", 1),
        ("checkpoints", "every_tokens", 25),
    ] {
        let value = tokens.percent(percent);
        let section = all.entry(section).or_insert_with(|| Table::new().into());
        if let Value::Table(section) = section {
            section.entry(field).or_insert(value);
        }
    }
    if let Some(Value::Table(evaluation)) = all.get_mut("evaluation") {
        let few = (tokens.all / 50).clamp(FEWEST_EVALUATED, MOST_EVALUATED);
        evaluation.entry("tokens").or_insert(Value::Integer(few as i64));
    }
    fill_sizes(&mut all)?;
    fill_frontier(&mut all);
    fill_positions(&mut all);
    drop_usual(&mut all);
    fill_strategies(&mut all, tokens)?;
    Ok(all)
}

/// The value at a way from the top.
pub(super) fn at<'a>(table: &'a Table, way: &[&str]) -> Option<&'a Value> {
    let (first, rest) = way.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, field| value.get(*field))
}

/// A table of the defaults.
fn table<'a>(all: &'a mut Table, name: &str) -> &'a mut Table {
    all.get_mut(name).and_then(Value::as_table_mut).expect("the defaults have this table")
}

/// What is no number is refused later; until then any other does.
fn tokens(all: &Table) -> Tokens {
    let number = |way: &[&str]| at(all, way).and_then(Value::as_integer).unwrap_or(1).max(1) as u64;
    let step = number(&["training", "batch_size"]).saturating_mul(number(&["data", "seq_len"]));
    Tokens { all: number(&["training", "tokens"]), step }
}

fn fill_training(all: &mut Table, tokens: Tokens) {
    let Some(Value::Table(training)) = all.get_mut("training") else { return };
    let schedule = training.entry("schedule").or_insert_with(|| Table::new().into());
    if let Value::Table(schedule) = schedule {
        fill_schedule(schedule, tokens);
    }
    if let Some(Value::Table(growth)) = training.get_mut("growth") {
        fill_growth(growth, tokens);
    }
}

/// Warm-up in tokens, so that trials of other lengths can share their beginnings.
fn fill_schedule(schedule: &mut Table, tokens: Tokens) {
    let kind = schedule.entry("kind").or_insert_with(|| "wsd".into()).as_str();
    let fields: &[(&str, Value)] = match kind {
        Some("constant") => &[("warmup", tokens.percent(2))],
        Some("cosine" | "linear") => &[("warmup", tokens.percent(2)), ("end", 0.05.into())],
        Some("wsd") => {
            &[("warmup", tokens.percent(2)), ("decay", 0.2.into()), ("end", 0.05.into())]
        }
        _ => &[],
    };
    for (field, value) in fields {
        schedule.entry(*field).or_insert_with(|| value.clone());
    }
}

fn fill_growth(growth: &mut Table, tokens: Tokens) {
    let rate = growth.entry("learning_rate").or_insert_with(|| Table::new().into());
    let Value::Table(rate) = rate else { return };
    let kind = rate.entry("kind").or_insert_with(|| "rewarm_new".into()).as_str();
    if matches!(kind, Some("rewarm_new" | "rewarm_all" | "rewind")) {
        rate.entry("tokens").or_insert_with(|| tokens.percent(5));
    }
}

/// Head widths and the MLP's width of the target, where they follow from its other sizes; and the
/// target's sizes where `initial` and the base of rates by size leave them out.
fn fill_sizes(all: &mut Table) -> Result<(), String> {
    if let Some(Value::Table(target)) = all.get_mut("target") {
        fill_target(target);
    }
    let Some(target) = all.get("target").cloned() else { return Ok(()) };
    if let Some(initial) = all.get_mut("initial") {
        fill_initial(initial, target.clone())?;
    }
    let base = all.get_mut("training").and_then(|all| all.get_mut("rates")?.get_mut("base"));
    base.map_or(Ok(()), |base| fill_initial(base, target))
}

fn fill_target(target: &mut Table) {
    let number = |target: &Table, field| {
        target.get(field).and_then(Value::as_integer).filter(|&number| number > 0)
    };
    let (Some(d_model), Some(n_heads)) = (number(target, "d_model"), number(target, "n_heads"))
    else {
        return;
    };
    if d_model % n_heads == 0 {
        target.entry("d_k").or_insert_with(|| (d_model / n_heads).into());
    }
    if let Some(d_k) = target.get("d_k").cloned() {
        target.entry("d_v").or_insert(d_k);
    }
    target.entry("d_ff").or_insert_with(|| d_model.saturating_mul(4).into());
}

/// Drops what is said as it is anyway, so that it makes no other sweep.
fn drop_usual(all: &mut Table) {
    if let Some(Value::Table(data)) = all.get_mut("data") {
        let is_bytes = !data.contains_key("tokenizer");
        let usual = |field: &str, value: &Value| match field {
            "vocab_size" => is_bytes && value.as_integer() == Some(VOCAB_SIZE as i64),
            "field" => value.as_str() == Some("text"),
            _ => false,
        };
        data.retain(|field, value| !usual(field, value));
    }
    for sizes in ["initial", "target"] {
        if let Some(Value::Table(sizes)) = all.get_mut(sizes)
            && sizes.get("n_kv_heads").is_some_and(|own| sizes.get("n_heads") == Some(own))
        {
            sizes.remove("n_kv_heads");
        }
    }
}

/// What a frontier leaves out, but for its budgets; listed sizes are those of a target, layers and
/// heads that they leave out are its own.
fn fill_frontier(all: &mut Table) {
    let target = all.get("target").and_then(Value::as_table).cloned();
    let Some(Value::Table(frontier)) = all.get_mut("frontier") else { return };
    for (field, value) in [
        ("unit", Value::from("tokens_per_parameter")),
        ("allow_repeats", false.into()),
        ("sizes", Value::Integer(BORN_SIZES)),
    ] {
        frontier.entry(field).or_insert(value);
    }
    let (Some(Value::Array(sizes)), Some(target)) = (frontier.get_mut("sizes"), target) else {
        return;
    };
    for size in sizes.iter_mut().filter_map(Value::as_table_mut) {
        if size.contains_key("layers") || target.contains_key("layers") {
            continue;
        }
        let (has_heads, has_layers) = (size.contains_key("n_heads"), size.contains_key("n_layers"));
        let from_target = |size: &mut Table, fields: &[&str]| {
            for (field, value) in target.iter().filter(|(field, _)| fields.contains(&&***field)) {
                size.entry(field).or_insert_with(|| value.clone());
            }
        };
        from_target(size, &["n_layers", "n_heads"]);
        if !has_heads {
            from_target(size, &["n_kv_heads"]);
        }
        if !has_layers {
            from_target(size, &["unique_layers", "sharing"]);
        }
        fill_target(size);
        from_target(size, &["d_model", "d_k", "d_v", "d_ff"]);
    }
}

/// Rotary positions of the width that heads begin with, and the usual base.
fn fill_positions(all: &mut Table) {
    let width = at(all, &["initial", "d_k"]).cloned();
    let Some(Value::Table(positions)) = all.get_mut("model").and_then(|m| m.get_mut("positions"))
    else {
        return;
    };
    if positions.get("kind").and_then(Value::as_str) != Some("rotary") {
        return;
    }
    positions.entry("theta").or_insert_with(|| 10_000.into());
    if let Some(width) = width {
        positions.entry("width").or_insert(width);
    }
}

/// An initial model's sizes over those of the target. Heads that are counted share keys and values,
/// and layers that are counted share weights, only where that is said beside their number.
fn fill_initial(initial: &mut Value, mut target: Value) -> Result<(), String> {
    let (Some(own), Some(below)) = (initial.as_table(), target.as_table_mut()) else {
        return Ok(());
    };
    if own.contains_key("n_heads") {
        below.remove("n_kv_heads");
    }
    if own.contains_key("n_layers") {
        below.remove("unique_layers");
        below.remove("sharing");
    }
    let said = std::mem::replace(initial, target);
    merge(initial, said)
}

/// A strategy's own policy over the sweep's, and its own initial sizes over the target's.
fn fill_strategies(all: &mut Table, tokens: Tokens) -> Result<(), String> {
    let sweep = at(all, &["training", "growth"]).cloned();
    let target = all.get("target").cloned();
    let Some(Value::Array(strategies)) = all.get_mut("strategies") else { return Ok(()) };
    for strategy in strategies.iter_mut().filter_map(Value::as_table_mut) {
        if let (Some(initial), Some(target)) = (strategy.get_mut("initial"), &target) {
            fill_initial(initial, target.clone())?;
        }
        // What it leaves out of its policy is the sweep's, but for tokens of another kind.
        let kind = |growth: &Value| growth.get("learning_rate")?.get("kind").cloned();
        let other = strategy.get("growth").and_then(kind);
        if let Some(Value::Table(growth)) = strategy.get_mut("growth")
            && other.is_some()
            && other != sweep.as_ref().and_then(kind)
        {
            fill_growth(growth, tokens);
        }
    }
    Ok(())
}
