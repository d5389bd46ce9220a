//! The rows that a trial left, against what it must have recorded.

use std::collections::BTreeSet;

use outgrow_core::TrialState;

use super::{
    finding::{Finding, Problem},
    judge::{is_diverged, judge},
    tally::{Horizon, Tally},
    walk::{Seen, Walk},
};
use crate::{
    StoreError,
    driver::{Row, args},
    intact::{checksum, columns},
    schema::{EVAL_METRIC, GROWTH_EVENT, STEP_METRIC, Table},
};

/// What is measured.
static MEASURED: [&Table; 3] = [&STEP_METRIC, &EVAL_METRIC, &GROWTH_EVENT];

/// What was seen of a trial's rows.
#[derive(Default)]
pub(super) struct Looked {
    /// The step of the first row that a later state builds on and that is not there, or not whole.
    pub first: Option<u64>,
    /// The last step that is recorded.
    pub last: u64,
    /// Whether a recorded loss is infinite or no number.
    pub diverged: bool,
    /// Whole rows whose attempt is not there, by its number.
    without_attempt: BTreeSet<i64>,
}

impl Walk<'_> {
    pub(super) async fn look(&mut self, seen: &Seen) -> Result<Looked, StoreError> {
        let mut looked = Looked::default();
        let last = "SELECT coalesce(max(step), 0) FROM step_metric WHERE trial = $1 AND step <= $2";
        looked.last = self.tx.value(last, args![seen.number, seen.trial.steps()]).await?;
        let horizon = self.horizon(seen, looked.last).await?;
        let sealing = self.sealing(seen.number).await?;
        for table in MEASURED {
            self.table(table, seen, &horizon, &sealing, &mut looked).await?;
        }
        self.savers(seen, &mut looked).await?;
        self.attempts(seen, &looked.without_attempt).await?;
        Ok(looked)
    }

    /// Attempts that recorded a checkpoint and are not there.
    async fn savers(&mut self, seen: &Seen, looked: &mut Looked) -> Result<(), StoreError> {
        let lost = "SELECT attempt, count(*), min(step) FROM checkpoint c WHERE trial = $1
                    AND NOT EXISTS (SELECT 1 FROM attempt WHERE id = c.attempt) GROUP BY attempt";
        for row in self.tx.rows(lost, args![seen.number]).await? {
            let (trial, problem) = (seen.which.clone(), Problem::OfNoAttempt);
            self.found(Finding::Rows {
                trial,
                table: "checkpoint",
                problem,
                rows: row.get(1)?,
                first_step: row.get(2)?,
            });
            looked.without_attempt.insert(row.get(0)?);
        }
        Ok(())
    }

    async fn horizon(&mut self, seen: &Seen, last: u64) -> Result<Horizon, StoreError> {
        let saved = "SELECT coalesce(max(step), 0) FROM (SELECT step FROM checkpoint WHERE trial \
                     = $1
                     UNION ALL SELECT step FROM snapshot WHERE trial = $1) AS saved WHERE step <= \
                     $2";
        let end = seen.trial.steps();
        Ok(match seen.state {
            TrialState::Complete => Horizon { step: end, evaluated: true },
            // It ended when the loss was recorded, or at the evaluation after that.
            TrialState::Diverged => Horizon { step: last, evaluated: false },
            _ => {
                let step = self.tx.value(saved, args![seen.number, end]).await?;
                Horizon { step, evaluated: !self.known.due.contains(&(seen.number, step)) }
            }
        })
    }

    /// Attempts some of whose rows carry checksums: then all of them must.
    async fn sealing(&mut self, number: i64) -> Result<BTreeSet<i64>, StoreError> {
        let each = MEASURED.map(|table| {
            format!("SELECT attempt FROM {} WHERE trial = $1 AND checksum <> 0", table.name)
        });
        Ok(self.tx.column(&each.join(" UNION "), args![number]).await?.into_iter().collect())
    }

    async fn table(
        &mut self,
        table: &'static Table,
        seen: &Seen,
        horizon: &Horizon,
        sealing: &BTreeSet<i64>,
        looked: &mut Looked,
    ) -> Result<(), StoreError> {
        let mut tally = Tally::new(table, seen, horizon);
        let mut unsealed = 0;
        let judged = |row: Row| {
            let found = judge(table, seen, sealing, &row);
            if found.problem == Some(Problem::OfNoAttempt) {
                looked.without_attempt.extend(row.get::<i64>(table.columns.len() - 1).ok());
            }
            looked.diverged |= is_diverged(table, &row);
            unsealed += u64::from(found.problem.is_none() && checksum(table, &row) == Some(0));
            tally.take(found);
            Ok(())
        };
        self.tx.map(&selection(table), args![seen.number], judged).await?;
        tally.end();
        self.report.rows += tally.whole;
        self.report.unsealed += unsealed;
        looked.first = [looked.first, tally.first].into_iter().flatten().min();
        self.remove(seen, tally).await
    }

    /// Notes what a table's rows lack, and removes those that are wrong.
    async fn remove(&mut self, seen: &Seen, tally: Tally<'_>) -> Result<(), StoreError> {
        let (table, key) = (tally.table.name, tally.table.columns[1].0);
        for (problem, (rows, first_step)) in tally.problems {
            let trial = seen.which.clone();
            self.found(Finding::Rows { trial, table, problem, rows, first_step });
        }
        let wrong = format!("DELETE FROM {table} WHERE trial = $1 AND {key} = $2");
        for key in tally.remove {
            self.mend(&wrong, args![seen.number, key]).await?;
        }
        Ok(())
    }

    /// Gives whole rows whose attempt was lost one again, each of an epoch of its own.
    async fn attempts(&mut self, seen: &Seen, lost: &BTreeSet<i64>) -> Result<(), StoreError> {
        for attempt in lost.iter().filter(|_| self.mends).copied().collect::<Vec<_>>() {
            let environment = self.lost_environment().await?;
            let nobody = r#"{"host":"unknown","boot":"","pid":0,"started":0}"#;
            let again = "INSERT INTO attempt (id, trial, epoch, environment, process, started_at, \
                         heartbeat_at, ended_at, outcome, note)
                 SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), coalesce(max(epoch), 0) + 1, \
                 CAST($3 AS BIGINT), CAST($4 AS TEXT), 0.0, 0.0, 0.0,
                        'died', 'its record was lost' FROM attempt WHERE trial = $2";
            self.mend(again, args![attempt, seen.number, environment, nobody]).await?;
        }
        let raised = "UPDATE trial SET epoch = (SELECT max(epoch) FROM attempt WHERE trial = $1)
                      WHERE number = $1 AND epoch < (SELECT max(epoch) FROM attempt WHERE trial = \
                      $1)";
        self.mend(raised, args![seen.number]).await
    }

    /// Whether everything is recorded that a complete trial has.
    pub(super) async fn is_complete(&mut self, seen: &Seen) -> Result<bool, StoreError> {
        let whole = Horizon { step: seen.trial.steps(), evaluated: true };
        for table in MEASURED {
            let mut tally = Tally::new(table, seen, &whole);
            let none = BTreeSet::new();
            let judged = |row: Row| {
                tally.take(judge(table, seen, &none, &row));
                Ok(())
            };
            self.tx.map(&selection(table), args![seen.number], judged).await?;
            tally.end();
            if tally.first.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// All rows of a trial in one of the tables, in order, each with its attempt's trial and epoch.
fn selection(table: &Table) -> String {
    let (name, key) = (table.name, table.columns[1].0);
    format!(
        "SELECT {}, a.trial, a.epoch FROM {name} r LEFT JOIN attempt a ON a.id = r.attempt WHERE \
         r.trial = $1 ORDER BY r.{key}",
        columns(table)
    )
}
