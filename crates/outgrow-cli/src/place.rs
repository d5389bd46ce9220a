//! Where things lie: the database, and beside it checkpoints and prepared text.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use outgrow_core::{
    Sweep,
    sweep::{DataSpec, SweepSpec},
};
use outgrow_data::{Corpus, CorpusError, Summary, Survey, Tokenizer, survey};
use outgrow_store::{Address, Store, StoreError};
use outgrow_train::{Checkpoint, begin_with, model_digest};

use crate::{
    failure::Failure,
    reading::{Telling, warn},
};

/// The database and what lies beside it.
pub struct Place {
    /// Path or URL of the database, as the user gave it. A URL may hold a password: it is shown by
    /// [`Address::shown`] only, and handed to other processes in their environment only.
    pub db: String,
    /// Where the rest lies, if the user said so.
    pub files: Option<PathBuf>,
    /// What was opened for reading.
    read: OnceLock<Store>,
}

/// Names of the environment's variables for both.
pub const DB: &str = "OUTGROW_DB";
/// See [`DB`].
pub const FILES: &str = "OUTGROW_FILES";

impl Place {
    /// The place that the user named.
    pub fn new(db: String, files: Option<PathBuf>) -> Self {
        Self { db, files, read: OnceLock::new() }
    }

    /// Opens the database for writing; creates it if need be.
    pub async fn store(&self) -> Result<Store, Failure> {
        if let Ok(Address::File(path)) = Address::parse(&self.db)
            && let Some(kind) = network_file_system(Path::new(&path))
        {
            eprintln!(
                "warning: {path} lies on {kind}, where SQLite's locks can't be trusted; if more than one machine writes, use \
                 PostgreSQL (docs/operations.md), otherwise a local disk"
            );
        }
        Ok(Store::open(&self.db).await?)
    }

    /// The database, if it is there already, open for writing: one that refuses does so before
    /// anything lies beside it. One that is not there must be possible, and is made by
    /// [`Place::store`].
    pub async fn existing(&self) -> Result<Option<Store>, Failure> {
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
    pub async fn reading(&self) -> Result<Store, Failure> {
        let store = Store::open_read_only(&self.db).await?;
        Ok(self.read.get_or_init(|| store).clone())
    }

    /// Takes leave of a database that was read: where there was no log beside its file, there is
    /// none afterwards.
    pub fn close(self) {
        if let (Some(store), Ok(runtime)) = (self.read.into_inner(), runtime()) {
            runtime.block_on(async {
                // A query that goes on for nobody holds nothing that matters.
                let _ = tokio::time::timeout(Duration::from_secs(1), store.close()).await;
            });
        }
    }

    /// The folder of a trial's checkpoints.
    pub fn checkpoints(&self, trial: &str) -> PathBuf {
        self.beside("checkpoints").join(trial)
    }

    /// The folder of a state of a trial that other trials begin from.
    pub fn snapshot(&self, trial: &str, step: u64, epoch: i64) -> PathBuf {
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

    /// Lays down what workers of a sweep need beside the database: text as tokens, and the model
    /// that trials begin with. Gives the text's digest. A sweep whose text is refused leaves
    /// nothing.
    pub fn prepare(&self, sweep: &Sweep, file: &Path) -> Result<String, Failure> {
        // Where it can't be, nothing lies beside it.
        Address::parse(&self.db)?;
        let read = Corpus::open_told(&data_of(sweep, file), &self.text(), &Telling::new());
        let (_, summary) = read.map_err(refused(file)).inspect_err(|_| {
            // Only if it is empty.
            let _ = std::fs::remove_dir(self.text());
        })?;
        warn(&summary);
        let (spec, to) = (sweep.spec(), self.initial_of(sweep));
        if let (Some(to), Some(from), Some(origin)) =
            (to, &spec.initial.checkpoint, &spec.initial.digest)
        {
            begin_with(&beside(file, from), origin, spec.data.seq_len, &to)?;
        }
        Ok(summary.digest)
    }

    /// What the text of a sweep is: it is read through, unless it was prepared before.
    pub fn survey(&self, sweep: &Sweep, file: &Path) -> Result<Summary, Failure> {
        let cache = self.text();
        let how = Survey { cache: Some(&cache), round_trip: false };
        let data = data_of(sweep, file);
        let summary = survey(&data, how, &Telling::new()).map_err(refused(file))?;
        summary.check(data.seq_len).map_err(refused(file))?;
        Ok(summary)
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

/// Whether a file can be made there.
fn can_be_made(path: &Path) -> Result<(), Failure> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let refused = |why: &str| {
        let path = path.display();
        Failure::Environment(format!(
            "cannot open the database {path}: {why}; is its folder there, and may you write to it?"
        ))
    };
    if !folder.is_dir() {
        return Err(refused(&format!("{} is no folder", folder.display())));
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

/// Reads a sweep file, and what it refers to: how many tokens a tokenizer knows, which sizes a
/// checkpoint has.
pub fn read_sweep(path: &Path) -> Result<Sweep, Failure> {
    let text = crate::sweep_file::text(path)?;
    let named =
        |error: &dyn std::fmt::Display| Failure::Input(format!("{}: {error}", path.display()));
    let mut spec = SweepSpec::parse(&text).map_err(|error| named(&error))?;
    if let Some(tokenizer) = &spec.data.tokenizer {
        let read = Tokenizer::read(&beside(path, tokenizer));
        let tokenizer = read.map_err(|error| named(&format!("data.tokenizer: {error}")))?;
        let known = tokenizer.vocab_size();
        if *spec.data.vocab_size.get_or_insert(known) < known {
            let why = format!(
                "data.vocab_size must be at least {known}, which is what the tokenizer knows"
            );
            return Err(named(&why));
        }
        if spec.data.end_of_text.is_none() {
            spec.data.end_of_text = tokenizer.end_of_text().map(str::to_owned);
        }
    }
    if let Some(checkpoint) = &spec.initial.checkpoint {
        let folder = beside(path, checkpoint);
        let refused = |error| named(&format!("initial.checkpoint: {error}"));
        let architecture = Checkpoint::read_architecture(&folder).map_err(refused)?;
        let digest = model_digest(&folder).map_err(refused)?;
        spec.begin_from(&architecture, digest).map_err(|error| named(&error))?;
    }
    crate::sweep_file::sweep(spec).map_err(|error| named(&error))
}

/// Paths in a sweep file count from its own folder.
fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// A sweep's data, with its paths as they are seen from here.
fn data_of(sweep: &Sweep, file: &Path) -> DataSpec {
    let mut data = sweep.spec().data.clone();
    let lists = [&mut data.paths, &mut data.validation_paths].into_iter().flatten().flatten();
    for path in lists.chain(&mut data.tokenizer) {
        *path = beside(file, path).display().to_string();
    }
    data
}

/// For `map_err`: what a sweep file's data can't be.
fn refused(file: &Path) -> impl Fn(CorpusError) -> Failure {
    move |error| match error {
        CorpusError::Write { .. } => Failure::Environment(error.to_string()),
        _ => Failure::Input(format!("{}: {error}", file.display())),
    }
}

/// A runtime for talking to the database.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::environment("cannot start"))
}
