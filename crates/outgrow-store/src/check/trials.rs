//! Every trial against its definition.

use super::{
    finding::Finding,
    walk::{Seen, Told, Walk, defined},
};
use crate::{
    StoreError,
    driver::{Arg, Cell, Row, args},
    open::now,
};
use outgrow_core::{Epoch, TrialState, model::n_parameters};

impl Walk<'_> {
    pub(super) async fn trials(&mut self) -> Result<(), StoreError> {
        let all: i64 = self.tx.value("SELECT count(*) FROM trial", &[]).await?;
        let (mut number, mut seen) = (i64::MIN, 0);
        while let Some(row) = self.next_trial(number).await? {
            number = row.get(0)?;
            seen += 1;
            (self.tell)(&format!("trial {seen} of {all}"));
            self.trial(&row).await?;
        }
        Ok(())
    }

    async fn next_trial(&mut self, after: i64) -> Result<Option<Row>, StoreError> {
        let next = "SELECT number, id, definition, tokens, CAST(train_flops AS DOUBLE PRECISION),
                           parameters, learning_rate, state, epoch
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
            (row.get(7).unwrap_or(TrialState::Waiting), row.get(8).unwrap_or_default());
        let (trial, id, is_told) = match (self.told.remove(&number), defined(row, &id)) {
            (Some(Told { trial, missing }), _) => (trial.clone(), trial.id(), missing),
            (None, Some(trial)) => (trial, id, false),
            (None, None) => {
                let trial = self.which(number, id).await?;
                self.lost.push(number);
                self.found(Finding::Lost { trial });
                return Ok(());
            }
        };
        let mut seen = self.seen(number, id, trial, state, epoch, is_told).await?;
        if row.get::<TrialState>(7).is_err() {
            seen.unknown_state = Some(row.get(7).unwrap_or_default());
        }
        self.columns(row, &seen).await?;
        self.examine(seen).await
    }

    /// What the table repeats of the definition, and the epoch.
    async fn columns(&mut self, row: &Row, seen: &Seen) -> Result<(), StoreError> {
        let (trial, number) = (&seen.trial, seen.number);
        let flops = trial.plan.train_flops(trial.settings.tokens);
        let parameters = n_parameters(trial.plan.target());
        let rate = trial.settings.training.learning_rate;
        let right = [
            ("tokens", row.0[3] == Cell::Integer(trial.settings.tokens as i64)),
            ("train_flops", row.get::<f64>(4).ok() == Some(flops as f64)),
            ("parameters", row.0[5] == Cell::Integer(parameters as i64)),
            ("learning_rate", row.get::<f64>(6).ok() == Some(rate)),
        ];
        let values: [Arg; 4] =
            [trial.settings.tokens.into(), flops.into(), parameters.into(), rate.into()];
        for ((column, is_right), value) in right.into_iter().zip(values) {
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
    pub(super) async fn examine(&mut self, mut seen: Seen) -> Result<(), StoreError> {
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
        let last: Epoch = self.tx.value(last, args![seen.number]).await?;
        if last > seen.epoch {
            match seen.is_told {
                true => seen.epoch = last,
                false => self.found(Finding::Epoch {
                    trial: seen.which.clone(),
                    found: seen.epoch.0,
                    expected: last.0,
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
        let open = "SELECT count(*) FROM attempt WHERE trial = $1 AND outcome IS NULL";
        let open: i64 = self.tx.value(open, args![seen.number]).await?;
        if seen.state == TrialState::Running {
            self.found(Finding::Unheld { trial: trial() });
            self.mend("UPDATE trial SET state = 'waiting' WHERE number = $1", args![seen.number])
                .await?;
            seen.state = TrialState::Waiting;
        } else if open > 0 {
            self.found(Finding::Open { trial: trial(), attempts: open as u64 });
        }
        let died = "UPDATE attempt SET outcome = 'died', ended_at = $1 WHERE trial = $2 AND \
                    outcome IS NULL";
        self.mend(died, args![now(), seen.number]).await
    }
}
