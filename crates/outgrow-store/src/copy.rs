//! Sweeps from one database to another, whatever kind they are of.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_failpoint::Point;

use crate::{
    Store, StoreError,
    driver::{Arg, Cell, Row, Tx, args},
    estimates::{made_from, remove},
    insert::numbers,
    schema::{
        ATTEMPT, CHECKPOINT, ENVIRONMENT, EVAL_METRIC, FRONTIER_ESTIMATE, GAP_ESTIMATE,
        GROWTH_EVENT, MEMBER, SHARED_PREFIX, SNAPSHOT, STEP_METRIC, SWEEP, TRIAL, Table,
    },
};

/// What copying changed in the database that was copied to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Sweeps that were not there before.
    pub sweeps: u64,
    /// Trials that were not there before.
    pub new: u64,
    /// Trials that were there and are further now.
    pub updated: u64,
    /// Trials that were there as they are, or further.
    pub kept: u64,
    /// Evaluations, steps and growth events that were written.
    pub rows: u64,
}

/// Tables of what a trial left, whose rows name the trial and, in the end, its attempt.
static LEFT: [&Table; 4] = [&STEP_METRIC, &EVAL_METRIC, &GROWTH_EVENT, &CHECKPOINT];

impl Store {
    /// Copies a sweep, or all, with everything that was recorded of it; all or nothing. A trial
    /// that both know is brought to where it has come further. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a trial was trained in both, each without the other; otherwise
    /// if one can't be read or the other not written.
    pub async fn copy_to(&self, other: &Store, sweep: Option<&str>) -> Result<Copied, StoreError> {
        let mut copy =
            Copy { from: self.read().await?, to: other.write().await?, copied: Copied::default() };
        let ids: Vec<String> = match sweep {
            Some(id) => vec![id.to_owned()],
            None => copy.from.column("SELECT id FROM sweep ORDER BY created_at, id", &[]).await?,
        };
        for id in ids {
            copy.sweep(&id).await?;
        }
        copy.to.commit(Point::CommitCopy).await?;
        Ok(copy.copied)
    }
}

struct Copy {
    from: Tx,
    to: Tx,
    copied: Copied,
}

impl Copy {
    async fn sweep(&mut self, id: &str) -> Result<(), StoreError> {
        let rows = select(&mut self.from, &SWEEP, "id = $1", args![id]).await?;
        self.copied.sweeps += SWEEP.insert(&mut self.to, &rows).await?;
        let members = "number IN (SELECT trial FROM member WHERE sweep_id = $1) ORDER BY number";
        let sql = format!("SELECT number, {} FROM trial WHERE {members}", TRIAL.column_names());
        let trials = self.from.rows(&sql, args![id]).await?;
        let there: BTreeSet<String> = numbers(&mut self.to).await?.into_keys().collect();
        let rows = trials
            .iter()
            .map(|Row(cells)| TRIAL.args(&cells[1..]))
            .collect::<Result<Vec<_>, _>>()?;
        TRIAL.insert(&mut self.to, &rows).await?;
        let numbers = numbers(&mut self.to).await?;
        let mut renumbered = BTreeMap::new();
        for row in &trials {
            let (number, trial): (i64, String) = (row.get(0)?, row.get(1)?);
            renumbered.insert(number, numbers[&trial]);
            self.trial(row, &trial, numbers[&trial], there.contains(&trial)).await?;
        }
        let owned = args![id];
        for (table, places) in [(&MEMBER, &[2][..]), (&SHARED_PREFIX, &[1, 2])] {
            let mut rows = select(&mut self.from, table, "sweep_id = $1", owned).await?;
            rows.iter_mut().for_each(|row| {
                places.iter().for_each(|&place| renumber(&mut row[place], &renumbered))
            });
            table.insert(&mut self.to, &rows).await?;
        }
        self.estimates(id).await
    }

    /// Copies estimates that are made from more trials than those that are there.
    async fn estimates(&mut self, id: &str) -> Result<(), StoreError> {
        if made_from(&mut self.from, id).await? <= made_from(&mut self.to, id).await? {
            return Ok(());
        }
        remove(&mut self.to, id).await?;
        for table in [&FRONTIER_ESTIMATE, &GAP_ESTIMATE] {
            let rows = select(&mut self.from, table, "sweep_id = $1", args![id]).await?;
            table.insert(&mut self.to, &rows).await?;
        }
        Ok(())
    }

    /// Copies what a trial left, if that is more than what is there.
    async fn trial(
        &mut self,
        row: &Row,
        id: &str,
        to: i64,
        was_there: bool,
    ) -> Result<(), StoreError> {
        let from: i64 = row.get(0)?;
        let theirs = attempts(&mut self.from, from).await?;
        let ours = attempts(&mut self.to, to).await?;
        let only = |of: &Attempts, not_of: &Attempts| {
            of.keys().filter(|key| !not_of.contains_key(*key)).count()
        };
        let (theirs_only, ours_only) = (only(&theirs, &ours), only(&ours, &theirs));
        if theirs_only > 0 && ours_only > 0 {
            return Err(StoreError::Conflict {
                trial: id.into(),
                theirs: theirs_only,
                ours: ours_only,
            });
        }
        // The same attempts: the one that has come further with the last of them.
        let further = theirs_only > 0
            || (ours_only == 0 && theirs.values().sum::<i64>() > ours.values().sum::<i64>());
        match (was_there, further) {
            (false, _) => self.copied.new += 1,
            (true, true) => self.copied.updated += 1,
            (true, false) => {
                self.copied.kept += 1;
                return Ok(());
            }
        }
        TRIAL.replace(&mut self.to, &[TRIAL.args(&row.0[1..])?]).await?;
        self.attempts(from, to).await?;
        let attempts = renumbered(&mut self.from, from, &mut self.to, to).await?;
        for table in LEFT {
            let mut rows = select(&mut self.from, table, "trial = $1", args![from]).await?;
            for row in &mut rows {
                row[0] = to.into();
                let last = row.len() - 1;
                renumber(&mut row[last], &attempts);
            }
            self.copied.rows += table.replace(&mut self.to, &rows).await?;
        }
        let mut rows = select(&mut self.from, &SNAPSHOT, "trial = $1", args![from]).await?;
        rows.iter_mut().for_each(|row| row[0] = to.into());
        SNAPSHOT.replace(&mut self.to, &rows).await?;
        Ok(())
    }

    /// Copies the attempts at a trial, with the places they ran at.
    async fn attempts(&mut self, from: i64, to: i64) -> Result<(), StoreError> {
        let places = "id IN (SELECT environment FROM attempt WHERE trial = $1)";
        let rows = select(&mut self.from, &ENVIRONMENT, places, args![from]).await?;
        ENVIRONMENT.insert(&mut self.to, &rows).await?;
        let mut rows = select(&mut self.from, &ATTEMPT, "trial = $1", args![from]).await?;
        let environment = "SELECT id, host, device, threads, versions FROM environment";
        let places = |rows: Vec<Row>| -> Result<BTreeMap<String, i64>, StoreError> {
            rows.into_iter().map(|row| Ok((format!("{:?}", &row.0[1..]), row.get(0)?))).collect()
        };
        let (theirs, ours) = (
            places(self.from.rows(environment, &[]).await?)?,
            places(self.to.rows(environment, &[]).await?)?,
        );
        let places =
            theirs.iter().filter_map(|(place, id)| Some((*id, *ours.get(place)?))).collect();
        for row in &mut rows {
            row[0] = to.into();
            renumber(&mut row[2], &places);
        }
        ATTEMPT.replace(&mut self.to, &rows).await?;
        Ok(())
    }
}

/// Rows of a table, to be written again.
async fn select(
    tx: &mut Tx,
    table: &Table,
    condition: &str,
    args: &[Arg],
) -> Result<Vec<Vec<Arg>>, StoreError> {
    let sql = format!("SELECT {} FROM {} WHERE {condition}", table.column_names(), table.name);
    tx.map(&sql, args, |row| table.args(&row.0)).await
}

/// Attempts by what tells them apart anywhere, each with the batches that it has written.
type Attempts = BTreeMap<(i64, String), i64>;

async fn attempts(tx: &mut Tx, trial: i64) -> Result<Attempts, StoreError> {
    let all = "SELECT epoch, process, batch, outcome FROM attempt WHERE trial = $1";
    // One that has ended is further than one that has not.
    let read = |row: Row| {
        let batches = row.get::<i64>(2)?.saturating_add(i64::from(row.0[3] != Cell::Null));
        Ok(((row.get(0)?, row.get(1)?), batches))
    };
    Ok(tx.map(all, args![trial], read).await?.into_iter().collect())
}

/// From the numbers of a trial's attempts in one database to those in the other.
async fn renumbered(
    from: &mut Tx,
    their_trial: i64,
    to: &mut Tx,
    our_trial: i64,
) -> Result<BTreeMap<i64, i64>, StoreError> {
    let all = "SELECT epoch, id FROM attempt WHERE trial = $1";
    let read = |row: Row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?));
    let theirs = from.map(all, args![their_trial], read).await?;
    let ours: BTreeMap<i64, i64> = to.map(all, args![our_trial], read).await?.into_iter().collect();
    Ok(theirs.into_iter().filter_map(|(epoch, id)| Some((id, *ours.get(&epoch)?))).collect())
}

fn renumber(arg: &mut Arg, numbers: &BTreeMap<i64, i64>) {
    if let Arg::Integer(Some(number)) = arg
        && let Some(new) = numbers.get(number)
    {
        *number = *new;
    }
}
