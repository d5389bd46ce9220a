//! Whether a database holds what was written to it, and what to do where it does not.
//!
//! Looking and mending are one walk: each finding stands beside the statement that mends it, which
//! is carried out or not. So what `check` says is what `repair` does, and a second `repair` finds
//! nothing.

mod finding;
mod rows;
mod sweeps;

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::Trial;
use outgrow_failpoint::Point;

pub use self::finding::{Again, Finding, Problem, Report, Which};
pub(crate) use self::rows::refuse_changed;
use crate::{
    Held, Holder, Store, StoreError,
    driver::{Arg, Cell, Row, Tx, args},
    open::now,
};

/// A folder that is recorded: a checkpoint, or a state that other trials begin from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedFolder {
    /// The trial's number.
    pub number: i64,
    /// The trial's identity.
    pub trial: String,
    /// Optimizer steps of it.
    pub step: u64,
    /// The folder, where it was written.
    pub path: String,
    /// Digest of its head; unknown of states that an older version wrote.
    pub digest: Option<String>,
    /// Whether it is a state that other trials begin from.
    pub snapshot: bool,
}

/// What is known from elsewhere before a database is looked at.
pub struct Known<'a> {
    /// Whether the holder of a trial is dead. Nothing is looked at of a trial whose holder is not.
    pub is_dead: &'a (dyn Fn(&Holder) -> bool + Sync),
    /// Checkpoints that can't be used, by trial and step, and why.
    pub checkpoints: BTreeMap<(i64, u64), String>,
    /// The same of states that other trials begin from.
    pub snapshots: BTreeMap<(i64, u64), String>,
    /// By trial, the step up to which checkpoints were removed when newer ones were recorded.
    pub cleared: BTreeMap<i64, u64>,
    /// Checkpoints, by trial and step, of trials that were stopped while that step was evaluated:
    /// what goes on from there does it first.
    pub due: BTreeSet<(i64, u64)>,
}

/// Told now and then how far the walk is.
pub type Tell<'a> = &'a mut (dyn FnMut(&str) + Send);

impl Store {
    /// Attempts that are going on as the database says, of all sweeps. One whose holder can't be
    /// read has none.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn all_held(&self) -> Result<Vec<Held>, StoreError> {
        all_held(&mut self.read().await?).await
    }

    /// Calls `each` with every folder that is recorded: of each trial the checkpoints, the newest
    /// first, then the states that others begin from.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn recorded_folders(
        &self,
        each: &mut (dyn FnMut(RecordedFolder) + Send),
    ) -> Result<(), StoreError> {
        let all =
            "SELECT c.trial, t.id, c.step, c.path, c.digest, 0 FROM checkpoint c LEFT JOIN trial t ON t.number = c.trial
                   UNION ALL
                   SELECT s.trial, t.id, s.step, s.path, s.digest, 1 FROM snapshot s LEFT JOIN trial t ON t.number = s.trial
                   ORDER BY 1, 6, 3 DESC";
        let read = |row: Row| {
            let (number, step, snapshot): (i64, u64, bool) =
                (row.get(0)?, row.get(2).unwrap_or(u64::MAX), row.get(5)?);
            let path: String = row.get(3).unwrap_or_default();
            // A trial that is lost is told by its folder.
            let trial = row.get(1).ok().or_else(|| trial_of(&path)).unwrap_or_default();
            // Every checkpoint has a digest; what is none of ours compares with nothing.
            let digest = row.get::<String>(4).ok().or((!snapshot).then(String::new));
            each(RecordedFolder { number, trial, step, path, digest, snapshot });
            Ok(())
        };
        self.read().await?.map(all, &[], read).await.map(drop)
    }

    /// The states of trials by identity, of those that are asked for; none of one that is not
    /// there.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn state_of(&self, trial: &str) -> Result<Option<String>, StoreError> {
        let found = self
            .read()
            .await?
            .column("SELECT state FROM trial WHERE id = $1", args![trial])
            .await?;
        Ok(found.into_iter().next())
    }

    /// Refuses a sweep, or all, that has a complete trial without a last evaluation: an earlier one
    /// would be taken for it.
    ///
    /// # Errors
    /// [`StoreError::Incomplete`] if there is one.
    pub async fn refuse_incomplete(&self, sweep: Option<&str>) -> Result<(), StoreError> {
        let of =
            sweep.map_or("", |_| "AND number IN (SELECT trial FROM member WHERE sweep_id = $1)");
        let incomplete = format!(
            "SELECT count(*) FROM trial WHERE state = 'complete' {of}
             AND NOT EXISTS (SELECT 1 FROM eval_metric e WHERE e.trial = trial.number AND e.is_last = 1)"
        );
        let of: Vec<Arg> = sweep.into_iter().map(Arg::from).collect();
        match self.read().await?.value(&incomplete, &of).await? {
            0 => Ok(()),
            trials => Err(StoreError::Incomplete { trials }),
        }
    }

    /// Looks for what is wrong; writes nothing.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn examine(&self, known: &Known<'_>, tell: Tell<'_>) -> Result<Report, StoreError> {
        let (report, _) = Walk::new(self.read().await?, false, known, tell).all().await?;
        Ok(report)
    }

    /// Mends what is wrong, in one transaction; gives what was found.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn mend(&self, known: &Known<'_>, tell: Tell<'_>) -> Result<Report, StoreError> {
        let (report, tx) = Walk::new(self.write().await?, true, known, tell).all().await?;
        tx.commit(Point::CommitRepair).await?;
        Ok(report)
    }
}

/// A walk over a database.
struct Walk<'a> {
    tx: Tx,
    mends: bool,
    known: &'a Known<'a>,
    tell: Tell<'a>,
    report: Report,
    /// Trials that somebody is at.
    live: BTreeSet<i64>,
    /// Trials that the table has not, or not whole, by number.
    told: BTreeMap<i64, Told>,
    /// Numbers of trials that the table has again once it is mended.
    again: Vec<i64>,
    /// Numbers of trials of which nobody can say what they are.
    lost: Vec<i64>,
}

/// A trial as a sweep tells it.
struct Told {
    trial: Trial,
    /// The table has no row of it.
    missing: bool,
}

/// A trial as its row says, its definition as it must be.
struct Seen {
    number: i64,
    which: Which,
    trial: Trial,
    state: String,
    epoch: i64,
    /// Its row had to be made anew: what its state was is known from its rows alone.
    is_told: bool,
}

impl<'a> Walk<'a> {
    fn new(tx: Tx, mends: bool, known: &'a Known<'a>, tell: Tell<'a>) -> Self {
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

    async fn all(mut self) -> Result<(Report, Tx), StoreError> {
        // First, so that it belongs to the state of the database that is looked at.
        let held = all_held(&mut self.tx).await?.into_iter();
        let live: Vec<Held> = held.filter(|held| !(self.known.is_dead)(&held.holder)).collect();
        self.live = live.iter().map(|held| held.trial).collect();
        self.report.live = live.into_iter().map(|held| held.holder).collect();
        self.sweeps().await?;
        let (mut number, all): (i64, i64) =
            (i64::MIN, self.tx.value("SELECT count(*) FROM trial", &[]).await?);
        let mut seen = 0;
        while let Some(row) = self.next_trial(number).await? {
            number = row.get(0)?;
            seen += 1;
            (self.tell)(&format!("trial {seen} of {all}"));
            self.trial(&row).await?;
        }
        // What the table will have once it is mended.
        let told = std::mem::take(&mut self.told);
        self.again = told.keys().copied().collect();
        for (number, Told { trial, .. }) in told {
            let seen = self.seen(number, trial.id(), trial, "waiting".into(), 0, true).await?;
            self.examine(seen).await?;
        }
        self.remove_lost().await?;
        self.dangling().await?;
        self.report.findings.sort_by_key(|finding| {
            !matches!(finding, Finding::Damage { .. } | Finding::Unreadable { .. })
        });
        Ok((self.report, self.tx))
    }

    /// Carries out a statement, if this walk mends.
    async fn mend(&mut self, sql: &str, args: &[Arg]) -> Result<(), StoreError> {
        if self.mends {
            self.tx.execute(sql, args).await?;
        }
        Ok(())
    }

    fn found(&mut self, finding: Finding) {
        self.report.findings.push(finding);
    }

    async fn next_trial(&mut self, after: i64) -> Result<Option<Row>, StoreError> {
        let next = "SELECT number, id, definition, tokens, CAST(train_flops AS DOUBLE PRECISION), parameters, learning_rate, state, epoch
                    FROM trial WHERE number > $1 ORDER BY number LIMIT 1";
        self.tx.row(next, args![after]).await
    }

    async fn trial(&mut self, row: &Row) -> Result<(), StoreError> {
        let number: i64 = row.get(0)?;
        if self.live.contains(&number) {
            self.report.held += 1;
            return Ok(());
        }
        let id: String = row.get(1).unwrap_or_default();
        let (state, epoch) =
            (row.get::<String>(7).unwrap_or_default(), row.get::<i64>(8).unwrap_or(0));
        let (trial, id, is_told) = match (self.told.remove(&number), defined(row, &id)) {
            (Some(Told { trial, missing }), _) => (trial.clone(), trial.id(), missing),
            (None, Some(trial)) => (trial, id, false),
            (None, None) => {
                let trial = Which { trial: id, label: self.label(number).await? };
                self.lost.push(number);
                self.found(Finding::Lost { trial });
                return Ok(());
            }
        };
        let seen = self.seen(number, id, trial, state, epoch, is_told).await?;
        self.columns(row, &seen).await?;
        self.examine(seen).await
    }

    async fn seen(
        &mut self,
        number: i64,
        id: String,
        trial: Trial,
        state: String,
        epoch: i64,
        is_told: bool,
    ) -> Result<Seen, StoreError> {
        let which = Which { trial: id, label: self.label(number).await? };
        Ok(Seen { number, which, trial, state, epoch, is_told })
    }

    async fn label(&mut self, number: i64) -> Result<Option<String>, StoreError> {
        let label = "SELECT strategy || '/' || plan || '#' || replicate FROM member WHERE trial = $1 ORDER BY position LIMIT 1";
        // Of a damaged place there may be none.
        Ok(self.tx.column::<Option<String>>(label, args![number]).await?.pop().flatten())
    }

    /// What is left of a trial that nobody knows belongs to nothing.
    async fn remove_lost(&mut self) -> Result<(), StoreError> {
        for number in std::mem::take(&mut self.lost) {
            for (table, column) in rows::OF_TRIALS {
                self.mend(&format!("DELETE FROM {table} WHERE {column} = $1"), args![number])
                    .await?;
            }
            self.mend("DELETE FROM trial WHERE number = $1", args![number]).await?;
        }
        Ok(())
    }

    /// What the table repeats of the definition, and the epoch.
    async fn columns(&mut self, row: &Row, seen: &Seen) -> Result<(), StoreError> {
        let (trial, number) = (&seen.trial, seen.number);
        let flops = trial.plan.train_flops(trial.settings.tokens);
        let parameters = outgrow_core::model::n_parameters(trial.plan.target());
        let rate = trial.settings.training.learning_rate;
        let right = [
            (
                "tokens",
                row.0[3] == Cell::Integer(trial.settings.tokens as i64),
                trial.settings.tokens.into(),
            ),
            ("train_flops", row.get::<f64>(4).ok() == Some(flops as f64), flops.into()),
            ("parameters", row.0[5] == Cell::Integer(parameters as i64), parameters.into()),
            ("learning_rate", row.get::<f64>(6).ok() == Some(rate), Arg::from(rate)),
        ];
        for (column, is_right, value) in right {
            if !is_right {
                self.found(Finding::Column { trial: seen.which.clone(), column });
                let value_of = if column == "train_flops" { "CAST($1 AS NUMERIC)" } else { "$1" };
                let update = format!("UPDATE trial SET {column} = {value_of} WHERE number = $2");
                self.mend(&update, &[value, number.into()]).await?;
            }
        }
        Ok(())
    }

    /// Everything that a trial left.
    async fn examine(&mut self, mut seen: Seen) -> Result<(), StoreError> {
        self.epoch(&mut seen).await?;
        self.open(&mut seen).await?;
        let looked = self.look(&seen).await?;
        self.conclude(&mut seen, &looked).await?;
        *self.report.trials.entry(seen.state).or_default() += 1;
        Ok(())
    }

    /// A claim counts on from the trial's epoch, so no attempt may be of a later one.
    async fn epoch(&mut self, seen: &mut Seen) -> Result<(), StoreError> {
        let last = "SELECT coalesce(max(epoch), 0) FROM attempt WHERE trial = $1";
        let last: i64 = self.tx.value(last, args![seen.number]).await?;
        if last > seen.epoch {
            match seen.is_told {
                true => seen.epoch = last,
                false => self.found(Finding::Epoch {
                    trial: seen.which.clone(),
                    found: seen.epoch,
                    expected: last,
                }),
            }
            self.mend("UPDATE trial SET epoch = $1 WHERE number = $2", args![last, seen.number])
                .await?;
        }
        Ok(())
    }

    /// Nobody holds this trial: its attempts have ended, whatever is said of them.
    async fn open(&mut self, seen: &mut Seen) -> Result<(), StoreError> {
        let trial = || seen.which.clone();
        let open: i64 = self
            .tx
            .value(
                "SELECT count(*) FROM attempt WHERE trial = $1 AND outcome IS NULL",
                args![seen.number],
            )
            .await?;
        if seen.state == "running" {
            self.found(Finding::Unheld { trial: trial() });
            self.mend("UPDATE trial SET state = 'waiting' WHERE number = $1", args![seen.number])
                .await?;
            seen.state = "waiting".into();
        } else if open > 0 {
            self.found(Finding::Open { trial: trial(), attempts: open as u64 });
        }
        let died = "UPDATE attempt SET outcome = 'died', ended_at = $1 WHERE trial = $2 AND outcome IS NULL";
        self.mend(died, args![now(), seen.number]).await
    }
}

/// The identity of the trial whose checkpoint lies in a folder, or whose state others begin from.
fn trial_of(path: &str) -> Option<String> {
    let mut names = path.rsplit('/');
    let name = names.next()?;
    let trial = name.split_once("-at-").map(|(trial, _)| trial).or_else(|| names.next())?;
    Some(trial.to_owned())
}

async fn all_held(tx: &mut Tx) -> Result<Vec<Held>, StoreError> {
    let held = "SELECT t.number, a.id, a.process, a.heartbeat_at FROM trial t
                JOIN attempt a ON a.trial = t.number AND a.epoch = t.epoch
                WHERE t.state = 'running' AND a.outcome IS NULL ORDER BY 1";
    let read = |row: Row| {
        let holder: Option<Holder> =
            serde_json::from_str(&row.get::<String>(2).unwrap_or_default()).ok();
        let (trial, attempt, beat) = (row.get(0)?, row.get(1)?, row.get(3)?);
        Ok(holder.map(|holder| Held { trial, attempt, holder, beat }))
    };
    Ok(tx.map(held, &[], read).await?.into_iter().flatten().collect())
}

/// The definition in a trial's row, if it gives the trial's identity.
fn defined(row: &Row, id: &str) -> Option<Trial> {
    let text: String = row.get(2).ok()?;
    if sweeps::identity(&[&text]) != id {
        return None;
    }
    serde_json::from_str(&text).ok()
}
