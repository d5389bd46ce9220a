use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, builder::OperatorBuilder, units::drawn};
use crate::{
    edit::Edit,
    growth::target::TargetShape,
    model::{Architecture, Axis},
};

/// Net2WiderNet (Chen et al., arXiv 1511.05641) on a transformer: new units are copies of units
/// drawn uniformly.
///
/// ```text
/// g(j) = j for old units, drawn uniformly for new ones;  c_i how often i is copied
/// Ŵ_writes[·, j] = W[·, g(j)],    Ŵ_reads[j, ·] = W[g(j), ·] / c_g(j)
/// ```
///
/// for the units of every MLP, for heads as wholes, and for the channels of the stream (one map for
/// the whole model). It adds no layers, and d_k and d_v stay. Units and heads preserve the
/// function; channels do not, because a norm sees channels that are copied unequally often. With
/// `noise` (over the root mean square of what it is added to) on what writes the new units, nothing
/// is preserved, but copies can become different; without, equal units get equal gradients for
/// ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Net2Net {
    /// Standard deviation, relative; 0 for none.
    pub noise: f64,
}

impl Method for Net2Net {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        builder.only_width()?;
        widen(builder)?;
        if self.noise > 0.0 {
            self.disturb(builder);
        }
        Ok(())
    }

    fn preserves(&self, from: &Architecture, to: &TargetShape) -> bool {
        from.d_model == to.d_model && self.noise == 0.0
    }

    fn check(&self) -> Result<(), OperatorError> {
        if self.noise.is_finite() && self.noise >= 0.0 {
            return Ok(());
        }
        let why = format!("`noise` is {}; it must be a finite number of at least 0", self.noise);
        Err(OperatorError::Refused { operator: "net2net", why })
    }
}

impl Net2Net {
    fn disturb(&self, builder: &mut OperatorBuilder) {
        let widened: Vec<_> = builder.edits.iter().filter_map(new_written).collect();
        for (param, axis, to) in widened {
            builder.edits.push(Edit::Noise { param, axis, relative: self.noise, to, from: None });
        }
    }
}

/// Where an edit has copied units on the side that writes them.
fn new_written(edit: &Edit) -> Option<(crate::ParamId, Axis, std::ops::Range<usize>)> {
    match edit {
        Edit::Gather { param, axis, units, .. }
            if !param.kind.reads(*axis) && !param.kind.is_gain() =>
        {
            let first = units.iter().position(|unit| unit.is_new)?;
            Some((*param, *axis, first..units.len()))
        }
        _ => None,
    }
}

/// All widths of all layers, each by a map of its own.
fn widen(builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
    builder.check_heads_whole()?;
    builder.copy_in_layers(drawn);
    if builder.to.d_model > builder.now.d_model {
        let shares = drawn(builder.now.d_model, builder.to.d_model, &mut builder.rng);
        builder.copy_channels(&shares);
    }
    Ok(())
}
