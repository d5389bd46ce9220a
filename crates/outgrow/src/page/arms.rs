//! The arms of a sweep as its report has them: how they look, their final losses, what they save.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use outgrow_core::TrialState;
use outgrow_report::{Analysis, CurveLook, Input, Interval, Strategy, curve_looks, own_budget};
use outgrow_store::{Store, StoreError};
use serde_json::{Value, json};
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::{rows::input, workspace::Workspace};

/// Answers that still hold, by sweep. One is computed at a time: a report's statistics read every
/// curve.
pub struct Arms {
    /// Whose files are measured.
    workspace: Arc<Workspace>,
    known: Mutex<HashMap<String, Known>>,
}

struct Known {
    /// Of the trials, when it was computed.
    states: Vec<(TrialState, u64)>,
    until: Instant,
    answer: Value,
}

/// How long an answer holds while no trial changes its state.
const HOLDS: Duration = Duration::from_secs(10);
/// It holds at least so many times as long as it took: statistics never take more than a twentieth
/// of a processor.
const TIMES: u32 = 20;

impl Arms {
    /// None is known yet.
    pub fn new(workspace: Workspace) -> Self {
        Self { workspace: Arc::new(workspace), known: Mutex::default() }
    }

    /// The arms of a sweep, in the report's order (none before the first evaluation), and what its
    /// checkpoints and text take on disk.
    pub async fn of(&self, store: &Store, wanted: &str) -> Result<Value, StoreError> {
        let sweep = store.find_sweep(wanted).await?;
        let states = store.status(&sweep.id).await?.states;
        let mut known = self.known.lock().await;
        if let Some(found) = known.get(&sweep.id)
            && found.states == states
            && Instant::now() < found.until
        {
            return Ok(found.answer.clone());
        }
        let (began, id) = (Instant::now(), sweep.id.clone());
        let trials = store.trials_of(&id).await?;
        let (input, workspace) = (input(store, sweep.clone()).await?, self.workspace.clone());
        let answer = spawn_blocking(move || {
            let sizes = workspace.sizes(&sweep, &trials);
            let mut answer = described(&input);
            answer["disk_bytes"] = (sizes.checkpoints + sizes.text).into();
            answer
        });
        let answer = answer.await;
        let answer = answer.map_err(|_| StoreError::Query("its report can't be made".into()))?;
        let until = Instant::now() + HOLDS.max(began.elapsed() * TIMES);
        known.insert(id, Known { states, until, answer: answer.clone() });
        Ok(answer)
    }
}

fn described(input: &Input) -> Value {
    // A sweep without evaluations has no arms yet.
    let Ok(analysis) = Analysis::new(input) else { return json!({ "arms": [] }) };
    let arms = analysis.strategies.iter().zip(curve_looks(&analysis));
    let budget = own_budget(input);
    let with_budget = |(strategy, look)| {
        let mut arm = arm(strategy, &look);
        arm["budget"] = json!(budget);
        arm
    };
    let arms: Vec<Value> = arms.map(with_budget).collect();
    json!({ "control": analysis.control, "note": analysis.note(), "arms": arms })
}

fn arm(strategy: &Strategy, look: &CurveLook) -> Value {
    let compared = strategy.comparison.as_ref();
    let complete = strategy.complete().count();
    let fixed = compared.and_then(|compared| compared.best_fixed_size.as_ref());
    json!({
        "strategy": strategy.name, "display": strategy.shown, "role": strategy.role,
        "color": look.color, "dash": look.dash,
        "learning_rate": strategy.learning_rate, "learning_rates": strategy.learning_rates,
        "setting": strategy.setting, "is_at_the_edge": strategy.is_at_the_edge,
        "seeds": strategy.seeds, "complete": complete, "trials": strategy.runs.len(),
        "lost": strategy.lost,
        "final_loss": strategy.final_loss.as_ref().map(interval),
        "saving": compared.and_then(|compared| compared.compute_corrected()).as_ref().map(interval),
        "is_upper_bound": compared.is_some_and(|compared| compared.is_censored()),
        "is_significant": compared.is_some_and(|compared| compared.is_significant()),
        "against_fixed": fixed.map(|gap| json!({ "against": gap.against, "difference": interval(&gap.difference.corrected) })),
        "savings": compared.map_or_else(Vec::new, |compared| compared.savings.iter().map(|saving| {
            json!({ "plan": saving.plan, "replicate": saving.replicate, "reached": saving.reached,
                    "saving": finite(saving.compute) })
        }).collect()),
    })
}

fn interval(interval: &Interval) -> Value {
    json!({ "mean": finite(interval.mean), "bounds": interval.bounds.map(|both| both.map(finite)), "n": interval.n })
}

/// JSON has no infinite numbers.
fn finite(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { Value::Null }
}
