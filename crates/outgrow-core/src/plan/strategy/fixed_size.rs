use serde::{Deserialize, Serialize};

use super::{Rule, Sampled, StrategyError, Task};

/// A model that is born at its initial size and never grows: to ask whether another size would have
/// been the better one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedSize {}

impl Rule for FixedSize {
    fn sample(&self, task: &Task) -> Result<Sampled, StrategyError> {
        Ok(Sampled::fixed(task.initial))
    }
}
