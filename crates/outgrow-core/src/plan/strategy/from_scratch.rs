use serde::{Deserialize, Serialize};

use super::{Rule, Sampled, StrategyError, Task};
use crate::stream::Stream;

/// The control: the target architecture from its first token on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromScratch {}

impl Rule for FromScratch {
    fn plans(&self) -> usize {
        1
    }

    fn sample(&self, task: &Task, _: &mut Stream) -> Result<Sampled, StrategyError> {
        Ok(Sampled { initial: task.target.clone(), stages: vec![] })
    }
}
