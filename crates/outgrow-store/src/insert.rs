//! Sweeps and their trials, entered.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{
    Epoch, Sweep, Trial, TrialState,
    model::n_parameters,
    rows::Evaluated,
    sweep::{Member, in_order},
};
use outgrow_failpoint::Point;

use crate::{
    Store, StoreError,
    driver::{Arg, Tx, args},
    open::now,
    prefix::insert_shared_prefixes,
    round::{Round, entered, is_in_a_round},
    schema::{MEMBER, SWEEP, TRIAL},
};

/// What inserting a sweep changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Inserted {
    pub sweep: String,
    /// Trials of the sweep.
    pub trials: usize,
    /// Those that were not in the database before.
    pub new: usize,
}

/// The text of a sweep, as it is recorded.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct TextRecord<'a> {
    pub digest: &'a str,
    /// What an evaluation predicts, where it is known.
    pub evaluated: Option<Evaluated>,
    /// Digest of the tokenizer, if there is one.
    pub tokenizer: Option<&'a str>,
    /// Tokens of training text, where they are known.
    pub text_tokens: Option<u64>,
}

impl<'a> From<&'a str> for TextRecord<'a> {
    fn from(digest: &'a str) -> Self {
        Self { digest, evaluated: None, tokenizer: None, text_tokens: None }
    }
}

impl Store {
    /// Inserts a sweep and those of its trials that are given; what is there already stays as it is,
    /// so doing it twice changes nothing. Unless `no_shared_prefix`, trials that share a prefix are
    /// recorded, and workers train each prefix once.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn insert_sweep(
        &self,
        sweep: &Sweep,
        text: impl Into<TextRecord<'_>>,
        members: &[Member],
        no_shared_prefix: bool,
    ) -> Result<Inserted, StoreError> {
        let TextRecord { digest, evaluated, tokenizer, text_tokens } = text.into();
        let id = sweep.id(digest);
        let order = in_order(members);
        let mut tx = self.write().await?;
        let words = serde_json::to_string(&sweep.spec().words()).expect("words are plain data");
        let count = |of: fn(Evaluated) -> u64| evaluated.map(|text| of(text) as i64);
        let text = args![
            digest,
            now(),
            Arg::Integer(count(|text| text.tokens)),
            Arg::Integer(count(|text| text.bytes)),
            Arg::Text(tokenizer.map(str::to_owned)),
            Arg::Integer(text_tokens.and_then(|tokens| i64::try_from(tokens).ok())),
            &words
        ];
        let row = [&args![&id, &sweep.spec().name, sweep.resolved()][..], text].concat();
        SWEEP.insert(&mut tx, &[row]).await?;
        // They may change under one identity; the last file that was run is right.
        tx.execute("UPDATE sweep SET words = $1 WHERE id = $2", args![&words, &id]).await?;
        let new = insert_members(&mut tx, &id, &order, no_shared_prefix, Round::of(sweep)).await?;
        tx.commit(Point::CommitSweep).await?;
        Ok(Inserted { sweep: id, trials: members.len(), new })
    }

    /// Inserts trials that follow those which a sweep has, at the places `there`; `members` are both.
    /// Where none of them shared a prefix, because none could or none should, none does. Does nothing
    /// and says so where the sweep has others by now, or trials of the round before are open again
    /// (see [`Self::is_in_a_round`]): several workers may come to the end of a round at once, and
    /// what follows must be looked up again.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn insert_round(
        &self,
        sweep: &str,
        round: Round<'_>,
        there: &BTreeSet<usize>,
        members: &[Member],
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let lock =
            "SELECT count(*) FROM (SELECT id FROM sweep WHERE id = $1 /*pg: FOR UPDATE*/) own";
        tx.value::<i64>(lock, args![sweep]).await?;
        if is_in_a_round(&mut tx, sweep, round).await? || entered(&mut tx, sweep).await? != *there {
            return Ok(false);
        }
        let shared = "SELECT count(*) FROM shared_prefix WHERE sweep_id = $1";
        let none = tx.value::<i64>(shared, args![sweep]).await? == 0;
        insert_members(&mut tx, sweep, &in_order(members), none, round).await?;
        tx.commit(Point::CommitSweep).await?;
        Ok(true)
    }
}

/// Inserts trials in their order, and anew which of them share a prefix; says how many of them were
/// not in the database.
pub(crate) async fn insert_members(
    tx: &mut Tx,
    sweep: &str,
    order: &[&Member],
    no_shared_prefix: bool,
    round: Round<'_>,
) -> Result<usize, StoreError> {
    let rows: Vec<_> = order.iter().map(|member| new_trial(&member.trial)).collect();
    let new = TRIAL.insert(tx, &rows).await? as usize;
    let numbers = numbers(tx).await?;
    let row = |member: &&Member| member_row(sweep, member, numbers[&member.trial.id()]);
    MEMBER.insert(tx, &order.iter().map(row).collect::<Vec<_>>()).await?;
    if entered(tx, sweep).await?.len() > order.len() {
        // Others have followed since these were looked up, with their prefixes.
        return Ok(new);
    }
    tx.execute("DELETE FROM shared_prefix WHERE sweep_id = $1", args![sweep]).await?;
    if !no_shared_prefix {
        let share = order.iter().filter(|member| round.shares(member));
        let trials: Vec<&Trial> = share.map(|member| &member.trial).collect();
        insert_shared_prefixes(tx, sweep, &trials, &numbers).await?;
    }
    Ok(new)
}

/// A trial as it is before its first attempt.
pub(crate) fn new_trial(trial: &Trial) -> Vec<Arg> {
    let definition = serde_json::to_string(trial).expect("a trial is plain data");
    args![
        trial.id(),
        definition,
        trial.settings.tokens,
        trial.plan.train_flops(trial.settings.tokens),
        n_parameters(trial.plan.target()),
        trial.settings.training.learning_rate,
        TrialState::Waiting,
        Epoch::default(),
        0_i64,
        Arg::Text(None),
        1_i64,
        Arg::Real(None),
    ]
    .to_vec()
}

/// A place of a sweep, and the number of the trial that stands there.
pub(crate) fn member_row(sweep: &str, member: &Member, number: i64) -> Vec<Arg> {
    let Member {
        trial, strategy, kind, plan, replicate, tuning, setting, budget, position, ..
    } = member;
    let rate = trial.settings.training.learning_rate;
    args![
        sweep,
        *position,
        number,
        strategy,
        *kind,
        *plan,
        *replicate,
        rate,
        setting,
        Arg::Real(*budget),
        *tuning
    ]
    .to_vec()
}

/// The numbers of all trials, by their identity.
pub(crate) async fn numbers(tx: &mut Tx) -> Result<BTreeMap<String, i64>, StoreError> {
    let all =
        tx.map("SELECT id, number FROM trial", &[], |row| Ok((row.get(0)?, row.get(1)?))).await?;
    Ok(all.into_iter().collect())
}
