//! `[grid]`: fields with several values, at each of which everything is trained.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::error::{SweepError, bad, positive};

/// No grid has more points, learning rates not counted.
const MOST_POINTS: usize = 1000;

/// The one field whose values have a column of their own.
const LEARNING_RATE: [&str; 2] = ["training", "learning_rate"];

/// Fields that may have several values, by the beginning of their way, ...
const ALLOWED: &[&str] = &["training", "model", "initial", "strategies"];
/// ... but for those that decide what is compared.
const REFUSED: &[&[&str]] =
    &[&["training", "tokens"], &["training", "match_budget"], &["initial", "checkpoint"]];

/// Fields, each with the list of its values, in tables as the fields themselves are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grid(Table);

/// A field and its values.
pub(super) struct Axis {
    pub way: Vec<String>,
    /// What it is called in labels: its last field, with as many tables before it as tell it from
    /// the others.
    name: String,
    pub values: Vec<Value>,
}

/// A field with one of its values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    pub way: Vec<String>,
    name: String,
    pub value: Value,
}

impl Grid {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn rates(&self) -> Option<&Vec<Value>> {
        self.0.get(LEARNING_RATE[0])?.get(LEARNING_RATE[1])?.as_array()
    }

    /// The learning rates, if they are on the grid.
    pub(super) fn learning_rates(&self) -> Vec<f64> {
        let rates = self.rates();
        let number = |value: &Value| match value {
            Value::Integer(whole) => Some(*whole as f64),
            value => value.as_float(),
        };
        rates.into_iter().flatten().filter_map(number).collect()
    }

    /// Refuses what is no list of values, and fields that can't have several.
    pub(super) fn check(&self) -> Result<(), SweepError> {
        for Axis { way, values, .. } in self.axes()? {
            let field = format!("grid.{}", way.join("."));
            let is_refused = REFUSED.iter().any(|refused| way == *refused);
            if !ALLOWED.contains(&way[0].as_str()) || way.len() < 2 || is_refused {
                let allowed = "a grid is over fields of training (but tokens and match_budget), \
                               model, initial and strategies; compare others by sweeps of their \
                               own";
                return bad(&field, "given", allowed);
            }
            if let [_, name, own] = &way[..]
                && way[0] == "strategies"
                && ["name", "plans", "about"].contains(&own.as_str())
            {
                let allowed = format!(
                    "it does not change how a plan trains; give [[strategies]] another one beside \
                     `{name}`"
                );
                return bad(&field, "given", &allowed);
            }
            if values.is_empty() {
                return bad(&field, "empty", "give at least one value");
            }
            if (1..values.len()).any(|number| values[..number].contains(&values[number])) {
                return bad(&field, shown_list(&values), "each may be there only once");
            }
        }
        for rate in self.learning_rates() {
            positive("grid.training.learning_rate", rate)?;
        }
        let rates = self.rates();
        if rates.is_some_and(|rates| rates.len() != self.learning_rates().len()) {
            return bad(
                "grid.training.learning_rate",
                "no list of numbers",
                "such as [1e-3, 2e-3]",
            );
        }
        let points: usize = self
            .axes()?
            .iter()
            .filter(|axis| !axis.is_learning_rate())
            .fold(1, |product, axis| product.saturating_mul(axis.values.len()));
        if points > MOST_POINTS {
            return bad("grid", format!("{points} points"), &format!("at most {MOST_POINTS}"));
        }
        Ok(())
    }

    /// How many points the fields of one strategy make.
    pub(super) fn points_of(&self, strategy: &str) -> usize {
        let axes = self.axes().unwrap_or_default();
        let own = axes.iter().filter(|axis| axis.strategy() == Some(strategy));
        own.map(|axis| axis.values.len()).product()
    }

    /// How many points the other fields make, learning rates not counted.
    pub(super) fn points(&self) -> usize {
        let axes = self.axes().unwrap_or_default();
        let shared = axes.iter().filter(|axis| axis.is_shared());
        shared.map(|axis| axis.values.len()).product()
    }

    pub(super) fn axes(&self) -> Result<Vec<Axis>, SweepError> {
        let mut axes = vec![];
        walk(&mut vec![], &self.0, &mut axes)?;
        let ways: Vec<Vec<String>> = axes.iter().map(|axis| axis.way.clone()).collect();
        axes.iter_mut().for_each(|axis| axis.name = short_name(&axis.way, &ways));
        Ok(axes)
    }
}

impl Axis {
    /// Whether it is the learning rate.
    fn is_learning_rate(&self) -> bool {
        self.way == LEARNING_RATE
    }

    /// Whether it makes points of the whole sweep: no strategy's own, and not the learning rate.
    pub(super) fn is_shared(&self) -> bool {
        self.strategy().is_none() && !self.is_learning_rate()
    }

    /// Whose field it is, if a strategy's.
    pub(super) fn strategy(&self) -> Option<&str> {
        match &self.way[..] {
            [strategies, name, ..] if strategies == "strategies" => Some(name),
            _ => None,
        }
    }
}

impl Choice {
    /// The field and its value alone, as a file would say it.
    pub(super) fn table(&self) -> Table {
        let nest =
            |value: Value, field: &String| Value::Table(Table::from_iter([(field.clone(), value)]));
        match self.way.iter().rev().fold(self.value.clone(), nest) {
            Value::Table(table) => table,
            _ => Table::new(),
        }
    }

    /// `batch_size=8`.
    pub(super) fn label(&self) -> String {
        let value = match &self.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        format!("{}={value}", self.name)
    }
}

fn walk(way: &mut Vec<String>, table: &Table, axes: &mut Vec<Axis>) -> Result<(), SweepError> {
    for (field, value) in table {
        way.push(field.clone());
        match value {
            Value::Table(inner) => walk(way, inner, axes)?,
            Value::Array(values) => {
                axes.push(Axis { way: way.clone(), name: String::new(), values: values.clone() })
            }
            other => {
                let allowed = "write a list of values, such as [1e-3, 2e-3]";
                return bad(&format!("grid.{}", way.join(".")), other, allowed);
            }
        }
        way.pop();
    }
    Ok(())
}

/// The end of a way, as long as it must be to tell it from all others.
fn short_name(way: &[String], all: &[Vec<String>]) -> String {
    let end = |way: &[String], n: usize| way[way.len().saturating_sub(n)..].to_vec();
    let is_alone =
        |n: &usize| all.iter().filter(|other| end(other, *n) == end(way, *n)).count() == 1;
    let n = (1..way.len()).find(is_alone).unwrap_or(way.len());
    end(way, n).join(".")
}

/// Every choice of one value for each field; one choice of nothing without fields.
pub(super) fn product(axes: impl Iterator<Item = Axis>) -> Vec<Vec<Choice>> {
    axes.fold(vec![vec![]], |points, Axis { way, name, values }| {
        let with = |point: &Vec<Choice>, value: &Value| {
            let choice = Choice { way: way.clone(), name: name.clone(), value: value.clone() };
            [&point[..], &[choice]].concat()
        };
        points.iter().flat_map(|point| values.iter().map(move |value| with(point, value))).collect()
    })
}

fn shown_list(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(Value::to_string).collect();
    format!("[{}]", values.join(", "))
}
