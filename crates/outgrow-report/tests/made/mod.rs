//! Made-up rows whose truth is known.

use outgrow_core::{
    TrialState,
    edit::Initializer,
    event::Position,
    growth::TransformKind,
    plan::{GrowthPolicy, LearningRateAtGrowth, OptimizerAtGrowth, Phase},
    rows::{CurveRow, GrowthRow, TrialRow},
};
use outgrow_report::Input;

pub const SEEDS: usize = 3;

/// Losses that fall as a straight line over the logarithm of compute; a strategy that saves the
/// share s is the same line at 1 − s of the compute.
pub fn curve(trial: &str, seed: usize, saving: f64, evaluations: u64, curves: &mut Vec<CurveRow>) {
    for n in 1..=evaluations {
        let train_flops = n * 1_000_000;
        let loss = 6.0 - 0.5 * (train_flops as f64 / (1.0 - saving)).ln() / 2.0 + 0.1 * seed as f64;
        let at = Position {
            step: n,
            tokens: n * 100,
            train_flops: train_flops.into(),
            wall_seconds: n as f64 * 0.5,
        };
        curves.push(CurveRow { trial: trial.into(), at, val_loss: Some(loss) });
    }
}

/// A control, and strategies with a known saving.
pub fn input(savings: &[(&str, f64)]) -> Input {
    let (mut trials, mut curves, mut growths) = (vec![], vec![], vec![]);
    for (name, saving) in [("from_scratch", 0.0)].iter().chain(savings) {
        for replicate in 0..SEEDS {
            let trial = format!("{name}-{replicate}");
            curve(&trial, replicate, *saving, 40, &mut curves);
            let kind = if *name == "from_scratch" { "from_scratch" } else { "random" };
            let (strategy, kind) = ((*name).to_owned(), kind.to_owned());
            trials.push(TrialRow {
                trial: trial.clone(),
                strategy,
                kind: kind.clone(),
                plan: 0,
                replicate,
                tuning: false,
                seed: 1000 + replicate as u64,
                state: TrialState::Complete,
                tokens: 4000,
                learning_rate: 1e-3,
                setting: String::new(),
                budget: None,
                plan_id: (*name).to_owned(),
                policy: policy(OptimizerAtGrowth::KeepEntryAge),
                phases: vec![Phase {
                    tokens: 0,
                    non_embedding: 100,
                    with_unembedding: 110,
                    parameters: 120,
                    sequence_flops: 1000,
                    causal_flops: 900,
                }],
            });
            if kind != "from_scratch" {
                growths.push(GrowthRow {
                    trial,
                    at: Position {
                        step: 9,
                        tokens: 900,
                        train_flops: 9_000_000,
                        wall_seconds: 4.5,
                    },
                    operator_flops: 0,
                    axes: vec![TransformKind::HiddenExpansion],
                    preserving: true,
                    diagnosis: None,
                    error: Some(1e-7),
                    tolerance: 1e-5,
                    loss_change: Some(1e-7),
                    new_layers: vec![],
                    parameters_before: 10,
                    parameters_after: 30,
                });
            }
        }
    }
    let [sweep, id, spec, data] = ["made_up", "0123", "version = 1", "abcd"].map(str::to_owned);
    Input {
        sweep,
        id,
        spec,
        words: Default::default(),
        data,
        evaluated: None,
        tokenizer: None,
        unit: Default::default(),
        text_tokens: None,
        environments: vec![],
        trials,
        curves,
        growths,
        searched: None,
        promises: vec![],
    }
}

pub fn policy(optimizer: OptimizerAtGrowth) -> GrowthPolicy {
    GrowthPolicy {
        initializer: Initializer::Copy,
        optimizer,
        learning_rate: LearningRateAtGrowth::Unchanged,
    }
}
