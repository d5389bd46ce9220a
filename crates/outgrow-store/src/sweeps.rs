use outgrow_core::{
    Sweep, Transform, Trial, cost,
    event::Position,
    rows::{CurveRow, GrowthRow, TrialRow},
    sweep::{Beginning, Member, beginnings, in_order},
    transform::TransformKind,
};
use sqlx::{Row, Sqlite, Transaction, sqlite::SqliteRow};

use crate::{Store, StoreError, open::now};

type Tx = Transaction<'static, Sqlite>;

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
    pub process: String,
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
async fn insert_beginnings(tx: &mut Tx, sweep: &str, trials: &[&Trial]) -> Result<(), StoreError> {
    for (trial, beginning) in trials.iter().zip(beginnings(trials)) {
        let Some(Beginning { of, step }) = beginning else { continue };
        sqlx::query(
            "INSERT INTO beginning (sweep_id, trial, parent, step)
             SELECT ?, own.number, other.number, ? FROM trial own, trial other
             WHERE own.id = ? AND other.id = ? AND own.number <> other.number ON CONFLICT DO NOTHING",
        )
        .bind(sweep)
        .bind(step as i64)
        .bind(trial.id())
        .bind(trials[of].id())
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

impl Store {
    /// Inserts a sweep and its trials; what is there already stays as it is, so doing it twice changes nothing. Unless `alone`, it is
    /// noted which trials begin alike, and workers train their common beginning once.
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
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO sweep (id, name, spec, data_digest, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(&id)
        .bind(&sweep.spec().name)
        .bind(sweep.resolved())
        .bind(data)
        .bind(now())
        .execute(&mut *tx)
        .await?;
        let mut new = 0;
        let order = in_order(members);
        for (position, member) in order.iter().enumerate() {
            let trial = &member.trial;
            let definition = serde_json::to_string(trial).expect("a trial is plain data");
            let done = sqlx::query(
                "INSERT INTO trial (id, definition, tokens, train_flops, parameters, learning_rate)
                 VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(trial.id())
            .bind(definition)
            .bind(trial.settings.tokens as i64)
            .bind(trial.plan.train_flops(trial.settings.tokens) as i64)
            .bind(cost::parameters(trial.plan.target()) as i64)
            .bind(trial.settings.training.learning_rate)
            .execute(&mut *tx)
            .await?;
            new += done.rows_affected() as usize;
            sqlx::query(
                "INSERT INTO member (sweep_id, position, trial, strategy, kind, plan, replicate)
                 VALUES (?, ?, (SELECT number FROM trial WHERE id = ?), ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(&id)
            .bind(position as i64)
            .bind(trial.id())
            .bind(&member.strategy)
            .bind(member.kind)
            .bind(member.plan as i64)
            .bind(member.replicate as i64)
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query("DELETE FROM beginning WHERE sweep_id = ?").bind(&id).execute(&mut *tx).await?;
        if !alone {
            let trials: Vec<&Trial> = order.iter().map(|member| &member.trial).collect();
            insert_beginnings(&mut tx, &id, &trials).await?;
        }
        tx.commit().await?;
        Ok(Inserted { sweep: id, trials: members.len(), new })
    }

    /// Puts the failed trials of a sweep back to waiting; gives their number.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn retry_failed(&self, sweep: &str) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE trial SET state = 'waiting', crashes = 0, error = NULL
             WHERE state = 'failed' AND number IN (SELECT trial FROM member WHERE sweep_id = ?)",
        )
        .bind(sweep)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }

    /// All sweeps, the newest first.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn sweeps(&self) -> Result<Vec<SweepSummary>, StoreError> {
        let rows =
            sqlx::query("SELECT id, name, created_at, spec, data_digest FROM sweep ORDER BY created_at DESC, id");
        let summary = |row: SqliteRow| SweepSummary {
            id: row.get(0),
            name: row.get(1),
            created_at: row.get(2),
            spec: row.get(3),
            data_digest: row.get(4),
        };
        Ok(rows.fetch_all(&self.pool).await?.into_iter().map(summary).collect())
    }

    /// The newest sweep of that name, or the one whose identity begins with it.
    ///
    /// # Errors
    /// If there is none.
    pub async fn find_sweep(&self, wanted: &str) -> Result<SweepSummary, StoreError> {
        let sweeps = self.sweeps().await?;
        let names: Vec<&str> = sweeps.iter().map(|sweep| sweep.name.as_str()).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let matches =
            |sweep: &&SweepSummary| sweep.name == wanted || (wanted.len() >= 4 && sweep.id.starts_with(wanted));
        let found = sweeps.iter().find(matches).cloned();
        found.ok_or_else(|| StoreError::NoSweep { wanted: wanted.into(), known })
    }

    /// Where a sweep stands.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn status(&self, sweep: &str) -> Result<SweepStatus, StoreError> {
        let states = sqlx::query(
            "SELECT state, count(*) FROM trial WHERE number IN (SELECT trial FROM member WHERE sweep_id = ?) GROUP BY state",
        )
        .bind(sweep)
        .fetch_all(&self.pool)
        .await?;
        let totals = sqlx::query(
            "SELECT total(coalesce(last.train_flops, 0)), total(t.train_flops), total(coalesce(last.tokens, 0)), total(t.tokens)
             FROM trial t
             LEFT JOIN step_metric last ON last.trial = t.number
              AND last.step = (SELECT max(step) FROM step_metric WHERE trial = t.number)
             WHERE t.number IN (SELECT trial FROM member WHERE sweep_id = ?)",
        )
        .bind(sweep)
        .fetch_one(&self.pool)
        .await?;
        Ok(SweepStatus {
            states: states.iter().map(|row| (row.get(0), row.get::<i64, _>(1) as u64)).collect(),
            train_flops: (totals.get(0), totals.get(1)),
            tokens: (totals.get(2), totals.get(3)),
            running: self.running(sweep).await?,
        })
    }

    async fn running(&self, sweep: &str) -> Result<Vec<TrialDetail>, StoreError> {
        let rows = sqlx::query(
            "SELECT t.id, m.strategy || '/' || m.plan || '#' || m.replicate, coalesce(last.tokens, 0), t.tokens, last.loss,
                    a.process, a.heartbeat_at
             FROM member m
             JOIN trial t ON t.number = m.trial
             JOIN attempt a ON a.trial = t.number AND a.epoch = t.epoch
             LEFT JOIN step_metric last ON last.trial = t.number
              AND last.step = (SELECT max(step) FROM step_metric WHERE trial = t.number)
             WHERE m.sweep_id = ? AND t.state = 'running' GROUP BY t.number ORDER BY m.position",
        )
        .bind(sweep)
        .fetch_all(&self.pool)
        .await?;
        let detail = |row: &SqliteRow| TrialDetail {
            trial: row.get(0),
            label: row.get(1),
            tokens: row.get::<i64, _>(2) as u64,
            of_tokens: row.get::<i64, _>(3) as u64,
            loss: row.get(4),
            process: row.get(5),
            silent_seconds: (now() - row.get::<f64, _>(6)).max(0.0),
        };
        Ok(rows.iter().map(detail).collect())
    }

    /// The trials of a sweep that ended badly, with the reason.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn failures(&self, sweep: &str) -> Result<Vec<(String, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT m.strategy || '/' || m.plan || '#' || m.replicate, coalesce(t.error, t.state)
             FROM member m JOIN trial t ON t.number = m.trial
             WHERE m.sweep_id = ? AND t.state IN ('failed', 'diverged') ORDER BY m.position",
        )
        .bind(sweep)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Training FLOPs per second of the trials that were trained so far; none before the first.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn flops_per_second(&self) -> Result<Option<f64>, StoreError> {
        let speed = "SELECT sum(CAST(train_flops AS REAL)) / sum(wall_seconds) FROM finals WHERE wall_seconds > 0";
        Ok(sqlx::query_scalar(speed).fetch_one(&self.pool).await?)
    }

    /// On what a sweep's trials were trained: each device, its threads and versions once.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn environments(&self, sweep: &str) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query_scalar(
            "SELECT DISTINCT e.device || ', ' || e.threads || ' threads, ' || e.versions FROM environment e
             JOIN attempt a ON a.environment = e.id
             WHERE a.trial IN (SELECT trial FROM member WHERE sweep_id = ?) ORDER BY 1",
        );
        Ok(rows.bind(sweep).fetch_all(&self.pool).await?)
    }

    /// The rows that a report is made of: trials, validation curves, growth events.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn report_rows(&self, sweep: &str) -> Result<(Vec<TrialRow>, Vec<CurveRow>, Vec<GrowthRow>), StoreError> {
        // One snapshot, so that the three lists agree while workers write.
        let mut tx = self.pool.begin().await?;
        let trials = sqlx::query(
            "SELECT t.id, m.strategy, m.kind, m.plan, m.replicate, t.state, t.tokens, t.definition
             FROM member m JOIN trial t ON t.number = m.trial WHERE m.sweep_id = ? ORDER BY m.position",
        )
        .bind(sweep)
        .fetch_all(&mut *tx)
        .await?;
        let curves = sqlx::query(
            "SELECT t.id, e.step, e.tokens, e.train_flops, e.wall_seconds, e.val_loss FROM eval_metric e
             JOIN trial t ON t.number = e.trial
             WHERE e.trial IN (SELECT trial FROM member WHERE sweep_id = ?) ORDER BY t.id, e.step",
        )
        .bind(sweep)
        // Row by row: a million of them would take a gigabyte as SQLite has them.
        .try_map(|row: SqliteRow| Ok(curve_row(&row)))
        .fetch_all(&mut *tx)
        .await?;
        let growths = sqlx::query(
            "SELECT t.id, g.step, g.tokens, g.train_flops, g.wall_seconds, g.max_logit_change / max(1.0, g.max_logit), g.tolerance,
                    g.parameters_before, g.parameters_after, g.operator_flops, coalesce(g.axes, g.transforms), g.preserving, g.diagnosis
             FROM growth_event g JOIN trial t ON t.number = g.trial
             WHERE g.trial IN (SELECT trial FROM member WHERE sweep_id = ?) ORDER BY t.id, g.stage",
        )
        .bind(sweep)
        .fetch_all(&mut *tx)
        .await?;
        Ok((
            trials.iter().map(trial_row).collect::<Result<_, _>>()?,
            curves,
            growths.iter().map(growth_row).collect::<Result<_, _>>()?,
        ))
    }
}

fn unsigned(row: &SqliteRow, column: usize) -> u64 {
    row.get::<i64, _>(column) as u64
}

/// Step, tokens, FLOPs and seconds from the second column on.
fn position(row: &SqliteRow) -> Position {
    let (step, tokens, train_flops) = (unsigned(row, 1), unsigned(row, 2), unsigned(row, 3));
    Position { step, tokens, train_flops, wall_seconds: row.get(4) }
}

fn corrupt(what: &'static str) -> impl Fn(serde_json::Error) -> StoreError {
    move |error| StoreError::Corrupt { what, error: error.to_string() }
}

fn trial_row(row: &SqliteRow) -> Result<TrialRow, StoreError> {
    let trial: Trial = serde_json::from_str(row.get(7)).map_err(corrupt("trial definition"))?;
    Ok(TrialRow {
        trial: row.get(0),
        strategy: row.get(1),
        kind: row.get(2),
        plan: unsigned(row, 3) as usize,
        replicate: unsigned(row, 4) as usize,
        state: row.get(5),
        tokens: unsigned(row, 6),
        learning_rate: trial.settings.training.learning_rate,
        plan_id: trial.plan.id(),
        policy: trial.settings.training.growth,
        phases: trial.plan.phases(),
    })
}

fn curve_row(row: &SqliteRow) -> CurveRow {
    let val_loss = row.get::<Option<f64>, _>(5).filter(|loss| loss.is_finite());
    CurveRow { trial: row.get(0), at: position(row), val_loss }
}

fn growth_row(row: &SqliteRow) -> Result<GrowthRow, StoreError> {
    let diagnosis: Option<&str> = row.get(12);
    Ok(GrowthRow {
        trial: row.get(0),
        at: position(row),
        error: row.get(5),
        tolerance: row.get(6),
        parameters_before: unsigned(row, 7),
        parameters_after: unsigned(row, 8),
        operator_flops: unsigned(row, 9),
        axes: axes(row.get(10))?,
        preserving: row.get(11),
        diagnosis: diagnosis.map(serde_json::from_str).transpose().map_err(corrupt("diagnosis"))?,
    })
}

/// The axes of a growth event; what was written before there were operators has its transforms instead.
fn axes(text: &str) -> Result<Vec<TransformKind>, StoreError> {
    serde_json::from_str::<Vec<TransformKind>>(text).or_else(|_| {
        let transforms: Vec<Transform> = serde_json::from_str(text).map_err(corrupt("list of transforms"))?;
        Ok(transforms.iter().map(Transform::kind).collect())
    })
}
