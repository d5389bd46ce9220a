//! What seeds that only tune choose, on rows whose truth is known.

mod made;

use made::input;
use outgrow_core::{
    TrialState,
    rows::{CurveRow, TrialRow},
    sweep::{ArmAt, Chosen, Edge},
};
use outgrow_report::{Input, choices};

/// The growing arm, tried by two seeds at some rates; no loss where a trial diverged.
fn tried(rates: &[(f64, Option<f64>)]) -> Input {
    let mut made = input(&[("grown", 0.2)]);
    let own: Vec<TrialRow> =
        made.trials.iter().filter(|trial| trial.strategy == "grown").take(2).cloned().collect();
    let curves = std::mem::take(&mut made.curves);
    made.trials.clear();
    for (learning_rate, loss) in rates.iter().copied() {
        for trial in &own {
            let id = format!("{}@{learning_rate}", trial.trial);
            let last = curves.iter().rfind(|row| row.trial == trial.trial).expect("a curve");
            made.curves.push(CurveRow {
                trial: id.clone(),
                val_loss: loss.map(|loss| loss + 1e-4 * trial.replicate as f64),
                ..last.clone()
            });
            let state = if loss.is_some() { TrialState::Complete } else { TrialState::Diverged };
            let trial = TrialRow { trial: id, tuning: true, learning_rate, state, ..trial.clone() };
            made.trials.push(trial);
        }
    }
    made
}

fn chosen(rates: &[(f64, Option<f64>)]) -> Chosen {
    choices(&tried(rates)).remove(&ArmAt::new("grown", None)).expect("the arm")
}

fn rate(chosen: &Chosen) -> Option<f64> {
    chosen.point.as_ref().map(|point| point.learning_rate)
}

#[test]
fn the_best_rate_is_chosen_and_the_edge_that_it_is_at() {
    // Rates whose logarithm does not come back to the last bit are among them.
    for top in [4e-3, 8e-3, 3e-3, 6e-4, 1.6e-2] {
        let falling = [(top / 4.0, Some(2.0)), (top / 2.0, Some(1.5)), (top, Some(1.2))];
        let found = chosen(&falling);
        assert_eq!((rate(&found), found.edge), (Some(top), Some(Edge::Highest)), "{top}");
        let rising = [(top / 4.0, Some(1.2)), (top / 2.0, Some(1.5)), (top, Some(2.0))];
        let found = chosen(&rising);
        assert_eq!((rate(&found), found.edge), (Some(top / 4.0), Some(Edge::Lowest)), "{top}");
    }
    let found = chosen(&[(1e-3, Some(1.5)), (2e-3, Some(1.2)), (4e-3, Some(1.5))]);
    assert_eq!((rate(&found), found.edge), (Some(2e-3), None));
    assert!((found.loss - 1.20005).abs() < 1e-6, "{found:?}");
}

#[test]
fn beyond_a_rate_that_diverged_nothing_is_looked_for() {
    let found = chosen(&[(1e-3, Some(1.6)), (2e-3, Some(1.4)), (4e-3, Some(1.3)), (8e-3, None)]);
    assert_eq!((rate(&found), found.edge), (Some(4e-3), None));
}

#[test]
fn a_rate_at_which_nothing_came_to_its_end_is_not_chosen() {
    let found = chosen(&[(1e-3, Some(1.5)), (2e-3, None), (4e-3, Some(1.5)), (8e-3, Some(1.9))]);
    assert!([Some(1e-3), Some(4e-3)].contains(&rate(&found)), "{found:?}");
    assert!(found.loss > 1.0, "{found:?}");
}

#[test]
fn where_all_diverged_nothing_is_chosen() {
    let found = chosen(&[(1e-3, None), (2e-3, None), (4e-3, None)]);
    assert_eq!((found.point, found.edge), (None, None));
    assert!(found.loss.is_nan());
}
