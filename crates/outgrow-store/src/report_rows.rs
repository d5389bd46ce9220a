//! The rows that a report is made of.

use std::collections::HashMap;

use outgrow_core::{
    Trial,
    event::Position,
    rows::{CurveRow, GrowthRow, TrialRow},
};

use crate::{
    Store, StoreError,
    driver::{Row, args},
    intact::refuse_changed,
    schema::{EVAL_METRIC, GROWTH_EVENT},
};

impl Store {
    /// The rows that a report is made of: trials, validation curves, growth events.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn report_rows(
        &self,
        sweep: &str,
    ) -> Result<(Vec<TrialRow>, Vec<CurveRow>, Vec<GrowthRow>), StoreError> {
        // One state of the database, so that the three lists agree while workers write.
        let mut tx = self.read().await?;
        refuse_changed(&mut tx, &[&EVAL_METRIC, &GROWTH_EVENT], Some(sweep)).await?;
        let trials = "SELECT t.id, m.strategy, m.kind, m.plan, m.replicate, t.state, t.tokens, \
                      t.definition, m.setting, m.budget, m.tuning
             FROM member m JOIN trial t ON t.number = m.trial WHERE m.sweep_id = $1 ORDER BY \
             m.position";
        let trials = tx.map(trials, args![sweep], |row| trial_row(&row)).await?;
        let (trials, places): (Vec<TrialRow>, Vec<NewLayers>) = trials.into_iter().unzip();
        let places: HashMap<&str, NewLayers> =
            trials.iter().map(|trial| trial.trial.as_str()).zip(places).collect();
        let curves = "SELECT t.id, e.step, e.tokens, e.train_flops, e.wall_seconds, e.val_loss \
                      FROM eval_metric e
             JOIN trial t ON t.number = e.trial
             WHERE e.trial IN (SELECT trial FROM member WHERE sweep_id = $1) ORDER BY t.id, e.step";
        let curves = tx.map(curves, args![sweep], |row| curve_row(&row)).await?;
        let growths = "SELECT t.id, g.step, g.tokens, g.train_flops, g.wall_seconds,
                    g.max_logit_change / CASE WHEN g.max_logit > 1.0 THEN g.max_logit ELSE 1.0 \
                    END, g.tolerance,
                    g.parameters_before, g.parameters_after, g.operator_flops, g.axes, \
                    g.preserving, g.diagnosis, g.loss_after - g.loss_before, g.stage
             FROM growth_event g JOIN trial t ON t.number = g.trial
             WHERE g.trial IN (SELECT trial FROM member WHERE sweep_id = $1) ORDER BY t.id, \
             g.stage";
        let growths = tx.map(growths, args![sweep], |row| growth_row(&row, &places)).await?;
        Ok((trials, curves, growths))
    }
}

impl Store {
    /// What the trials of a sweep are, by their identity.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn definitions(&self, sweep: &str) -> Result<HashMap<String, Trial>, StoreError> {
        let sql = "SELECT t.id, t.definition FROM trial t WHERE t.number IN
                       (SELECT trial FROM member WHERE sweep_id = $1)";
        let row = |row: Row| Ok((row.get(0)?, definition(&row.get::<String>(1)?)?));
        let all = self.read().await?.map(sql, args![sweep], row).await?;
        Ok(all.into_iter().collect())
    }
}

fn definition(text: &str) -> Result<Trial, StoreError> {
    serde_json::from_str(text).map_err(StoreError::corrupt("trial definition"))
}

/// For each stage of a plan, the places of the layers that are new in it.
type NewLayers = Vec<Vec<usize>>;

fn trial_row(row: &Row) -> Result<(TrialRow, NewLayers), StoreError> {
    let trial = definition(&row.get::<String>(7)?)?;
    let places = |stage| {
        let layers = trial.plan.new_layers(stage).into_iter().enumerate();
        layers.filter(|(_, is_new)| *is_new).map(|(place, _)| place).collect()
    };
    let new_layers = (0..trial.plan.stages().len()).map(places).collect();
    let row = TrialRow {
        trial: row.get(0)?,
        strategy: row.get(1)?,
        kind: row.get(2)?,
        plan: row.get(3)?,
        replicate: row.get(4)?,
        tuning: row.get(10)?,
        seed: trial.seed,
        state: row.get(5)?,
        tokens: row.get(6)?,
        learning_rate: trial.settings.training.learning_rate,
        setting: row.get(8)?,
        budget: row.get(9)?,
        plan_id: trial.plan.id(),
        policy: trial.policy().clone(),
        phases: trial.plan.phases(),
    };
    Ok((row, new_layers))
}

fn curve_row(row: &Row) -> Result<CurveRow, StoreError> {
    let val_loss = row.get::<Option<f64>>(5)?.filter(|loss| loss.is_finite());
    Ok(CurveRow { trial: row.get(0)?, at: position(row)?, val_loss })
}

fn growth_row(row: &Row, places: &HashMap<&str, NewLayers>) -> Result<GrowthRow, StoreError> {
    let diagnosis: Option<String> = row.get(12)?;
    let (trial, stage): (String, usize) = (row.get(0)?, row.get(14)?);
    let planned = places.get(trial.as_str()).and_then(|stages| stages.get(stage));
    Ok(GrowthRow {
        new_layers: planned.cloned().unwrap_or_default(),
        trial,
        at: position(row)?,
        error: row.get(5)?,
        tolerance: row.get(6)?,
        loss_change: row.get::<Option<f64>>(13)?.filter(|change| change.is_finite()),
        parameters_before: row.get(7)?,
        parameters_after: row.get(8)?,
        operator_flops: row.get(9)?,
        axes: serde_json::from_str(&row.get::<String>(10)?)
            .map_err(StoreError::corrupt("list of axes"))?,
        preserving: row.get(11)?,
        diagnosis: diagnosis
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(StoreError::corrupt("diagnosis"))?,
    })
}

/// Step, tokens, FLOPs and seconds from the second column on.
fn position(row: &Row) -> Result<Position, StoreError> {
    Ok(Position {
        step: row.get(1)?,
        tokens: row.get(2)?,
        train_flops: row.get(3)?,
        wall_seconds: row.get(4)?,
    })
}
