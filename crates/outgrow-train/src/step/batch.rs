//! Token ids on the device.

use outgrow_data::Tokens;
use tch::Tensor;

use crate::device::Device;

/// Inputs and targets b × t of sequences of t + 1 tokens.
pub(crate) fn batch_of<'t>(
    sequences: impl Iterator<Item = Tokens<'t>>,
    seq_len: usize,
    device: Device,
) -> (Tensor, Tensor) {
    let mut tokens: Vec<i64> = vec![];
    sequences.for_each(|sequence| sequence.append_to(&mut tokens));
    let tokens = Tensor::from_slice(&tokens).view([-1, seq_len as i64 + 1]).to_device(device.tch());
    (tokens.narrow(1, 0, seq_len as i64), tokens.narrow(1, 1, seq_len as i64))
}
