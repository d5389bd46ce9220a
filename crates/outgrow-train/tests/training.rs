//! The training loop on libtorch: growing the whole state, resuming, recording.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
};

use outgrow_core::{
    Activation, Architecture, Event, Form, Growth, GrowthPlan, HeadShape, KeepFinal, LayerShape,
    Norm, Positions, Rotary, Stage, Trial,
    edit::Initializer,
    event::{Control, Outcome, Receiver},
    growth::{
        Application, Operator, TargetShape, TransformKind,
        operator::{GradMax, HyperCloning, Lemon, Ligo, Msg, Objective, Order, Stack},
        transform::{
            AttentionExpansion, HeadAddition, HeadsExpansion, HiddenExpansion, LayerAddition,
            MlpExpansion,
        },
    },
    plan::{GrowthPolicy, LearningRateAtGrowth, OptimizerAtGrowth, RateRule},
    sweep::{
        DataSpec, EvaluationSpec, LearningRateSchedule, OptimizerSpec, Precision, Settings,
        TrainingSettings,
    },
};
use outgrow_data::Corpus;
use outgrow_train::{
    CheckKind, Checkpoint, CheckpointError, Compositions, Device, Job, Options, Prefix, Saved,
    check_compositions, copy_initial_weights, model_digest, train, train_together,
};

fn initial() -> Architecture {
    let form = Form::decoder(Norm::RmsNorm, 1e-5);
    Architecture::uniform(256, 16, 12, 2, LayerShape::uniform(2, 4, 4, 24), form)
}

fn transforms() -> Vec<Growth> {
    vec![
        MlpExpansion { layer: Some(0), d_ff: 30 }.into(),
        HeadAddition::heads(Some(1), 1).into(),
        HeadsExpansion { layer: None, heads: None, d_v: 6 }.into(),
        AttentionExpansion { layer: Some(0), heads: Some(vec![1]), d_k: 7 }.into(),
        HiddenExpansion { d_model: 17 }.into(),
        LayerAddition { index: 1, shape: None }.into(),
    ]
}

/// 24 steps of 64 tokens, a growth after the 8th and the 14th.
fn trial(precision: Precision, initializer: Initializer) -> Trial {
    let all = transforms();
    let stages =
        vec![Stage::new(8 * 64, all[..3].to_vec()), Stage::new(14 * 64, all[3..].to_vec())];
    let optimizer =
        OptimizerSpec { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, clip_norm: 1.0 };
    let (optimizer_at_growth, learning_rate) =
        (OptimizerAtGrowth::KeepEntryAge, LearningRateAtGrowth::Unchanged);
    let growth = GrowthPolicy { initializer, optimizer: optimizer_at_growth, learning_rate };
    let training = TrainingSettings {
        batch_size: 4,
        learning_rate: 3e-3,
        schedule: LearningRateSchedule::Cosine { warmup: 0.1, end: 0.1 },
        optimizer,
        rates: None,
        precision,
        growth: Some(growth),
    };
    let evaluation = EvaluationSpec {
        every_tokens: 320,
        tokens: 256,
        record_every_tokens: 128,
        after_growth: vec![],
    };
    let settings =
        Settings { data: "built in".into(), initial: None, tokens: 24 * 64, training, evaluation };
    Trial { plan: GrowthPlan::new(initial(), stages).expect("a plan"), settings, seed: 11 }
}

fn corpus() -> Corpus {
    let spec = DataSpec { corpus: Some("rust-crates".into()), ..DataSpec::of_paths(16) };
    Corpus::open(&spec, Path::new("")).expect("the built-in corpus")
}

const OPTIONS: Options = Options {
    device: Device::Cpu,
    checkpoint_every_tokens: 192,
    micro_batches: 1,
    keep: 2,
    keep_final: KeepFinal::All,
};

fn job(trial: &Trial, folder: &Path, resume: Vec<Saved>) -> Job {
    Job {
        trial: trial.clone(),
        checkpoints: folder.to_owned(),
        epoch: 1,
        resume,
        prefix: None,
        initial: None,
        snapshots: vec![],
    }
}

/// Events without their wall times, as text.
fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Step(e) => {
            format!(
                "step {} {} {:?} {:?} {:?}",
                e.at.step, e.at.train_flops, e.loss, e.learning_rate, e.gradient_norm
            )
        }
        Event::Eval(e) => format!("eval {} {:?}", e.at.step, e.val_loss),
        Event::Growth(e) => format!(
            "growth {} {:?} preserving {} {:?} {:?}",
            e.at.step, e.parameters, e.preserving, e.preservation, e.diagnosis
        ),
        Event::Checkpoint(_) | Event::Snapshot(_) => return None,
    })
}

fn run(
    trial: &Trial,
    folder: &Path,
    resume: Vec<Saved>,
    stop_after: Option<u64>,
) -> (Outcome, Vec<String>, Vec<Saved>) {
    outgrow_train::device::initialise(1);
    let (mut lines, mut saved) = (vec![], resume.clone());
    let outcome = train(&job(trial, folder, resume), &corpus(), &OPTIONS, &mut |event| {
        lines.extend(line(&event));
        match &event {
            Event::Checkpoint(e) => saved.insert(0, Saved::from(e)),
            Event::Step(e) if stop_after.is_some_and(|step| e.at.step >= step) => {
                return Control::Stop;
            }
            _ => {}
        }
        Control::Continue
    });
    (outcome.expect("trains"), lines, saved)
}

#[test]
fn a_trial_trains_grows_and_preserves_its_function() {
    for precision in [Precision::Float32, Precision::Bfloat16, Precision::Float64] {
        let folder = tempfile::tempdir().expect("a folder");
        let (outcome, lines, _) =
            run(&trial(precision, Initializer::Normal { scale: 1.0 }), folder.path(), vec![], None);
        assert_eq!(outcome, Outcome::Complete);
        let count = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
        assert_eq!((count("step"), count("eval"), count("growth")), (12, 5, 2), "{lines:#?}");
    }
}

#[test]
fn a_batch_in_parts_trains_the_same_but_for_rounding() {
    let trial = trial(Precision::Float32, Initializer::Normal { scale: 1.0 });
    let folder = tempfile::tempdir().expect("a folder");
    let norms = |micro_batches: usize| {
        let job = job(&trial, &folder.path().join(micro_batches.to_string()), vec![]);
        let mut norms = vec![];
        let outcome = train(&job, &corpus(), &Options { micro_batches, ..OPTIONS }, &mut |event| {
            if let Event::Step(step) = event {
                norms.extend([step.loss, step.gradient_norm]);
            }
            Control::Continue
        });
        assert_eq!(outcome.expect("trains"), Outcome::Complete);
        norms
    };
    outgrow_train::device::initialise(1);
    let (whole, cut) = (norms(1), norms(2));
    assert!(whole.iter().zip(&cut).all(|(a, b)| (a - b).abs() < 1e-4 * a), "{whole:?} {cut:?}");
    assert_ne!(whole, cut, "in parts it rounds otherwise");
}

#[test]
fn stopping_and_resuming_gives_the_same_bits() {
    let trial = trial(Precision::Float32, Initializer::Copy);
    let folder = tempfile::tempdir().expect("a folder");
    let (_, undisturbed, _) = run(&trial, &folder.path().join("a"), vec![], None);
    for stop_after in [2, 9, 14, 15, 22] {
        let place = folder.path().join(format!("stop-{stop_after}"));
        let (outcome, mut lines, saved) = run(&trial, &place, vec![], Some(stop_after));
        assert_eq!(outcome, Outcome::Stopped);
        let (outcome, rest, _) = run(&trial, &place, saved, None);
        assert_eq!(outcome, Outcome::Complete);
        lines.extend(rest);
        assert_eq!(lines, undisturbed, "stopped after {stop_after}");
    }
}

/// A trial under other seeds.
fn replicates(trial: &Trial, n: u64) -> Vec<Trial> {
    (0..n).map(|number| Trial { seed: trial.seed + 100 * number, ..trial.clone() }).collect()
}

/// The numbers of what is told of each job: what it is and its step, then losses and norms, told
/// and obeyed.
type Told = Vec<(String, Vec<f64>)>;

fn numbers(event: &Event) -> Option<(String, Vec<f64>)> {
    Some(match event {
        Event::Step(e) => {
            (format!("step {} {}", e.at.step, e.at.train_flops), vec![e.loss, e.gradient_norm])
        }
        Event::Eval(e) => (format!("eval {} {}", e.at.step, e.last), vec![e.val_loss]),
        Event::Growth(e) => {
            let (probe, at) = (&e.preservation, e.at);
            (
                format!("growth {} {} {:?}", at.step, at.train_flops, e.growths),
                vec![probe.loss_before, probe.loss_after],
            )
        }
        Event::Checkpoint(_) | Event::Snapshot(_) => return None,
    })
}

/// Trains jobs together; gives what was told of each, its checkpoints (newest first), and how it
/// ended.
fn together(
    jobs: &[Job],
    micro_batches: usize,
    obey: &dyn Fn(usize, &Event) -> Control,
) -> (Vec<Told>, Vec<Vec<Saved>>, Vec<Outcome>) {
    outgrow_train::device::initialise(1);
    let (mut told, mut saved) =
        (vec![vec![]; jobs.len()], jobs.iter().map(|job| job.resume.clone()).collect::<Vec<_>>());
    let ended = train_together(
        jobs,
        &corpus(),
        &Options { micro_batches, ..OPTIONS },
        &mut |number: usize, event: Event| {
            told[number].extend(numbers(&event));
            if let Event::Checkpoint(e) = &event {
                saved[number].insert(0, Saved::from(e));
            }
            obey(number, &event)
        },
    );
    (told, saved, ended.into_iter().map(|ended| ended.expect("trains")).collect())
}

fn assert_close(found: &Told, expected: &Told, tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for ((name, numbers), (as_expected, wanted)) in found.iter().zip(expected) {
        assert_eq!(name, as_expected, "{what}");
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance * b.abs();
        assert!(numbers.iter().zip(wanted).all(near), "{what}, {name}: {numbers:?} {wanted:?}");
    }
}

/// Trials that between them use all that is done to a state: all transforms, ages of entries,
/// copies, masks, norms with a bias, clipping.
fn of_every_kind(precision: Precision) -> Vec<(&'static str, Trial)> {
    let plain = trial(precision, Initializer::Normal { scale: 1.0 });
    let grown_by = |operator, to| {
        let growths = vec![Application { operator, to }.into()];
        GrowthPlan::new(initial(), vec![Stage::new(8 * 64, growths)]).expect("a plan")
    };
    let goal = |shape, n_layers| TargetShape { d_model: 24, layers: vec![shape; n_layers] };
    let mut copied = plain.clone();
    copied.settings.training.growth.as_mut().expect("it grows").optimizer =
        OptimizerAtGrowth::ScaledCopy;
    copied.settings.training.growth.as_mut().expect("it grows").learning_rate =
        LearningRateAtGrowth::RewarmNew { tokens: 256 };
    let hyper_cloning = Operator::HyperCloning(HyperCloning { noise_db: Some(10.0) });
    copied.plan = grown_by(hyper_cloning, goal(LayerShape::uniform(4, 4, 4, 48), 2));
    let mut masked = plain.clone();
    masked.plan = grown_by(
        Operator::Msg(Msg { ramp_tokens: 6 * 64 }),
        goal(LayerShape::uniform(3, 6, 5, 30), 3),
    );
    let mut frozen = plain.clone();
    frozen.settings.training.growth.as_mut().expect("it grows").learning_rate =
        LearningRateAtGrowth::NewOnly;
    let mut layer_norm = plain.clone();
    let mut architecture = initial();
    architecture.form.norm = Norm::LayerNorm;
    layer_norm.plan = GrowthPlan::new(architecture, vec![]).expect("a plan");
    let mut modern = plain.clone();
    let growths: [Growth; 4] = [
        MlpExpansion { layer: None, d_ff: 30 }.into(),
        HeadAddition::queries(None, None, 1).into(),
        HiddenExpansion { d_model: 18 }.into(),
        LayerAddition { index: 1, shape: None }.into(),
    ];
    modern.plan =
        GrowthPlan::new(of_today(), vec![Stage::new(8 * 64, growths.into())]).expect("a plan");
    vec![
        ("plain", plain),
        ("copied", copied),
        ("masked", masked),
        ("frozen", frozen),
        ("LayerNorm", layer_norm),
        ("modern", modern),
    ]
}

/// A model of everything that today's have: rotary positions, a gate, grouped queries, QK-norm,
/// biases, tied embeddings.
fn of_today() -> Architecture {
    let rotary = Rotary { theta: 1e3, width: 4, channels: None, scaling: None };
    let form = Form {
        positions: Positions::Rotary(rotary),
        activation: Activation::Silu,
        gated: true,
        qkv_bias: true,
        output_bias: true,
        qk_norm_eps: Some(1e-3),
        parallel: true,
        tied: true,
        ..Form::decoder(Norm::RmsNorm, 1e-5)
    };
    let heads = vec![HeadShape { n_queries: 2, d_k: 4, d_v: 4 }; 2];
    Architecture::uniform(256, 16, 12, 2, LayerShape::own(heads, 24), form)
}

#[test]
fn replicates_train_together_as_they_do_alone() {
    for (precision, tolerance) in [(Precision::Float64, 1e-9), (Precision::Float32, 1e-3)] {
        for (name, trial) in of_every_kind(precision) {
            let folder = tempfile::tempdir().expect("a folder");
            let jobs: Vec<Job> = (replicates(&trial, 3).iter())
                .map(|trial| job(trial, &folder.path().join(trial.id()), vec![]))
                .collect();
            for micro_batches in [1, 2] {
                let (told, _, ended) = together(&jobs, micro_batches, &|_, _| Control::Continue);
                assert_eq!(ended, [Outcome::Complete; 3], "{name}");
                assert_ne!(told[0], told[1], "replicates differ");
                for (job, found) in jobs.iter().zip(&told) {
                    let (alone, _, _) =
                        together(std::slice::from_ref(job), micro_batches, &|_, _| {
                            Control::Continue
                        });
                    assert_close(
                        found,
                        &alone[0],
                        tolerance,
                        &format!("{name}, {precision:?}, {micro_batches} micro-batch(es)"),
                    );
                }
            }
        }
    }
}

#[test]
fn replicates_part_ways_and_go_on_from_where_each_stands() {
    let trial = trial(Precision::Float64, Initializer::Copy);
    let folder = tempfile::tempdir().expect("a folder");
    let jobs = |place: &str, resume: &[Vec<Saved>]| -> Vec<Job> {
        let folder = |trial: &Trial| folder.path().join(place).join(trial.id());
        let jobs = replicates(&trial, 4).into_iter().zip(resume);
        jobs.map(|(trial, resume)| job(&trial, &folder(&trial), resume.clone())).collect()
    };
    let none = vec![vec![]; 4];
    let (undisturbed, ..) = together(&jobs("a", &none), 1, &|_, _| Control::Continue);
    // One is taken away, two stop at different steps, the last goes on.
    let (mut told, saved, ended) =
        together(&jobs("b", &none), 1, &|number, event| match (number, event) {
            (0, Event::Step(e)) if e.at.step == 10 => Control::Abandon,
            (1, Event::Step(e)) if e.at.step == 10 => Control::Stop,
            (2, Event::Step(e)) if e.at.step == 16 => Control::Stop,
            _ => Control::Continue,
        });
    assert_eq!(ended, [Outcome::Stopped, Outcome::Stopped, Outcome::Stopped, Outcome::Complete]);
    assert_close(&told[3], &undisturbed[3], 1e-9, "the last");
    let resume: Vec<_> =
        saved.into_iter().map(|saved| saved[..saved.len().min(2)].to_vec()).collect();
    let (rest, _, ended) = together(&jobs("b", &resume)[..3], 1, &|_, _| Control::Continue);
    assert_eq!(ended, [Outcome::Complete; 3]);
    for number in [1, 2] {
        told[number].extend(rest[number].clone());
        assert_close(&told[number], &undisturbed[number], 1e-9, "one that stopped");
    }
    // The one that was taken away goes on from its last checkpoint, step 9, before the step that
    // was told last.
    let after = undisturbed[0].len() - rest[0].len();
    assert_close(&rest[0], &undisturbed[0][after..].to_vec(), 1e-9, "the one that was taken away");
}

/// Operators that keep the function and that do not, one after the other, with moments that are
/// copied.
#[test]
fn operators_train_and_resume_to_the_same_bits() {
    let mut trial = trial(Precision::Float32, Initializer::Copy);
    trial.settings.training.growth.as_mut().expect("it grows").optimizer =
        OptimizerAtGrowth::ScaledCopy;
    trial.settings.training.growth.as_mut().expect("it grows").learning_rate =
        LearningRateAtGrowth::RewarmNew { tokens: 256 };
    let goal = |d_model, n_layers, n_heads, d_ff| TargetShape {
        d_model,
        layers: vec![LayerShape::uniform(n_heads, 4, 4, d_ff); n_layers],
    };
    let stage =
        |step: u64, operator, to| Stage::new(step * 64, vec![Application { operator, to }.into()]);
    let stages = vec![
        stage(8, Operator::HyperCloning(HyperCloning { noise_db: Some(10.0) }), goal(24, 2, 4, 48)),
        stage(14, Operator::Stack(Stack { order: Order::Interleave }), goal(24, 4, 4, 48)),
        stage(19, Operator::Lemon(Lemon {}), goal(30, 5, 5, 60)),
    ];
    trial.plan = GrowthPlan::new(initial(), stages).expect("a plan");
    let folder = tempfile::tempdir().expect("a folder");
    let (outcome, undisturbed, _) = run(&trial, &folder.path().join("a"), vec![], None);
    assert_eq!(
        (outcome, undisturbed.iter().filter(|line| line.starts_with("growth")).count()),
        (Outcome::Complete, 3)
    );
    let place = folder.path().join("b");
    let (_, mut lines, saved) = run(&trial, &place, vec![], Some(16));
    let (outcome, rest, _) = run(&trial, &place, saved, None);
    assert_eq!(outcome, Outcome::Complete);
    lines.extend(rest);
    assert_eq!(lines, undisturbed);
}

/// A rate that is measured: it stands still at the birth of silent last layers, falls as they learn
/// to speak, and is read back by who goes on.
#[test]
fn measured_rates_resume_to_the_same_bits() {
    let mut trial = trial(Precision::Float32, Initializer::Copy);
    let policy = trial.settings.training.growth.as_mut().expect("it grows");
    policy.learning_rate =
        LearningRateAtGrowth::Rebase { rule: RateRule::PathsVariance, rewarm_new: 0 };
    trial.settings.training.schedule = LearningRateSchedule::Constant { warmup: 0.0 };
    trial.settings.evaluation.every_tokens = 64;
    trial.settings.evaluation.record_every_tokens = 64;
    let layers = (2..6).map(|index| LayerAddition { index, shape: None }.into());
    let wider = vec![HiddenExpansion { d_model: 17 }.into()];
    let stages = vec![Stage::new(8 * 64, layers.collect()), Stage::new(14 * 64, wider)];
    trial.plan = GrowthPlan::new(initial(), stages).expect("a plan");
    let folder = tempfile::tempdir().expect("a folder");
    let (outcome, undisturbed, _) = run(&trial, &folder.path().join("a"), vec![], None);
    assert_eq!(outcome, Outcome::Complete);
    let rates: Vec<f64> = (undisturbed.iter())
        .filter_map(|line| line.strip_prefix("step ")?.split(' ').nth(3)?.parse().ok())
        .collect();
    assert_eq!(rates.len(), 24);
    assert_eq!(rates[..8], [3e-3; 8]);
    assert!((rates[8] / 3e-3 - 1.0).abs() < 1e-6, "{rates:?}");
    assert!(rates[9..14].is_sorted_by(|a, b| a > b) && rates[9] < 3e-3, "{rates:?}");
    // Wider, the same function has the same shares.
    assert!((rates[14] / rates[13] - 1.0).abs() < 0.05, "{rates:?}");
    for stop_after in [7, 8, 11, 14] {
        let place = folder.path().join(format!("stop-{stop_after}"));
        let (_, mut lines, saved) = run(&trial, &place, vec![], Some(stop_after));
        lines.extend(run(&trial, &place, saved, None).1);
        assert_eq!(lines, undisturbed, "stopped after {stop_after}");
    }
    // What sizes alone say is recorded like what is measured.
    let policy = trial.settings.training.growth.as_mut().expect("it grows");
    policy.learning_rate =
        LearningRateAtGrowth::Rebase { rule: RateRule::PathsMean, rewarm_new: 0 };
    let (_, by_size, _) = run(&trial, &folder.path().join("mean"), vec![], None);
    let rates: Vec<f64> = (by_size.iter())
        .filter_map(|line| line.strip_prefix("step ")?.split(' ').nth(3)?.parse().ok())
        .collect();
    assert!(rates[7] == 3e-3 && (0.1..0.5).contains(&(rates[8] / 3e-3)), "{rates:?}");
    let policy = trial.settings.training.growth.as_mut().expect("it grows");
    policy.learning_rate =
        LearningRateAtGrowth::Rebase { rule: RateRule::PathsVariance, rewarm_new: 0 };
    let other = Trial { seed: trial.seed + 1, ..trial.clone() };
    assert!(trial.is_replicate_of(&other) && !trial.trains_with(&other));
}

/// A mask that opens over 6 steps, and the same entries without one.
#[test]
fn masked_growth_preserves_opens_and_resumes() {
    let goal = TargetShape { d_model: 17, layers: vec![LayerShape::uniform(3, 6, 5, 30); 3] };
    let with_ramp = |steps: u64| {
        let mut trial = trial(Precision::Float32, Initializer::Normal { scale: 1.0 });
        let operator = Operator::Msg(Msg { ramp_tokens: steps * 64 });
        let growths = vec![Application { operator, to: goal.clone() }.into()];
        trial.plan = GrowthPlan::new(initial(), vec![Stage::new(8 * 64, growths)]).expect("a plan");
        trial
    };
    let folder = tempfile::tempdir().expect("a folder");
    let trial = with_ramp(6);
    let (outcome, undisturbed, _) = run(&trial, &folder.path().join("a"), vec![], None);
    assert_eq!(outcome, Outcome::Complete);
    for stop_after in [9, 12, 14] {
        let place = folder.path().join(format!("stop-{stop_after}"));
        let (_, mut lines, saved) = run(&trial, &place, vec![], Some(stop_after));
        lines.extend(run(&trial, &place, saved, None).1);
        assert_eq!(lines, undisturbed, "stopped after {stop_after}, behind the mask");
    }
    // Without a mask the same growth moves the function, and says that it makes no claim.
    let (_, open, _) = run(&with_ramp(0), &folder.path().join("c"), vec![], None);
    let growth = |lines: &[String]| {
        lines.iter().find(|line| line.starts_with("growth")).cloned().expect("a growth")
    };
    assert!(growth(&undisturbed).contains("preserving") && growth(&open) != growth(&undisturbed));
    assert!(with_ramp(16).plan.check_end(24 * 64).is_ok());
    assert!(
        with_ramp(17)
            .plan
            .check_end(24 * 64)
            .expect_err("too long")
            .to_string()
            .contains("the end of the trial")
    );
}

/// An operator that learns: better with more steps, charged for them, and the same bits again.
#[test]
fn what_operators_learn_is_charged_and_repeats() {
    let goal = TargetShape { d_model: 18, layers: vec![LayerShape::uniform(3, 4, 4, 36); 3] };
    let learned = |operator: Operator, to: &TargetShape| {
        let mut trial = trial(Precision::Float32, Initializer::Copy);
        let growths = vec![Application { operator, to: to.clone() }.into()];
        trial.plan = GrowthPlan::new(initial(), vec![Stage::new(8 * 64, growths)]).expect("a plan");
        trial
    };
    let ligo = |steps| learned(Operator::Ligo(Ligo::new(steps, 1e-2, 4)), &goal);
    let folder = tempfile::tempdir().expect("a folder");
    let loss_after = |trial: &Trial, name: &str| {
        let (mut loss, mut flops) = (None, 0);
        let told = train(
            &job(trial, &folder.path().join(name), vec![]),
            &corpus(),
            &OPTIONS,
            &mut |event| {
                match &event {
                    Event::Growth(growth) => {
                        assert_eq!(growth.operator_flops, trial.plan.operator_flops(0));
                        loss = Some(growth.preservation.loss_after);
                    }
                    Event::Step(step) => flops = step.at.train_flops,
                    _ => {}
                }
                Control::Continue
            },
        );
        assert_eq!(
            (told.expect("trains"), flops),
            (Outcome::Complete, trial.plan.train_flops(24 * 64))
        );
        loss.expect("a growth")
    };
    outgrow_train::device::initialise(1);
    let (none, many) = (loss_after(&ligo(0), "none"), loss_after(&ligo(40), "many"));
    assert!(many < none - 0.02, "40 steps of learning leave {many}, none at all {none}");
    let flops = |steps| ligo(steps).plan.operator_flops(0);
    assert!(flops(0) > 0 && flops(40) - flops(0) == 40 * (flops(1) - flops(0)));
    let trial = ligo(5);
    let (_, undisturbed, _) = run(&trial, &folder.path().join("a"), vec![], None);
    let (_, mut lines, saved) = run(&trial, &folder.path().join("b"), vec![], Some(7));
    lines.extend(run(&trial, &folder.path().join("b"), saved, None).1);
    assert_eq!(lines, undisturbed);
    let units = TargetShape { d_model: 12, layers: vec![LayerShape::uniform(2, 4, 6, 30); 2] };
    let (_, lines, _) = run(
        &learned(
            Operator::GradMax(GradMax { scale: 1.0, batch_size: 4, objective: Objective::L2 }),
            &units,
        ),
        &folder.path().join("g"),
        vec![],
        None,
    );
    assert!(
        lines.iter().any(|line| line.starts_with("growth") && line.contains("preserving true")),
        "{lines:?}"
    );
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    let trial = trial(Precision::Float32, Initializer::Copy);
    let folder = tempfile::tempdir().expect("a folder");
    let (_, undisturbed, _) = run(&trial, &folder.path().join("a"), vec![], None);
    let place = folder.path().join("b");
    let (_, _, saved) = run(&trial, &place, vec![], Some(16));
    let file = saved[0].folder.join("model.safetensors");
    let mut bytes = std::fs::read(&file).expect("the newest checkpoint");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("writable");
    let (outcome, rest, _) = run(&trial, &place, saved[..2].to_vec(), None);
    assert_eq!(outcome, Outcome::Complete);
    assert_eq!(rest.last(), undisturbed.last());
}

/// Whatever was born has moved two steps later: no new entry is dead.
#[test]
fn every_new_entry_moves_within_two_steps() {
    for initializer in [Initializer::Normal { scale: 1.0 }, Initializer::Copy] {
        for kind in TransformKind::ALL {
            let transform =
                transforms().into_iter().find(|t| t.name() == kind.name()).expect("one of each");
            let mut trial = trial(Precision::Float64, initializer.clone());
            trial.settings.training.schedule = LearningRateSchedule::Constant { warmup: 0.0 };
            // Enough text in the batches that every position and every ReLU of so small a model is
            // used.
            trial.settings.training.batch_size = 64;
            let step = trial.step_tokens();
            trial.settings.tokens = 10 * step;
            trial.settings.evaluation.record_every_tokens = step;
            let stages = vec![Stage::new(8 * step, vec![transform])];
            trial.plan = GrowthPlan::new(initial(), stages).expect("a plan");
            let folder = tempfile::tempdir().expect("a folder");
            let (_, _, before) = run(&trial, &folder.path().join("b"), vec![], Some(9));
            let (_, _, after) = run(&trial, &folder.path().join("a"), vec![], None);
            let first = Checkpoint::read(&before[0].folder, Device::Cpu).expect("reads").state;
            let second = Checkpoint::read(&after[0].folder, Device::Cpu).expect("reads").state;
            let (first, second) = (first.parts(), second.parts());
            let mut born_entries = 0;
            for (id, born) in &second.born {
                let is_new = born.eq(8);
                let moved = second.first_moment[id].ne(0.0);
                // Tokens that do not occur in the batches leave their rows of the embedding alone,
                // new or old.
                if id.kind != outgrow_core::ParamKind::Embedding {
                    let dead = is_new
                        .logical_and(&moved.logical_not())
                        .sum(tch::Kind::Int64)
                        .int64_value(&[]);
                    // A unit of a ReLU that is off for all tokens has no gradient, new or old.
                    let all = is_new.sum(tch::Kind::Int64).int64_value(&[]);
                    assert!(
                        dead * 20 <= all,
                        "{kind:?} {initializer:?}: {dead} of {all} new entries of {id} never moved"
                    );
                    born_entries += all;
                }
                assert_eq!(first.weights[id].size(), second.weights[id].size());
            }
            assert!(born_entries > 0, "{kind:?} gave no new entries");
        }
    }
}

#[test]
fn random_compositions_preserve_the_function_in_float32_and_float64() {
    for (kind, n) in [(CheckKind::F64, 1500), (CheckKind::F32, 1500)] {
        let check =
            check_compositions(Compositions { n, most: 10, seed: 1 }, kind, Device::Cpu, |_| {});
        println!("{kind:?}: worst {:e} over {n}", check.worst);
        assert!(
            check.worst <= check.tolerance,
            "{kind:?}: {:e} by {:?}",
            check.worst,
            check.worst_transforms
        );
        assert_eq!(check.applied.len(), 6, "all six were applied");
    }
}

/// Says stop when it is asked for the nth time.
struct Impatient<'a> {
    stop_at: usize,
    asked: Cell<usize>,
    lines: &'a mut Vec<String>,
    saved: &'a mut Vec<Saved>,
}

impl Receiver for Impatient<'_> {
    fn tell(&mut self, _number: usize, event: Event) -> Control {
        self.lines.extend(line(&event));
        if let Event::Checkpoint(event) = &event {
            self.saved.insert(0, Saved::from(event));
        }
        Control::Continue
    }

    fn request(&self, _number: usize) -> Control {
        self.asked.set(self.asked.get() + 1);
        if self.asked.get() >= self.stop_at { Control::Stop } else { Control::Continue }
    }
}

/// After a step, within an evaluation, while an operator learns, in the last evaluation: it stops
/// there, with a checkpoint, and goes on as if nothing had happened.
#[test]
fn a_stop_at_any_moment_is_obeyed_and_changes_nothing() {
    outgrow_train::device::initialise(1);
    let goal = TargetShape { d_model: 17, layers: vec![LayerShape::uniform(3, 6, 5, 30); 3] };
    let grown_by = |operator| {
        let mut trial = trial(Precision::Float32, Initializer::Copy);
        let growths = vec![Application { operator, to: goal.clone() }.into()];
        trial.plan = GrowthPlan::new(initial(), vec![Stage::new(8 * 64, growths)]).expect("a plan");
        // Rare records: a request to stop does not wait for one.
        trial.settings.evaluation = EvaluationSpec {
            every_tokens: 640,
            tokens: 192,
            record_every_tokens: 1024,
            after_growth: vec![],
        };
        trial
    };
    let ligo = Operator::Ligo(Ligo::new(4, 1e-2, 4));
    for trial in [grown_by(ligo), grown_by(Operator::Msg(Msg { ramp_tokens: 6 * 64 }))] {
        let place = tempfile::tempdir().expect("a folder");
        let run = |folder: &Path, stop_at: usize, resume: Vec<Saved>| {
            let (mut lines, mut saved) = (vec![], resume.clone());
            let asked = Cell::new(0);
            let mut receiver = Impatient { stop_at, asked, lines: &mut lines, saved: &mut saved };
            let job = Job { epoch: resume.len() as u64 + 1, ..job(&trial, folder, resume) };
            let ended = train_together(
                &[job],
                &corpus(),
                &Options { checkpoint_every_tokens: u64::MAX, ..OPTIONS },
                &mut receiver,
            );
            let asked = receiver.asked.get();
            (ended.into_iter().next().expect("one").expect("trains"), lines, saved, asked)
        };
        let (outcome, undisturbed, _, most) = run(&place.path().join("whole"), usize::MAX, vec![]);
        assert!(outcome == Outcome::Complete && most > 24 + 6, "it is asked {most} times");
        for stop_at in 1..=most {
            let folder = place.path().join(stop_at.to_string());
            let (outcome, mut lines, saved, asked) = run(&folder, stop_at, vec![]);
            // Whatever else is asked in that step is asked by the way.
            assert!(asked <= stop_at + 2, "asked {asked} times, stop at {stop_at}");
            if outcome == Outcome::Stopped {
                assert_eq!(saved.len(), 1, "stopped at {stop_at}: with a checkpoint");
                let (outcome, rest, ..) = run(&folder, usize::MAX, saved);
                assert_eq!(outcome, Outcome::Complete);
                lines.extend(rest);
            }
            assert_eq!(lines, undisturbed, "stopped at {stop_at} of {most}");
        }
    }
}

/// Of a file, given another checkpoint's of its name.
type Damage = (&'static str, fn(&Path, &Path));

/// Ways in which a file of a checkpoint may be other than it was written; the second is a folder to
/// take another's file from.
fn damages() -> Vec<Damage> {
    fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).expect("read");
        how(&mut bytes);
        fs::write(path, bytes).expect("written");
    }
    vec![
        ("removed", |file, _| fs::remove_file(file).expect("removed")),
        ("empty", |file, _| change(file, Vec::clear)),
        ("cut by a byte", |file, _| change(file, |bytes| bytes.truncate(bytes.len() - 1))),
        ("cut in the middle", |file, _| change(file, |bytes| bytes.truncate(bytes.len() / 2))),
        ("longer by a byte", |file, _| change(file, |bytes| bytes.push(b' '))),
        ("first bit flipped", |file, _| change(file, |bytes| bytes[0] ^= 1)),
        ("a bit flipped in the middle", |file, _| {
            change(file, |bytes| {
                let at = bytes.len() / 2;
                bytes[at] ^= 4
            })
        }),
        ("last bit flipped", |file, _| {
            change(file, |bytes| *bytes.last_mut().expect("a byte") ^= 0x80)
        }),
        ("another's", |file, other| {
            assert!(fs::copy(other.join(file.file_name().expect("a name")), file).is_ok())
        }),
        ("a folder", |file, _| {
            fs::remove_file(file).and_then(|()| fs::create_dir(file)).expect("replaced")
        }),
    ]
}

const FILES: [&str; 3] = ["checkpoint.json", "model.safetensors", "optimizer.safetensors"];

fn copy_of(folder: &Path, to: &Path) -> PathBuf {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
    to.to_owned()
}

/// A file that is gone, changed or another's: the checkpoint is refused, the one before is used,
/// and without one training begins anew; the numbers are those of the undisturbed training.
#[test]
fn every_damage_of_a_checkpoint_is_seen_and_mended() {
    let (trial, place) =
        (trial(Precision::Float32, Initializer::Copy), tempfile::tempdir().expect("a folder"));
    let (_, undisturbed, _) = run(&trial, &place.path().join("whole"), vec![], None);
    let (_, before, saved) = run(&trial, &place.path().join("stopped"), vec![], Some(16));
    let [newest, older] = &saved[..2] else { panic!("two checkpoints") };
    let read = |saved: &Saved| Checkpoint::read_recorded(&saved.folder, &saved.digest, Device::Cpu);
    let mut number = 0;
    for file in FILES {
        for (what, damage) in damages() {
            number += 1;
            let folder = place.path().join(number.to_string());
            let copies = [newest, older].map(|saved| Saved {
                folder: copy_of(
                    &saved.folder,
                    &folder.join(saved.folder.file_name().expect("a name")),
                ),
                digest: saved.digest.clone(),
            });
            damage(&copies[0].folder.join(file), &older.folder);
            assert!(read(&copies[0]).is_err(), "{file}: {what}");
            assert!(
                Checkpoint::verify(&copies[0].folder, Some(&copies[0].digest)).is_err(),
                "{file}: {what}"
            );
            let lines = run(&trial, &folder, copies.to_vec(), None).1;
            let from = read(older).expect("whole").progress.expect("a training").at.step;
            let step = |line: &String| {
                line.split(' ').nth(1).and_then(|step| step.parse::<u64>().ok()).expect("a step")
            };
            let after = |line: &&String| {
                step(line) > from || (step(line) == from && line.starts_with("growth"))
            };
            let expected: Vec<&String> = undisturbed.iter().filter(after).collect();
            assert!(
                lines.iter().eq(expected),
                "{file}: {what}: goes on from the one before, in step {from}"
            );
        }
    }
    assert!(before.len() < undisturbed.len());
    // Both damaged: from the beginning. The same for the state of another trial.
    for saved in &saved[..2] {
        fs::remove_file(saved.folder.join(FILES[2])).expect("removed");
    }
    assert_eq!(run(&trial, &place.path().join("anew"), saved[..2].to_vec(), None).1, undisturbed);
    let prefix =
        Some(Prefix { folder: saved[0].folder.clone(), digest: Some(saved[0].digest.clone()) });
    let job = Job { prefix, ..job(&trial, &place.path().join("begun"), vec![]) };
    let mut lines = vec![];
    let told = train(&job, &corpus(), &OPTIONS, &mut |event| {
        lines.extend(line(&event));
        Control::Continue
    });
    assert_eq!((told.expect("trains"), lines), (Outcome::Complete, undisturbed));
}

/// What docs/checkpoint.md promises to those who write checkpoints by hand, and what it says of
/// damage.
#[test]
fn a_checkpoint_by_hand_needs_no_digests_and_what_it_names_must_be_there() {
    let (trial, place) =
        (trial(Precision::Float32, Initializer::Copy), tempfile::tempdir().expect("a folder"));
    let (_, _, saved) = run(&trial, &place.path().join("run"), vec![], Some(8));
    let head = |folder: &Path, change: &dyn Fn(&mut serde_json::Map<String, serde_json::Value>)| {
        let path = folder.join(FILES[0]);
        let mut head = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
        change(&mut head);
        fs::write(path, serde_json::to_vec(&head).expect("JSON")).expect("written");
    };
    let copy = |name: &str| copy_of(&saved[0].folder, &place.path().join(name));
    let read = |folder: &Path| Checkpoint::read(folder, Device::Cpu);
    let damaged = |folder: &Path| match read(folder).map(|_| ()) {
        Err(CheckpointError::Damaged { why, .. }) => why,
        other => panic!("{other:?}"),
    };

    let weights_alone = copy("weights alone");
    fs::remove_file(weights_alone.join(FILES[2])).expect("removed");
    assert!(damaged(&weights_alone).contains("names it"), "a file that is named is gone");
    head(&weights_alone, &|head| drop(head.remove("digests")));
    // Only a state that was trained is written with an optimizer.
    let is_trained = |folder: &Path| {
        let to = folder.with_extension("again");
        read(folder).expect("without digests").write(&to).expect("written");
        to.join(FILES[2]).exists()
    };
    assert!(!is_trained(&weights_alone));

    let all = copy("all");
    head(&all, &|head| drop(head.remove("digests")));
    assert!(is_trained(&all));
    assert!(
        Checkpoint::read_recorded(&all, &saved[0].digest, Device::Cpu).is_err(),
        "not what was recorded"
    );

    let more = copy("more");
    fs::write(more.join("notes.txt"), "extra").expect("written");
    assert!(
        Checkpoint::read_recorded(&more, &saved[0].digest, Device::Cpu).is_ok(),
        "what is not named does not matter"
    );
    head(&more, &|head| {
        drop(
            head["digests"]
                .as_object_mut()
                .expect("an object")
                .insert("notes.txt".into(), "00".into()),
        )
    });
    assert!(damaged(&more).contains("digest"), "what is named is verified, whatever it is");
    for name in ["../checkpoint.json", "/etc/passwd", "..", ""] {
        head(&more, &|head| drop(head.insert("digests".into(), serde_json::json!({ name: "00" }))));
        assert!(matches!(read(&more).map(|_| ()), Err(CheckpointError::Format { .. })), "{name:?}");
    }
}

/// The copy of the model that trials begin with is verified when it is used, and mended by who lays
/// it down.
#[test]
fn the_copy_of_an_initial_model_is_verified() {
    let (mut trial, place) =
        (trial(Precision::Float32, Initializer::Copy), tempfile::tempdir().expect("a folder"));
    let (_, _, saved) = run(&trial, &place.path().join("run"), vec![], Some(2));
    let (from, to) = (&saved[0].folder, place.path().join("copy"));
    let digest = model_digest(from).expect("a digest");
    trial.settings.initial = Some(digest.clone());
    let train_from = |folder: &Path, copy: &Path| {
        let job = Job { initial: Some(copy.to_owned()), ..job(&trial, folder, vec![]) };
        let mut lines = vec![];
        let ended = train(&job, &corpus(), &OPTIONS, &mut |event| {
            lines.extend(line(&event));
            Control::Continue
        });
        ended.map(|_| lines)
    };
    copy_initial_weights(from, &digest, 16, &to).expect("laid down");
    let undisturbed = train_from(&place.path().join("whole"), &to).expect("trains");
    let other = place.path().join("other");
    let (_, _, others) =
        run(&trial_without_initial(&trial), &place.path().join("others"), vec![], Some(4));
    copy_initial_weights(
        &others[0].folder,
        &model_digest(&others[0].folder).expect("a digest"),
        16,
        &other,
    )
    .expect("laid down");
    for file in &FILES[..2] {
        for (what, damage) in damages() {
            damage(&to.join(file), &other);
            let refused = train_from(&place.path().join("damaged"), &to);
            // Spaces behind the head change nothing that is used.
            if !(what == "longer by a byte" && *file == FILES[0]) {
                assert!(refused.is_err(), "{file}: {what}");
            }
            copy_initial_weights(from, &digest, 16, &to).expect("mended");
            assert_eq!(
                train_from(&place.path().join(format!("{file} {what}")), &to).expect("trains"),
                undisturbed
            );
        }
    }
    fs::remove_dir_all(&to).expect("removed");
    fs::rename(&other, &to).expect("moved");
    assert!(train_from(&place.path().join("swapped"), &to).is_err(), "the copy of another model");
}

fn trial_without_initial(trial: &Trial) -> Trial {
    let mut other = trial.clone();
    other.settings.initial = None;
    other
}
