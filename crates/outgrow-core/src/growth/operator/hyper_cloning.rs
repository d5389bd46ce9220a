use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, Spacing, builder::OperatorBuilder, units::tiled};
use crate::{
    edit::Edit,
    growth::target::TargetShape,
    model::{Architecture, Axis},
};

/// HyperCloning (Samragh et al., arXiv 2409.12903): every width n times over.
///
/// ```text
/// Ŵ = [W … W; …; W … W] / n (n counts the copies of its inputs);  embeddings, positions, gains: [w … w]
/// logits: x̂ Û = Σ_copies x U / n
/// ```
///
/// d_model, the heads and d_ff of every layer must each be multiplied by a whole number; d_k, d_v
/// and n_layers stay. The sum of squares in every norm is multiplied by n, and so is its ε.
/// Function preserving, with and without noise: with `noise_db`, the same noise is added to one
/// copy of the inputs and subtracted from the next (an odd copy at the end stays clean), at that
/// signal-to-noise ratio; it cancels as long as the copies are equal, and lets them become
/// different.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HyperCloning {
    /// Signal-to-noise ratio in decibels; no noise if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_db: Option<f64>,
}

impl Method for HyperCloning {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        builder.only_width()?;
        builder.check_heads_whole()?;
        let channels = builder.factor("d_model", builder.now.d_model, builder.to.d_model)?;
        let heads = builder.layer_factor("n_heads", |layer| layer.heads.len())?;
        let units = builder.layer_factor("d_ff", |layer| layer.d_ff)?;
        let before = builder.now.clone();
        builder.copy_channels(&tiled(before.d_model, channels));
        builder.multiply_eps(channels);
        for (number, layer) in before.layers.iter().enumerate() {
            builder.copy_units(number, &tiled(layer.d_ff, units));
            builder.copy_heads(number, &tiled(layer.heads.len(), heads));
        }
        if let Some(db) = self.noise_db {
            add_noise(builder, &before, 10f64.powf(-db / 20.0));
        }
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        true
    }

    fn check(&self) -> Result<(), OperatorError> {
        match self.noise_db {
            Some(db) if !db.is_finite() => {
                let why = format!(
                    "`noise_db` is {db}; it must be a finite number of decibels, or left out"
                );
                Err(OperatorError::Refused { operator: "hyper_cloning", why })
            }
            _ => Ok(()),
        }
    }

    fn spacing(&self) -> Spacing {
        Spacing::Geometric
    }
}

/// Noise on every pair of copies of what each matrix reads.
fn add_noise(builder: &mut OperatorBuilder, before: &Architecture, relative: f64) {
    let layers: Vec<_> = before
        .layers
        .iter()
        .enumerate()
        .map(|(number, layer)| (number, layer.width(Axis::Mixed), layer.d_ff))
        .collect();
    let mut pairs = vec![(Axis::Model, None, before.d_model)];
    pairs.extend(layers.iter().map(|&(number, mixed, _)| (Axis::Mixed, Some(number), mixed)));
    pairs.extend(layers.iter().map(|&(number, _, d_ff)| (Axis::Ff, Some(number), d_ff)));
    for (axis, layer, len) in pairs {
        for param in builder.params(axis, layer).into_iter().filter(|id| id.kind.reads(axis)) {
            let copies = param.shape(&builder.now)[0] / len;
            for pair in 0..copies / 2 {
                let at = 2 * pair * len;
                let (to, from) = (at..at + len, Some(at + len..at + 2 * len));
                builder.edits.push(Edit::Noise { param, axis, relative, to, from });
            }
        }
    }
}
