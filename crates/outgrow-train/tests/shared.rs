//! Layers that use the weights of others, on libtorch: gradients add up, moments are shared out,
//! untying changes no bit of what follows.

use outgrow_core::{
    Architecture, Form, Growth, GrowthPlan, LayerShape, Norm, ParamId, ParamKind, Stage,
    edit::Initializer,
    growth::{
        Application, Operator, TargetShape, grow_all,
        operator::{AddPasses, Untie},
    },
    sweep::{Precision, StepSettings},
};
use outgrow_data::Tokens;
use outgrow_train::{
    Device, GrowOptions, Model, Stepper, TrainingState, cross_entropy, device::initialise,
};
use tch::{Kind, Tensor, no_grad};

fn model(branch_gains: bool, owners: &[usize]) -> Architecture {
    let form = Form { branch_gains, ..Form::decoder(Norm::RmsNorm, 1e-2) };
    let layer = LayerShape::uniform(2, 4, 4, 16);
    let mut model = Architecture::uniform(7, 5, 8, 2, layer.clone(), form);
    model.layers.extend(owners.iter().map(|&of| LayerShape { of: Some(of), ..layer.clone() }));
    model
}

fn untied(architecture: &Architecture) -> Architecture {
    let layers = architecture.layers.iter().map(LayerShape::untied).collect();
    Architecture { layers, ..architecture.clone() }
}

fn grown(state: &TrainingState, operator: Operator, goal: &Architecture) -> TrainingState {
    let growth: Growth = Application { operator, to: TargetShape::of(goal) }.into();
    let grown = grow_all(state.architecture(), &[growth], 0).expect("possible");
    let initializer = &Initializer::Normal { scale: 1.0 };
    no_grad(|| state.grown(&grown, &GrowOptions { initializer, copies: true, seed: 1, event: 0 }))
}

fn train(state: &mut TrainingState, steps: usize) {
    let precision =
        if state.master() == Kind::Double { Precision::Float64 } else { Precision::Float32 };
    let mut stepper =
        Stepper::new(StepSettings::usual(state.architecture(), precision), Device::Cpu, 1);
    for step in 0..steps {
        let text: Vec<u8> = (0..12).map(|i| ((i * i + 3 * step + i) % 7) as u8).collect();
        let sequences = text.chunks(6).map(Tokens::U8);
        stepper.step(state, sequences, 1e-2, &mut |_| ());
    }
}

fn fresh(architecture: &Architecture, kind: Kind) -> TrainingState {
    initialise(1);
    TrainingState::fresh(architecture, 3, kind, Device::Cpu)
}

fn inputs() -> [Tensor; 2] {
    let ids = Tensor::from_slice(&[1i64, 4, 0, 6, 2, 3, 3, 5, 1, 0, 2]);
    [0, 1].map(|at| ids.narrow(0, at, 10).view([2, 5]))
}

fn logits(state: &TrainingState) -> Tensor {
    let model = Model::new(state.architecture(), state.weights(state.master()));
    no_grad(|| model.logits(&inputs()[0]))
}

fn gradients(state: &TrainingState) -> std::collections::BTreeMap<ParamId, Tensor> {
    let weights = state.weights(state.master());
    let leaves: std::collections::BTreeMap<_, _> =
        weights.into_iter().map(|(id, w)| (id, w.detach().set_requires_grad(true))).collect();
    let of: Vec<Tensor> = leaves.values().map(Tensor::shallow_clone).collect();
    let ids: Vec<ParamId> = leaves.keys().copied().collect();
    let [inputs, targets] = inputs();
    let loss = cross_entropy(&Model::new(state.architecture(), leaves).logits(&inputs), &targets);
    ids.into_iter().zip(Tensor::run_backward(&[&loss], &of, false, false)).collect()
}

#[test]
fn a_shared_gradient_is_the_sum_over_passes() {
    for gains in [false, true] {
        let mut tied = fresh(&model(gains, &[0, 1, 0]), Kind::Double);
        train(&mut tied, 5);
        let own = grown(&tied, Operator::Untie(Untie {}), &untied(tied.architecture()));
        let (of_tied, of_own) = (gradients(&tied), gradients(&own));
        for (id, gradient) in of_tied {
            let passes = match id.layer {
                Some(layer) if !id.kind.is_branch_gain() => tied.architecture().passes(layer),
                _ => vec![id.layer.unwrap_or(0)],
            };
            let of_pass = |layer| &of_own[&ParamId { layer: id.layer.map(|_| layer), ..id }];
            let sum = passes.into_iter().map(of_pass).fold(gradient.zeros_like(), |a, b| a + b);
            let off = (&gradient - sum).abs().max().double_value(&[]);
            assert!(off < 1e-12, "{id}: {off:e}");
        }
    }
}

#[test]
fn untying_changes_no_bit_and_shares_out_the_moments() {
    for gains in [false, true] {
        let mut tied = fresh(&model(gains, &[0, 1, 0]), Kind::Float);
        train(&mut tied, 5);
        let own = grown(&tied, Operator::Untie(Untie {}), &untied(tied.architecture()));
        assert!(logits(&tied).equal(&logits(&own)));
        let (before, after) = (tied.parts(), own.parts());
        for (layer, owner, passes) in [(0, 0, 3.0), (1, 1, 2.0), (2, 0, 3.0), (4, 0, 3.0)] {
            let [from, id] = [owner, layer].map(|l| ParamId::in_layer(l, ParamKind::W1));
            assert!(after.weights[&id].equal(&before.weights[&from]));
            let near = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]) < 1e-9;
            assert!(near(&after.first_moment[&id], &(&before.first_moment[&from] / passes)));
            let square = passes * passes;
            assert!(near(&after.second_moment[&id], &(&before.second_moment[&from] / square)));
            assert!(after.born[&id].equal(&before.born[&from]));
        }
        // From there on it is a model like any other.
        let layers: Vec<LayerShape> = own.architecture().layers.clone();
        let plain = Architecture { layers, ..model(gains, &[]) };
        let mut other = TrainingState::from_parts(&plain, own.parts(), 5);
        let mut own = own;
        train(&mut own, 5);
        train(&mut other, 5);
        assert!(logits(&own).equal(&logits(&other)));
        train(&mut tied, 5);
        assert!(!logits(&own).equal(&logits(&tied)));
    }
}

#[test]
fn silent_passes_learn_at_once() {
    let mut state = fresh(&model(true, &[]), Kind::Float);
    train(&mut state, 5);
    let looped = grown(&state, Operator::AddPasses(AddPasses {}), &model(true, &[0, 1]));
    assert!(logits(&state).equal(&logits(&looped)));
    let gradients = gradients(&looped);
    for layer in [2, 3] {
        for kind in [ParamKind::AttentionGain, ParamKind::MlpGain] {
            let gradient = &gradients[&ParamId::in_layer(layer, kind)];
            assert!(gradient.abs().min().double_value(&[]) > 0.0);
        }
    }
}

/// A plan in which a loop is grown, and then untied.
#[test]
fn a_loop_grows_and_is_untied() {
    let [small, looped] = [&[][..], &[0, 1]].map(|owners| model(true, owners));
    let stage = |tokens, operator, goal: &Architecture| {
        Stage::new(tokens, vec![Application { operator, to: TargetShape::of(goal) }.into()])
    };
    let stages = vec![
        stage(100, Operator::AddPasses(AddPasses {}), &looped),
        stage(200, Operator::Untie(Untie {}), &untied(&looped)),
    ];
    let plan = GrowthPlan::new(small, stages).expect("a plan");
    assert_eq!(plan.target(), &untied(&looped));
    assert_eq!(plan.new_layers(0), [false, false, true, true]);
    let text = serde_json::to_string(&plan).expect("plain data");
    assert_eq!(serde_json::from_str::<GrowthPlan>(&text).expect("a plan"), plan);
}
