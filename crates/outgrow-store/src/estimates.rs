//! What a report estimates, for the views `frontier` and `gaps`.

use outgrow_core::rows::{Bounded, Estimates, FrontierRow, GapRow};
use outgrow_failpoint::Point;

use crate::{
    Store, StoreError,
    driver::{Arg, Tx, args},
    schema::{FRONTIER_ESTIMATE, GAP_ESTIMATE},
};

/// Tables of them.
pub(crate) const TABLES: [&str; 2] = [FRONTIER_ESTIMATE.name, GAP_ESTIMATE.name];

impl Store {
    /// From how many complete trials estimates of a sweep would be made now; none while some of its
    /// trials wait or run, none is complete, or they are made from so many already.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn estimates_due(&self, sweep: &str) -> Result<Option<u64>, StoreError> {
        let mut tx = self.read().await?;
        let count = "SELECT coalesce(sum(CASE WHEN state IN ('waiting', 'running') THEN 1 ELSE 0 \
                     END), 0), coalesce(sum(CASE WHEN state = 'complete' THEN 1 ELSE 0 END), 0)
                     FROM trial WHERE number IN (SELECT trial FROM member WHERE sweep_id = $1)";
        let row = tx.row(count, args![sweep]).await?.expect("a sum has a row");
        let (open, complete): (u64, u64) = (row.get(0)?, row.get(1)?);
        let is_due = open == 0 && complete > 0 && made_from(&mut tx, sweep).await? != complete;
        Ok(is_due.then_some(complete))
    }

    /// Puts estimates of a sweep, made from so many complete trials, in the place of earlier ones.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn record_estimates(
        &self,
        sweep: &str,
        trials: u64,
        estimates: &Estimates,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        // One after another, also on a server: rows of two would be mixed.
        let there = "SELECT 1 FROM sweep WHERE id = $1 /*pg: FOR UPDATE*/";
        let there = tx.row(there, args![sweep]).await?;
        remove(&mut tx, sweep).await?;
        if there.is_some() {
            let rows: Vec<_> =
                estimates.frontier.iter().map(|row| frontier_row(sweep, trials, row)).collect();
            FRONTIER_ESTIMATE.insert(&mut tx, &rows).await?;
            let rows: Vec<_> =
                estimates.gaps.iter().map(|row| gap_row(sweep, trials, row)).collect();
            GAP_ESTIMATE.insert(&mut tx, &rows).await?;
        }
        tx.commit(Point::CommitSweep).await
    }
}

/// From how many complete trials the estimates of a sweep were made; 0 without any.
pub(crate) async fn made_from(tx: &mut Tx, sweep: &str) -> Result<u64, StoreError> {
    let made = "SELECT coalesce(max(trials), 0) FROM (
                SELECT trials FROM frontier_estimate WHERE sweep_id = $1
                UNION ALL SELECT trials FROM gap_estimate WHERE sweep_id = $1) AS made";
    tx.value(made, args![sweep]).await
}

/// Removes those of a sweep.
pub(crate) async fn remove(tx: &mut Tx, sweep: &str) -> Result<(), StoreError> {
    for table in TABLES {
        tx.execute(&format!("DELETE FROM {table} WHERE sweep_id = $1"), args![sweep]).await?;
    }
    Ok(())
}

fn frontier_row(sweep: &str, trials: u64, row: &FrontierRow) -> Vec<Arg> {
    let start = args![sweep, row.budget, &row.unit, row.train_flops].to_vec();
    let rest = args![
        Arg::Real(row.law_minus_vertex.filter(|law| law.is_finite())),
        Arg::Integer(row.n.map(|n| n as i64)),
        Arg::Text(row.reason.clone()),
        trials
    ];
    [&start[..], &bounded(&row.n_star), &bounded(&row.val_loss), rest].concat()
}

fn gap_row(sweep: &str, trials: u64, row: &GapRow) -> Vec<Arg> {
    let start = args![sweep, row.budget, &row.strategy, &row.unit, row.train_flops].to_vec();
    let p = args![Arg::Real(row.p_holm.filter(|p| p.is_finite()))].to_vec();
    let rest = args![
        Arg::Text(row.censored.map(str::to_owned)),
        Arg::Integer(row.n.map(|n| n as i64)),
        Arg::Text(row.reason.clone()),
        trials
    ];
    [&start[..], &bounded(&row.gap), &p, &bounded(&row.multiplier), rest].concat()
}

/// A number and its bounds; NULL is what is not finite.
fn bounded(of: &Bounded) -> [Arg; 3] {
    [of.value, of.low, of.high].map(|value| Arg::Real(value.filter(|value| value.is_finite())))
}
