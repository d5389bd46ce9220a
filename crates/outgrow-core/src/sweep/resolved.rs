//! A sweep that can be run.

use super::{
    check::MOST_TOKENS,
    error::{SweepError, bad},
    rates::{Rates, RatesSpec},
    sizes::SizesSpec,
    spec::{SweepSpec, VOCAB_SIZE},
};
use crate::{model::Architecture, plan::RateRule};

/// A sweep that can be run: every field was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    pub(super) spec: SweepSpec,
    pub(super) initial: Architecture,
    pub(super) target: Architecture,
}

impl Sweep {
    /// What the user asked for, with every default filled in.
    pub fn spec(&self) -> &SweepSpec {
        &self.spec
    }

    /// Where growing begins.
    pub fn initial(&self) -> &Architecture {
        &self.initial
    }

    /// Where growing ends.
    pub fn target(&self) -> &Architecture {
        &self.target
    }

    /// The full resolved sweep as TOML, without what it says to people: what is stored and hashed.
    pub fn resolved(&self) -> String {
        toml::to_string_pretty(&self.spec.without_words()).expect("a sweep is plain data")
    }

    /// The same with what it says to people.
    pub fn resolved_with_words(&self) -> String {
        toml::to_string_pretty(&self.spec).expect("a sweep is plain data")
    }

    /// Identity by content: 32 hexadecimal digits of the hash of the resolved text and the data's
    /// digest.
    pub fn id(&self, data: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.resolved().as_bytes());
        hasher.update(data.as_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// Tokens of one optimizer step.
    pub fn step_tokens(&self) -> u64 {
        (self.spec.training.batch_size * self.spec.data.seq_len) as u64
    }

    /// Its rule for rates by size; none where all sizes have the same.
    pub(super) fn rates(&self) -> Result<Option<Rates>, SweepError> {
        let own = self.spec.training.rates.as_ref();
        let Some(RatesSpec { rule, base }) = own.filter(|own| own.rule != RateRule::Standard)
        else {
            return Ok(None);
        };
        let Some(base) = base else {
            let allowed = "say at which sizes the rates are those of the file, such as \
                           { d_model = 32 }; what it leaves out is the target's";
            return bad("training.rates.base", "missing", allowed);
        };
        let base = self.spec.architecture(base, "training.rates.base")?;
        Ok(Some(Rates { rule: *rule, base }))
    }

    /// How many sizes in between never grow.
    pub(super) fn fixed_sizes(&self) -> usize {
        self.spec.controls.fixed_sizes.expect("filled in when the sweep was made")
    }

    /// So many tokens as the largest number of whole steps in `tokens` has, at least two steps.
    pub(super) fn whole_steps(&self, tokens: u64) -> u64 {
        (tokens / self.step_tokens()).max(2) * self.step_tokens()
    }

    /// So many tokens in whole steps, if a trial of this strategy may train as many.
    pub(super) fn budget(&self, strategy: &str, tokens: f64) -> Result<u64, SweepError> {
        if tokens > MOST_TOKENS as f64 {
            let allowed = format!(
                "no trial trains more than {MOST_TOKENS}; make training.tokens or the target \
                 smaller"
            );
            return bad(
                &format!("tokens of {strategy}"),
                format!("{tokens:.4e}, to be equal to the others"),
                &allowed,
            );
        }
        Ok(self.whole_steps(tokens.round() as u64))
    }
}

impl SweepSpec {
    /// The model that the sizes of a table mean.
    pub(super) fn architecture(
        &self,
        sizes: &SizesSpec,
        table: &str,
    ) -> Result<Architecture, SweepError> {
        sizes.check_checkpoint(table)?;
        let Some(d_model) = sizes.d_model else {
            let allowed = "say how wide the residual stream is";
            return bad(&format!("{table}.d_model"), "missing", allowed);
        };
        let Some(model) = self.model else {
            return bad("model", "missing", "say at least `causal`, `final_norm` and `norm_eps`");
        };
        let mut form = model.form(self.target.d_model.unwrap_or(d_model));
        form.eps_sum = self.initial.eps_sum.unwrap_or(form.eps_sum);
        let n_tokens = self.data.vocab_size.unwrap_or(VOCAB_SIZE);
        let (layers, seq_len) = (sizes.shapes(table)?, self.data.seq_len);
        let architecture = Architecture {
            vocab_size: n_tokens,
            n_outputs: n_tokens,
            seq_len,
            d_model,
            layers,
            form,
        };
        architecture.validate().or_else(|error| bad(table, "invalid", &error.to_string()))?;
        Ok(architecture)
    }
}
