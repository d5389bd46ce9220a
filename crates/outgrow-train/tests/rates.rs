//! Rates by size, held to trainings that must be the same: a clone of a model to the small model, a
//! folded multiplier to a real one, a model whose tensors were rescaled to one that never grew.

use std::collections::BTreeMap;

use outgrow_core::{
    Activation, Architecture, Form, Growth, GrowthPlan, LayerShape, Norm, ParamId,
    ParamKind::{self, *},
    Positions, Stage,
    edit::Initializer,
    growth::{
        Application, Operator, TargetShape, grow_all,
        operator::HyperCloning,
        transform::{AttentionExpansion, HiddenExpansion},
    },
    plan::{
        GrowthPolicy,
        LearningRateAtGrowth::{self, *},
        OptimizerAtGrowth::{self, *},
        RateRule,
    },
    sweep::{OptimizerSpec, Precision, Rates, StepSettings},
};
use outgrow_data::Tokens;
use outgrow_train::{
    Device, GrowOptions, Model, Stepper, TrainingState, cross_entropy, device::initialise,
};
use tch::{Kind, Tensor, no_grad};

const SEQ_LEN: usize = 5;
const VOCAB: usize = 7;
const BATCH: usize = 3;
const RATE: f64 = 1e-2;
const EPS: f64 = 1e-6;
/// Steps before a growth.
const BEFORE: usize = 20;
/// And after it.
const AFTER: usize = 80;

fn model(form: Form, times: usize, n_layers: usize) -> Architecture {
    let layer = LayerShape::uniform(2 * times, 3, 2, 6 * times);
    Architecture::uniform(VOCAB, SEQ_LEN, 4 * times, n_layers, layer, form)
}

/// As the paper has it, and with all that has a bias or a table.
fn forms() -> [Form; 2] {
    let plain = Form::decoder(Norm::RmsNorm, 1e-2);
    let biased = Form {
        qkv_bias: true,
        output_bias: true,
        mlp_bias: true,
        positions: Positions::Learned,
        activation: Activation::Gelu,
        ..Form::decoder(Norm::LayerNorm, 1e-2)
    };
    [plain, biased]
}

fn settings(plan: &GrowthPlan, policy: (OptimizerAtGrowth, LearningRateAtGrowth)) -> StepSettings {
    let (optimizer, learning_rate) = policy;
    let initializer = Initializer::Normal { scale: 1.0 };
    let usual = StepSettings::usual(plan.initial(), Precision::Float64);
    let settings = StepSettings {
        optimizer: OptimizerSpec {
            beta1: 0.9,
            beta2: 0.95,
            eps: EPS,
            weight_decay: 0.1,
            clip_norm: 0.0,
        },
        step_tokens: (BATCH * SEQ_LEN) as u64,
        ..usual
    };
    settings.growing(plan.clone(), GrowthPolicy { initializer, optimizer, learning_rate })
}

/// The text of a step: `BATCH` sequences and a token more of each.
fn text(step: usize) -> Vec<Vec<u8>> {
    let token = |i: usize| (i * i * 5 + i / 3 + step * 11 + i * step) % VOCAB;
    let sequence = |n: usize| (0..=SEQ_LEN).map(|i| token(n * 17 + i) as u8).collect();
    (0..BATCH).map(sequence).collect()
}

fn train(state: &mut TrainingState, settings: &StepSettings, steps: std::ops::Range<usize>) {
    let mut stepper = Stepper::new(settings.clone(), Device::Cpu, 1);
    for step in steps {
        let text = text(step);
        let sequences = text.iter().map(|sequence| Tokens::U8(sequence));
        stepper.step(state, sequences, RATE, &mut |_| ());
    }
}

/// Untrained, with gains and biases that are not all the same.
fn fresh(architecture: &Architecture) -> TrainingState {
    initialise(1);
    let mut weights =
        TrainingState::fresh(architecture, 1, Kind::Double, Device::Cpu).parts().weights;
    no_grad(|| {
        for (id, weight) in &mut weights {
            let n = weight.numel() as i64;
            let wave = (Tensor::arange(n, (Kind::Double, tch::Device::Cpu)) * 0.7).sin() * 0.1;
            if !id.kind.decays() {
                *weight = &*weight + wave.view(&weight.size()[..]);
            }
        }
    });
    TrainingState::from_weights(architecture, weights)
}

fn logits(state: &TrainingState) -> Tensor {
    let text = text(1_000).concat();
    let tokens = Tensor::from_slice(&text).to_kind(Kind::Int64).view([BATCH as i64, -1]);
    let inputs = tokens.narrow(1, 0, SEQ_LEN as i64);
    no_grad(|| Model::new(state.architecture(), state.weights(Kind::Double)).logits(&inputs))
}

fn far(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

/// A plan of one growth after `BEFORE` steps.
fn grows(initial: &Architecture, growth: Growth) -> GrowthPlan {
    let tokens = (BEFORE * BATCH * SEQ_LEN) as u64;
    GrowthPlan::new(initial.clone(), vec![Stage::new(tokens, vec![growth])]).expect("a plan")
}

fn grown(state: &TrainingState, settings: &StepSettings) -> TrainingState {
    let growths = &settings.plan.stages()[0].growths;
    let grown = grow_all(state.architecture(), growths, 0).expect("the plan was checked");
    let options = GrowOptions {
        initializer: &settings.policy.initializer,
        copies: settings.policy.optimizer == ScaledCopy,
        seed: 1,
        event: 0,
    };
    no_grad(|| state.grown(&grown, &options))
}

/// How far a clone is from the small model when both were trained on.
fn apart(form: Form, policy: (OptimizerAtGrowth, LearningRateAtGrowth)) -> f64 {
    let (small, large) = (model(form, 1, 2), model(form, 2, 2));
    let operator = Operator::HyperCloning(HyperCloning { noise_db: None });
    let growth = Application { operator, to: TargetShape::of(&large) };
    let settings = settings(&grows(&small, growth.into()), policy);
    let mut alone = fresh(&small);
    train(&mut alone, &settings, 0..BEFORE);
    let mut clone = grown(&alone, &settings);
    assert!(far(&logits(&alone), &logits(&clone)) < 1e-12);
    train(&mut alone, &settings, BEFORE..BEFORE + AFTER);
    train(&mut clone, &settings, BEFORE..BEFORE + AFTER);
    far(&logits(&alone), &logits(&clone))
}

#[test]
fn a_clone_under_mup_trains_as_the_small_model_for_ever() {
    let mup = Rebase { rule: RateRule::Mup, rewarm_new: 0 };
    for form in forms() {
        let exact = apart(form, (ScaledCopy, mup));
        assert!(exact < 1e-9, "{form:?}: {exact:e}");
        for (wrong, policy) in [
            ("moments", (KeepEntryAge, mup)),
            ("rates", (ScaledCopy, Unchanged)),
            ("ε", (ScaledCopy, MupRebase)),
        ] {
            let off = apart(form, policy);
            assert!(off > 1e-7, "{form:?}, wrong {wrong}: {off:e}");
        }
    }
}

/// The published table of CompleteP, as it stands there: multipliers in the model, and of each
/// parameter the learning rate and ε in terms of the widths' and the depths' ratios.
struct Published {
    alpha: f64,
    width: f64,
    depth: f64,
}

impl Published {
    fn multiplier(&self, kind: ParamKind) -> f64 {
        match kind {
            Wo | Bo | W2 | B2 => self.depth.powf(-self.alpha),
            Unembedding => 1.0 / self.width,
            _ => 1.0,
        }
    }

    fn rate(&self, kind: ParamKind) -> f64 {
        let depth = self.depth.powf(self.alpha - 1.0);
        match kind {
            Embedding | Positions | FinalNorm | FinalNormBias | Unembedding => 1.0,
            Wq | Wk | Wv | Wo | W1 | W2 => depth / self.width,
            _ => depth,
        }
    }

    fn eps(&self, param: ParamId) -> f64 {
        let depth = if param.layer.is_some() { self.depth.powf(-self.alpha) } else { 1.0 };
        depth / self.width
    }
}

/// AdamW on a model with multipliers.
fn train_published(
    architecture: &Architecture,
    begun: BTreeMap<ParamId, Tensor>,
    rule: &Published,
    steps: usize,
) -> BTreeMap<ParamId, Tensor> {
    let mut moments: BTreeMap<ParamId, [Tensor; 2]> =
        begun.iter().map(|(id, w)| (*id, [w.zeros_like(), w.zeros_like()])).collect();
    let mut weights: BTreeMap<ParamId, Tensor> =
        begun.into_iter().map(|(id, w)| (id, w.copy().set_requires_grad(true))).collect();
    let multiplied = |weights: &BTreeMap<ParamId, Tensor>| -> BTreeMap<ParamId, Tensor> {
        weights.iter().map(|(id, weight)| (*id, weight * rule.multiplier(id.kind))).collect()
    };
    for step in 0..steps {
        let tokens = Tensor::from_slice(&text(step).concat())
            .to_kind(Kind::Int64)
            .view([BATCH as i64, SEQ_LEN as i64 + 1]);
        let [inputs, targets] = [0, 1].map(|at| tokens.narrow(1, at, SEQ_LEN as i64));
        let logits = Model::new(architecture, multiplied(&weights)).logits(&inputs);
        let ids: Vec<ParamId> = weights.keys().copied().collect();
        let leaves: Vec<&Tensor> = weights.values().collect();
        let gradients =
            Tensor::run_backward(&[&cross_entropy(&logits, &targets)], &leaves, false, false);
        let (c1, c2) = (1.0 - 0.9f64.powi(step as i32 + 1), 1.0 - 0.95f64.powi(step as i32 + 1));
        no_grad(|| {
            for (id, g) in ids.into_iter().zip(gradients) {
                let [m, v] = moments.get_mut(&id).expect("of each");
                let _ = m.lerp_(&g, 0.1);
                let _ = v.lerp_(&g.square(), 1.0 - 0.95);
                let decay = if id.kind.decays() { 1.0 - RATE * 0.1 } else { 1.0 };
                let root = v.sqrt() / c2.sqrt() + EPS * rule.eps(id);
                let update = &*m / root * (RATE * rule.rate(id.kind) / c1);
                let weight = weights.get_mut(&id).expect("of each");
                let _ = weight.g_mul_scalar_(decay).g_sub_(&update);
            }
        });
    }
    multiplied(&weights).into_iter().map(|(id, weight)| (id, weight.detach())).collect()
}

#[test]
fn folded_multipliers_are_those_of_the_papers() {
    for (rule, alpha) in [(RateRule::CompleteP, 1.0), (RateRule::DepthMup, 0.5)] {
        for form in forms() {
            // Powers of two: then folding changes no bit.
            let (base, now) = (model(form, 1, 1), model(form, 2, 4));
            let published = Published { alpha, width: 2.0, depth: 4.0 };
            let folded = fresh(&now);
            let unfolded = (folded.parts().weights.into_iter())
                .map(|(id, weight)| (id, weight / published.multiplier(id.kind)))
                .collect();
            let expected = train_published(&now, unfolded, &published, BEFORE);
            let plan = GrowthPlan::new(now.clone(), vec![]).expect("a plan");
            let settings = settings(&plan, (KeepEntryAge, Unchanged));
            let steps = |rates: Option<Rates>| {
                let mut state = folded.copy();
                let settings = StepSettings { rates, ..settings.clone() };
                train(&mut state, &settings, 0..BEFORE);
                let weights = state.parts().weights;
                let far = |(id, expected): (&ParamId, &Tensor)| far(&weights[id], expected);
                expected.iter().map(far).fold(0.0, f64::max)
            };
            let exact = steps(Some(Rates { rule, base: base.clone() }));
            assert!(exact < 1e-12, "{rule:?}, {form:?}: {exact:e}");
            let width_alone = steps(Some(Rates { rule: RateRule::Mup, base: base.clone() }));
            assert!(width_alone > 1e-3, "{rule:?}, {form:?}: {width_alone:e}");
        }
    }
}

#[test]
fn what_a_growth_scales_goes_on_as_if_nothing_had_grown() {
    // By four, so that the roots are powers of two and rounding has no part in it.
    let growths: [Growth; 2] = [
        AttentionExpansion { layer: None, heads: None, d_k: 12 }.into(),
        HiddenExpansion { d_model: 16 }.into(),
    ];
    let [plain, biased] = forms();
    let bare = Form { norm_gains: false, ..plain };
    // A LayerNorm's mean goes on only if the new channels follow it.
    let rms = Form { norm: Norm::RmsNorm, ..biased };
    for (form, growth) in
        [plain, rms, bare].into_iter().flat_map(|form| growths.clone().map(|g| (form, g)))
    {
        let apart = |learning_rate| {
            let small = model(form, 1, 2);
            let settings = settings(&grows(&small, growth.clone()), (KeepEntryAge, learning_rate));
            let mut alone = fresh(&small);
            train(&mut alone, &settings, 0..BEFORE);
            let mut large = grown(&alone, &settings);
            train(&mut alone, &settings, BEFORE..BEFORE + AFTER);
            train(&mut large, &settings, BEFORE..BEFORE + AFTER);
            far(&logits(&alone), &logits(&large))
        };
        // What is new stands still, as good as.
        let exact = apart(Rebase { rule: RateRule::Dynamics, rewarm_new: 1 << 60 });
        assert!(exact < 1e-12, "{growth:?}, {form:?}: {exact:e}");
        let plainly = apart(RewarmNew { tokens: 1 << 60 });
        assert!(plainly > 1e-4, "{growth:?}, {form:?}: {plainly:e}");
    }
}
