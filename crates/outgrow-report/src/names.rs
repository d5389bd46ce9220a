//! What strategies and controls are called where people read: in figures, tables and sentences.

use std::collections::BTreeMap;

use crate::{input::Input, sizes::Sizes, strategy::Role};

/// The name of each arm for people, by its name in the sweep: what the sweep file says in
/// `display`, or the name with spaces for underscores; a size that never grows is named with its
/// parameters. No two arms are called alike.
pub fn names(input: &Input) -> BTreeMap<String, String> {
    let arms = input.trials.iter().map(|trial| trial.strategy.as_str());
    let given = |name: &str| input.words.display.get(name).cloned();
    let mut names: BTreeMap<String, String> = arms
        .map(|name| (name.to_owned(), given(name).unwrap_or_else(|| called(input, name))))
        .collect();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    names.values().for_each(|shown| *times.entry(shown.clone()).or_default() += 1);
    for (name, shown) in &mut names {
        if times[shown] > 1 {
            shown.clone_from(name);
        }
    }
    names
}

/// `fixed_size_1` is "fixed size 1 (31k)".
fn called(input: &Input, name: &str) -> String {
    let own = input.trials.iter().filter(|trial| trial.strategy == name);
    let fixed = own.filter(|trial| Role::of(&trial.kind) == Role::FixedSize);
    match Sizes::of(fixed) {
        Some(sizes) => format!("{} ({})", words(name), sizes.words()),
        None => words(name),
    }
}

/// `from_scratch` as words; what is no plain name stays as it is.
fn words(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let has_ends = name.starts_with('_') || name.ends_with('_') || name.contains("__");
    match name.chars().all(is_plain) && !has_ends {
        true => name.replace('_', " "),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_words() {
        let all = ["from_scratch", "a_", "a__b", "x=1_2", "stack"].map(words);
        assert_eq!(all, ["from scratch", "a_", "a__b", "x=1_2", "stack"]);
    }
}
