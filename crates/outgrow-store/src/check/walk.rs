//! A walk over a database: what it knows, and how it notes and mends what it finds.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{Epoch, Trial, TrialState};

use super::{
    finding::{Finding, Which},
    known::{Known, Tell},
    report::Report,
};
use crate::{
    StoreError,
    claim::{Environment, number_of},
    driver::{Arg, Row, Tx, args},
};

/// A walk over a database.
pub(super) struct Walk<'a> {
    pub tx: Tx,
    pub mends: bool,
    pub known: &'a Known<'a>,
    pub tell: Tell<'a>,
    pub report: Report,
    /// Trials that somebody is at.
    pub live: BTreeSet<i64>,
    /// Trials that the table has not, or not whole, by number.
    pub told: BTreeMap<i64, Told>,
    /// Numbers of trials that the table has again once it is mended.
    pub again: Vec<i64>,
    /// Numbers of trials of which nobody can say what they are.
    pub lost: Vec<i64>,
}

/// A trial as a sweep tells it.
pub(super) struct Told {
    pub trial: Trial,
    /// The table has no row of it.
    pub missing: bool,
}

/// A trial as its row says, its definition as it must be.
pub(super) struct Seen {
    pub number: i64,
    pub which: Which,
    pub trial: Trial,
    pub state: TrialState,
    pub epoch: Epoch,
    /// Its row had to be made anew: what its state was is known from its rows alone.
    pub is_told: bool,
    /// What its row has for a state, where that is none.
    pub unknown_state: Option<String>,
}

impl<'a> Walk<'a> {
    pub fn new(tx: Tx, mends: bool, known: &'a Known<'a>, tell: Tell<'a>) -> Self {
        Self {
            tx,
            mends,
            known,
            tell,
            report: Report::default(),
            live: BTreeSet::new(),
            told: BTreeMap::new(),
            again: vec![],
            lost: vec![],
        }
    }

    /// Carries out a statement, if this walk mends.
    pub async fn mend(&mut self, sql: &str, args: &[Arg]) -> Result<(), StoreError> {
        if self.mends {
            self.tx.execute(sql, args).await?;
        }
        Ok(())
    }

    pub fn found(&mut self, finding: Finding) {
        self.report.findings.push(finding);
    }

    pub async fn seen(
        &mut self,
        number: i64,
        id: String,
        trial: Trial,
        state: TrialState,
        epoch: Epoch,
        is_told: bool,
    ) -> Result<Seen, StoreError> {
        let which = self.which(number, id).await?;
        Ok(Seen { number, which, trial, state, epoch, is_told, unknown_state: None })
    }

    /// A trial as people find it.
    pub async fn which(&mut self, number: i64, trial: String) -> Result<Which, StoreError> {
        let label = "SELECT strategy || '/' || plan || '#' || replicate FROM member
                     WHERE trial = $1 ORDER BY position LIMIT 1";
        let label = self.tx.column::<Option<String>>(label, args![number]).await?;
        // Of a damaged place there may be none.
        Ok(Which { trial, label: label.into_iter().next().flatten() })
    }

    /// A place for attempts of which it is not known any more.
    pub async fn lost_environment(&mut self) -> Result<i64, StoreError> {
        let [host, device, versions] = ["unknown"; 3].map(String::from);
        number_of(&mut self.tx, &Environment { host, device, threads: 0, versions }).await
    }
}

/// 32 digits of the hash of texts one after the other: how sweeps and trials get their identity.
pub(super) fn identity(texts: &[&str]) -> String {
    blake3::hash(texts.concat().as_bytes()).to_hex()[..32].to_owned()
}

/// The definition in a trial's row, if it gives the trial's identity.
pub(super) fn defined(row: &Row, id: &str) -> Option<Trial> {
    let text: String = row.get(2).ok()?;
    if identity(&[&text]) != id {
        return None;
    }
    serde_json::from_str(&text).ok()
}
