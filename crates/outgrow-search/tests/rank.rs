//! Predictors on losses whose truth is planted.

use outgrow_core::stream::{Stream, stream};
use outgrow_search::{FINAL, Predict, Ranking, Teachers, Trained, TreeSettings, rank, spearman};
use rand::{RngExt, seq::SliceRandom};
use rand_distr::{Distribution, StandardNormal};

fn normal(random: &mut Stream) -> f64 {
    StandardNormal.sample(random)
}

/// Losses that are a linear function of five of ten features, with noise of seeds as large as what
/// plans differ in, and one look at the truth through as much noise.
fn planted(plans: usize, seeds: usize, seed: u64) -> (Vec<Trained>, Vec<f64>) {
    let random = &mut stream(seed, "planted");
    let one = |_| {
        let features: Vec<f64> = (0..10).map(|_| random.random_range(-1.0..1.0)).collect();
        // The variance of five uniform numbers is 5 / 3.
        let truth = 0.01 * features[..5].iter().sum::<f64>() / (5.0_f64 / 3.0).sqrt();
        let losses: Vec<f64> = (0..seeds).map(|_| 2.0 + truth + 0.01 * normal(random)).collect();
        // Half of the noise of a training is there already when it is looked at.
        let look = |loss: &f64| Some(truth + 0.5 * (loss - 2.0 - truth) + 0.01 * normal(random));
        let seen = vec![losses.iter().map(look).collect(), vec![None; seeds]];
        (Trained { features, losses, seen }, truth)
    };
    (0..plans).map(one).unzip()
}

fn folds(plans: &[Trained]) -> Vec<usize> {
    (0..plans.len()).map(|plan| plan % 10).collect()
}

fn ranked(
    plans: &[Trained],
    looks: &[String],
    predictors: &[(&str, &Predict)],
    teachers: Teachers,
) -> Result<Ranking, String> {
    rank(plans, looks, predictors, teachers, TreeSettings::default(), 1)
}

fn looks() -> Vec<String> {
    ["a look", "nothing seen"].map(str::to_owned).to_vec()
}

#[test]
fn the_ceiling_is_what_a_perfect_predictor_reaches() {
    // The noise of a training is as large as what plans differ in.
    for seeds in [2, 5] {
        let (plans, truth) = planted(2000, seeds, 1);
        let ranking =
            ranked(&plans, &looks(), &[], Teachers::Folds(&folds(&plans))).expect("enough plans");
        let perfect =
            spearman(&truth, &plans.iter().map(|plan| plan.losses[1]).collect::<Vec<_>>());
        let ceiling = ranking.ceiling;
        assert!((perfect - 0.69).abs() < 0.03, "{perfect}");
        assert!((ceiling.value - perfect).abs() < 0.03, "{ceiling:?}, perfect {perfect}");
        assert!(ceiling.low < ceiling.value && ceiling.value < ceiling.high, "{ceiling:?}");
    }
}

#[test]
fn a_hundred_plans_are_enough_for_what_is_linear() {
    let (plans, _) = planted(100, 3, 2);
    let ranking =
        ranked(&plans, &looks(), &[], Teachers::Folds(&folds(&plans))).expect("enough plans");
    let of = |name: &str| ranking.predictors.iter().find(|one| one.name == name);
    let ridge = of("ridge").expect("ridge");
    assert!(ridge.spearman.value > ranking.ceiling.value - 0.05, "{ridge:?}");
    assert_eq!((ridge.minus_ridge.low, ridge.minus_ridge.high), (0.0, 0.0));
    assert!(of("a look").is_some_and(|look| look.minus_ridge.high < 0.0), "{:?}", of("a look"));
    assert!(of("nothing seen").is_none(), "no plan could be told from another");
    assert!(ridge.picked.iter().all(|picked| *picked < -0.01), "{ridge:?}");
    // Half of what plans differ in under one seed is noise, so one training says half of it.
    let last = of(FINAL).expect("the ends");
    assert!((0.3..0.65).contains(&last.spearman.value), "{last:?}");
    // Trees take more plans for it.
    let (plans, _) = planted(300, 3, 2);
    let ranking =
        ranked(&plans, &looks(), &[], Teachers::Folds(&folds(&plans))).expect("enough plans");
    let trees = ranking.predictors.iter().find(|one| one.name == "boosted_trees").expect("trees");
    assert!(trees.spearman.value > 0.5 && trees.minus_ridge.high < 0.0, "{trees:?}");
}

#[test]
fn nothing_is_found_where_there_is_nothing() {
    let (mut plans, _) = planted(200, 3, 3);
    let mut losses: Vec<Vec<f64>> = plans.iter().map(|plan| plan.losses.clone()).collect();
    losses.shuffle(&mut stream(1, "shuffled"));
    plans.iter_mut().zip(losses).for_each(|(plan, losses)| plan.losses = losses);
    let ranking =
        ranked(&plans, &looks(), &[], Teachers::Folds(&folds(&plans))).expect("enough plans");
    // The ends of a plan belong together all the same.
    for one in ranking.predictors.iter().filter(|one| one.name != FINAL) {
        assert!(one.name == "a look" || one.spearman.low < 0.05, "{one:?}");
        assert!(one.spearman.value.abs() < 0.2, "{one:?}");
    }
    assert_eq!(
        ranked(&plans, &looks(), &[], Teachers::Folds(&folds(&plans))),
        Ok(ranking),
        "the same for the same seed"
    );
}

/// Plans that begin alike share the noise of a seed: whoever is fitted under the seed that judges it
/// predicts that noise.
#[test]
fn noise_that_plans_share_is_no_skill() {
    let spearman_of = |seed: u64| {
        let random = &mut stream(seed, "shared");
        let shared: Vec<f64> = (0..3).map(|_| normal(random)).collect();
        let one = |_| {
            let features: Vec<f64> = (0..4).map(|_| random.random_range(-1.0..1.0)).collect();
            let truth = normal(random);
            let loss = |noise: &f64| 2.0 + 0.01 * (truth + 3.0 * noise * features[0]);
            Trained { losses: shared.iter().map(loss).collect(), features, seen: vec![] }
        };
        let plans: Vec<Trained> = (0..40).map(one).collect();
        let thirds: Vec<usize> = (0..plans.len()).map(|plan| plan % 3).collect();
        let ranking = ranked(&plans, &[], &[], Teachers::Folds(&thirds)).expect("enough plans");
        ranking.predictors[..2].iter().map(|one| one.spearman.value).collect::<Vec<_>>()
    };
    let all: Vec<Vec<f64>> = (0..24).map(spearman_of).collect();
    for (number, name) in ["ridge", "boosted_trees"].into_iter().enumerate() {
        let mean = all.iter().map(|one| one[number]).sum::<f64>() / all.len() as f64;
        assert!(mean < 0.2, "{name}'s correlation with losses that it cannot know is {mean}");
    }
}

#[test]
fn who_predicts_sees_only_other_folds() {
    let (plans, truth) = planted(60, 3, 5);
    let folds: Vec<usize> = (0..60).map(|plan| plan % 4).collect();
    // One that knows the truth of what it must predict, and refuses to see any of its fold.
    let oracle = |of: &[usize], losses: &[f64], new: &[usize]| {
        assert_eq!((of.len(), losses.len(), new.len()), (45, 45, 15));
        assert!(of.iter().all(|plan| folds[*plan] != folds[new[0]]));
        Some(new.iter().map(|plan| truth[*plan]).collect())
    };
    let one =
        ranked(&plans, &looks(), &[("oracle", &oracle)], Teachers::Folds(&folds)).expect("enough");
    let oracle = one.predictors.iter().find(|one| one.name == "oracle").expect("it is ranked");
    assert!((oracle.spearman.value - one.ceiling.value).abs() < 0.1, "{oracle:?}");
    let all_alike = ranked(&plans, &looks(), &[], Teachers::Folds(&[0; 60])).expect_err("one fold");
    assert!(all_alike.contains("of one kind"), "{all_alike}");
}

#[test]
fn plans_are_predicted_from_those_of_another_sweep() {
    let (plans, _) = planted(60, 3, 6);
    let (others, truth) = planted(80, 3, 7);
    // What is known of them under each seed of the plans: here the truth.
    let known = |(other, truth): (&Trained, &f64)| Trained {
        losses: vec![*truth; 3],
        seen: vec![],
        ..other.clone()
    };
    let others: Vec<Trained> = others.iter().zip(&truth).map(known).collect();
    let sees = |of: &[usize], losses: &[f64], new: &[usize]| {
        assert!(of.iter().copied().eq(60..140) && new.iter().copied().eq(0..60));
        assert_eq!(losses, &truth[..]);
        None
    };
    let told = ranked(&plans, &looks(), &[("sees", &sees)], Teachers::Others(&others));
    let told = told.expect("enough plans");
    let of = |name: &str| told.predictors.iter().find(|one| one.name == name).expect("ranked");
    assert!(of("ridge").spearman.value > told.ceiling.value - 0.05, "{told:?}");
    assert_eq!(of("sees").spearman.value, 0.0, "who says nothing has no skill");
    // The others end higher, and nothing is said of half of the plans: these are in the middle.
    let higher = |other: &Trained| Trained {
        losses: other.losses.iter().map(|loss| loss + 1.0).collect(),
        ..other.clone()
    };
    let higher: Vec<Trained> = others.iter().map(higher).collect();
    let half = |_: &[usize], losses: &[f64], new: &[usize]| {
        let mut sorted = losses.to_vec();
        sorted.sort_by(f64::total_cmp);
        let said = |plan: &usize| if plan.is_multiple_of(2) { sorted[*plan] } else { f64::NAN };
        Some(new.iter().map(said).collect())
    };
    let told = ranked(&plans, &looks(), &[("half", &half)], Teachers::Others(&higher));
    let first = told.expect("ranked").predictors[2].picked[0];
    let (all, best): (Vec<f64>, Vec<f64>) = (0..3)
        .map(|seed| {
            let all: Vec<f64> = plans.iter().map(|plan| plan.losses[seed]).collect();
            (all.iter().sum::<f64>() / 60.0, all[0])
        })
        .unzip();
    let expected = (best.iter().sum::<f64>() - all.iter().sum::<f64>()) / 3.0;
    assert!((first - expected).abs() < 1e-12, "{first} and not {expected}");
    let error = ranked(&plans, &looks(), &[], Teachers::Others(&others[..19])).expect_err("few");
    assert!(error.contains("19 plans to predict them from, at least 20"), "{error}");
}

#[test]
fn too_little_is_said() {
    let (plans, _) = planted(10, 3, 4);
    let error =
        ranked(&plans, &looks(), &[], Teachers::Folds(&folds(&plans))).expect_err("few plans");
    assert!(error.contains("at least 20 plans and 2 seeds"), "{error}");
    let (plans, _) = planted(30, 1, 4);
    assert!(ranked(&plans, &looks(), &[], Teachers::Folds(&folds(&plans))).is_err());
}
