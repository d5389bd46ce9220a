use outgrow_core::stream::Stream;

use super::{Searcher, unknown};
use crate::{
    history::Known,
    space::{Plan, Space},
};

/// Draws from the whole space: the control that every other must beat at equal cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Searcher for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn next(&self, space: &Space, known: &Known, random: &mut Stream) -> Option<Plan> {
        unknown(known, || space.sample(random))
    }
}
