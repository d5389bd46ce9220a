//! The rounds of a sweep: which trials it has, and whether others may follow.

use std::collections::BTreeSet;

use outgrow_core::{Sweep, sweep::Member};

use crate::{
    Store, StoreError,
    driver::{Arg, Row, Tx, args},
};

/// What a round is, beside trials that only tune.
#[derive(Clone, Copy, Debug, Default)]
pub struct Round<'a> {
    /// Strategies that are searched.
    pub searched: &'a [String],
    /// So many of their trials may be open when the next follow.
    pub under_way: usize,
}

impl<'a> Round<'a> {
    /// Of a sweep.
    pub fn of(sweep: &'a Sweep) -> Self {
        let search = sweep.spec().search.as_ref();
        search.map_or_else(Self::default, |search| Round {
            searched: search.strategy.all(),
            under_way: search.under_way(),
        })
    }

    /// Whether a trial may begin as another one does, and wait for it. Where the next are asked for so
    /// that no worker waits, it may not.
    pub(crate) fn shares(&self, member: &Member) -> bool {
        self.under_way == 0 || !self.searched.contains(&member.strategy)
    }
}

/// When a trial was trained, Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainedAt {
    /// The place of the trial in the sweep.
    pub position: usize,
    /// When a worker took it first; none before.
    pub began: Option<f64>,
    /// When a worker left it last; none before.
    pub ended: Option<f64>,
}

impl Store {
    /// The places of a sweep that have their trials; none if there is no such sweep.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn entered(&self, sweep: &str) -> Result<BTreeSet<usize>, StoreError> {
        entered(&mut self.read().await?, sweep).await
    }

    /// Whether the next round must wait: for trials that only tune, or for more of those that are
    /// searched than may be under way.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn is_in_a_round(&self, sweep: &str, round: Round<'_>) -> Result<bool, StoreError> {
        is_in_a_round(&mut self.read().await?, sweep, round).await
    }

    /// The trials of the searched strategies, in the order in which they came into the database.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn searched(
        &self,
        sweep: &str,
        round: Round<'_>,
    ) -> Result<Vec<TrainedAt>, StoreError> {
        let sql = format!(
            "SELECT m.position,
                    (SELECT min(started_at) FROM attempt WHERE trial = m.trial),
                    (SELECT max(ended_at) FROM attempt WHERE trial = m.trial)
             FROM member m WHERE m.sweep_id = $1 AND {} ORDER BY m.trial",
            is_searched(round)
        );
        let read = |row: Row| {
            Ok(TrainedAt { position: row.get(0)?, began: row.get(1)?, ended: row.get(2)? })
        };
        self.read().await?.map(&sql, &of_round(sweep, round), read).await
    }
}

pub(crate) async fn is_in_a_round(
    tx: &mut Tx,
    sweep: &str,
    round: Round<'_>,
) -> Result<bool, StoreError> {
    let searched = is_searched(round);
    let open = |which: &str| {
        format!(
            "SELECT count(*) FROM member m JOIN trial t ON t.number = m.trial
             WHERE m.sweep_id = $1 AND {which} AND t.state IN ('waiting', 'running')"
        )
    };
    let tune: i64 = tx.value(&open("m.tuning = 1"), args![sweep]).await?;
    let under_way: i64 = tx.value(&open(&searched), &of_round(sweep, round)).await?;
    Ok(tune > 0 || under_way > round.under_way as i64)
}

/// In SQL, after [`of_round`].
fn is_searched(round: Round<'_>) -> String {
    let names: Vec<String> = (0..round.searched.len()).map(|n| format!("${}", n + 2)).collect();
    match names.is_empty() {
        true => "1 = 0".into(),
        false => format!("m.tuning = 0 AND m.strategy IN ({})", names.join(", ")),
    }
}

fn of_round(sweep: &str, round: Round<'_>) -> Vec<Arg> {
    std::iter::once(sweep.into()).chain(round.searched.iter().map(Arg::from)).collect()
}

pub(crate) async fn entered(tx: &mut Tx, sweep: &str) -> Result<BTreeSet<usize>, StoreError> {
    let places = "SELECT position FROM member WHERE sweep_id = $1";
    let places: Vec<usize> = tx.column(places, args![sweep]).await?;
    Ok(places.into_iter().collect())
}
