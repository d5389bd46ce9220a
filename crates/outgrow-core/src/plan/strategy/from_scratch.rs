use serde::{Deserialize, Serialize};

use super::{Rule, Sampled, StrategyError, Task};

/// The control: the target architecture from its first token on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromScratch {}

impl Rule for FromScratch {
    fn sample(&self, task: &Task) -> Result<Sampled, StrategyError> {
        Ok(Sampled::fixed(task.target))
    }
}
