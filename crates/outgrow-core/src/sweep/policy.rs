//! A strategy's own policy at growth.

use serde::{Deserialize, Serialize};
use toml::Table;

use super::{
    error::{SweepError, bad, shown},
    merge::merge_tables,
};
use crate::{
    edit::Initializer,
    plan::{GrowthPolicy, LearningRateAtGrowth, OptimizerAtGrowth, RateRule},
};

/// What a strategy says about its policy at growth, over the sweep's. It stays as it was said, so
/// that what it leaves out follows the sweep's at every point of a grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnPolicy(Table);

impl OwnPolicy {
    /// Reads it, none of an empty table.
    ///
    /// # Errors
    /// If it has a field that no policy has, or a value of a wrong type.
    pub(super) fn read(table: Table) -> Result<Option<Self>, String> {
        let policy = (!table.is_empty()).then_some(Self(table));
        let any = GrowthPolicy {
            initializer: Initializer::Normal { scale: 1.0 },
            optimizer: OptimizerAtGrowth::KeepEntryAge,
            learning_rate: LearningRateAtGrowth::Unchanged,
        };
        policy.as_ref().map_or(Ok(()), |policy| policy.over(&any).map(drop))?;
        Ok(policy)
    }

    /// It, over the sweep's.
    ///
    /// # Errors
    /// If the two make no policy.
    pub(super) fn over(&self, sweep: &GrowthPolicy) -> Result<GrowthPolicy, String> {
        let mut table = Table::try_from(sweep).expect("a policy is plain data");
        merge_tables(&mut table, self.0.clone())?;
        serde_path_to_error::deserialize(table)
            .map_err(|error| format!("growth.{}: {}", error.path(), error.inner().message()))
    }
}

/// Refuses values out of range, and a rule for rates by size beside the sweep's own.
pub(super) fn check(
    table: &str,
    policy: &GrowthPolicy,
    rates: Option<RateRule>,
) -> Result<(), SweepError> {
    policy.check().or_else(|(field, value, allowed)| {
        bad(&format!("{table}.{field}"), shown(value), allowed)
    })?;
    let field = match policy.learning_rate {
        LearningRateAtGrowth::Rebase { .. } => "rule",
        _ => "kind",
    };
    let own = |rule: &RateRule| !matches!(rule, RateRule::Dynamics | RateRule::Standard);
    match (policy.learning_rate.rule().filter(own), rates.filter(own)) {
        (Some(rule), Some(rates)) => bad(
            &format!("{table}.learning_rate.{field}"),
            format!("{:?} beside {:?} of training.rates", rule.name(), rates.name()),
            "training.rates gives every model the rates of its size, grown or not: leave one out",
        ),
        _ => Ok(()),
    }
}
