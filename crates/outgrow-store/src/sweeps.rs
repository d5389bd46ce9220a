use outgrow_core::model::n_parameters;
use std::collections::BTreeMap;

use outgrow_core::{
    Sweep, Transform, Trial,
    event::Position,
    growth::TransformKind,
    rows::{CurveRow, GrowthRow, TrialRow},
    sweep::{Member, SharedPrefix, in_order, shared_prefixes},
};
use outgrow_failpoint::Point;

use crate::{
    Holder, Store, StoreError,
    check::refuse_changed,
    driver::{Arg, Row, Tx, args},
    open::now,
    schema::{BEGINNING, EVAL_METRIC, GROWTH_EVENT, MEMBER, SWEEP, TRIAL},
};

/// What inserting a sweep changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// The sweep's identity.
    pub sweep: String,
    /// Trials of the sweep.
    pub trials: usize,
    /// Those that were not in the database before.
    pub new: usize,
}

/// A sweep in the database.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepSummary {
    /// Identity by content.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Unix seconds.
    pub created_at: f64,
    /// The resolved sweep file.
    pub spec: String,
    /// Digest of its text.
    pub data_digest: String,
}

/// Where a sweep stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SweepStatus {
    /// Number of trials in each state.
    pub states: Vec<(String, u64)>,
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
    /// `random/3#1`: strategy, plan and replicate.
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
    pub fn count(&self, state: &str) -> u64 {
        self.states.iter().find(|(name, _)| name == state).map_or(0, |(_, n)| *n)
    }

    /// How many trials there are.
    pub fn total(&self) -> u64 {
        self.states.iter().map(|(_, n)| n).sum()
    }

    /// How many trials have come to their end.
    pub fn ended(&self) -> u64 {
        self.total() - self.count("waiting") - self.count("running")
    }
}

/// Notes which trial begins as which other does.
async fn insert_beginnings(
    tx: &mut Tx,
    sweep: &str,
    trials: &[&Trial],
    numbers: &BTreeMap<String, i64>,
) -> Result<(), StoreError> {
    let row = |(trial, beginning): (&&Trial, Option<SharedPrefix>)| {
        let SharedPrefix { of, step } = beginning?;
        let (own, other) = (numbers[&trial.id()], numbers[&trials[of].id()]);
        (own != other).then(|| args![sweep, own, other, step].to_vec())
    };
    let rows: Vec<_> = trials.iter().zip(shared_prefixes(trials)).filter_map(row).collect();
    BEGINNING.insert(tx, &rows).await?;
    Ok(())
}

/// A trial as it is before its first attempt.
pub(crate) fn new_trial(trial: &Trial) -> Vec<Arg> {
    let definition = serde_json::to_string(trial).expect("a trial is plain data");
    args![
        trial.id(),
        definition,
        trial.settings.tokens,
        trial.plan.train_flops(trial.settings.tokens),
        n_parameters(trial.plan.target()),
        trial.settings.training.learning_rate,
        "waiting",
        0_i64,
        0_i64,
        Arg::Text(None),
        1_i64,
        Arg::Real(None),
    ]
    .to_vec()
}

impl Store {
    /// Inserts a sweep and its trials; what is there already stays as it is, so doing it twice
    /// changes nothing. Unless `alone`, it is noted which trials begin alike, and workers train
    /// their common beginning once.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn insert_sweep(
        &self,
        sweep: &Sweep,
        data: &str,
        members: &[Member],
        alone: bool,
    ) -> Result<Inserted, StoreError> {
        let id = sweep.id(data);
        let order = in_order(members);
        let mut tx = self.write().await?;
        let row = args![&id, &sweep.spec().name, sweep.resolved(), data, now()].to_vec();
        SWEEP.insert(&mut tx, &[row]).await?;
        let rows: Vec<_> = order.iter().map(|member| new_trial(&member.trial)).collect();
        let new = TRIAL.insert(&mut tx, &rows).await? as usize;
        let numbers = numbers(&mut tx).await?;
        let row = |(position, member): (usize, &&Member)| {
            let Member { trial, strategy, kind, plan, replicate } = member;
            let rate = trial.settings.training.learning_rate;
            args![&id, position, numbers[&trial.id()], strategy, *kind, *plan, *replicate, rate]
                .to_vec()
        };
        MEMBER.insert(&mut tx, &order.iter().enumerate().map(row).collect::<Vec<_>>()).await?;
        tx.execute("DELETE FROM beginning WHERE sweep_id = $1", args![&id]).await?;
        if !alone {
            let trials: Vec<&Trial> = order.iter().map(|member| &member.trial).collect();
            insert_beginnings(&mut tx, &id, &trials, &numbers).await?;
        }
        tx.commit(Point::CommitSweep).await?;
        Ok(Inserted { sweep: id, trials: members.len(), new })
    }

    /// Puts the failed trials of a sweep back to waiting; gives their number.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn retry_failed(&self, sweep: &str) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let again = "UPDATE trial SET state = 'waiting', crashes = 0, error = NULL, not_before = NULL
                     WHERE state = 'failed' AND number IN (SELECT trial FROM member WHERE sweep_id = $1)";
        let done = tx.execute(again, args![sweep]).await?;
        tx.commit(Point::CommitRetry).await?;
        Ok(done)
    }

    /// All sweeps, the newest first.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn sweeps(&self) -> Result<Vec<SweepSummary>, StoreError> {
        let all = "SELECT id, name, created_at, spec, data_digest FROM sweep ORDER BY created_at DESC, id";
        let summary = |row: Row| {
            let (id, name, created_at) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(SweepSummary { id, name, created_at, spec: row.get(3)?, data_digest: row.get(4)? })
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
                      WHERE number IN (SELECT trial FROM member WHERE sweep_id = $1) GROUP BY state ORDER BY state";
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
        Ok(SweepStatus {
            states,
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
        let failures =
            "SELECT m.strategy || '/' || m.plan || '#' || m.replicate, coalesce(t.error, t.state)
             FROM member m JOIN trial t ON t.number = m.trial
             WHERE m.sweep_id = $1 AND t.state IN ('failed', 'diverged') ORDER BY m.position";
        self.read().await?.map(failures, args![sweep], |row| Ok((row.get(0)?, row.get(1)?))).await
    }

    /// Training FLOPs per second of the trials that were trained so far; none before the first.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn flops_per_second(&self) -> Result<Option<f64>, StoreError> {
        let speed = "SELECT sum(CAST(train_flops AS DOUBLE PRECISION)) / sum(wall_seconds) FROM finals WHERE wall_seconds > 0";
        self.read().await?.value(speed, &[]).await
    }

    /// On what a sweep's trials were trained: each device, its threads and versions once.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn environments(&self, sweep: &str) -> Result<Vec<String>, StoreError> {
        let all = "SELECT DISTINCT e.device || ', ' || e.threads || ' threads, ' || e.versions FROM environment e
             JOIN attempt a ON a.environment = e.id
             WHERE a.trial IN (SELECT trial FROM member WHERE sweep_id = $1) ORDER BY 1";
        self.read().await?.column(all, args![sweep]).await
    }

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
        let trials = "SELECT t.id, m.strategy, m.kind, m.plan, m.replicate, t.state, t.tokens, t.definition
             FROM member m JOIN trial t ON t.number = m.trial WHERE m.sweep_id = $1 ORDER BY m.position";
        let trials = tx.map(trials, args![sweep], |row| trial_row(&row)).await?;
        let curves = "SELECT t.id, e.step, e.tokens, e.train_flops, e.wall_seconds, e.val_loss FROM eval_metric e
             JOIN trial t ON t.number = e.trial
             WHERE e.trial IN (SELECT trial FROM member WHERE sweep_id = $1) ORDER BY t.id, e.step";
        let curves = tx.map(curves, args![sweep], |row| curve_row(&row)).await?;
        let growths = "SELECT t.id, g.step, g.tokens, g.train_flops, g.wall_seconds,
                    g.max_logit_change / CASE WHEN g.max_logit > 1.0 THEN g.max_logit ELSE 1.0 END, g.tolerance,
                    g.parameters_before, g.parameters_after, g.operator_flops, coalesce(g.axes, g.transforms), g.preserving, g.diagnosis
             FROM growth_event g JOIN trial t ON t.number = g.trial
             WHERE g.trial IN (SELECT trial FROM member WHERE sweep_id = $1) ORDER BY t.id, g.stage";
        let growths = tx.map(growths, args![sweep], |row| growth_row(&row)).await?;
        Ok((trials, curves, growths))
    }
}

/// The numbers of all trials, by their identity.
pub(crate) async fn numbers(tx: &mut Tx) -> Result<BTreeMap<String, i64>, StoreError> {
    let all =
        tx.map("SELECT id, number FROM trial", &[], |row| Ok((row.get(0)?, row.get(1)?))).await?;
    Ok(all.into_iter().collect())
}

async fn running(tx: &mut Tx, sweep: &str) -> Result<Vec<TrialDetail>, StoreError> {
    let running =
        "SELECT t.id, m.strategy || '/' || m.plan || '#' || m.replicate, coalesce(last.tokens, 0), t.tokens, last.loss,
                    a.process, a.heartbeat_at
             FROM member m
             JOIN trial t ON t.number = m.trial
             JOIN attempt a ON a.trial = t.number AND a.epoch = t.epoch
             LEFT JOIN step_metric last ON last.trial = t.number
              AND last.step = (SELECT max(step) FROM step_metric WHERE trial = t.number)
             WHERE m.sweep_id = $1 AND t.state = 'running'
               AND m.position = (SELECT min(position) FROM member WHERE sweep_id = $1 AND trial = t.number)
             ORDER BY m.position";
    let detail = |row: Row| {
        let holder = serde_json::from_str(&row.get::<String>(5)?).map_err(corrupt("holder"))?;
        let silent_seconds = (now() - row.get::<f64>(6)?).max(0.0);
        let (trial, label, tokens, of_tokens) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(TrialDetail {
            trial,
            label,
            tokens,
            of_tokens,
            loss: row.get(4)?,
            holder,
            silent_seconds,
        })
    };
    tx.map(running, args![sweep], detail).await
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

fn corrupt(what: &'static str) -> impl Fn(serde_json::Error) -> StoreError {
    move |error| StoreError::Corrupt { what, error: error.to_string() }
}

fn trial_row(row: &Row) -> Result<TrialRow, StoreError> {
    let trial: Trial =
        serde_json::from_str(&row.get::<String>(7)?).map_err(corrupt("trial definition"))?;
    Ok(TrialRow {
        trial: row.get(0)?,
        strategy: row.get(1)?,
        kind: row.get(2)?,
        plan: row.get(3)?,
        replicate: row.get(4)?,
        state: row.get(5)?,
        tokens: row.get(6)?,
        learning_rate: trial.settings.training.learning_rate,
        plan_id: trial.plan.id(),
        policy: trial.policy().clone(),
        phases: trial.plan.phases(),
    })
}

fn curve_row(row: &Row) -> Result<CurveRow, StoreError> {
    let val_loss = row.get::<Option<f64>>(5)?.filter(|loss| loss.is_finite());
    Ok(CurveRow { trial: row.get(0)?, at: position(row)?, val_loss })
}

fn growth_row(row: &Row) -> Result<GrowthRow, StoreError> {
    let diagnosis: Option<String> = row.get(12)?;
    Ok(GrowthRow {
        trial: row.get(0)?,
        at: position(row)?,
        error: row.get(5)?,
        tolerance: row.get(6)?,
        parameters_before: row.get(7)?,
        parameters_after: row.get(8)?,
        operator_flops: row.get(9)?,
        axes: axes(&row.get::<String>(10)?)?,
        preserving: row.get(11)?,
        diagnosis: diagnosis
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(corrupt("diagnosis"))?,
    })
}

/// The axes of a growth event; what was written before there were operators has its transforms
/// instead.
fn axes(text: &str) -> Result<Vec<TransformKind>, StoreError> {
    serde_json::from_str::<Vec<TransformKind>>(text).or_else(|_| {
        let transforms: Vec<Transform> =
            serde_json::from_str(text).map_err(corrupt("list of transforms"))?;
        Ok(transforms.iter().map(Transform::kind).collect())
    })
}
