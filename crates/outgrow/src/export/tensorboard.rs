//! TensorBoard's event files: records of a length, an event in Protocol Buffers' encoding, and
//! checksums of both.
//!
//! The format is that of TensorFlow's `record_writer` and `event.proto`; of an event only wall
//! time, step, file version and scalars are written. The step is the number of training tokens, so
//! that curves of models of different sizes lie over each other.

use std::{collections::BTreeMap, path::PathBuf};

use outgrow_data::publish::NewFolder;
use outgrow_report::escape::file_name;
use outgrow_store::{Cell, Store, Table};
use prost::Message;

use super::{Files, by_trial, cell};
use crate::error::Error;

/// Which columns of which view become which curves.
const CURVES: [(&str, &[(&str, &str)]); 3] = [
    (
        "steps",
        &[
            ("loss", "loss/train"),
            ("learning_rate", "optimizer/learning_rate"),
            ("gradient_norm", "optimizer/gradient_norm"),
            ("train_flops", "compute/train_flops"),
        ],
    ),
    ("curves", &[("val_loss", "loss/validation")]),
    (
        "growth",
        &[
            ("parameters_after", "growth/parameters"),
            ("error", "growth/error"),
            ("loss_change", "growth/loss_change"),
        ],
    ),
];

/// A folder with an event file for each trial: sweep, strategy, and the trial's place in it.
pub async fn write(store: &Store, sweep: Option<&str>, to: &NewFolder) -> Result<Files, Error> {
    let mut events: BTreeMap<PathBuf, Vec<Event>> = BTreeMap::new();
    for (view, tags) in CURVES {
        let (table, runs) = by_trial(store, view, sweep).await?;
        for run in runs {
            let own = events.entry(folder(&table, &table.rows[run.start])).or_default();
            own.extend(table.rows[run].iter().map(|row| event(&table, row, tags)));
        }
    }
    let mut files = Files::new();
    for (folder, mut own) in events {
        own.sort_by_key(|event| event.tokens);
        let path = folder.join("events.out.tfevents.0.outgrow");
        to.write(&path, &file(&own))?;
        let points: usize = own.iter().map(|event| event.values.len()).sum();
        files.insert(path.display().to_string(), points.into());
    }
    Ok(files)
}

struct Event {
    tokens: i64,
    /// Since the beginning of the training.
    seconds: f64,
    values: Vec<(&'static str, f32)>,
}

fn folder(table: &Table, row: &[Cell]) -> PathBuf {
    let text = |name: &str| match cell(table, row, name) {
        Cell::Text(text) | Cell::Decimal(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Big(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Null | Cell::Blob(_) => String::new(),
    };
    // Two sweeps of one name, and trials that differ by their rate, stay apart.
    let short = |name: &str| file_name(&text(name).chars().take(8).collect::<String>());
    let sweep = format!("{}-{}", file_name(&text("sweep")), short("sweep_id"));
    let place = format!("plan{}-seed{}-{}", text("plan"), text("replicate"), short("trial"));
    [sweep, file_name(&text("strategy")), place].iter().collect()
}

fn event(table: &Table, row: &[Cell], tags: &[(&str, &'static str)]) -> Event {
    let number = |name: &str| match cell(table, row, name) {
        Cell::Integer(value) => Some(*value as f64),
        Cell::Big(value) => Some(*value as f64),
        Cell::Real(value) => Some(*value),
        _ => None,
    };
    let seconds = if table.columns.iter().any(|name| name == "wall_seconds") {
        number("wall_seconds")
    } else {
        None
    };
    // A loss that is not a number is a point that TensorBoard shows as such.
    let value =
        |(column, tag): &(&str, &'static str)| (*tag, number(column).unwrap_or(f64::NAN) as f32);
    Event {
        tokens: number("tokens").unwrap_or(0.0) as i64,
        seconds: seconds.unwrap_or(0.0),
        values: tags.iter().map(value).collect(),
    }
}

/// An event of TensorFlow's `event.proto`, as far as it is written here.
#[derive(Clone, PartialEq, prost::Message)]
struct Record {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Scalar>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    /// Optional, for a value of zero is written, too.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The records of a file.
fn file(events: &[Event]) -> Vec<u8> {
    let version = Record { file_version: Some("brain.Event:2".into()), ..Record::default() };
    let mut file = framed(&version.encode_to_vec());
    // Growth events have no clock of their own: they are as late as what is before them.
    let mut latest = 0.0f64;
    for event in events {
        latest = latest.max(event.seconds);
        let scalar =
            |(tag, value): &(&str, f32)| Scalar { tag: (*tag).into(), simple_value: Some(*value) };
        let summary = Some(Summary { values: event.values.iter().map(scalar).collect() });
        let record = Record { wall_time: latest, step: event.tokens, summary, ..Record::default() };
        file.extend(framed(&record.encode_to_vec()));
    }
    file
}

/// Length, its checksum, the message, its checksum.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    [&length[..], &checksum(&length), message, &checksum(message)].concat()
}

/// CRC-32C, rotated and shifted: a checksum of what itself holds checksums would be weak.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}
