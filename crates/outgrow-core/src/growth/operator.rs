//! The field's operators: published methods for growing a model, as lists of edits like the
//! transforms. Each is one small file: its equations, its source, what it can't do, and whether it
//! preserves the function.
//!
//! Notation: a parameter `W` is (in × out), as everywhere here. Copying a unit c times means: what
//! *writes* the unit is copied, what *reads* it is divided among the copies (`units::Share`).

mod add_passes;
mod bert2bert;
mod builder;
mod depth_up_scaling;
mod grad_max;
mod gradual_stack;
mod hyper_cloning;
mod identity_blocks;
mod lemon;
mod lesa;
mod ligo;
mod msg;
mod net2net;
mod sparkling;
mod stack;
mod staged;
mod units;
mod untie;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::{
    add_passes::AddPasses,
    bert2bert::{Bert2Bert, Knowledge},
    depth_up_scaling::DepthUpScaling,
    grad_max::{GradMax, Objective},
    gradual_stack::{Block, GradualStack},
    hyper_cloning::HyperCloning,
    identity_blocks::IdentityBlocks,
    lemon::Lemon,
    lesa::Lesa,
    ligo::{Ligo, LigoInitial, LigoOrder},
    msg::Msg,
    net2net::Net2Net,
    sparkling::Sparkling,
    stack::{Order, Stack},
    staged::{Staged, StagedDepth},
    untie::Untie,
};

use self::builder::OperatorBuilder;
use super::{
    error::TransformError,
    grown::Grown,
    target::{Sizes, TargetShape},
};
use crate::{
    model::{Architecture, ArchitectureError},
    stream::stream,
};

/// What the file of an operator says.
trait Method {
    /// Writes down the edits that lead from the builder's architecture to its target.
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError>;

    /// Whether it claims to preserve the function.
    fn preserves(&self, from: &Architecture, to: &TargetShape) -> bool;

    /// Refuses parameters that mean nothing.
    fn check(&self) -> Result<(), OperatorError> {
        Ok(())
    }

    /// Tokens for which a mask stands before what it added.
    fn ramp_tokens(&self) -> u64 {
        0
    }

    /// Whether what it makes is fitted: to training text, or to the weights that are there.
    fn is_fitted(&self) -> bool {
        false
    }

    /// FLOPs that it spends on itself.
    fn flops(&self, _from: &Architecture, _to: &Architecture) -> u128 {
        0
    }

    /// How the sizes between its first and its last application lie.
    fn spacing(&self) -> Spacing {
        Spacing::Arithmetic
    }

    /// Whether it is about layers that use the weights of others.
    fn shares(&self) -> bool {
        false
    }
}

/// How sizes lie between a first and a last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Equal differences.
    Arithmetic,
    /// Equal factors.
    Geometric,
}

macro_rules! operators {
    ($($method:ident = $name:literal,)*) => {
        /// A published method. In files: `{ kind = "stack", order = "block" }`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        #[allow(missing_docs)]
        pub enum Operator {
            $(#[serde(rename = $name)] $method($method),)*
        }

        impl Operator {
            /// The names of all operators.
            pub const KINDS: &[&str] = &[$($name),*];

            /// What files, databases and figures call it.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Operator::$method(_) => $name,)*
                }
            }

            fn method(&self) -> &dyn Method {
                match self {
                    $(Operator::$method(method) => method,)*
                }
            }
        }
    };
}

// The list: an operator, and what files, databases and figures call it.
operators! {
    Stack = "stack",
    GradualStack = "gradual_stack",
    DepthUpScaling = "depth_up_scaling",
    IdentityBlocks = "identity_blocks",
    Net2Net = "net2net",
    Bert2Bert = "bert2bert",
    HyperCloning = "hyper_cloning",
    Lemon = "lemon",
    Staged = "staged",
    Sparkling = "sparkling",
    Msg = "msg",
    Ligo = "ligo",
    GradMax = "grad_max",
    Untie = "untie",
    AddPasses = "add_passes",
    Lesa = "lesa",
}

/// Why an operator can't do what it is asked.
#[derive(Debug, Error, PartialEq)]
#[allow(missing_docs)]
pub enum OperatorError {
    /// Its rule does not lead there.
    #[error("{operator}: {why}")]
    Refused {
        operator: &'static str,
        /// What it would take, what was asked, and what is allowed.
        why: String,
    },
    /// A transform that it is made of can't be applied.
    #[error("{operator}: {error}")]
    Transform { operator: &'static str, error: TransformError },
    /// The result is no architecture.
    #[error("the grown model would be invalid: {0}")]
    Invalid(#[from] ArchitectureError),
}

impl Operator {
    /// Enlarges `architecture` to the goal.
    ///
    /// # Errors
    /// If its rule does not lead there.
    pub fn grow(
        &self,
        architecture: &Architecture,
        to: &TargetShape,
        seed: u64,
    ) -> Result<Grown, OperatorError> {
        self.method().check()?;
        let rng = stream(seed, "units");
        let mut builder = OperatorBuilder {
            operator: self.name(),
            now: architecture.clone(),
            to,
            edits: vec![],
            rng,
        };
        builder.check_nothing_shrinks()?;
        builder.check_form()?;
        if !self.method().shares() {
            builder.check_own_weights()?;
        }
        self.method().grow(&mut builder)?;
        builder.check_arrived()?;
        builder.now.validate()?;
        Ok(Grown { architecture: builder.now, edits: builder.edits })
    }

    /// The goal of a model whose layers all grow to `sizes`. What unties layers unties all of them;
    /// what adds passes adds them in the order of the layers that are there, again and again.
    ///
    /// # Errors
    /// If queries can't share keys and values evenly.
    pub fn reach(
        &self,
        architecture: &Architecture,
        sizes: &Sizes,
    ) -> Result<TargetShape, TransformError> {
        let mut to = TargetShape::reach(architecture, sizes)?;
        match self {
            Self::Untie(_) => to.layers.iter_mut().for_each(|layer| layer.of = None),
            Self::AddPasses(_) => {
                let n = architecture.layers.len();
                for (number, layer) in to.layers.iter_mut().enumerate().skip(n) {
                    layer.of = Some(architecture.owner(number % n));
                }
            }
            _ => {}
        }
        Ok(to)
    }

    /// Whether it claims to preserve the function on this builder.
    pub fn preserves(&self, from: &Architecture, to: &TargetShape) -> bool {
        self.method().preserves(from, to)
    }

    /// Tokens for which a mask stands before what it added.
    pub fn ramp_tokens(&self) -> u64 {
        self.method().ramp_tokens()
    }

    /// Whether what it makes is fitted: to training text, or to the weights that are there. It then
    /// stands alone in its stage.
    pub fn is_fitted(&self) -> bool {
        self.method().is_fitted()
    }

    /// FLOPs that it spends on itself.
    pub fn flops(&self, from: &Architecture, to: &Architecture) -> u128 {
        self.method().flops(from, to)
    }

    /// How the sizes between several applications lie.
    pub fn spacing(&self) -> Spacing {
        self.method().spacing()
    }
}
