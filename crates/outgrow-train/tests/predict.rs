//! The predictor of plans on losses whose truth is planted.

use outgrow_core::{
    Sweep, Trial,
    plan::Element,
    stream::{Stream, stream},
};
use outgrow_train::{PlanPredictor, PredictorSettings};
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};

const SWEEP: &str = r#"
name = "plans"
data = { corpus = "rust-crates", seq_len = 32 }
training = { batch_size = 8, tokens = 1_000_000, match_budget = "flops" }
initial = { d_model = 16, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 64 }
target = { d_model = 32, n_layers = 4, n_heads = 4 }
controls = { same_tokens = false, same_compute = false, fixed_sizes = 0 }
strategies = [{ kind = "random", plans = 160, max_stages = 3, grow_between = [0.05, 0.7] }]
"#;

fn trials() -> Vec<Trial> {
    let sweep = Sweep::parse(SWEEP).unwrap_or_else(|error| panic!("{error}"));
    let members = sweep.members("d").expect("members");
    members.into_iter().filter(|one| one.replicate == 0).map(|one| one.trial).collect()
}

/// Nats: what the mean size over the compute costs, and depth that comes late.
fn truth(trial: &Trial) -> f64 {
    let (plan, tokens) = (&trial.plan, trial.settings.tokens);
    let all = plan.train_flops(tokens) as f64;
    let phases = plan.phases();
    let starts = phases.iter().map(|phase| plan.train_flops(phase.tokens) as f64 / all);
    let starts: Vec<f64> = starts.collect();
    let end = phases.last().expect("a phase").parameters as f64;
    let small: f64 = (0..phases.len())
        .map(|n| {
            let until = starts.get(n + 1).copied().unwrap_or(1.0);
            (until - starts[n]) * (end / phases[n].parameters as f64).ln()
        })
        .sum();
    let layers = (0..phases.len()).position(|n| plan.architecture_after(n).layers.len() == 4);
    0.03 * (small - 0.3).powi(2) - 0.01 * layers.map_or(1.0, |n| starts[n])
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (a_mean, b_mean) = (mean(a), mean(b));
    let sum = |of: &dyn Fn(f64, f64) -> f64| {
        a.iter().zip(b).map(|(a, b)| of(a - a_mean, b - b_mean)).sum::<f64>()
    };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

struct Planted {
    sequences: Vec<Vec<Element>>,
    truth: Vec<f64>,
    /// With the noise of a mean over seeds, a third of what plans differ in.
    losses: Vec<f64>,
}

fn planted() -> Planted {
    let trials = trials();
    let truth: Vec<f64> = trials.iter().map(truth).collect();
    let mean = truth.iter().sum::<f64>() / truth.len() as f64;
    let variance = truth.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / truth.len() as f64;
    let random: &mut Stream = &mut stream(1, "noise");
    let noisy = |x: &f64| {
        let noise: f64 = StandardNormal.sample(random);
        2.0 + x + variance.sqrt() / 3.0 * noise
    };
    let losses = truth.iter().map(noisy).collect();
    let of = |trial: &Trial| trial.plan.sequence(trial.settings.tokens, trial.plan.target());
    Planted { sequences: trials.iter().map(of).collect(), truth, losses }
}

fn fitted(plans: &[&[Element]], losses: &[f64]) -> PlanPredictor {
    PlanPredictor::fit(plans, losses, PredictorSettings::default(), 0).expect("enough plans")
}

#[test]
fn what_is_planted_is_found_in_plans_that_were_not_seen() {
    let Planted { sequences, truth, losses } = planted();
    let plans: Vec<&[Element]> = sequences.iter().map(|one| &one[..]).collect();
    let (old, new) = plans.split_at(110);
    let nar = fitted(old, &losses[..110]);
    let said = nar.predict(new);
    let means: Vec<f64> = said.iter().map(|[mean, _]| *mean).collect();
    let found = correlation(&means, &truth[110..]);
    assert!(found > 0.85, "{found}");
    assert!(said.iter().all(|[_, sd]| *sd > 0.0 && *sd < 0.1), "{said:?}");
    assert_eq!(fitted(old, &losses[..110]).predict(new), said, "the same for the same seed");

    // The growths of a stage have no order, here not even in the sequence.
    let mut turned = sequences[110].clone();
    turned.reverse();
    let [there, back] = [&sequences[110][..], &turned].map(|one| nar.predict(&[one])[0][0]);
    assert!((there - back).abs() < 1e-6, "{there} {back}");

    // Saved and read again it says the same; what is none is refused.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nar.safetensors");
    nar.save(&path).expect("saved");
    assert_eq!(PlanPredictor::load(&path).expect("read").predict(new), said);
    std::fs::write(&path, [0; 64]).expect("written");
    let error = PlanPredictor::load(&path).err().expect("refused");
    assert!(error.contains("is no predictor of plans"), "{error}");
    let settings = PredictorSettings::default();
    for (wrong, said) in [
        (PredictorSettings { heads: 0, ..settings }, "heads"),
        (PredictorSettings { heads: 5, ..settings }, "heads"),
        (PredictorSettings { members: 0, ..settings }, "members"),
        (PredictorSettings { width: -4, ..settings }, "width"),
        (PredictorSettings { width: 1 << 40, ..settings }, "width"),
        (PredictorSettings { batch_size: 0, ..settings }, "batch_size"),
        (PredictorSettings { dropout: f64::NAN, ..settings }, "dropout"),
    ] {
        let error = wrong.check().expect_err("refused");
        assert!(error.contains(said), "{error}");
        assert!(PlanPredictor::fit(old, &losses[..110], wrong, 0).is_none(), "{error}");
    }

    // Of what it has not seen the like it says so.
    assert!(!nar.is_beyond(new[0]), "{:?}", new[0]);
    let trial = &trials()[110];
    let longer = trial.plan.sequence(10 * trial.settings.tokens, trial.plan.target());
    assert!(nar.is_beyond(&longer));

    // Of losses that have nothing to do with plans nothing is found: any fit is near some direction in
    // which plans differ, but as often against it.
    let random = &mut stream(2, "shuffled");
    let one = PredictorSettings { members: 1, ..settings };
    let mut against_chance = || {
        let mut mixed = losses[..110].to_vec();
        mixed.shuffle(random);
        let fit = PlanPredictor::fit(old, &mixed, one, 0).expect("enough plans");
        let said: Vec<f64> = fit.predict(new).iter().map(|[mean, _]| *mean).collect();
        correlation(&said, &truth[110..])
    };
    let all: Vec<f64> = (0..10).map(|_| against_chance()).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    assert!(mean.abs() < 0.4, "{all:?}");
}
