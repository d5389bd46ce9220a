//! Random models and random transforms of them: what `outgrow check` and the conformance suite prove the theorem on.

use rand::RngExt;

use crate::{
    architecture::{Architecture, Form, HeadShape, LayerShape, Norm},
    stream::Stream,
    transform::{
        AttentionExpansion, HeadAddition, HeadsExpansion, HiddenExpansion, LayerAddition, MlpExpansion, Transform,
        TransformKind,
    },
};

/// A small random architecture with unequal layers and unequal heads.
pub fn random_architecture(rng: &mut Stream) -> Architecture {
    let vocab_size = rng.random_range(2..12);
    Architecture {
        vocab_size,
        n_outputs: rng.random_range(2..12),
        seq_len: rng.random_range(1..8),
        // Narrower models are ill-conditioned by themselves: an RMSNorm over one or two channels is nearly a sign.
        d_model: rng.random_range(4..16),
        layers: (0..rng.random_range(1..4)).map(|_| random_layer(rng)).collect(),
        form: Form {
            causal: rng.random(),
            final_norm: rng.random(),
            eps_sum: if rng.random() { 1e-5 } else { 0.0 },
            norm: if rng.random() { Norm::RmsNorm } else { Norm::LayerNorm },
        },
    }
}

fn random_layer(rng: &mut Stream) -> LayerShape {
    let mut head = || HeadShape { d_k: rng.random_range(1..6), d_v: rng.random_range(1..6) };
    let heads = [head(), head(), head()];
    let n_heads = rng.random_range(1..=3);
    LayerShape { heads: heads[..n_heads].to_vec(), d_ff: rng.random_range(1..12) }
}

/// A random transform of the given kind that `architecture` admits, at the finest granularity as often as everywhere.
pub fn random_transform(architecture: &Architecture, kind: TransformKind, rng: &mut Stream) -> Transform {
    let n_layers = architecture.layers.len();
    let layer = rng.random_bool(0.75).then(|| rng.random_range(0..n_layers));
    let more = rng.random_range(1..4);
    let heads =
        layer.filter(|_| rng.random()).map(|layer| vec![rng.random_range(0..architecture.layers[layer].heads.len())]);
    let reached = |of: fn(&HeadShape) -> usize| {
        let layers = architecture.layers.iter().enumerate().filter(|(l, _)| layer.is_none_or(|layer| layer == *l));
        let all = layers.flat_map(|(_, shape)| shape.heads.iter().enumerate());
        all.filter(|(e, _)| heads.as_ref().is_none_or(|heads| heads.contains(e)))
            .map(|(_, head)| of(head))
            .max()
            .unwrap_or(0)
    };
    match kind {
        TransformKind::MlpExpansion => {
            let layers = architecture.layers.iter().enumerate().filter(|(l, _)| layer.is_none_or(|layer| layer == *l));
            let d_ff = layers.map(|(_, shape)| shape.d_ff).max().unwrap_or(0) + more;
            MlpExpansion { layer, d_ff }.into()
        }
        TransformKind::HeadAddition => {
            let own = rng.random_bool(0.5).then(|| (rng.random_range(1..6), rng.random_range(1..6)));
            HeadAddition { layer, n_new_heads: rng.random_range(1..3), d_k: own.map(|o| o.0), d_v: own.map(|o| o.1) }
                .into()
        }
        TransformKind::HeadsExpansion => HeadsExpansion { layer, d_v: reached(|head| head.d_v) + more, heads }.into(),
        TransformKind::AttentionExpansion => {
            AttentionExpansion { layer, d_k: reached(|head| head.d_k) + more, heads }.into()
        }
        TransformKind::HiddenExpansion => HiddenExpansion { d_model: architecture.d_model + more }.into(),
        TransformKind::LayerAddition => {
            let shape = rng.random_bool(0.5).then(|| random_layer(rng));
            LayerAddition { index: rng.random_range(0..=n_layers), shape }.into()
        }
    }
}

/// A random sequence of 1 to `most` transforms, each valid after the ones before it.
pub fn random_composition(architecture: &Architecture, most: usize, rng: &mut Stream) -> Vec<Transform> {
    let mut now = architecture.clone();
    let mut transforms = vec![];
    for _ in 0..rng.random_range(1..=most) {
        let kind = TransformKind::ALL[rng.random_range(0..6)];
        let transform = random_transform(&now, kind, rng);
        now = transform.grow(&now).expect("a random transform is valid").architecture;
        transforms.push(transform);
    }
    transforms
}

/// A random sequence of tokens, as long as the model reads.
pub fn random_tokens(architecture: &Architecture, rng: &mut Stream) -> Vec<usize> {
    (0..architecture.seq_len).map(|_| rng.random_range(0..architecture.vocab_size)).collect()
}
