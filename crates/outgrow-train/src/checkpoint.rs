//! Checkpoints: a folder of safetensors and JSON, stated exactly in `docs/checkpoint.md`.
//!
//! A checkpoint is written aside, synced, and renamed into place; its JSON carries the digests of
//! the other files. Reading trusts nothing: sizes are bounded and shapes compared before anything
//! is allocated.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use memmap2::{Mmap, MmapOptions};
use outgrow_core::{
    Architecture, ParamId,
    event::Position,
    model::{ArchitectureError, parameters},
};
use outgrow_failpoint::Point;
use safetensors::{Dtype, SafeTensors, tensor::View};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use thiserror::Error;

use crate::{
    device::Device,
    hub::{self, HubError, HubModel, is_hub},
    state::{Parts, TrainingState},
};

const FORMAT: &str = "outgrow-checkpoint";
const VERSION: u32 = 1;
pub(crate) const HEAD: &str = "checkpoint.json";
pub(crate) const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
/// No head file is longer: a bound for untrusted input.
const MAX_HEAD_BYTES: u64 = 64 << 20;

/// A model, with or without the state of its training.
pub struct Checkpoint {
    /// The model and the optimizer (a fresh one where the checkpoint has none).
    pub state: TrainingState,
    /// Where the training stands, if this is one.
    pub progress: Option<Progress>,
}

/// Where a training stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Of which trial.
    pub trial: String,
    /// When.
    pub at: Position,
    /// How many stages of the plan are done.
    pub stages: usize,
    /// The running window of the next step event: so that a resumed trial records the same numbers.
    pub window: Window,
    /// The evaluation of this very step is not done yet: the training was told to stop before it,
    /// or within it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub evaluation_due: bool,
}

/// What has been summed since the last step event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Sum of losses.
    pub loss: f64,
    /// Number of steps.
    pub steps: u64,
    /// Largest gradient norm.
    pub gradient_norm: f64,
}

/// A checkpoint whose files are all as they were written.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// Where its training stands, if it is of one.
    pub progress: Option<Progress>,
    /// Size of its files.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    version: u32,
    architecture: Architecture,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    training: Option<Progress>,
    /// Optimizer steps so far; 0 where there is no optimizer file.
    #[serde(default)]
    optimizer_step: i64,
    /// Digest of the model that this is a copy of, where trials begin with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    /// BLAKE3 of each other file; a program that writes checkpoints by hand may leave it out.
    #[serde(default)]
    digests: BTreeMap<String, String>,
}

impl Head {
    /// Whether the optimizer's file must be read: one that is named; where `found` says so also one
    /// that is only there.
    fn has_optimizer(&self, found: bool) -> bool {
        found || self.digests.contains_key(OPTIMIZER)
    }

    /// A head of our own writing names every file that it goes with.
    fn expect_names(&self, folder: &Path) -> Result<(), CheckpointError> {
        let needed = [(MODEL, true), (OPTIMIZER, self.optimizer_step > 0)];
        match needed.into_iter().find(|(name, needed)| *needed && !self.digests.contains_key(*name))
        {
            Some((name, _)) => {
                let why = format!("it does not name {name}, which belongs to what was recorded");
                Err(CheckpointError::Damaged { path: folder.join(HEAD).display().to_string(), why })
            }
            None => Ok(()),
        }
    }

    /// Verifies the files that are named, but for those of these names; gives their size in bytes.
    fn verify(&self, folder: &Path, except: &[&str]) -> Result<u64, CheckpointError> {
        let mut bytes = 0;
        for (name, expected) in
            self.digests.iter().filter(|(name, _)| !except.contains(&name.as_str()))
        {
            let path = folder.join(name);
            let (found, size) = digest_of(&open(&path, true)?).map_err(file_error(&path))?;
            expect_digest(&path, &found, expected)?;
            bytes += size;
        }
        Ok(bytes)
    }
}

/// Why a checkpoint can't be read or written.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// A file can't be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// The folder is no checkpoint of ours, or of a version that is not known.
    #[error(
        "{path} is no checkpoint that this outgrow reads: {why} (docs/checkpoint.md states the format)"
    )]
    Format {
        /// Which file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The sizes are invalid.
    #[error("{path}: {error}")]
    Architecture {
        /// Which file.
        path: String,
        /// What is wrong.
        error: ArchitectureError,
    },
    /// A file's content is not what was written, or it is gone.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The place is taken.
    #[error("{0} exists already; name a folder that does not, or remove it first")]
    Exists(String),
    /// It is a model of transformers, and something is wrong with that.
    #[error(transparent)]
    Hub(#[from] HubError),
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> CheckpointError {
    let path = path.display().to_string();
    move |error| CheckpointError::File { path: path.clone(), error }
}

fn format_error(path: &Path, why: impl ToString) -> CheckpointError {
    CheckpointError::Format { path: path.display().to_string(), why: why.to_string() }
}

fn expect_digest(path: &Path, found: &str, expected: &str) -> Result<(), CheckpointError> {
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let why = format!("its digest is {found}, but {expected} was written");
    Err(CheckpointError::Damaged { path: path.display().to_string(), why })
}

/// Opens a file of a checkpoint; one that its head names must be there.
fn open(path: &Path, is_named: bool) -> Result<File, CheckpointError> {
    File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if is_named => {
            let why = format!("it is not there, though {HEAD} beside it names it");
            CheckpointError::Damaged { path: path.display().to_string(), why }
        }
        _ => file_error(path)(error),
    })
}

impl Checkpoint {
    /// Writes a checkpoint to a folder that does not exist yet; gives the digest of its head and
    /// its size in bytes.
    ///
    /// # Errors
    /// If the folder exists, or anything can't be written; nothing is left behind then.
    pub fn write(&self, folder: &Path) -> Result<(String, u64), CheckpointError> {
        self.write_copy(folder, None)
    }

    /// Writes it as a copy of the model of this digest, if it is one.
    pub(crate) fn write_copy(
        &self,
        folder: &Path,
        origin: Option<&str>,
    ) -> Result<(String, u64), CheckpointError> {
        if folder.exists() {
            return Err(CheckpointError::Exists(folder.display().to_string()));
        }
        let [aside, _] = asides(folder);
        let written = self.write_aside(&aside, origin).map_err(file_error(folder));
        let moved = written.and_then(|sizes| {
            let renamed = Point::CheckpointRename.around(|| fs::rename(&aside, folder));
            let synced =
                renamed.and_then(|()| Point::CheckpointPlaceSync.around(|| sync_parent(folder)));
            synced.map_err(file_error(folder))?;
            Ok(sizes)
        });
        if moved.is_err() {
            let _ = fs::remove_dir_all(&aside);
        }
        moved
    }

    fn write_aside(&self, folder: &Path, origin: Option<&str>) -> io::Result<(String, u64)> {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
        let parts = self.state.parts();
        let weights = named("", &parts.weights);
        // A model that was never trained has no optimizer to carry along.
        let optimizer = (self.state.step > 0).then(|| {
            [
                ("first_moment.", &parts.first_moment),
                ("second_moment.", &parts.second_moment),
                ("born.", &parts.born),
            ]
            .into_iter()
            .flat_map(|(prefix, tensors)| named(prefix, tensors))
            .collect::<Vec<_>>()
        });
        let (model, optimizer) = rayon::join(
            || store(&folder.join(MODEL), weights),
            || optimizer.map(|tensors| store(&folder.join(OPTIMIZER), tensors)).transpose(),
        );
        let files = [(MODEL, Some(model?)), (OPTIMIZER, optimizer?)];
        let files = files.into_iter().filter_map(|(name, stored)| Some((name.to_owned(), stored?)));
        let (digests, sizes): (BTreeMap<_, _>, Vec<u64>) =
            files.map(|(name, (digest, bytes))| ((name, digest), bytes)).unzip();
        let head = Head {
            format: FORMAT.into(),
            version: VERSION,
            architecture: self.state.architecture().clone(),
            training: self.progress.clone(),
            optimizer_step: self.state.step,
            origin: origin.map(str::to_owned),
            digests,
        };
        let head = serde_json::to_vec_pretty(&head).map_err(io::Error::other)?;
        let mut file = File::create(folder.join(HEAD))?;
        Point::CheckpointHead.around(|| file.write_all(&head))?;
        Point::CheckpointHeadSync.around(|| file.sync_all())?;
        let (head_digest, size) = (digest(&head), sizes.iter().sum::<u64>() + head.len() as u64);
        Point::CheckpointFolderSync.around(|| File::open(folder)?.sync_all())?;
        Ok((head_digest, size))
    }

    /// Reads a checkpoint, or a model as transformers keeps it. The weights come as float64 if they
    /// are stored so, otherwise as float32.
    ///
    /// # Errors
    /// If it is missing, damaged, of another format, or its tensors are not those of its
    /// architecture.
    pub fn read(folder: &Path, device: Device) -> Result<Self, CheckpointError> {
        if is_hub(folder) {
            return Ok(HubModel::read(folder)?.into_checkpoint(device));
        }
        let (head, _) = read_head(folder)?;
        let optimizer = head.has_optimizer(folder.join(OPTIMIZER).exists());
        Self::read_body(folder, head, optimizer, device)
    }

    /// The architecture of a checkpoint, or of a model as transformers keeps it, without its
    /// weights.
    ///
    /// # Errors
    /// If it is missing or of another format.
    pub fn read_architecture(folder: &Path) -> Result<Architecture, CheckpointError> {
        if is_hub(folder) {
            return Ok(hub::read_architecture(folder)?);
        }
        Ok(read_head(folder)?.0.architecture)
    }

    /// Reads a checkpoint whose head must have the digest that was recorded when it was written.
    /// Then every file that it was written with must be there as it was written; what else lies in
    /// the folder is not looked at.
    ///
    /// # Errors
    /// As of [`Checkpoint::read`], and if the head is another or a file is gone.
    pub fn read_recorded(
        folder: &Path,
        digest: &str,
        device: Device,
    ) -> Result<Self, CheckpointError> {
        let (head, found) = read_head(folder)?;
        expect_digest(&folder.join(HEAD), &found, digest)?;
        Self::read_own(folder, head, device)
    }

    /// Reads the copy of a model that trials begin with.
    ///
    /// # Errors
    /// As of [`Checkpoint::read`], and if it is not a copy of the model of this digest, as a whole.
    pub(crate) fn read_copy(
        folder: &Path,
        origin: &str,
        device: Device,
    ) -> Result<Self, CheckpointError> {
        let (head, _) = read_head(folder)?;
        if head.origin.as_deref() != Some(origin) {
            let why = format!("it is not the copy of the model {origin} that was written there");
            return Err(CheckpointError::Damaged {
                path: folder.join(HEAD).display().to_string(),
                why,
            });
        }
        Self::read_own(folder, head, device)
    }

    /// Verifies a checkpoint that a trial wrote without loading its tensors: that the head has the
    /// digest that was recorded, where that is known, and every file that the head names the one
    /// that stands there.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] where they are not; otherwise if a file can't be read.
    pub fn verify(folder: &Path, digest: Option<&str>) -> Result<Verified, CheckpointError> {
        let (head, found) = read_head(folder)?;
        if let Some(digest) = digest {
            expect_digest(&folder.join(HEAD), &found, digest)?;
        }
        head.expect_names(folder)?;
        let path = folder.join(HEAD);
        let size = fs::metadata(&path).map_err(file_error(&path))?.len();
        Ok(Verified { bytes: size + head.verify(folder, &[])?, progress: head.training })
    }

    fn read_own(folder: &Path, head: Head, device: Device) -> Result<Self, CheckpointError> {
        head.expect_names(folder)?;
        let optimizer = head.has_optimizer(false);
        Self::read_body(folder, head, optimizer, device)
    }

    fn read_body(
        folder: &Path,
        head: Head,
        optimizer: bool,
        device: Device,
    ) -> Result<Self, CheckpointError> {
        // Those that are read are verified as they are read.
        head.verify(folder, &[MODEL, OPTIMIZER])?;
        let weights = read_tensors(folder, MODEL, &head, &[""], device)?.remove(0);
        let kinds: Vec<Kind> = weights.values().map(Tensor::kind).collect();
        if kinds.contains(&Kind::Int) || kinds.iter().any(|kind| *kind != kinds[0]) {
            let why = "its tensors must all be float64, or all of the shorter floating-point types";
            return Err(format_error(&folder.join(MODEL), why));
        }
        let state = if optimizer {
            let mut parts = read_tensors(
                folder,
                OPTIMIZER,
                &head,
                &["first_moment.", "second_moment.", "born."],
                device,
            )?;
            let (born, second_moment, first_moment) =
                (parts.remove(2), parts.remove(1), parts.remove(0));
            let parts = Parts { weights, first_moment, second_moment, born };
            TrainingState::from_parts(&head.architecture, parts, head.optimizer_step)
        } else {
            TrainingState::from_weights(&head.architecture, weights)
        };
        Ok(Self { state, progress: head.training })
    }
}

/// The head and its digest.
fn read_head(folder: &Path) -> Result<(Head, String), CheckpointError> {
    let path = folder.join(HEAD);
    let size = fs::metadata(&path).map_err(file_error(&path))?.len();
    if size > MAX_HEAD_BYTES {
        return Err(format_error(
            &path,
            format!("it has {size} bytes, more than {MAX_HEAD_BYTES}"),
        ));
    }
    let text = fs::read(&path).map_err(file_error(&path))?;
    let head: Head = serde_json::from_slice(&text).map_err(|error| format_error(&path, error))?;
    if head.format != FORMAT || head.version != VERSION {
        let why = format!(
            "it says format {:?}, version {}; known is {FORMAT:?}, version {VERSION}",
            head.format, head.version
        );
        return Err(format_error(&path, why));
    }
    let invalid = |error| CheckpointError::Architecture { path: path.display().to_string(), error };
    head.architecture.validate().map_err(invalid)?;
    if let Some(name) =
        head.digests.keys().find(|name| Path::new(name).file_name() != Some(name.as_ref()))
    {
        return Err(format_error(
            &path,
            format!("`digests` names {name:?}, which is no file of its folder"),
        ));
    }
    Ok((head, digest(&text)))
}

/// The tensors of one file, one map for each prefix of their names.
fn read_tensors(
    folder: &Path,
    name: &str,
    head: &Head,
    prefixes: &[&str],
    device: Device,
) -> Result<Vec<BTreeMap<ParamId, Tensor>>, CheckpointError> {
    let path = folder.join(name);
    let expected = head.digests.get(name);
    let file = open(&path, expected.is_some())?;
    // SAFETY: read only; a checkpoint is written once and renamed into place, never changed.
    let bytes = unsafe { Mmap::map(&file) }.map_err(file_error(&path))?;
    if let Some(expected) = expected {
        expect_digest(&path, &digest(&bytes), expected)?;
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| format_error(&path, error))?;
    let ids = parameters(&head.architecture);
    let expected = ids.len() * prefixes.len();
    if tensors.len() != expected {
        let known = |name: &str| {
            prefixes.iter().any(|p| {
                name.strip_prefix(p).is_some_and(|n| ids.iter().any(|id| id.to_string() == n))
            })
        };
        let extra = tensors
            .names()
            .into_iter()
            .find(|name| !known(name))
            .map(|name| format!(", `{name}` is not among them"));
        let why = format!(
            "it has {} tensors, its architecture has {expected}{}",
            tensors.len(),
            extra.unwrap_or_default()
        );
        return Err(format_error(&path, why));
    }
    let read = |prefix: &&str| {
        let one = |&id: &ParamId| {
            tensor(&tensors, &format!("{prefix}{id}"), id.shape(&head.architecture))
                .map(|t| (id, t.to_device(device.tch())))
        };
        ids.iter().map(one).collect::<Result<_, String>>().map_err(|why| format_error(&path, why))
    };
    prefixes.iter().map(read).collect()
}

fn tensor(tensors: &SafeTensors, name: &str, shape: Vec<usize>) -> Result<Tensor, String> {
    let view = tensors.tensor(name).map_err(|_| format!("the tensor `{name}` is missing"))?;
    if view.shape() != shape {
        return Err(format!(
            "`{name}` has shape {:?}, its architecture says {shape:?}",
            view.shape()
        ));
    }
    let (kind, master) = match view.dtype() {
        Dtype::F64 => (Kind::Double, Kind::Double),
        Dtype::F32 => (Kind::Float, Kind::Float),
        Dtype::BF16 => (Kind::BFloat16, Kind::Float),
        Dtype::F16 => (Kind::Half, Kind::Float),
        Dtype::I32 => (Kind::Int, Kind::Int),
        Dtype::I64 => (Kind::Int64, Kind::Int),
        other => {
            return Err(format!(
                "`{name}` is {other:?}; known are F64, F32, BF16 and F16 (I32 or I64 for `born`)"
            ));
        }
    };
    let size: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
    Ok(Tensor::from_data_size(view.data(), &size, kind).to_kind(master))
}

/// A contiguous tensor on the processor, as safetensors takes it: its own memory, not a copy.
struct Stored {
    tensor: Tensor,
    shape: Vec<usize>,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        match self.tensor.kind() {
            Kind::Double => Dtype::F64,
            Kind::Int => Dtype::I32,
            _ => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        // SAFETY: contiguous, on the processor, and nobody writes to it while it is stored.
        Cow::Borrowed(unsafe {
            std::slice::from_raw_parts(self.tensor.data_ptr().cast(), self.data_len())
        })
    }

    fn data_len(&self) -> usize {
        self.tensor.numel() * self.tensor.kind().elt_size_in_bytes()
    }
}

fn named(prefix: &str, tensors: &BTreeMap<ParamId, Tensor>) -> Vec<(String, Stored)> {
    let stored = |(id, tensor): (&ParamId, &Tensor)| {
        let tensor = tensor.detach().to_device(tch::Device::Cpu).contiguous();
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        (format!("{prefix}{id}"), Stored { tensor, shape })
    };
    tensors.iter().map(stored).collect()
}

/// Writes tensors to a file, safely on disk; gives its digest and size. It is hashed while the disk
/// writes.
fn store(path: &Path, tensors: Vec<(String, Stored)>) -> io::Result<(String, u64)> {
    let written =
        Point::CheckpointWrite.around(|| safetensors::serialize_to_file(tensors, None, path));
    written.map_err(io::Error::other)?;
    let file = File::open(path)?;
    let (synced, hashed) =
        rayon::join(|| Point::CheckpointSync.around(|| file.sync_all()), || digest_of(&file));
    synced?;
    hashed
}

/// The digest and size of a file that nobody writes. What is mapped counts as this process's
/// memory, so only a window of it is at a time.
pub(crate) fn digest_of(file: &File) -> io::Result<(String, u64)> {
    let (mut hasher, size) = (blake3::Hasher::new(), file.metadata()?.len());
    for at in (0..size).step_by(WINDOW) {
        // SAFETY: read only; the file is not changed while it is mapped.
        let window = unsafe {
            MmapOptions::new().offset(at).len(WINDOW.min((size - at) as usize)).map(file)
        }?;
        hasher.update_rayon(&window);
    }
    Ok((hasher.finalize().to_hex().to_string(), size))
}

/// Bytes that are hashed at a time: enough for all cores.
const WINDOW: usize = 32 << 20;

fn digest(bytes: &[u8]) -> String {
    blake3::Hasher::new().update_rayon(bytes).finalize().to_hex().to_string()
}

/// Where this process writes what is going to be `folder`: a checkpoint, and a model of
/// transformers. Both are removed if it does not get there.
pub fn asides(folder: &Path) -> [PathBuf; 2] {
    let ending = format!("tmp-{}", std::process::id());
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{ending}"));
    [folder.with_extension(ending), folder.with_file_name(name)]
}

pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// Where the checkpoint of a step lies in a trial's folder, as the attempt of this epoch writes it.
pub(crate) fn step_folder(trial: &Path, step: u64, epoch: u64) -> PathBuf {
    trial.join(format!("step-{step:010}-{epoch}"))
}

/// The epoch of a checkpoint's folder, or of one that was never finished; none of what is no
/// checkpoint.
fn epoch_of(folder: &Path) -> Option<u64> {
    let name = folder.file_name()?.to_str()?.strip_prefix("step-")?;
    let name = name.split_once('.').map_or(name, |(name, _)| name);
    // Those of the first version had none.
    name.split_once('-').map_or(Some(0), |(_, epoch)| epoch.parse().ok())
}

/// Removes the checkpoints of a trial that this attempt and those before it wrote, except those of
/// the given folders: what no longer counts, and what was never finished.
pub(crate) fn remove_others(trial: &Path, keep: &[PathBuf], epoch: u64) {
    for entry in fs::read_dir(trial).into_iter().flatten().flatten() {
        let folder = entry.path();
        let is_kept = keep.iter().any(|kept| kept.file_name() == folder.file_name());
        if !is_kept && epoch_of(&folder).is_some_and(|its| its <= epoch) {
            // A leftover costs disk, not correctness.
            let _ = Point::CheckpointRemove.around(|| fs::remove_dir_all(folder));
        }
    }
}
