use outgrow_core::{Form, LayerShape, model::HeadShape};

use super::*;
use crate::{
    device::Device,
    model::{Model, cross_entropy},
    state::Layout,
};

/// A model with heads of two sizes, and layers of two shapes.
fn uneven(causal: bool, final_norm: bool) -> Architecture {
    let form = Form { causal, final_norm, eps_sum: 1e-4, ..Form::paper() };
    let mut architecture =
        Architecture::uniform(37, 12, 24, 2, LayerShape::uniform(3, 8, 4, 40), form);
    architecture.layers[1].heads =
        [(5, 7), (5, 7), (9, 3)].map(|(d_k, d_v)| HeadShape::new(d_k, d_v)).into();
    architecture.layers[1].d_ff = 17;
    architecture
}

/// Loss and flat gradient, by autograd in float64 and fused.
fn both(architecture: &Architecture, compute: Kind, masked: bool) -> [(f64, Tensor); 2] {
    let mut state = TrainingState::fresh(architecture, 3, Kind::Float, Device::Cpu);
    if masked {
        state.mask = Some(
            Tensor::arange(state.weights.numel() as i64, (Kind::Float, tch::Device::Cpu)).sin(),
        );
    }
    let b = 5;
    let ids = |salt: i64| {
        let n = (b * architecture.seq_len) as i64;
        (Tensor::arange(n, (Kind::Int64, tch::Device::Cpu)) * salt + 3)
            .remainder(37)
            .view([b as i64, -1])
    };
    let (tokens, targets) = (ids(11), ids(7));
    let exact = |tensor: &Tensor| tensor.detach().to_kind(Kind::Double);
    let weights = state.layout().cut(&exact(&state.weights));
    let mut reference = TrainingState::from_weights(architecture, weights);
    reference.mask = state.mask.as_ref().map(exact);
    let model = Model::new(architecture, reference.weights(Kind::Double));
    let loss = cross_entropy(&model.logits(&tokens), &targets);
    let gradient = Tensor::run_backward(&[&loss], &[&reference.weights], false, false).remove(0);
    let flat = |ids: &Tensor| Vec::<i64>::try_from(ids.reshape([-1])).expect("ids");
    let mut fused = Fused::new(&state, b, compute).expect("the passes serve");
    let first = fused.run(&state, &flat(&tokens), &flat(&targets), &mut || ());
    let first = (first.0, first.1.copy());
    let again = fused.run(&state, &flat(&tokens), &flat(&targets), &mut || ());
    assert!(first.0 == again.0 && first.1.equal(&again.1), "a second run must not see the first");
    [
        (loss.double_value(&[]), gradient.to_kind(Kind::Double)),
        (again.0, again.1.to_kind(Kind::Double)),
    ]
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    ((a - b).norm() / b.norm()).double_value(&[])
}

#[test]
fn it_agrees_with_autograd() {
    for (causal, final_norm, masked) in
        [(true, true, false), (false, false, false), (true, false, true)]
    {
        let architecture = uneven(causal, final_norm);
        let [plain, ours] = both(&architecture, Kind::Float, masked);
        assert!((plain.0 - ours.0).abs() < 1e-5, "{} {}", plain.0, ours.0);
        let layout = Layout::new(&architecture);
        let (plain, ours) = (layout.cut(&plain.1), layout.cut(&ours.1));
        for (id, theirs) in &plain {
            let off = distance(&ours[id], theirs);
            assert!(off < 2e-5, "{id}: {off}");
        }
    }
}

#[test]
fn in_bfloat16_it_is_as_exact_as_autograd() {
    let architecture = uneven(true, true);
    let [exact, ours] = both(&architecture, Kind::BFloat16, false);
    assert!((exact.0 - ours.0).abs() < 0.02, "{} {}", exact.0, ours.0);
    assert!(distance(&ours.1, &exact.1) < 0.03, "{}", distance(&ours.1, &exact.1));
}

#[test]
fn what_it_can_not_do_is_left_to_autograd() {
    let mut architecture = uneven(true, true);
    let state = |architecture: &Architecture| {
        TrainingState::fresh(architecture, 3, Kind::Float, Device::Cpu)
    };
    assert!(Fused::new(&state(&architecture), 2, Kind::Double).is_none());
    architecture.form.norm = Norm::LayerNorm;
    assert!(Fused::new(&state(&architecture), 2, Kind::Float).is_none());
}
