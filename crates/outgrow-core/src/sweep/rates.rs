//! Rates by size, for all models of a sweep, grown or not.

use serde::{Deserialize, Serialize};

use super::{
    error::{SweepError, bad},
    sizes::SizesSpec,
};
use crate::{Architecture, model::ArchitectureError, plan::RateRule};

/// A rule for rates by size, and the sizes at which they are those of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct RatesSpec {
    pub rule: RateRule,
    /// What they leave out is the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<SizesSpec>,
}

/// A rule for rates by size, and the model whose rates are those of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
#[allow(missing_docs)]
pub struct Rates {
    pub rule: RateRule,
    pub base: Architecture,
}

/// As a database has it, which may be another program's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    rule: RateRule,
    base: Architecture,
}

impl TryFrom<Unchecked> for Rates {
    type Error = ArchitectureError;

    fn try_from(Unchecked { rule, base }: Unchecked) -> Result<Self, ArchitectureError> {
        base.validate().map(|()| Self { rule, base })
    }
}

impl RatesSpec {
    /// Refuses what only a growth can mean.
    pub(super) fn check(&self) -> Result<(), SweepError> {
        let allowed = match self.rule {
            RateRule::PathsVariance => {
                "it is measured in the model that grows: write it as training.growth.learning_rate \
                 = { kind = \"rebase\", rule = \"paths_variance\" }"
            }
            RateRule::Dynamics => {
                "it goes along with what a growth scales: write it as training.growth.learning_rate \
                 = { kind = \"rebase\", rule = \"dynamics\" }"
            }
            _ => return Ok(()),
        };
        bad("training.rates.rule", format!("{:?}", self.rule.name()), allowed)
    }
}
