//! The folders that a database names.

use crate::{Store, StoreError, driver::Row};

/// A folder that is recorded: a checkpoint, or a state that other trials begin from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RecordedFolder {
    pub number: i64,
    pub trial: String,
    /// Optimizer steps of it.
    pub step: u64,
    /// The folder, where it was written.
    pub path: String,
    /// Digest of its head; unknown of states that an older version wrote.
    pub digest: Option<String>,
    /// Whether it is a state that other trials begin from.
    pub snapshot: bool,
}

impl Store {
    /// Calls `each` with every folder that is recorded: of each trial the checkpoints, the newest
    /// first, then the states that others begin from.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn recorded_folders(
        &self,
        each: &mut (dyn FnMut(RecordedFolder) + Send),
    ) -> Result<(), StoreError> {
        let all =
            "SELECT c.trial, t.id, c.step, c.path, c.digest, 0 FROM checkpoint c LEFT JOIN trial \
             t ON t.number = c.trial
                   UNION ALL
                   SELECT s.trial, t.id, s.step, s.path, s.digest, 1 FROM snapshot s LEFT JOIN \
                   trial t ON t.number = s.trial
                   ORDER BY 1, 6, 3 DESC";
        let read = |row: Row| {
            let (number, step, snapshot): (i64, u64, bool) =
                (row.get(0)?, row.get(2).unwrap_or(u64::MAX), row.get(5)?);
            let path: String = row.get(3).unwrap_or_default();
            // A trial that is lost is told by its folder.
            let trial = row.get(1).ok().or_else(|| trial_of(&path)).unwrap_or_default();
            // Every checkpoint has a digest; what is none of ours compares with nothing.
            let digest = row.get::<String>(4).ok().or((!snapshot).then(String::new));
            each(RecordedFolder { number, trial, step, path, digest, snapshot });
            Ok(())
        };
        self.read().await?.map(all, &[], read).await.map(drop)
    }
}

/// The identity of the trial whose checkpoint lies in a folder, or whose state others begin from.
fn trial_of(path: &str) -> Option<String> {
    let mut names = path.rsplit('/');
    let name = names.next()?;
    let trial = name.split_once("-at-").map(|(trial, _)| trial).or_else(|| names.next())?;
    Some(trial.to_owned())
}
