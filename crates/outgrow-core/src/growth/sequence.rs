//! What may stand in a stage of a plan: one of the six transforms, or a published operator on its
//! way to a goal.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{
    error::TransformError,
    grown::Grown,
    operator::{Operator, OperatorError},
    table::TransformKind,
    target::TargetShape,
    transform::Transform,
};
use crate::model::{Architecture, LayerShape};

/// One enlargement of a model. In JSON a transform (`{"transform": "mlp_expansion", "d_ff": 96}`)
/// or an operator with the sizes that it leads to (`{"operator": {"kind": "stack", "order":
/// "block"}, "to": {"d_model": 32, "layers": [...]}}`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Value")]
pub enum Growth {
    /// One of the six.
    Transform(Transform),
    /// A published method.
    Operator(Application),
}

/// An operator and the sizes that it leads to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Application {
    pub operator: Operator,
    /// The sizes after it.
    pub to: TargetShape,
}

/// Why a growth can't be applied.
#[derive(Debug, Error, PartialEq)]
pub enum GrowthError {
    /// A transform can't.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// An operator can't.
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

impl Growth {
    /// Enlarges `architecture`. What an operator draws by itself (which units it copies), it draws
    /// from `seed`; sizes do not depend on it.
    ///
    /// # Errors
    /// If it names what is not there, would shrink something, change nothing, or can't lead there
    /// by its rule.
    pub fn grow(&self, architecture: &Architecture, seed: u64) -> Result<Grown, GrowthError> {
        match self {
            Growth::Transform(transform) => Ok(transform.grow(architecture)?),
            Growth::Operator(Application { operator, to }) => {
                Ok(operator.grow(architecture, to, seed)?)
            }
        }
    }

    /// Whether it claims to preserve the function of `architecture`: at every growth event it is
    /// then held to it.
    pub fn preserves(&self, architecture: &Architecture) -> bool {
        match self {
            Growth::Transform(_) => true,
            Growth::Operator(Application { operator, to }) => operator.preserves(architecture, to),
        }
    }

    /// Tokens for which a mask stands before what it added.
    pub fn ramp_tokens(&self) -> u64 {
        match self {
            Growth::Transform(_) => 0,
            Growth::Operator(application) => application.operator.ramp_tokens(),
        }
    }

    /// The operator, if what it makes is fitted: to training text, or to the weights that are there.
    pub fn fitted(&self) -> Option<&Operator> {
        match self {
            Growth::Operator(application) if application.operator.is_fitted() => {
                Some(&application.operator)
            }
            _ => None,
        }
    }

    /// Its name: a transform's or an operator's.
    pub fn name(&self) -> &'static str {
        match self {
            Growth::Transform(transform) => transform.kind().name(),
            Growth::Operator(application) => application.operator.name(),
        }
    }
}

/// Which of the six axes several growths in a row enlarge.
pub fn axes(before: &Architecture, after: &Architecture, growths: &[Growth]) -> Vec<TransformKind> {
    let transforms: Option<Vec<TransformKind>> = growths
        .iter()
        .map(|growth| match growth {
            Growth::Transform(transform) => Some(transform.kind()),
            Growth::Operator(_) => None,
        })
        .collect();
    let found = transforms.unwrap_or_else(|| changed_axes(before, after));
    TransformKind::ALL.into_iter().filter(|kind| found.contains(kind)).collect()
}

/// The axes in which two architectures differ: by their largest layers, so that it holds when
/// layers were added.
fn changed_axes(before: &Architecture, after: &Architecture) -> Vec<TransformKind> {
    let most = |a: &Architecture, of: fn(&LayerShape) -> usize| a.layers.iter().map(of).max();
    let differs = |of: fn(&LayerShape) -> usize| most(before, of) != most(after, of);
    let changed = |kind: &TransformKind| match kind {
        TransformKind::HiddenExpansion => before.d_model != after.d_model,
        TransformKind::LayerAddition => before.layers.len() != after.layers.len(),
        TransformKind::MlpExpansion => differs(|layer| layer.d_ff),
        TransformKind::HeadAddition => differs(LayerShape::n_heads),
        TransformKind::AttentionExpansion => {
            differs(|layer| layer.heads.iter().map(|h| h.d_k).max().unwrap_or(0))
        }
        TransformKind::HeadsExpansion => {
            differs(|layer| layer.heads.iter().map(|h| h.d_v).max().unwrap_or(0))
        }
    };
    TransformKind::ALL.into_iter().filter(changed).collect()
}

/// Enlarges `architecture` by several growths in a row, each with a seed of its own derived from
/// `seed`.
///
/// # Errors
/// The number (from 0) of the first one that can't be applied, and why.
pub fn grow_all<G: Clone + Into<Growth>>(
    architecture: &Architecture,
    growths: &[G],
    seed: u64,
) -> Result<Grown, (usize, GrowthError)> {
    let mut grown = Grown { architecture: architecture.clone(), edits: vec![] };
    for (number, growth) in growths.iter().enumerate() {
        let own = crate::stream::derive(seed, &format!("operator/{number}"));
        let next = growth
            .clone()
            .into()
            .grow(&grown.architecture, own)
            .map_err(|error| (number, error))?;
        grown.architecture = next.architecture;
        grown.edits.extend(next.edits);
    }
    Ok(grown)
}

/// Whether several growths in a row all claim to preserve the function.
pub fn all_preserve(architecture: &Architecture, growths: &[Growth]) -> bool {
    let mut now = architecture.clone();
    growths.iter().all(|growth| {
        let preserves = growth.preserves(&now);
        if let Ok(grown) = growth.grow(&now, 0) {
            now = grown.architecture;
        }
        preserves
    })
}

impl From<Application> for Growth {
    fn from(application: Application) -> Self {
        Growth::Operator(application)
    }
}

impl<T: Into<Transform>> From<T> for Growth {
    fn from(transform: T) -> Self {
        Growth::Transform(transform.into())
    }
}

impl TryFrom<Value> for Growth {
    type Error = serde_json::Error;

    fn try_from(value: Value) -> Result<Self, serde_json::Error> {
        match value.get("operator") {
            Some(_) => serde_json::from_value(value).map(Growth::Operator),
            None => serde_json::from_value(value).map(Growth::Transform),
        }
    }
}
