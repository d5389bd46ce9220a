//! Which sweep someone means, and which others have its name.

use std::fmt::Write;

use chrono::DateTime;
use outgrow_core::{TrialState, sweep::differences};

use crate::{Store, StoreError, SweepSummary};

/// A name or an identity's beginning must be so long to be taken for the latter.
const SHORTEST: usize = 4;
/// Sweeps, and fields of each, that a message names.
const NAMED: usize = 10;
/// Names of sweeps that a message names.
const KNOWN: usize = 20;

/// A sweep, and where it stands.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Namesake {
    pub sweep: SweepSummary,
    /// Number of trials in each state.
    pub states: Vec<(TrialState, u64)>,
}

impl Namesake {
    /// "0123456789ab, of 2026-11-25 18:03 UTC, 4 complete".
    pub fn line(&self) -> String {
        let date = DateTime::from_timestamp(self.sweep.created_at as i64, 0).unwrap_or_default();
        let states: String =
            self.states.iter().map(|(state, n)| format!(", {n} {state}")).collect();
        let id: String = self.sweep.id.chars().take(12).collect();
        format!("{id}, of {}{states}", date.format("%Y-%m-%d %H:%M UTC"))
    }

    /// In which fields it differs from another sweep: of a resolved sweep file, and a digest of its
    /// text.
    pub fn differs_from(&self, spec: &str, data: &str) -> String {
        let mut all: Vec<String> = differences(&self.sweep.spec, spec)
            .iter()
            .map(|difference| difference.to_string())
            .collect();
        if self.sweep.data_digest != data {
            all.push("another text".into());
        }
        match all.len() {
            0 => "nothing that a sweep file says".into(),
            n if n > NAMED => format!("{}, and {} fields more", all[..NAMED].join(", "), n - NAMED),
            _ => all.join(", "),
        }
    }
}

impl Store {
    /// The one sweep of that name, or whose identity is or begins with it.
    ///
    /// # Errors
    /// If there is none, or more than one: the newest of a name is not what was asked for.
    pub async fn find_sweep(&self, wanted: &str) -> Result<SweepSummary, StoreError> {
        let mut sweeps = self.sweeps().await?;
        if let Some(at) = sweeps.iter().position(|sweep| sweep.id == wanted) {
            return Ok(sweeps.swap_remove(at));
        }
        let known = known(&sweeps);
        sweeps.retain(|sweep| {
            sweep.name == wanted || wanted.len() >= SHORTEST && sweep.id.starts_with(wanted)
        });
        match (sweeps.pop(), sweeps.is_empty()) {
            (None, _) => Err(StoreError::NoSweep { wanted: quoted(wanted), known }),
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                sweeps.push(last);
                Err(self.ambiguous(wanted, sweeps).await?)
            }
        }
    }

    /// Other sweeps of that name than the one of this identity, the newest first.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn namesakes(&self, name: &str, id: &str) -> Result<Vec<Namesake>, StoreError> {
        let mut sweeps = self.sweeps().await?;
        sweeps.retain(|sweep| sweep.name == name && sweep.id != id);
        self.with_states(sweeps).await
    }

    async fn with_states(&self, sweeps: Vec<SweepSummary>) -> Result<Vec<Namesake>, StoreError> {
        let mut found = vec![];
        for sweep in sweeps {
            let states = self.status(&sweep.id).await?.states;
            found.push(Namesake { sweep, states });
        }
        Ok(found)
    }

    async fn ambiguous(
        &self,
        wanted: &str,
        mut sweeps: Vec<SweepSummary>,
    ) -> Result<StoreError, StoreError> {
        let all = sweeps.len();
        sweeps.truncate(NAMED);
        let found = self.with_states(sweeps).await?;
        let first = &found[0].sweep;
        let mut text = String::new();
        for (number, one) in found.iter().enumerate() {
            write!(text, "\n  {}", one.line()).expect("memory takes every text");
            if number > 0 {
                let fields = one.differs_from(&first.spec, &first.data_digest);
                write!(text, "\n    differs from the first in: {fields}")
                    .expect("memory takes every text");
            }
        }
        if all > found.len() {
            write!(text, "\n  and {} more", all - found.len()).expect("memory takes every text");
        }
        Ok(StoreError::Ambiguous { wanted: quoted(wanted), sweeps: all, found: text })
    }
}

/// A name as it may stand in a message.
fn quoted(name: &str) -> String {
    name.escape_debug().to_string()
}

/// The names of all sweeps, each once; of many, the newest.
fn known(sweeps: &[SweepSummary]) -> String {
    let mut names: Vec<String> = vec![];
    for sweep in sweeps {
        let name = quoted(&sweep.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match names.len() {
        0 => "none".into(),
        n if n > KNOWN => format!("{}, and {} more", names[..KNOWN].join(", "), n - KNOWN),
        _ => names.join(", "),
    }
}
