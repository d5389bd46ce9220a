//! The rounds of a sweep in the database: what follows when what it has is trained.

use std::{collections::BTreeSet, panic::resume_unwind};

use outgrow_core::{
    Sweep,
    sweep::{Choices, Member},
};
use outgrow_store::{Store, StoreError, SweepSummary};
use tokio::task::spawn_blocking;

use crate::report::input;

/// A sweep that is in the database, and all trials that it may have.
pub(crate) struct Rounds<'a> {
    pub store: &'a Store,
    /// Its identity.
    pub id: &'a str,
    pub sweep: &'a Sweep,
    pub members: &'a [Member],
}

impl Rounds<'_> {
    /// The trials that it has, and those that it begins with.
    pub async fn begun(&self) -> Result<Vec<Member>, StoreError> {
        let mut places = self.sweep.first_round(self.members);
        places.extend(self.store.entered(self.id).await?);
        Ok(self.at(&places))
    }

    /// Enters the trials that follow now; nothing while some that tune are left to train.
    pub async fn advance(&self) -> Result<(), StoreError> {
        while self.sweep.has_rounds() && !self.store.is_tuning(self.id).await? {
            let there = self.store.entered(self.id).await?;
            let summary = self.store.find_sweep(self.id).await?;
            let text = summary.text_tokens.unwrap_or(u64::MAX);
            let choices = self.choices(summary).await?;
            let next = self.sweep.next_round(self.members, &there, &choices, text);
            if next.is_empty() {
                return Ok(());
            }
            let all = self.at(&there.union(&next).copied().collect());
            if self.store.insert_round(self.id, &there, &all).await? {
                tracing::info!("{}", self.tell(&next));
            }
        }
        Ok(())
    }

    /// What the seeds that tune have chosen; nothing before all of them have.
    pub async fn chosen(&self) -> Result<Choices, StoreError> {
        let has_begun = !self.store.entered(self.id).await?.is_empty();
        if !has_begun || !self.sweep.has_rounds() || self.store.is_tuning(self.id).await? {
            return Ok(Choices::default());
        }
        self.choices(self.store.find_sweep(self.id).await?).await
    }

    async fn choices(&self, summary: SweepSummary) -> Result<Choices, StoreError> {
        let input = input(self.store, summary).await?;
        let choices = spawn_blocking(move || outgrow_report::choices(&input)).await;
        Ok(choices.unwrap_or_else(|error| resume_unwind(error.into_panic())))
    }

    fn at(&self, places: &BTreeSet<usize>) -> Vec<Member> {
        let own = self.members.iter().filter(|member| places.contains(&member.position));
        own.cloned().collect()
    }

    fn tell(&self, next: &BTreeSet<usize>) -> String {
        let next = self.at(next);
        let name = &self.sweep.spec().name;
        match next.iter().all(|member| member.tuning) {
            true => {
                let arms: BTreeSet<&str> = next.iter().map(|one| one.strategy.as_str()).collect();
                let arms = arms.into_iter().collect::<Vec<_>>().join(", ");
                format!(
                    "{name}: the best of {arms} is at the rim of what was tried: {} trials beyond \
                     it follow",
                    next.len()
                )
            }
            false => format!(
                "{name}: the seeds that tune have chosen; {} trials of the others follow, at what \
                 they chose",
                next.len()
            ),
        }
    }
}
