//! What the database knows of a sweep that is planned.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{
    Sweep, Trial,
    sweep::{Choices, Member},
};
use outgrow_store::TrialProgress;

use crate::{
    error::Error,
    namesake,
    rounds::Rounds,
    workspace::{Workspace, runtime},
};

/// What the database knows; nothing where there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// FLOP/s of a trial, as measured by those that were trained.
    pub flops_per_second: Option<f64>,
    /// How far trials of the plan are trained, by their identity.
    pub trials: BTreeMap<String, TrialProgress>,
    /// Places of the sweep that have their trials.
    entered: BTreeSet<usize>,
    /// What seeds that only tune have chosen; empty until all of them have.
    choices: Choices,
}

impl Known {
    /// How far a trial is trained; none if the database has it not.
    pub fn progress(&self, trial: &Trial) -> Option<TrialProgress> {
        // An identity is a hash of the whole definition.
        if self.trials.is_empty() { None } else { self.trials.get(&trial.id()).copied() }
    }

    /// Whether seeds that only tune have chosen.
    pub fn has_chosen(&self) -> bool {
        !self.choices.is_empty()
    }

    /// Of all trials that a sweep may have, those that it has, and those that will follow.
    pub fn expected(&self, sweep: &Sweep, all: Vec<Member>) -> Vec<Member> {
        let expected = sweep.expected_places(&all, &self.choices, &self.entered);
        let places: BTreeSet<usize> = expected.union(&self.entered).copied().collect();
        all.into_iter().filter(|member| places.contains(&member.position)).collect()
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
            let rounds = Rounds { store: &store, id: &sweep.id(digest), sweep, members };
            Ok(Known {
                flops_per_second: store.flops_per_second().await?,
                trials: store.progress(&ids).await?,
                entered: store.entered(rounds.id).await?,
                choices: rounds.chosen().await?,
            })
        })
    }
}
