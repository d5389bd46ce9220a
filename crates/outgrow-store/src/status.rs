//! Which sweeps there are, and where they stand.

use outgrow_core::{
    TrialState,
    rows::Evaluated,
    sweep::{Words, label},
};

use crate::{
    Store, StoreError,
    claim::Holder,
    driver::{Row, Tx, args},
    open::now,
};

/// A sweep in the database.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct SweepSummary {
    /// Identity by content.
    pub id: String,
    pub name: String,
    pub created_at: f64,
    /// The resolved sweep file.
    pub spec: String,
    /// Digest of its text.
    pub data_digest: String,
    /// What its file says to people.
    pub words: Words,
    /// What an evaluation predicts, where that was recorded.
    pub evaluated: Option<Evaluated>,
    /// Digest of its tokenizer, if it has one.
    pub tokenizer: Option<String>,
}

/// Where a sweep stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SweepStatus {
    /// Number of trials in each state.
    pub states: Vec<(TrialState, u64)>,
    /// How many of them only choose learning rates and settings.
    pub tuning: u64,
    /// Training FLOPs recorded, and to be spent in all, over its trials.
    pub train_flops: (f64, f64),
    /// Tokens recorded, and to be trained in all.
    pub tokens: (f64, f64),
    /// Trials that are running now.
    pub running: Vec<TrialDetail>,
}

/// A running trial.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialDetail {
    /// Identity by content.
    pub trial: String,
    /// `random/3#1`: strategy, plan and replicate, and what else tells it from others.
    pub label: String,
    /// Tokens recorded.
    pub tokens: u64,
    /// Tokens to train.
    pub of_tokens: u64,
    /// The last training loss.
    pub loss: Option<f64>,
    /// Who works on it.
    pub holder: Holder,
    /// Seconds since its last heartbeat.
    pub silent_seconds: f64,
}

impl SweepStatus {
    /// How many trials are in `state`.
    pub fn count(&self, state: TrialState) -> u64 {
        self.states.iter().find(|(other, _)| *other == state).map_or(0, |(_, n)| *n)
    }

    /// How many trials there are.
    pub fn total(&self) -> u64 {
        self.states.iter().map(|(_, n)| n).sum()
    }

    /// How many trials have come to their end.
    pub fn ended(&self) -> u64 {
        self.states.iter().filter(|(state, _)| !state.is_open()).map(|(_, n)| n).sum()
    }
}

impl Store {
    /// All sweeps, the newest first.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn sweeps(&self) -> Result<Vec<SweepSummary>, StoreError> {
        let all = "SELECT id, name, created_at, spec, data_digest, words, evaluated_tokens, \
                   evaluated_bytes, tokenizer FROM sweep ORDER BY created_at DESC, id";
        let summary = |row: Row| {
            let (id, name, created_at) = (row.get(0)?, row.get(1)?, row.get(2)?);
            // Damaged words are none: no number depends on them.
            let words = serde_json::from_str(&row.get::<String>(5)?).unwrap_or_default();
            let (spec, data_digest, tokenizer) = (row.get(3)?, row.get(4)?, row.get(8)?);
            let (tokens, bytes): (Option<u64>, Option<u64>) = (row.get(6)?, row.get(7)?);
            let evaluated = tokens.zip(bytes).map(|(tokens, bytes)| Evaluated { tokens, bytes });
            Ok(SweepSummary {
                id,
                name,
                created_at,
                spec,
                data_digest,
                words,
                evaluated,
                tokenizer,
            })
        };
        self.read().await?.map(all, &[], summary).await
    }

    /// Where a sweep stands.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn status(&self, sweep: &str) -> Result<SweepStatus, StoreError> {
        let mut tx = self.read().await?;
        let states = "SELECT state, count(*) FROM trial
                      WHERE number IN (SELECT trial FROM member WHERE sweep_id = $1) GROUP BY \
                      state ORDER BY state";
        let states = tx.map(states, args![sweep], |row| Ok((row.get(0)?, row.get(1)?))).await?;
        let totals = "SELECT coalesce(sum(CAST(last.train_flops AS DOUBLE PRECISION)), 0.0),
                    coalesce(sum(CAST(t.train_flops AS DOUBLE PRECISION)), 0.0),
                    coalesce(sum(CAST(last.tokens AS DOUBLE PRECISION)), 0.0),
                    coalesce(sum(CAST(t.tokens AS DOUBLE PRECISION)), 0.0)
             FROM trial t
             LEFT JOIN step_metric last ON last.trial = t.number
              AND last.step = (SELECT max(step) FROM step_metric WHERE trial = t.number)
             WHERE t.number IN (SELECT trial FROM member WHERE sweep_id = $1)";
        let totals = tx.row(totals, args![sweep]).await?.expect("a sum has a row");
        let tuning = "SELECT count(DISTINCT trial) FROM member WHERE sweep_id = $1 AND tuning = 1";
        let tuning = tx.value(tuning, args![sweep]).await?;
        Ok(SweepStatus {
            states,
            tuning,
            train_flops: (totals.get(0)?, totals.get(1)?),
            tokens: (totals.get(2)?, totals.get(3)?),
            running: running(&mut tx, sweep).await?,
        })
    }

    /// The trials of a sweep that ended badly, with the reason.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn failures(&self, sweep: &str) -> Result<Vec<(String, String)>, StoreError> {
        let mut tx = self.read().await?;
        let rates = several_rates(&mut tx, sweep).await?;
        let failures =
            "SELECT m.strategy, m.plan, m.replicate, m.learning_rate, m.setting, m.budget,
                    coalesce(t.error, t.state)
             FROM member m JOIN trial t ON t.number = m.trial
             WHERE m.sweep_id = $1 AND t.state IN ('failed', 'diverged') ORDER BY m.position";
        tx.map(failures, args![sweep], |row| Ok((label_of(&row, rates)?, row.get(6)?))).await
    }

    /// Training FLOPs per second of the trials that were trained so far; none before the first.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn flops_per_second(&self) -> Result<Option<f64>, StoreError> {
        let speed = "SELECT sum(CAST(train_flops AS DOUBLE PRECISION)) / sum(wall_seconds) FROM \
                     finals WHERE wall_seconds > 0";
        self.read().await?.value(speed, &[]).await
    }

    /// On what a sweep's trials were trained: each device, its threads and versions once.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn environments(&self, sweep: &str) -> Result<Vec<String>, StoreError> {
        let all = "SELECT DISTINCT e.device || ', ' || e.threads || ' threads, ' || e.versions \
                   FROM environment e
             JOIN attempt a ON a.environment = e.id
             WHERE a.trial IN (SELECT trial FROM member WHERE sweep_id = $1) ORDER BY 1";
        self.read().await?.column(all, args![sweep]).await
    }

    /// The state of the trial of that identity; none if it is not there. One whose state can't be
    /// read has not ended.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn state_of(&self, trial: &str) -> Result<Option<TrialState>, StoreError> {
        let state = "SELECT state FROM trial WHERE id = $1";
        let row = self.read().await?.row(state, args![trial]).await?;
        Ok(row.map(|row| row.get(0).unwrap_or(TrialState::Waiting)))
    }
}

async fn running(tx: &mut Tx, sweep: &str) -> Result<Vec<TrialDetail>, StoreError> {
    let rates = several_rates(tx, sweep).await?;
    let running = "SELECT m.strategy, m.plan, m.replicate, m.learning_rate, m.setting, m.budget,
                    t.id, coalesce(last.tokens, 0), t.tokens, last.loss, a.process, a.heartbeat_at
             FROM member m
             JOIN trial t ON t.number = m.trial
             JOIN attempt a ON a.trial = t.number AND a.epoch = t.epoch
             LEFT JOIN step_metric last ON last.trial = t.number
              AND last.step = (SELECT max(step) FROM step_metric WHERE trial = t.number)
             WHERE m.sweep_id = $1 AND t.state = 'running'
               AND m.position = (SELECT min(position) FROM member WHERE sweep_id = $1 AND trial = \
                   t.number)
             ORDER BY m.position";
    let detail = |row: Row| {
        let holder =
            serde_json::from_str(&row.get::<String>(10)?).map_err(StoreError::corrupt("holder"))?;
        Ok(TrialDetail {
            label: label_of(&row, rates)?,
            trial: row.get(6)?,
            tokens: row.get(7)?,
            of_tokens: row.get(8)?,
            loss: row.get(9)?,
            holder,
            silent_seconds: (now() - row.get::<f64>(11)?).max(0.0),
        })
    };
    tx.map(running, args![sweep], detail).await
}

/// Whether trials of a sweep are told apart by their learning rates.
async fn several_rates(tx: &mut Tx, sweep: &str) -> Result<bool, StoreError> {
    let rates = "SELECT count(DISTINCT learning_rate) FROM member WHERE sweep_id = $1";
    Ok(tx.value::<u64>(rates, args![sweep]).await? > 1)
}

/// What people call the trial of a place, whose columns come first in a row.
fn label_of(row: &Row, several_rates: bool) -> Result<String, StoreError> {
    let rate = row.get::<f64>(3).ok().filter(|_| several_rates);
    let (strategy, setting) = (row.get::<String>(0)?, row.get::<String>(4)?);
    Ok(label(&strategy, (row.get(1)?, row.get(2)?), rate, row.get(5)?, &setting))
}
