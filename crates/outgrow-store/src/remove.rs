//! A sweep is removed: first from the order of the workers, then trial by trial, then its row.
//! Whatever ends that half-way, the sweep's row is there and the same call goes on.

use outgrow_failpoint::Point;

use crate::{
    Store, StoreError,
    claim::Holder,
    driver::{Row, Tx, args},
    estimates,
};

/// A trial that would go with its sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Going {
    /// Identity by content.
    pub id: String,
    /// `random/3#1`: strategy, plan and replicate.
    pub label: String,
    /// Who trains it, as the database says.
    pub holder: Option<Holder>,
}

/// Trials whose places are all in one sweep.
const ONLY_HERE: &str = "t.number IN (SELECT trial FROM member WHERE sweep_id = $1)
    AND NOT EXISTS (SELECT 1 FROM member o WHERE o.trial = t.number AND o.sweep_id <> $1)";

/// Trials that no sweep has: they were of a sweep whose removal did not come to its end.
const LOOSE: &str = "NOT EXISTS (SELECT 1 FROM member m WHERE m.trial = t.number)";

/// Tables with rows of a trial; those before refer to those after.
const OF_TRIAL: [&str; 7] =
    ["step_metric", "eval_metric", "growth_event", "checkpoint", "snapshot", "attempt", "trial"];

impl Store {
    /// The trials that go with a sweep, for no other has them, and how many of its trials others
    /// have.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn going(&self, sweep: &str) -> Result<(Vec<Going>, u64), StoreError> {
        let mut tx = self.read().await?;
        let going = going(&mut tx, sweep, "").await?;
        let all = "SELECT count(DISTINCT trial) FROM member WHERE sweep_id = $1";
        let all: u64 = tx.value(all, args![sweep]).await?;
        Ok((going.clone(), all - going.len() as u64))
    }

    /// The identities of the trials that no sweep has.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn loose_trials(&self) -> Result<Vec<String>, StoreError> {
        let loose = format!("SELECT t.id FROM trial t WHERE {LOOSE} ORDER BY 1");
        self.read().await?.column(&loose, &[]).await
    }

    /// Takes its trials from a sweep, so that no worker claims one for it any more; not if somebody
    /// who `is_at_work` trains one that would go: gives those then.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn detach(
        &self,
        sweep: &str,
        is_at_work: &(dyn Fn(&Holder) -> bool + Sync),
    ) -> Result<Vec<Going>, StoreError> {
        let mut tx = self.write().await?;
        let lock = format!("SELECT t.number FROM trial t WHERE {ONLY_HERE} /*pg: FOR UPDATE*/");
        tx.rows(&lock, args![sweep]).await?;
        let mut held = going(&mut tx, sweep, "AND t.state = 'running'").await?;
        held.retain(|trial| trial.holder.as_ref().is_some_and(is_at_work));
        if !held.is_empty() {
            return Ok(held);
        }
        tx.execute("DELETE FROM shared_prefix WHERE sweep_id = $1", args![sweep]).await?;
        tx.execute("DELETE FROM member WHERE sweep_id = $1", args![sweep]).await?;
        estimates::remove(&mut tx, sweep).await?;
        tx.commit(Point::CommitRemove).await?;
        Ok(vec![])
    }

    /// Removes some of the trials that no sweep has, with all their rows, after `files` has removed
    /// what lies beside the database; gives how many: 0 if none is left, or `files` could not.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn remove_some(
        &self,
        files: &mut (dyn FnMut(&str) -> bool + Send),
    ) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let some = format!(
            "SELECT t.number, t.id FROM trial t WHERE {LOOSE} ORDER BY 1 LIMIT {AT_ONCE} /*pg: \
             FOR UPDATE*/"
        );
        let read = |row: Row| Ok((row.get::<i64>(0)?, row.get::<String>(1)?));
        let some = tx.map(&some, &[], read).await?;
        // While these rows are held, nobody takes the trials into a sweep again.
        for (number, id) in &some {
            if !files(id) {
                return Ok(0);
            }
            let prefixes = "DELETE FROM shared_prefix WHERE trial = $1 OR parent = $1";
            tx.execute(prefixes, args![*number]).await?;
            for table in OF_TRIAL {
                let column = if table == "trial" { "number" } else { "trial" };
                let rows = format!("DELETE FROM {table} WHERE {column} = $1");
                tx.execute(&rows, args![*number]).await?;
            }
        }
        tx.commit(Point::CommitRemove).await?;
        Ok(some.len() as u64)
    }

    /// Removes the row of a sweep that has no trials any more, and what is known of machines that
    /// nothing was trained on.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn remove_row(&self, sweep: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        // A run that ended meanwhile may have written some.
        estimates::remove(&mut tx, sweep).await?;
        let row = "DELETE FROM sweep WHERE id = $1 AND NOT EXISTS
                   (SELECT 1 FROM member WHERE sweep_id = $1)";
        tx.execute(row, args![sweep]).await?;
        let unused = "DELETE FROM environment WHERE NOT EXISTS
                      (SELECT 1 FROM attempt a WHERE a.environment = environment.id)";
        tx.execute(unused, &[]).await?;
        tx.commit(Point::CommitRemove).await
    }
}

/// Trials of one transaction: others wait as long.
const AT_ONCE: usize = 100;

async fn going(tx: &mut Tx, sweep: &str, and: &str) -> Result<Vec<Going>, StoreError> {
    let going = format!(
        "SELECT t.id, min(m.strategy || '/' || m.plan || '#' || m.replicate),
         (SELECT a.process FROM attempt a WHERE a.trial = t.number AND a.epoch = t.epoch
          AND t.state = 'running')
         FROM trial t JOIN member m ON m.trial = t.number AND m.sweep_id = $1
         WHERE {ONLY_HERE} {and} GROUP BY t.number ORDER BY min(m.position)"
    );
    let read = |row: Row| {
        let process: Option<String> = row.get(2)?;
        let holder = process.and_then(|process| serde_json::from_str(&process).ok());
        Ok(Going { id: row.get(0)?, label: row.get(1)?, holder })
    };
    tx.map(&going, args![sweep], read).await
}
