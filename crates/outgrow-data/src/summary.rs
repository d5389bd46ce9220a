//! What was read, what it became, and what was lost on the way.

use serde::{Deserialize, Serialize};

use crate::{
    documents::Part,
    error::CorpusError,
    files::{Files, LeftOut},
    formats::Skipped,
};

/// What reading all documents gives; kept with prepared text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Of training and of validation text.
    pub documents: [u64; 2],
    /// Of text.
    pub bytes: [u64; 2],
    /// With the tokens that end documents.
    pub tokens: [u64; 2],
    /// Tokens that were put behind documents.
    pub ends: u64,
    /// Entries that were left out.
    pub skipped: Skipped,
    /// Tokens of what the tokenizer does not know.
    pub unknown: u64,
    /// Tokens within documents that are the one which ends them.
    pub ends_in_text: u64,
    /// Bytes of documents that were turned into text again.
    pub sampled: u64,
    /// Bytes of these that did not come back.
    pub lost: u64,
    /// Pieces of documents that did not come back as they were, of those that were turned into text
    /// again.
    pub changed: u64,
    /// Training documents that are validation documents, too.
    pub in_both: u64,
}

/// What a sweep's data is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Of the text, and of how it is read: part of every trial's identity.
    pub digest: String,
    /// The built-in corpus that it is, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<String>,
    /// Files that are read, by kind.
    pub files: Vec<Files>,
    /// Files of validation text, where they are named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub validation_files: Vec<Files>,
    /// Files and folders that were found and are not read.
    pub left_out: Vec<LeftOut>,
    /// What came of reading them.
    #[serde(flatten)]
    pub counts: Counts,
    /// Whether it is bytes, without a tokenizer.
    pub is_bytes: bool,
    /// Of the tokenizer, if there is one: the same for tokenizers that give the same tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer_digest: Option<String>,
    /// What stands behind each document, if something does.
    pub end_of_text: Option<String>,
    /// What was put aside or found to disagree.
    pub notes: Vec<String>,
    /// Seconds that were spent tokenizing.
    #[serde(skip)]
    pub seconds: f64,
}

/// From this share on, a loss is worth a loud word.
const LARGE: f64 = 0.01;

impl Summary {
    /// Refuses a text that is shorter than a sequence.
    ///
    /// # Errors
    /// If it is.
    pub fn check(&self, seq_len: usize) -> Result<(), CorpusError> {
        check_length("training", self.tokens(Part::Train) as usize, seq_len)?;
        check_length("validation", self.tokens(Part::Validation) as usize, seq_len)
    }

    fn tokens(&self, part: Part) -> u64 {
        self.counts.tokens[part as usize]
    }

    /// The share of tokens that stand for what the tokenizer does not know.
    pub fn unknown_share(&self) -> f64 {
        let own = self.counts.tokens.iter().sum::<u64>() - self.counts.ends;
        self.counts.unknown as f64 / own.max(1) as f64
    }

    /// The share of bytes that do not come back when tokens are turned into text again, as seen in
    /// samples.
    pub fn lost_share(&self) -> f64 {
        self.counts.lost as f64 / self.counts.sampled.max(1) as f64
    }

    /// What a user should know before he trains on it.
    pub fn warnings(&self) -> Vec<String> {
        let Counts { ends_in_text, in_both, skipped, .. } = &self.counts;
        let mut all = self.notes.clone();
        let mut warn = |holds: bool, text: String| all.extend(holds.then_some(text));
        warn(
            self.end_of_text.is_none()
                && self.counts.documents.iter().any(|&documents| documents > 1),
            match self.is_bytes {
                true => "the files are joined as they are: nothing stands between them".into(),
                false => "documents are not separated: the tokenizer names no token that ends a \
                          text; data.end_of_text names one"
                    .into(),
            },
        );
        let end = self.end_of_text.as_deref().unwrap_or_default();
        warn(
            *ends_in_text > 0,
            format!(
                "{end} stands {ends_in_text} times within documents, where it reads as the end of \
                 one"
            ),
        );
        let percent = |share: f64| format!("{:.3} %", share * 100.0);
        let loud = |share: f64| {
            if share >= LARGE { "this tokenizer does not fit this text: " } else { "" }
        };
        let unknown = self.unknown_share();
        warn(
            unknown > 0.0,
            format!(
                "{}{} of all tokens stand for what the tokenizer does not know",
                loud(unknown),
                percent(unknown)
            ),
        );
        let lost = self.lost_share();
        warn(
            lost > 0.0,
            format!(
                "{}{} of the text's bytes do not come back from its tokens, in samples",
                loud(lost),
                percent(lost)
            ),
        );
        warn(
            skipped.total() > 0,
            format!("{} entries were left out: {}", skipped.total(), skipped.describe()),
        );
        warn(*in_both > 0, format!("{in_both} training documents are validation documents, too"));
        all
    }
}

/// Refuses a part that is shorter than a sequence and the token after it.
pub(crate) fn check_length(
    part: &'static str,
    tokens: usize,
    seq_len: usize,
) -> Result<(), CorpusError> {
    if tokens > seq_len { Ok(()) } else { Err(CorpusError::Short { part, tokens, seq_len }) }
}
