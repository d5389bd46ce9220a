//! The sweep file on disk, and the files that it refers to.

mod extends;

pub(crate) use self::extends::allowed_name;

use std::path::{Path, PathBuf};

use outgrow_core::{
    Sweep,
    model::n_non_embedding_parameters,
    sweep::{DataSpec, Member, SweepSpec},
};
use outgrow_data::{CorpusError, LARGEST_TOKENIZER, Summary, Tokenizer, read_regular};
use outgrow_train::{
    Checkpoint,
    hub::{self, is_hub},
    model_digest,
};

use crate::{error::Error, readable::count, shell::quoted};

/// A sweep, and the file that it was read from: paths in it count from the file's folder.
#[derive(Clone, Debug)]
pub struct SweepFile {
    path: PathBuf,
    set: Vec<String>,
    sweep: Sweep,
}

impl SweepFile {
    /// Reads a sweep file, and what it refers to: how many tokens a tokenizer knows, which sizes a
    /// checkpoint has.
    ///
    /// # Errors
    /// If the file, or what it refers to, can't be read or contradicts itself.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::read_with(path, &[])
    }

    /// The same, with fields set on top of what the file says, each as `training.tokens=1e6`.
    ///
    /// # Errors
    /// As for [`SweepFile::read`], or if there is no such field.
    pub fn read_with(path: impl AsRef<Path>, set: &[String]) -> Result<Self, Error> {
        read(path.as_ref(), set)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The arguments of a command that mean this sweep: the file, and what was set on top of it, as a
    /// shell reads them.
    pub fn arguments(&self) -> String {
        let set = self.set.iter().map(|set| format!(" --set {}", quoted(set)));
        format!("{}{}", quoted(&self.path.display().to_string()), set.collect::<String>())
    }

    /// The sweep.
    pub fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    /// "from d_model 32, … / to d_model 64, …: 98.3k parameters without embeddings".
    pub fn sizes(&self) -> String {
        let (initial, target) = (self.sweep.initial(), self.sweep.target());
        let parameters = count(n_non_embedding_parameters(target) as f64);
        format!(
            "from {}\n  to {}: {parameters} parameters without embeddings",
            initial.describe(),
            target.describe()
        )
    }

    /// The trials of the sweep on a text of this digest.
    ///
    /// # Errors
    /// If a strategy can't be sampled, or there are too many trials.
    pub fn members(&self, digest: &str) -> Result<Vec<Member>, Error> {
        self.sweep.members(digest).map_err(Error::input(self.path.display()))
    }

    /// Refuses a text that a frontier would repeat too often.
    pub(crate) fn check_text(&self, text: &Summary) -> Result<(), Error> {
        if self.sweep.spec().frontier.is_none() {
            return Ok(());
        }
        let [training, _] = text.counts.tokens;
        let members = self.sweep.expected(self.members(&text.digest)?);
        self.sweep.check_passes(&members, training).map_err(Error::input(self.path.display()))
    }

    /// A path of the sweep, as it is seen from here.
    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        beside(&self.path, path)
    }

    /// The sweep's data, with its paths as they are seen from here.
    pub(crate) fn data(&self) -> DataSpec {
        let mut data = self.sweep.spec().data.clone();
        let lists = [&mut data.paths, &mut data.validation_paths].into_iter().flatten().flatten();
        for path in lists.chain(&mut data.tokenizer) {
            *path = self.beside(path).display().to_string();
        }
        data
    }

    /// For `map_err`: what the data can't be.
    pub(crate) fn refused(&self) -> impl Fn(CorpusError) -> Error {
        |error| match error {
            CorpusError::Write { .. } => Error::Environment(error.to_string()),
            _ => Error::Input(format!("{}: {error}", self.path.display())),
        }
    }
}

fn read(path: &Path, set: &[String]) -> Result<SweepFile, Error> {
    let named =
        |error: &dyn std::fmt::Display| Error::Input(format!("{}: {error}", path.display()));
    let mut draft = extends::draft(path)?;
    set.iter().try_for_each(|one| draft.set(one)).map_err(|error| named(&error))?;
    if let Some(tokenizer) = draft.tokenizer_first() {
        draft.set_vocab_size(tokenizer_of(path, &tokenizer)?.vocab_size());
    }
    let usual_name = extends::usual_name(path);
    let mut spec = draft.spec(usual_name.as_deref()).map_err(|error| named(&error))?;
    if let Some(tokenizer) = &spec.data.tokenizer {
        let tokenizer = tokenizer_of(path, tokenizer)?;
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
        if is_hub(&folder) {
            let notes = hub::notes(&folder).map_err(|error| named(&error))?;
            notes.iter().for_each(|note| tracing::info!("{note}"));
        }
        tell_of_other_tokenizer(path, &spec, &folder);
        let refused = |error| named(&format!("initial.checkpoint: {error}"));
        let architecture = Checkpoint::read_architecture(&folder).map_err(refused)?;
        let digest = model_digest(&folder).map_err(refused)?;
        spec.begin_from(&architecture, digest).map_err(|error| named(&error))?;
    }
    let sweep = Sweep::new(spec).map_err(|error| named(&draft.locate(error)))?;
    Ok(SweepFile { path: path.to_owned(), set: set.to_vec(), sweep })
}

/// The tokenizer that a sweep file names.
fn tokenizer_of(file: &Path, tokenizer: &str) -> Result<Tokenizer, Error> {
    let read = Tokenizer::read(&beside(file, tokenizer));
    read.map_err(|error| Error::Input(format!("{}: data.tokenizer: {error}", file.display())))
}

/// A model that has a tokenizer of its own expects its tokens.
fn tell_of_other_tokenizer(file: &Path, spec: &SweepSpec, model: &Path) {
    let own = model.join("tokenizer.json");
    let Some(named) = spec.data.tokenizer.as_ref().map(|named| beside(file, named)) else { return };
    let named = if named.is_dir() { named.join("tokenizer.json") } else { named };
    // What can't be read is refused where it is needed.
    let read = |path| read_regular(path, LARGEST_TOKENIZER);
    if let (Ok(own_text), Ok(text)) = (read(&own), read(&named))
        && own_text != text
    {
        tracing::warn!(
            "data.tokenizer is {}, and not the one that the model was trained with, {}: its \
             embeddings mean other tokens",
            named.display(),
            own.display()
        );
    }
}

fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}
