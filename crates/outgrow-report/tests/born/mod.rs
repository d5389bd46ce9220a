//! Made-up rows of a sweep with a frontier: seven born sizes and growing arms, by a law with noise.

use outgrow_core::{
    TrialState,
    edit::Initializer,
    event::Position,
    plan::{GrowthPolicy, LearningRateAtGrowth, OptimizerAtGrowth, Phase},
    rows::{CurveRow, TrialRow},
};
use outgrow_report::{Input, frontier::Law};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const LAW: Law = Law { e: 0.9, a: 38.0, alpha: 0.5, b: 60.0, beta: 0.35 };
const SIZES: [f64; 7] = [8e3, 12e3, 19e3, 30e3, 48e3, 75e3, 120e3];
const TARGET: f64 = 75e3;
const INITIAL: f64 = 12e3;
const SEQUENCE: u64 = 64;
/// Standard deviation over seeds, in nats.
const NOISE: f64 = 0.003;
const EVALUATIONS: u64 = 40;

/// What is planted.
pub struct Planted<'a> {
    /// Names of growing arms, their gaps to the frontier, and at which share of their tokens they
    /// grow.
    pub arms: Vec<(String, f64, f64)>,
    /// Of the frontier, and of growing arms, in tokens per parameter of the target.
    pub budgets: &'a [f64],
    pub strategies_at: &'a [f64],
    pub seeds: usize,
}

fn per_token(n: f64) -> f64 {
    6.5 * n
}

fn compute(budget: f64) -> f64 {
    budget * TARGET * per_token(TARGET)
}

fn least(flops: f64) -> f64 {
    let loss = |i: i32| {
        let n = 4e3 * 1.01f64.powi(i);
        LAW.loss(n, flops / per_token(n))
    };
    (0..400).map(loss).fold(f64::INFINITY, f64::min)
}

fn phase(tokens: f64, n: f64) -> Phase {
    let sequence = per_token(n) * SEQUENCE as f64;
    Phase {
        tokens: tokens as u64,
        non_embedding: (0.8 * n) as u64,
        with_unembedding: n as u64,
        parameters: (1.1 * n) as u64,
        sequence_flops: sequence as u128,
        causal_flops: (0.93 * sequence) as u128,
    }
}

struct Rows {
    random: ChaCha8Rng,
    trials: Vec<TrialRow>,
    curves: Vec<CurveRow>,
}

/// One end of a schedule.
struct End<'a> {
    name: &'a str,
    kind: &'a str,
    budget: f64,
    seed: usize,
    phases: Vec<Phase>,
    tokens: f64,
    flops: f64,
    loss: f64,
}

impl Rows {
    fn noise(&mut self) -> f64 {
        let normal: f64 = StandardNormal.sample(&mut self.random);
        NOISE * normal
    }

    fn push(&mut self, end: End) {
        let trial = format!("{}-{}-{}", end.name, end.budget, end.seed);
        let loss = end.loss + self.noise();
        for n in 1..=EVALUATIONS {
            let share = n as f64 / EVALUATIONS as f64;
            // The last fifth decays.
            let high = 0.06 * ((1.0 - share) / 0.2).min(1.0);
            let at = Position {
                step: n,
                tokens: (share * end.tokens) as u64,
                train_flops: (share * end.flops) as u128,
                wall_seconds: n as f64,
            };
            let val_loss = Some(loss + high - 0.1 * share.ln());
            self.curves.push(CurveRow { trial: trial.clone(), at, val_loss });
        }
        self.trials.push(TrialRow {
            trial,
            strategy: end.name.into(),
            kind: end.kind.into(),
            plan: 0,
            replicate: end.seed,
            tuning: false,
            seed: 1000 + end.seed as u64,
            state: TrialState::Complete,
            tokens: end.tokens as u64,
            learning_rate: 1e-3,
            setting: String::new(),
            budget: Some(end.budget),
            plan_id: end.name.into(),
            policy: GrowthPolicy {
                initializer: Initializer::Copy,
                optimizer: OptimizerAtGrowth::KeepEntryAge,
                learning_rate: LearningRateAtGrowth::Unchanged,
            },
            phases: end.phases,
        });
    }

    fn born(
        &mut self,
        (name, kind): (&str, &str),
        n: f64,
        [budget, tokens]: [f64; 2],
        seed: usize,
    ) {
        let (loss, flops) = (LAW.loss(n, tokens), tokens * per_token(n));
        let phases = vec![phase(0.0, n)];
        self.push(End { name, kind, budget, seed, phases, tokens, flops, loss });
    }

    /// From the initial to the target size.
    fn grown(&mut self, (name, gap, at): &(String, f64, f64), budget: f64, seed: usize) {
        let flops = compute(budget);
        let tokens = flops / (at * per_token(INITIAL) + (1.0 - at) * per_token(TARGET));
        let phases = vec![phase(0.0, INITIAL), phase(at * tokens, TARGET)];
        let (loss, kind) = (least(flops) + gap, "all_at_once");
        self.push(End { name, kind, budget, seed, phases, tokens, flops, loss });
    }
}

/// The rows.
pub fn rows(planted: &Planted) -> Input {
    let (random, trials, curves) = (ChaCha8Rng::seed_from_u64(7), vec![], vec![]);
    let mut rows = Rows { random, trials, curves };
    for seed in 0..planted.seeds {
        for &budget in planted.strategies_at {
            let tokens = budget * TARGET;
            rows.born(("from_scratch", "from_scratch"), TARGET, [budget, tokens], seed);
            planted.arms.iter().for_each(|arm| rows.grown(arm, budget, seed));
            let grown = rows.trials.iter().rfind(|trial| trial.kind == "all_at_once");
            let tokens = grown.map_or(tokens, |trial| trial.tokens as f64);
            let annealed = ("from_scratch_150", "from_scratch_annealed");
            rows.born(annealed, TARGET, [budget, tokens], seed);
        }
        for (number, n) in (1..).zip(SIZES) {
            let name = format!("born_{number}");
            for &budget in planted.budgets {
                let tokens = compute(budget) / per_token(n);
                rows.born((&name, "born"), n, [budget, tokens], seed);
            }
        }
    }
    let list = |budgets: &[f64]| format!("{budgets:?}");
    let strategies: Vec<String> = (planted.arms.iter())
        .map(|(name, ..)| format!("{{ name = '{name}', kind = 'all_at_once', at = 0.5 }}"))
        .collect();
    let spec = format!(
        "name = 'a'\ndata.corpus = 'rust-crates'\ntarget = {{ d_model = 32, n_layers = 3, n_heads \
         = 4 }}\ninitial = {{ d_model = 16, n_layers = 2, n_heads = 2 }}\nstrategies = [{}]\n\
         frontier = {{ strategies_at = {}, budgets = {} }}",
        strategies.join(", "),
        list(planted.strategies_at),
        list(planted.budgets)
    );
    let [sweep, id, data] = ["planted_frontier", "0123", "abcd"].map(str::to_owned);
    Input {
        text_tokens: None,
        evaluated: None,
        tokenizer: None,
        unit: Default::default(),
        sweep,
        id,
        spec,
        words: Default::default(),
        data,
        environments: vec![],
        trials: rows.trials,
        curves: rows.curves,
        growths: vec![],
        searched: None,
        promises: vec![],
    }
}

/// Arms whose gaps go from −0.015 to +0.02 nats.
pub fn arms(number: usize) -> Vec<(String, f64, f64)> {
    let names = ["width first", "depth first", "in three steps", "late", "early", "mlp", "heads"];
    let arm = |n: usize| {
        let share = ((n * 5) % 7) as f64 / 6.0;
        let name = match n / names.len() {
            0 => names[n % names.len()].replace(' ', "_"),
            turn => format!("{}_{}", names[n % names.len()].replace(' ', "_"), turn + 1),
        };
        (
            name,
            -0.015 + 0.035 * share + 0.001 * (n / 7) as f64,
            0.2 + 0.6 * n as f64 / number as f64,
        )
    };
    (0..number).map(arm).collect()
}
