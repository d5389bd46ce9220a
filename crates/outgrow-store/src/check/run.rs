//! The walk over all of a database.

use outgrow_core::{Epoch, TrialState};
use outgrow_failpoint::Point;

use super::{
    finding::Finding,
    known::{Known, Tell},
    report::Report,
    walk::{Told, Walk},
};
use crate::{
    Store, StoreError,
    driver::Tx,
    lease::{Held, all_held},
};

impl Store {
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

impl Walk<'_> {
    async fn all(mut self) -> Result<(Report, Tx), StoreError> {
        // First, so that it belongs to the state of the database that is looked at.
        self.schema().await?;
        self.hold().await?;
        self.sweeps().await?;
        self.trials().await?;
        // What the table will have once it is mended.
        let told = std::mem::take(&mut self.told);
        self.again = told.keys().copied().collect();
        for (number, Told { trial, .. }) in told {
            let seen = self
                .seen(number, trial.id(), trial, TrialState::Waiting, Epoch::default(), true)
                .await?;
            self.examine(seen).await?;
        }
        self.remove_lost().await?;
        self.dangling().await?;
        self.report.findings.sort_by_key(|finding| {
            !matches!(finding, Finding::Damage { .. } | Finding::Unreadable { .. })
        });
        Ok((self.report, self.tx))
    }

    /// Notes the trials that somebody is at.
    async fn hold(&mut self) -> Result<(), StoreError> {
        let held = all_held(&mut self.tx).await?.into_iter();
        let live: Vec<Held> = held.filter(|held| !(self.known.is_dead)(&held.holder)).collect();
        self.live = live.iter().map(|held| held.trial).collect();
        self.report.live = live.into_iter().map(|held| held.holder).collect();
        Ok(())
    }
}
