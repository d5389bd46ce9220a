//! The tokenizer that a model was trained with.

use std::path::{Path, PathBuf};

use outgrow_core::{Architecture, Sweep, sweep::SweepSpec};
use outgrow_data::{Corpus, Tokenizer};
use outgrow_store::SweepSummary;
use outgrow_train::hub::{HubTokenizer, byte_tokenizer};

use crate::{
    error::Error,
    workspace::{Workspace, runtime},
};

/// What the tokens of a model stand for, as far as it is known.
pub(crate) enum Tokens {
    /// Those of a tokenizer in this file.
    Of(TokenizerFile),
    /// Bytes.
    Bytes,
    /// Those of a tokenizer that is not there any more, or has changed: what to say of it.
    Lost(String),
    /// No sweep of the database has trained it.
    Unknown,
}

/// A tokenizer, and what a sweep says of it.
pub(crate) struct TokenizerFile {
    /// A `tokenizer.json`, or a folder with one.
    pub path: PathBuf,
    /// The token that ends documents, if the sweep says so.
    pub end_of_text: Option<String>,
    pub joined: bool,
}

impl TokenizerFile {
    /// Of no sweep.
    pub fn named(path: &Path) -> Self {
        Self { path: path.to_owned(), end_of_text: None, joined: false }
    }

    /// As transformers loads it, for a model of these tokens.
    ///
    /// # Errors
    /// If it can't be read, or has tokens that the model does not know.
    pub fn for_hub(self, architecture: &Architecture) -> Result<HubTokenizer, Error> {
        let refused = |error: outgrow_data::CorpusError| Error::Input(error.to_string());
        let tokenizer = Tokenizer::read(&self.path).map_err(refused)?;
        let (own, known) = (tokenizer.vocab_size(), architecture.vocab_size);
        if own > known {
            return Err(Error::Input(format!(
                "{}: the tokenizer has {own} tokens, and the model knows {known}: it was trained \
                 with another one",
                self.path.display()
            )));
        }
        let end = self.end_of_text.or_else(|| tokenizer.end_of_text().map(str::to_owned));
        let id = end.as_deref().map(|token| tokenizer.id(token)).transpose().map_err(refused)?;
        let json = tokenizer.identity().to_vec();
        Ok(HubTokenizer { json, end: end.zip(id), joined: self.joined })
    }
}

impl Workspace {
    /// What the tokens of a trial's model stand for: the tokenizer that is kept with the text of its
    /// sweep, or the one that the sweep names, if that still gives the same tokens.
    pub(crate) fn tokens_of(&self, trial: Option<&str>) -> Tokens {
        let Some((sweep, spec)) = trial.and_then(|trial| self.sweep_of(trial)) else {
            return Tokens::Unknown;
        };
        let Some(named) = &spec.data.tokenizer else { return Tokens::Bytes };
        let kept = Corpus::kept_tokenizer(&self.text(), &sweep.data_digest);
        let is_it = |path: &PathBuf| {
            let digest = Tokenizer::read(path).ok().map(|tokenizer| tokenizer.digest());
            digest.is_some() && (sweep.tokenizer.is_none() || digest == sweep.tokenizer)
        };
        let (end_of_text, joined) = (spec.data.end_of_text.clone(), spec.data.joined);
        match kept.into_iter().chain([PathBuf::from(named)]).find(is_it) {
            Some(path) => Tokens::Of(TokenizerFile { path, end_of_text, joined }),
            None => Tokens::Lost(format!(
                "the tokenizer of sweep {} is neither kept with its text nor, unchanged, at {named}",
                sweep.name
            )),
        }
    }

    /// A sweep that has a trial, where the database can be read.
    fn sweep_of(&self, trial: &str) -> Option<(SweepSummary, SweepSpec)> {
        let sweep = runtime().ok()?.block_on(async {
            let store = self.reading().await.ok()?;
            let place = store.places(trial).await.ok()?.into_iter().next()?;
            store.find_sweep(&place.sweep_id).await.ok()
        })?;
        let spec = Sweep::parse(&sweep.spec).ok()?.spec().clone();
        Some((sweep, spec))
    }

    /// The tokenizer that a checkpoint is exported with: the one that the user named, or that of
    /// its trial's sweep; bytes for a model of 256 tokens that no sweep of the database has trained.
    /// Otherwise why there is none.
    ///
    /// # Errors
    /// If the tokenizer is refused, or not the model's.
    pub(crate) fn hub_tokenizer(
        &self,
        named: Option<&Path>,
        trial: Option<&str>,
        architecture: &Architecture,
    ) -> Result<Result<HubTokenizer, String>, Error> {
        let tokens = match named {
            Some(path) => Tokens::Of(TokenizerFile::named(path)),
            None => self.tokens_of(trial),
        };
        let is_bytes = (architecture.vocab_size, architecture.n_outputs) == (256, 256);
        Ok(match tokens {
            Tokens::Of(file) => Ok(file.for_hub(architecture)?),
            Tokens::Bytes => Ok(byte_tokenizer()),
            Tokens::Unknown if is_bytes => Ok(byte_tokenizer()),
            Tokens::Lost(why) => Err(why),
            Tokens::Unknown => Err("no sweep of the database has trained this model".into()),
        })
    }
}
