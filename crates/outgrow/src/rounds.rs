//! The rounds of a sweep in the database: what follows when what it has is trained.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::resume_unwind,
};

use outgrow_core::{
    Sweep, TrialState,
    rows::TrialRow,
    sweep::{Choices, LOOK, Looked, Member},
};
use outgrow_report::Input;
use outgrow_store::{Round, Store, StoreError, TextRecord};
use tokio::task::spawn_blocking;

use crate::{rows::input, search::Search};

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
    async fn begun(&self) -> Result<Vec<Member>, StoreError> {
        let mut places = self.sweep.first_round(self.members);
        places.extend(self.store.entered(self.id).await?);
        Ok(self.at(&places))
    }

    /// Puts the sweep and the trials that it has now into the database.
    pub async fn enter(
        &self,
        text: TextRecord<'_>,
        no_shared_prefix: bool,
        retry_failed: bool,
    ) -> Result<(), StoreError> {
        let begun = self.begun().await?;
        self.store.insert_sweep(self.sweep, text, &begun, no_shared_prefix).await?;
        if retry_failed {
            self.store.retry_failed(self.id).await?;
        }
        self.advance().await
    }

    /// Enters the trials that follow now; nothing while some of the round before are left to train.
    pub async fn advance(&self) -> Result<(), StoreError> {
        let round = Round::of(self.sweep);
        while self.sweep.has_rounds() && !self.store.is_in_a_round(self.id, round).await? {
            let there = self.store.entered(self.id).await?;
            let next = self.next(&there).await?;
            if next.is_empty() {
                return Ok(());
            }
            let all = self.at(&there.union(&next).copied().collect());
            if self.store.insert_round(self.id, round, &there, &all).await? {
                tracing::info!("{}", self.tell(&next));
            }
        }
        Ok(())
    }

    async fn next(&self, there: &BTreeSet<usize>) -> Result<BTreeSet<usize>, StoreError> {
        let summary = self.store.find_sweep(self.id).await?;
        let text = summary.text_tokens.unwrap_or(u64::MAX);
        let input = input(self.store, summary).await?;
        // Where trials follow batch by batch, what came of them says all.
        let by_time = self.sweep.spec().search.as_ref().is_some_and(|search| search.asynchronous);
        let trained = match by_time {
            true => self.store.searched(self.id, Round::of(self.sweep)).await?,
            false => vec![],
        };
        let (sweep, members) = (self.sweep.clone(), self.members.to_vec());
        let there = there.clone();
        aside(move || {
            let choices = match sweep.spec().tuning_replicates {
                0 => Choices::default(),
                _ => outgrow_report::choices(&input),
            };
            let looked = looked(&input);
            let mut next = sweep.next_round(&members, &there, &choices, &looked, text);
            if let Some(search) = Search::of(&sweep) {
                next.extend(search.next_round(&members, &there, &input, &trained));
            }
            next
        })
        .await
    }

    /// What the seeds that tune have chosen; nothing before all of them have.
    pub async fn chosen(&self) -> Result<Choices, StoreError> {
        let has_begun = !self.store.entered(self.id).await?.is_empty();
        let tunes = self.sweep.spec().tuning_replicates > 0;
        if !has_begun || !tunes || self.store.is_in_a_round(self.id, Round::default()).await? {
            return Ok(Choices::default());
        }
        let input = input(self.store, self.store.find_sweep(self.id).await?).await?;
        aside(move || outgrow_report::choices(&input)).await
    }

    fn at(&self, places: &BTreeSet<usize>) -> Vec<Member> {
        let own = self.members.iter().filter(|member| places.contains(&member.position));
        own.cloned().collect()
    }

    fn tell(&self, next: &BTreeSet<usize>) -> String {
        let name = &self.sweep.spec().name;
        let is_named = |member: &Member| member.round() > 0 || self.sweep.search().is_some();
        let (named, others): (Vec<Member>, Vec<Member>) =
            self.at(next).into_iter().partition(is_named);
        let several = self.sweep.has_several_rates();
        let named: Vec<String> = named.iter().map(|member| member.label(several)).collect();
        let named =
            (!named.is_empty()).then(|| format!("the next to train are {}", named.join(", ")));
        let arms: BTreeSet<&str> = others.iter().map(|one| one.strategy.as_str()).collect();
        let (arms, n) = (arms.into_iter().collect::<Vec<_>>().join(", "), others.len());
        let others = match others.iter().all(|member| member.tuning) {
            _ if n == 0 => None,
            true => Some(format!(
                "the best of {arms} is at the rim of what was tried: {n} trials beyond it follow"
            )),
            false => Some(format!(
                "the seeds that tune have chosen; {n} trials of the others follow, at what they chose"
            )),
        };
        let all: Vec<String> = others.into_iter().chain(named).collect();
        format!("{name}: {}", all.join("; "))
    }
}

/// How looks ended. One that failed may be trained again: until it is, nothing is known of it.
fn looked(input: &Input) -> Looked {
    let losses: BTreeMap<&str, f64> =
        input.curves.iter().filter_map(|row| Some((&*row.trial, row.val_loss?))).collect();
    let one = |trial: &TrialRow| match trial.state {
        TrialState::Complete => losses.get(&*trial.trial).copied(),
        TrialState::Diverged => Some(f64::INFINITY),
        _ => None,
    };
    let looks = input.trials.iter().filter(|trial| trial.kind == LOOK);
    looks.filter_map(|look| Some((look.trial.clone(), one(look)?))).collect()
}

/// Computes on a thread of its own; a panic there is one here.
async fn aside<T: Send + 'static>(
    compute: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let computed = spawn_blocking(compute).await;
    Ok(computed.unwrap_or_else(|error| resume_unwind(error.into_panic())))
}
