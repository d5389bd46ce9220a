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

/// The records of a file.
fn file(events: &[Event]) -> Vec<u8> {
    let mut version = vec![];
    double(&mut version, 1, 0.0);
    bytes(&mut version, 3, b"brain.Event:2");
    let mut file = record(&version);
    // Growth events have no clock of their own: they are as late as what is before them.
    let mut latest = 0.0f64;
    for event in events {
        latest = latest.max(event.seconds);
        let mut summary = vec![];
        for (tag, value) in &event.values {
            let mut one = vec![];
            bytes(&mut one, 1, tag.as_bytes());
            key(&mut one, 2, 5);
            one.extend(value.to_le_bytes());
            bytes(&mut summary, 1, &one);
        }
        let mut message = vec![];
        double(&mut message, 1, latest);
        key(&mut message, 2, 0);
        varint(&mut message, event.tokens as u64);
        bytes(&mut message, 5, &summary);
        file.extend(record(&message));
    }
    file
}

/// Length, its checksum, the message, its checksum.
fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    [&length[..], &checksum(&length), message, &checksum(message)].concat()
}

/// CRC-32C, rotated and shifted: a checksum of what itself holds checksums would be weak.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn key(message: &mut Vec<u8>, field: u64, wire_type: u64) {
    varint(message, field << 3 | wire_type);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    key(message, field, 2);
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn double(message: &mut Vec<u8>, field: u64, value: f64) {
    key(message, field, 1);
    message.extend(value.to_le_bytes());
}
