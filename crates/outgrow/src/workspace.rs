//! Where things lie: the database, and beside it checkpoints and prepared text.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
    time::Duration,
};

use outgrow_core::{Epoch, Sweep, rows::Evaluated};
use outgrow_data::{Corpus, Listener, Summary, Survey, survey};
use outgrow_store::{Address, Store, StoreError, TextRecord};
use outgrow_train::copy_initial_weights;
use tokio::runtime::{Builder, Runtime};

use crate::{error::Error, sweep_file::SweepFile};

/// The database and what lies beside it.
pub struct Workspace {
    /// Path or URL of the database, as the user gave it. A URL may hold a password: it is shown by
    /// [`Address::shown`] only, and handed to other processes in their environment only.
    pub db: String,
    /// Where the rest lies, if the user said so.
    pub files: Option<PathBuf>,
    /// What was opened for reading.
    read: Mutex<Vec<Store>>,
}

/// Names of the environment's variables for both.
pub const DB: &str = "OUTGROW_DB";
/// See [`DB`].
pub const FILES: &str = "OUTGROW_FILES";

impl Workspace {
    /// The place that the user named.
    pub fn new(db: String, files: Option<PathBuf>) -> Self {
        Self { db, files, read: Mutex::default() }
    }

    /// Opens the database for writing; creates it if need be.
    pub async fn store(&self) -> Result<Store, Error> {
        if let Ok(Address::File(path)) = Address::parse(&self.db)
            && let Some(kind) = network_file_system(Path::new(&path))
        {
            tracing::warn!(
                "{path} lies on {kind}, where SQLite's locks can't be trusted; if more than one \
                 machine writes, use \
                 PostgreSQL (docs/operations.md), otherwise a local disk"
            );
        }
        Ok(Store::open(&self.db).await?)
    }

    /// The database, if it is there already, open for writing: one that refuses does so before
    /// anything lies beside it. One that is not there must be possible, and is made by
    /// [`Workspace::store`].
    pub async fn existing(&self) -> Result<Option<Store>, Error> {
        match Address::parse(&self.db)? {
            Address::File(path) if !Path::new(&path).exists() => {
                can_be_made(Path::new(&path)).map(|()| None)
            }
            Address::File(_) => self.store().await.map(Some),
            Address::Server(_) => match Store::open_read_only(&self.db).await {
                Err(StoreError::Missing(_)) => Ok(None),
                Err(error) => Err(error.into()),
                Ok(reading) => {
                    reading.close().await;
                    self.store().await.map(Some)
                }
            },
        }
    }

    /// Opens the database for reading.
    pub async fn reading(&self) -> Result<Store, Error> {
        let store = Store::open_read_only(&self.db).await?;
        self.read.lock().expect("nobody panics with it").push(store.clone());
        Ok(store)
    }

    /// Takes leave of a database that was read: where there was no log beside its file, there is
    /// none afterwards.
    pub fn close(self) {
        let stores = self.read.into_inner().expect("nobody panics with it");
        let Ok(runtime) = runtime() else { return };
        // The last opened first: a log that it found is that of one opened before.
        for store in stores.into_iter().rev() {
            // A query that goes on for nobody holds nothing that matters.
            let closed =
                async { tokio::time::timeout(Duration::from_secs(1), store.close()).await };
            let _ = runtime.block_on(closed);
        }
    }

    /// The folder of a trial's checkpoints.
    pub fn checkpoints(&self, trial: &str) -> PathBuf {
        self.beside("checkpoints").join(trial)
    }

    /// The folder of a state of a trial that other trials begin from.
    pub fn snapshot(&self, trial: &str, step: u64, epoch: Epoch) -> PathBuf {
        self.beside("checkpoints").join(format!("{trial}-at-{step}-{epoch}"))
    }

    /// Where what was recorded at `path` lies now, in `folder` of this place: a database and its
    /// files may have moved since.
    pub fn moved(folder: &Path, path: &str) -> PathBuf {
        let path = Path::new(path);
        let here = path.file_name().map(|name| folder.join(name)).filter(|here| here.exists());
        here.unwrap_or_else(|| path.to_owned())
    }

    /// The folder of all checkpoints.
    pub fn all_checkpoints(&self) -> PathBuf {
        self.beside("checkpoints")
    }

    /// The folder of prepared text.
    pub fn text(&self) -> PathBuf {
        self.beside("text")
    }

    /// The folder of a model that trials begin with.
    pub fn initial(&self, digest: &str) -> PathBuf {
        self.beside("initial").join(digest.get(..32).unwrap_or(digest))
    }

    /// The folder of the model that trials of a sweep begin with, if there is one.
    pub fn initial_of(&self, sweep: &Sweep) -> Option<PathBuf> {
        sweep.spec().initial.digest.as_ref().map(|digest| self.initial(digest))
    }

    /// Writes what workers of a sweep need beside the database: text as tokens, and the model that
    /// trials begin with. A sweep whose text is refused leaves nothing.
    ///
    /// # Errors
    /// If the text or the model is refused, or the disk is.
    pub fn prepare(
        &self,
        file: &SweepFile,
        listener: &dyn Listener,
    ) -> Result<PreparedText, Error> {
        // Where it can't be, nothing lies beside it.
        Address::parse(&self.db)?;
        let read = Corpus::open_told(&file.data(), &self.text(), &self.own(), listener);
        let (corpus, summary) = read.map_err(file.refused()).inspect_err(|_| {
            // Only if it is empty.
            let _ = std::fs::remove_dir(self.text());
        })?;
        let summary = told(file, summary);
        file.check_text(&summary)?;
        summary.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        let (spec, to) = (file.sweep().spec(), self.initial_of(file.sweep()));
        if let (Some(to), Some(from), Some(origin)) =
            (to, &spec.initial.checkpoint, &spec.initial.digest)
        {
            copy_initial_weights(&file.beside(from), origin, spec.data.seq_len, &to)?;
        }
        let evaluated = corpus.evaluated(spec.evaluation.tokens, spec.data.seq_len);
        Ok(PreparedText { summary, evaluated })
    }

    /// What the text of a sweep is: it is read through, unless it was prepared before.
    ///
    /// # Errors
    /// If the text is refused, as a run would refuse it.
    pub fn survey(&self, file: &SweepFile, listener: &dyn Listener) -> Result<Summary, Error> {
        let cache = self.text();
        let own = self.own();
        let how = Survey { cache: Some(&cache), own: &own, round_trip: false };
        let data = file.data();
        let summary = survey(&data, how, listener).map_err(file.refused())?;
        summary.check(data.seq_len).map_err(file.refused())?;
        file.check_text(&summary)?;
        Ok(told(file, summary))
    }

    /// The files and folders of this workspace, whether they are there or not.
    pub fn own(&self) -> Vec<PathBuf> {
        let mut own: Vec<PathBuf> =
            ["checkpoints", "text", "initial", "jobs"].map(|what| self.beside(what)).into();
        if let Ok(Address::File(file)) = Address::parse(&self.db) {
            own.extend(["", "-wal", "-shm", "-journal"].map(|end| format!("{file}{end}").into()));
        }
        own
    }

    /// Whether no other database can have its files in the same folders: they are named after this
    /// one.
    pub fn has_own_files(&self) -> bool {
        self.files.is_none() && matches!(Address::parse(&self.db), Ok(Address::File(_)))
    }

    /// Whether a path is a file of this workspace, lies in one of its folders, or has one in it:
    /// what is written there would be lost, or would take its place.
    pub fn owns(&self, path: &Path) -> bool {
        let place = real(path);
        self.own().iter().any(|own| {
            let there = real(own);
            place.starts_with(&there)
                || own.exists() && there.starts_with(&place)
                || is_same_file(own, path)
        })
    }

    /// The folder of what the scheduler's jobs say.
    pub fn jobs(&self) -> PathBuf {
        self.beside("jobs")
    }

    fn beside(&self, what: &str) -> PathBuf {
        match (&self.files, Address::parse(&self.db)) {
            (Some(folder), _) => folder.join(what),
            (None, Ok(address)) => PathBuf::from(format!("{}.{what}", address.name())),
            // Such an address opens nothing, so nothing is ever written here.
            (None, Err(_)) => PathBuf::from(what),
        }
    }
}

/// The summary with what its sweep has to say of it.
fn told(file: &SweepFile, mut summary: Summary) -> Summary {
    let (wanted, there) = (file.sweep().spec().evaluation.tokens, summary.counts.tokens[1]);
    if wanted > there {
        summary.notes.push(format!(
            "evaluation.tokens is {wanted}, and the validation text has {there}: all of it is used"
        ));
    }
    summary
}

/// A path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(folder), Some(name)) => real(folder).join(name),
        _ => path,
    }
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (a.metadata(), b.metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Whether a file can be made there.
fn can_be_made(path: &Path) -> Result<(), Error> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let refused = |why: &str| {
        let path = path.display();
        Error::Environment(format!(
            "cannot open the database {path}: {why}; is its folder there, and may you write to it?"
        ))
    };
    if !folder.is_dir() {
        return Err(refused(&format!("{} is no folder", folder.display())));
    }
    if path.is_symlink()
        && path.parent().is_some()
        && std::fs::read_link(path).is_ok_and(|to| folder.join(to).symlink_metadata().is_ok())
    {
        return Err(refused("it is a link that leads to no file"));
    }
    nix::unistd::access(folder, nix::unistd::AccessFlags::W_OK)
        .map_err(|error| refused(error.desc()))
}

/// The kind of the file system that a file lies on, or will, if that is shared over a network.
fn network_file_system(path: &Path) -> Option<&'static str> {
    let known: [(i64, &str); 7] = [
        (0x6969, "NFS"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB"),
        (0x0bd0_0bd0, "Lustre"),
        (0x4750_4653, "GPFS"),
        (0x1983_0326, "BeeGFS"),
        (0x00c3_6400, "CephFS"),
    ];
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let magic = nix::sys::statfs::statfs(folder).ok()?.filesystem_type().0;
    known.iter().find(|(number, _)| *number == magic as i64).map(|(_, name)| *name)
}

/// A runtime for talking to the database.
///
/// # Errors
/// If the system has no resources for one.
pub fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::environment("cannot start"))?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// A text that is ready to be trained on.
pub struct PreparedText {
    /// What it is.
    pub summary: Summary,
    /// What the sweep's evaluations predict of it.
    pub evaluated: Evaluated,
}

impl PreparedText {
    /// As the database records it.
    pub(crate) fn record(&self) -> TextRecord<'_> {
        let Self { summary, evaluated } = self;
        TextRecord {
            digest: &summary.digest,
            evaluated: Some(*evaluated),
            tokenizer: summary.tokenizer_digest.as_deref(),
        }
    }
}
