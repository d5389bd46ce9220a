//! In which fields two sweep files differ, by their structure: the order of fields, comments and
//! spelling do not count.

use std::{collections::BTreeMap, fmt};

use toml::Value;

/// Characters of a value that are shown.
const SHOWN: usize = 60;

/// A field that two sweep files do not have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its way from the top, as `training.learning_rate`; an element of a list goes by its `name`,
    /// or by its number.
    pub field: String,
    /// Its value here, and there.
    pub values: [Option<String>; 2],
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, values: [here, there] } = self;
        match (here, there) {
            (Some(here), Some(there)) => write!(f, "{field} {here} instead of {there}"),
            (Some(here), None) => write!(f, "{field} {here}, there without"),
            (None, Some(there)) => write!(f, "without {field} {there}"),
            (None, None) => write!(f, "{field}"),
        }
    }
}

/// The fields in which two resolved sweep files differ, in the order of their names. What can't be
/// read as TOML differs as a whole.
pub fn differences(here: &str, there: &str) -> Vec<Difference> {
    let [mut own, mut other] = [here, there].map(fields);
    let names: Vec<String> =
        own.keys().chain(other.keys().filter(|name| !own.contains_key(*name))).cloned().collect();
    let mut found: Vec<Difference> = names
        .into_iter()
        .map(|field| Difference { values: [own.remove(&field), other.remove(&field)], field })
        .filter(|difference| difference.values[0] != difference.values[1])
        .collect();
    found.sort_by(|a, b| a.field.cmp(&b.field));
    for value in found.iter_mut().flat_map(|difference| difference.values.iter_mut().flatten()) {
        *value = shown(value);
    }
    found
}

/// The beginning of a value, in one line.
fn shown(value: &str) -> String {
    let seen = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    let more = if value.chars().nth(SHOWN).is_some() { "…" } else { "" };
    value.chars().take(SHOWN).map(seen).collect::<String>() + more
}

/// Each value that holds no others, by its way from the top.
fn fields(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    match text.parse::<toml::Table>() {
        Ok(table) => table.into_iter().for_each(|(name, value)| walk(&name, &value, &mut found)),
        Err(_) => found.extend([("the whole file".to_owned(), text.to_owned())]),
    }
    found
}

fn walk(way: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) => {
            table.iter().for_each(|(name, value)| walk(&format!("{way}.{name}"), value, found))
        }
        Value::Array(list) if list.iter().any(Value::is_table) => {
            for (name, value) in elements(list) {
                walk(&format!("{way}.{name}"), value, found);
            }
        }
        other => {
            found.insert(way.to_owned(), other.to_string());
        }
    }
}

/// Elements of a list by their names, if each has one of its own; otherwise by their numbers.
fn elements(list: &[Value]) -> BTreeMap<String, &Value> {
    let name = |value: &Value| Some(value.get("name")?.as_str()?.escape_debug().to_string());
    let named: BTreeMap<String, &Value> =
        list.iter().filter_map(|value| Some((name(value)?, value))).collect();
    match named.len() == list.len() {
        true => named,
        false => {
            list.iter().enumerate().map(|(number, value)| (number.to_string(), value)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(here: &str, there: &str) -> Vec<String> {
        differences(here, there).iter().map(Difference::to_string).collect()
    }

    #[test]
    fn fields_are_compared_and_not_lines() {
        let one = "name = 'a'\nreplicates = 2\ntraining = { rate = 1e-3, clip = 1.0 }\npaths = \
                   ['x', 'y']\n\
                   [[strategies]]\nname = 'first'\nplans = 1\n[[strategies]]\nname = \
                   'second'\nplans = 2\n";
        let other = "name = 'a'\npaths = [ 'x', 'z' ] # a comment\nseed = 3\n[training]\nclip = \
                     1.0\nrate = 5e-3\n\
                     [[strategies]]\nname = 'second'\nplans = 3\n[[strategies]]\nname = \
                     'first'\nplans = 1\n";
        let expected = [
            "paths [\"x\", \"y\"] instead of [\"x\", \"z\"]",
            "replicates 2, there without",
            "without seed 3",
            "strategies.second.plans 2 instead of 3",
            "training.rate 0.001 instead of 0.005",
        ];
        assert_eq!(said(one, other), expected);
        assert!(said(one, one).is_empty() && said(other, other).is_empty());
        assert_eq!(
            said("a = [{ b = 1 }, { b = 2 }]", "a = [{ b = 1 }, { b = 3 }]"),
            ["a.1.b 2 instead of 3"]
        );
        let long = said("a = 1", &format!("a = '{}'", "é".repeat(100)));
        assert_eq!(long[0].chars().count(), "a 1 instead of ".len() + SHOWN + 1);
        assert_eq!(said("no toml [", "a = 1").len(), 2);
    }
}
