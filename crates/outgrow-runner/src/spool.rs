//! What the database could not take yet, on disk until it can: a file of numbered batches of events
//! for each attempt, each batch with its length and its digest, so that one that was half written
//! when a process died is seen to be none.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use outgrow_core::{Epoch, Event};
use outgrow_failpoint::Point;

/// The spool of an attempt, in the folder of its trial.
pub struct Spool {
    path: PathBuf,
    file: Option<File>,
}

/// What a spool holds.
pub struct Contents {
    /// The whole batches, in order.
    pub batches: Vec<Batch>,
    /// What is wrong with the rest of it, if there is one.
    pub damage: Option<String>,
}

/// Events with their number.
type Batch = (i64, Vec<Event>);

const PREFIX: &str = "spool-";
const DIGEST: usize = 8;

impl Spool {
    /// Of the attempt of this epoch; nothing is written yet.
    pub fn new(folder: &Path, epoch: Epoch) -> Self {
        Self { path: folder.join(format!("{PREFIX}{epoch}")), file: None }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a batch, safely on disk when this returns.
    pub fn add(&mut self, batch: i64, events: &[Event]) -> io::Result<()> {
        let mut body = vec![];
        ciborium::into_writer(&(batch, events), &mut body).map_err(io::Error::other)?;
        if self.file.is_none() {
            let folder = self.path.parent().expect("it lies in a folder");
            fs::create_dir_all(folder)?;
            let opened = Point::SpoolOpen
                .around(|| File::options().create(true).append(true).open(&self.path));
            self.file = Some(opened?);
            Point::SpoolFolderSync.around(|| File::open(folder)?.sync_all())?;
        }
        let file = self.file.as_mut().expect("it was opened");
        let length = (body.len() as u64).to_le_bytes();
        Point::SpoolWrite
            .around(|| file.write_all(&[&length[..], &digest(&body), &body].concat()))?;
        Point::SpoolSync.around(|| file.sync_data())
    }

    /// Everything is in the database.
    pub fn clear(&mut self) {
        if self.file.take().is_some() {
            // What is left is passed over by its numbers.
            let _ = Point::SpoolClear.around(|| fs::remove_file(&self.path));
        }
    }

    /// The batches of a spool, up to the first that is not whole.
    pub fn read(path: &Path) -> Contents {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return Contents { batches: vec![], damage: Some(error.to_string()) },
        };
        let (mut rest, mut batches) = (bytes.as_slice(), vec![]);
        while let Some((batch, after)) = next(rest) {
            batches.push(batch);
            rest = after;
        }
        let (left, whole) = (rest.len(), batches.len());
        let damage = (left > 0).then(|| {
            format!(
                "its last {left} bytes, after {whole} whole batches, are damaged or were never \
                 written to their end"
            )
        });
        Contents { batches, damage }
    }

    /// The spools that earlier attempts left in a trial's folder, the newest first.
    pub fn left(folder: &Path, before: Epoch) -> Vec<(Epoch, PathBuf)> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let epoch = |name: &str| name.strip_prefix(PREFIX)?.parse().ok().map(Epoch);
        let spools =
            entries.filter_map(|entry| Some((epoch(entry.file_name().to_str()?)?, entry.path())));
        let mut spools: Vec<_> = spools.filter(|(epoch, _)| *epoch < before).collect();
        spools.sort_by_key(|(epoch, _)| std::cmp::Reverse(*epoch));
        spools
    }
}

/// The first batch, and what follows it.
fn next(bytes: &[u8]) -> Option<(Batch, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (expected, rest) = rest.split_first_chunk::<DIGEST>()?;
    let (body, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    if digest(body) != *expected {
        return None;
    }
    Some((ciborium::from_reader(body).ok()?, rest))
}

fn digest(body: &[u8]) -> [u8; DIGEST] {
    *blake3::hash(body).as_bytes().first_chunk().expect("a digest is longer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use outgrow_core::event::{EvalEvent, Position, StepEvent};

    fn events(step: u64) -> Vec<Event> {
        let at =
            Position { step, tokens: step, train_flops: 10_u128.pow(25) + 1, wall_seconds: 0.1 };
        let (learning_rate, gradient_norm) = (1e-3, f64::INFINITY);
        let step = Event::Step(StepEvent { at, loss: f64::NAN, learning_rate, gradient_norm });
        vec![step, Event::Eval(EvalEvent { at, val_loss: 1.0 / 3.0, last: true })]
    }

    #[test]
    fn what_was_added_is_read_up_to_what_is_torn() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::new(&folder.path().join("trial"), Epoch(3));
        for batch in 1..=3 {
            spool.add(batch, &events(batch as u64)).expect("written");
        }
        let Contents { batches: whole, damage } = Spool::read(spool.path());
        assert_eq!(damage, None);
        assert_eq!(whole.iter().map(|(batch, _)| *batch).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(
            format!("{:?}", whole[1].1),
            format!("{:?}", events(2)),
            "infinity and what is no number, too"
        );
        let bytes = fs::read(spool.path()).expect("read");
        for cut in 0..bytes.len() {
            fs::write(spool.path(), &bytes[..cut]).expect("written");
            let read = Spool::read(spool.path());
            assert_eq!(read.batches.len(), cut * 3 / bytes.len(), "cut at {cut}");
            assert_eq!(
                read.damage.is_none(),
                cut % (bytes.len() / 3) == 0,
                "cut at {cut}: what is lost is said"
            );
        }
        // Any byte that is not what was written ends the reading before its batch.
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(spool.path(), &damaged).expect("written");
            let read = Spool::read(spool.path());
            assert!(
                read.batches.len() <= at * 3 / bytes.len() && read.damage.is_some(),
                "damaged at {at}"
            );
        }
        assert_eq!(Spool::left(&folder.path().join("trial"), Epoch(4)).len(), 1);
        assert_eq!(
            Spool::left(&folder.path().join("trial"), Epoch(3)).len(),
            0,
            "what is not earlier is left alone"
        );
        spool.clear();
        assert!(!spool.path().exists());
    }
}
