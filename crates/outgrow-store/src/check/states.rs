//! The states that a trial left, and what is trained again where its rows are not whole.

use outgrow_core::TrialState;

use super::{
    finding::Finding,
    report::Again,
    rows::Looked,
    walk::{Seen, Walk},
};
use crate::{
    StoreError,
    driver::{Cell, args},
    estimates,
};

impl Walk<'_> {
    /// Forgets the states that can't be used; puts a trial back to waiting whose rows are not
    /// whole.
    pub(super) async fn conclude(
        &mut self,
        seen: &mut Seen,
        looked: &Looked,
    ) -> Result<(), StoreError> {
        let mut first = looked.first;
        self.known_state(seen).await?;
        let is_ended = matches!(seen.state, TrialState::Complete | TrialState::Diverged);
        if seen.state == TrialState::Diverged && !looked.diverged && first.is_none() {
            self.found(Finding::NotDiverged { trial: seen.which.clone() });
            first = Some(looked.last.max(1));
        }
        let (from_step, forgot) = self.checkpoints(seen, first).await?;
        self.snapshots(seen, first).await?;
        if first.is_some() && is_ended {
            let end =
                if seen.state == TrialState::Complete { seen.trial.steps() } else { looked.last };
            self.again(seen, from_step, end);
            let again = "UPDATE trial
                         SET state = 'waiting', error = NULL, crashes = 0, not_before = NULL
                         WHERE number = $1";
            self.mend(again, args![seen.number]).await?;
            self.estimates(seen).await?;
            seen.state = TrialState::Waiting;
        } else if !is_ended && forgot {
            self.again(seen, from_step, looked.last);
        }
        self.complete(seen).await
    }

    /// A state that nothing writes counts for an end to some, and for none to others.
    async fn known_state(&mut self, seen: &mut Seen) -> Result<(), StoreError> {
        let pruned = (seen.state == TrialState::Pruned).then(|| seen.state.to_string());
        if let Some(found) = seen.unknown_state.take().or(pruned) {
            self.found(Finding::State { trial: seen.which.clone(), found });
            let waits = "UPDATE trial SET state = 'waiting', error = NULL WHERE number = $1";
            self.mend(waits, args![seen.number]).await?;
            seen.state = TrialState::Waiting;
        }
        Ok(())
    }

    /// Removes what was estimated with a trial that is trained again.
    async fn estimates(&mut self, seen: &Seen) -> Result<(), StoreError> {
        for table in estimates::TABLES {
            let made = format!(
                "DELETE FROM {table} WHERE sweep_id IN (SELECT sweep_id FROM member WHERE trial = $1)"
            );
            self.mend(&made, args![seen.number]).await?;
        }
        Ok(())
    }

    /// A trial whose row had to be made anew, and that has everything, is complete.
    async fn complete(&mut self, seen: &mut Seen) -> Result<(), StoreError> {
        if seen.is_told && self.is_complete(seen).await? {
            let complete = "UPDATE trial SET state = 'complete' WHERE number = $1";
            self.mend(complete, args![seen.number]).await?;
            seen.state = TrialState::Complete;
        }
        Ok(())
    }

    fn again(&mut self, seen: &Seen, from_step: u64, to_step: u64) {
        let (trial, of_step) = (&seen.trial, seen.trial.step_tokens());
        let flops = |step: u64| trial.plan.train_flops(step * of_step) as f64;
        let tokens = to_step.saturating_sub(from_step) * of_step;
        if tokens > 0 {
            let train_flops = flops(to_step) - flops(from_step);
            self.report.again.push(Again {
                trial: seen.which.clone(),
                from_step,
                to_step,
                tokens,
                train_flops,
            });
        }
    }

    /// Forgets checkpoints that can't be used, or whose rows are not whole; gives the step of the
    /// newest that can be used, or 0, and whether a newer one is forgotten.
    async fn checkpoints(
        &mut self,
        seen: &Seen,
        first: Option<u64>,
    ) -> Result<(u64, bool), StoreError> {
        let (number, known) = (seen.number, self.known);
        let (mut usable, mut newest) = (0, 0);
        let all = "SELECT step, tokens, bytes FROM checkpoint WHERE trial = $1 ORDER BY step";
        for row in self.tx.rows(all, args![number]).await? {
            let step: i64 = row.get(0)?;
            newest = step as u64;
            if let Some(why) = self.unusable_checkpoint(seen, newest, &row.0[1]) {
                let (trial, bytes) = (seen.which.clone(), row.get(2).unwrap_or(0));
                self.found(Finding::Checkpoint { trial, step: newest, bytes, why });
                let unusable = "DELETE FROM checkpoint WHERE trial = $1 AND step = $2";
                self.mend(unusable, args![number, step]).await?;
            } else if first.is_none_or(|first| newest < first)
                && known.cleared.get(&number).is_none_or(|to| newest > *to)
            {
                usable = newest;
            }
        }
        let forgot = usable < newest;
        if forgot {
            // Older ones that were removed from disk are newest now.
            let newer = "DELETE FROM checkpoint WHERE trial = $1 AND step > $2";
            self.mend(newer, args![number, usable]).await?;
        }
        Ok((usable, forgot))
    }

    /// Why a checkpoint can't be used; none if it can.
    fn unusable_checkpoint(&self, seen: &Seen, step: u64, tokens: &Cell) -> Option<String> {
        let why = self.known.checkpoints.get(&(seen.number, step)).cloned();
        let is_right = step <= seen.trial.steps()
            && *tokens == Cell::Integer((step * seen.trial.step_tokens()) as i64);
        let odd = || "no checkpoint of this trial stands at such a step".to_owned();
        why.or_else(|| (!is_right).then(odd))
    }

    async fn snapshots(&mut self, seen: &Seen, first: Option<u64>) -> Result<(), StoreError> {
        let number = seen.number;
        let all = "SELECT step, CAST(train_flops AS DOUBLE PRECISION) FROM snapshot
                   WHERE trial = $1 ORDER BY step";
        for row in self.tx.rows(all, args![number]).await? {
            let step: i64 = row.get(0)?;
            let place = step as u64;
            let why = self.unusable_snapshot(seen, place, row.get(1).ok());
            let goes = why.is_some() || first.is_some_and(|first| place >= first);
            if let Some(why) = why {
                let trial = seen.which.clone();
                self.found(Finding::Snapshot { trial, step: place, why });
            }
            if goes {
                let unusable = "DELETE FROM snapshot WHERE trial = $1 AND step = $2";
                self.mend(unusable, args![number, step]).await?;
            }
        }
        Ok(())
    }

    /// Why a state that others begin from can't be used; none if it can.
    fn unusable_snapshot(&self, seen: &Seen, step: u64, flops: Option<f64>) -> Option<String> {
        let why = self.known.snapshots.get(&(seen.number, step)).cloned();
        let tokens = step.saturating_mul(seen.trial.step_tokens());
        let is_right = flops == Some(seen.trial.plan.train_flops(tokens) as f64);
        why.or_else(|| (!is_right).then(|| "its FLOPs are not those of its step".to_owned()))
    }
}
