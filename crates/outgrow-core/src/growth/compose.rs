//! Random models and random transforms of them: what `outgrow check` and the conformance suite
//! prove the theorem on.

use rand::RngExt;

use crate::{
    growth::{
        Transform, TransformError, TransformKind,
        transform::{
            AttentionExpansion, HeadAddition, HeadsExpansion, HiddenExpansion, LayerAddition,
            MlpExpansion,
        },
    },
    model::{Activation, Architecture, Form, HeadShape, LayerShape, Norm, Positions, Rotary},
    stream::Stream,
};

/// A small random architecture of a random form, with unequal layers and unequal heads.
pub fn random_architecture(rng: &mut Stream) -> Architecture {
    let form = random_form(rng);
    random_architecture_of(form, rng)
}

/// A small random architecture of a form, with unequal layers and unequal heads, of which a third
/// has layers that use the weights of others.
pub fn random_architecture_of(form: Form, rng: &mut Stream) -> Architecture {
    let vocab_size = rng.random_range(2..12);
    let mut layers: Vec<LayerShape> =
        (0..rng.random_range(1..4)).map(|_| random_layer(form, None, rng)).collect();
    if rng.random_bool(1.0 / 3.0) {
        let owners = layers.len();
        for _ in 0..rng.random_range(1..3) {
            let of = rng.random_range(0..owners);
            layers.push(LayerShape { of: Some(of), ..layers[of].clone() });
        }
    }
    Architecture {
        vocab_size,
        n_outputs: if form.tied { vocab_size } else { rng.random_range(2..12) },
        seq_len: rng.random_range(1..8),
        // Narrower models are ill-conditioned by themselves: an RMSNorm over one or two channels is
        // nearly a sign.
        d_model: rng.random_range(4..16),
        layers,
        form,
    }
}

/// A random form: the paper's as often as another.
pub fn random_form(rng: &mut Stream) -> Form {
    let plain = Form {
        causal: rng.random(),
        final_norm: rng.random(),
        norm: if rng.random() { Norm::RmsNorm } else { Norm::LayerNorm },
        eps_sum: if rng.random() { 1e-5 } else { 0.0 },
        ..Form::paper()
    };
    if rng.random() {
        return plain;
    }
    let rotary = Rotary {
        theta: 100.0,
        width: 4,
        channels: rng.random::<bool>().then_some(2),
        scaling: None,
    };
    Form {
        norm_gains: rng.random_bool(0.75),
        positions: if rng.random() { Positions::Rotary(rotary) } else { Positions::Learned },
        activation: [Activation::Relu, Activation::Gelu, Activation::GeluTanh, Activation::Silu]
            [rng.random_range(0..4)],
        gated: rng.random(),
        qkv_bias: rng.random(),
        output_bias: rng.random(),
        mlp_bias: rng.random(),
        // Of a few channels, as of a narrow stream: ill-conditioned by themselves where ε is small.
        qk_norm_eps: rng.random_bool(0.25).then_some(1e-2),
        parallel: rng.random(),
        branch_gains: rng.random_bool(0.25),
        tied: rng.random_bool(0.25),
        ..plain
    }
}

/// Heads that the form allows: under rotary positions of an even d_k, under QK-norm all of one,
/// `d_k` where it is given.
fn random_layer(form: Form, d_k: Option<usize>, rng: &mut Stream) -> LayerShape {
    let common = d_k.unwrap_or_else(|| random_d_k(form, rng));
    let head = |rng: &mut Stream| random_head(form, common, rng);
    let heads = [head(rng), head(rng), head(rng)];
    let n_heads = rng.random_range(1..=3);
    LayerShape::own(heads[..n_heads].to_vec(), rng.random_range(1..12))
}

fn random_d_k(form: Form, rng: &mut Stream) -> usize {
    if form.qk_norm_eps.is_some() {
        return 2 * rng.random_range(2..4);
    }
    if form.rotary().is_some() { 2 * rng.random_range(1..3) } else { rng.random_range(1..6) }
}

fn random_head(form: Form, common: usize, rng: &mut Stream) -> HeadShape {
    let d_k = if form.qk_norm_eps.is_some() { common } else { random_d_k(form, rng) };
    let n_queries = if form.is_plain() { 1 } else { rng.random_range(1..3) };
    HeadShape { n_queries, d_k, d_v: rng.random_range(1..6) }
}

/// A random transform of the given kind, at the finest granularity as often as everywhere. The form
/// of `architecture` may refuse it.
pub fn random_transform(
    architecture: &Architecture,
    kind: TransformKind,
    rng: &mut Stream,
) -> Transform {
    let form = architecture.form;
    let n_layers = architecture.layers.len();
    let layer = rng.random_bool(0.75).then(|| rng.random_range(0..n_layers));
    let more = rng.random_range(1..4);
    let heads = layer
        .filter(|_| rng.random())
        .map(|layer| vec![rng.random_range(0..architecture.layers[layer].heads.len())]);
    let reached = |of: fn(&HeadShape) -> usize| {
        let layers = architecture
            .layers
            .iter()
            .enumerate()
            .filter(|(l, _)| layer.is_none_or(|layer| layer == *l));
        let all = layers.flat_map(|(_, shape)| shape.heads.iter().enumerate());
        all.filter(|(e, _)| heads.as_ref().is_none_or(|heads| heads.contains(e)))
            .map(|(_, head)| of(head))
            .max()
            .unwrap_or(0)
    };
    match kind {
        TransformKind::MlpExpansion => {
            let layers = architecture
                .layers
                .iter()
                .enumerate()
                .filter(|(l, _)| layer.is_none_or(|layer| layer == *l));
            let d_ff = layers.map(|(_, shape)| shape.d_ff).max().unwrap_or(0) + more;
            MlpExpansion { layer, d_ff }.into()
        }
        TransformKind::HeadAddition if !form.is_plain() && rng.random() => {
            HeadAddition::queries(layer, heads, rng.random_range(1..3)).into()
        }
        TransformKind::HeadAddition => random_heads(architecture, layer, rng).into(),
        TransformKind::HeadsExpansion => {
            HeadsExpansion { layer, d_v: reached(|head| head.d_v) + more, heads }.into()
        }
        TransformKind::AttentionExpansion => {
            let more = if form.rotary().is_some() { 2 * more } else { more };
            AttentionExpansion { layer, d_k: reached(|head| head.d_k) + more, heads }.into()
        }
        TransformKind::HiddenExpansion => {
            HiddenExpansion { d_model: architecture.d_model + more }.into()
        }
        TransformKind::LayerAddition => {
            let shape = rng.random_bool(0.5).then(|| random_layer(form, None, rng));
            LayerAddition { index: rng.random_range(0..=n_layers), shape }.into()
        }
    }
}

/// New heads of one layer or of all, of a shape of their own as often as of that of the last one.
fn random_heads(
    architecture: &Architecture,
    layer: Option<usize>,
    rng: &mut Stream,
) -> HeadAddition {
    let form = architecture.form;
    let n_new_heads = rng.random_range(1..3);
    let own = rng.random_bool(0.5) && (form.qk_norm_eps.is_none() || layer.is_some());
    let last = *architecture.layers[layer.unwrap_or(0)].heads.last().expect("a head");
    match own.then(|| random_head(form, last.d_k, rng)) {
        // In several layers, the number of queries is each one's own.
        Some(HeadShape { d_k, d_v, .. }) if layer.is_none() => {
            let heads = HeadAddition::heads(layer, n_new_heads);
            HeadAddition { d_k: Some(d_k), d_v: Some(d_v), ..heads }
        }
        Some(shape) => HeadAddition::of_shape(layer, n_new_heads, shape, last),
        None => HeadAddition::heads(layer, n_new_heads),
    }
}

/// A random sequence of 1 to `most` transforms, each valid after the ones before it.
pub fn random_composition(
    architecture: &Architecture,
    most: usize,
    rng: &mut Stream,
) -> Vec<Transform> {
    let mut now = architecture.clone();
    let mut transforms = vec![];
    let n = rng.random_range(1..=most);
    while transforms.len() < n {
        let kind = TransformKind::ALL[rng.random_range(0..6)];
        let transform = random_transform(&now, kind, rng);
        match transform.grow(&now) {
            Ok(grown) => now = grown.architecture,
            Err(TransformError::Refused { .. }) => continue,
            Err(error) => panic!("a random transform is valid: {error}"),
        }
        transforms.push(transform);
    }
    transforms
}

/// A random sequence of tokens, as long as the model reads.
pub fn random_tokens(architecture: &Architecture, rng: &mut Stream) -> Vec<usize> {
    (0..architecture.seq_len).map(|_| rng.random_range(0..architecture.vocab_size)).collect()
}
