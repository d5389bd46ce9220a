//! What the database knows of a sweep that is planned.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{Sweep, Trial, sweep::Member};
use outgrow_store::TrialProgress;

use crate::{
    error::Error,
    namesake,
    workspace::{Workspace, runtime},
};

/// What the database knows; nothing where there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// FLOP/s of a trial, as measured by those that were trained.
    pub flops_per_second: Option<f64>,
    /// How far trials of the plan are trained, by their identity.
    pub trials: BTreeMap<String, TrialProgress>,
}

impl Known {
    /// How far a trial is trained; none if the database has it not.
    pub fn progress(&self, trial: &Trial) -> Option<TrialProgress> {
        // An identity is a hash of the whole definition.
        if self.trials.is_empty() { None } else { self.trials.get(&trial.id()).copied() }
    }
}

impl Workspace {
    /// Looks up what a sweep's trials need not do again, and tells of other sweeps of its name.
    pub(super) fn known(
        &self,
        sweep: &Sweep,
        digest: &str,
        members: &[Member],
    ) -> Result<Known, Error> {
        runtime()?.block_on(async {
            // Without a database nothing is known yet.
            let Ok(store) = self.reading().await else { return Ok(Known::default()) };
            namesake::tell(&store, sweep, digest).await;
            let ids: BTreeSet<String> = members.iter().map(|member| member.trial.id()).collect();
            Ok(Known {
                flops_per_second: store.flops_per_second().await?,
                trials: store.progress(&ids).await?,
            })
        })
    }
}
