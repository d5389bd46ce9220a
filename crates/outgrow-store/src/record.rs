use outgrow_core::{
    Event,
    event::{CheckpointEvent, EvalEvent, GrowthEvent, Position, StepEvent},
};
use sqlx::{Sqlite, Transaction};

use crate::{Claim, Store, StoreError, claim::check_epoch, open::now};

impl Store {
    /// Writes a batch of events of one attempt, all or none, and counts as a heartbeat. A row that an earlier attempt
    /// wrote for the same step is replaced: on a CPU by the same numbers.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the trial is another attempt's by now; otherwise if the database can't be written.
    pub async fn record(&self, claim: &Claim, events: &[Event]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        check_epoch(&mut tx, claim).await?;
        for event in events {
            match event {
                Event::Step(event) => step(&mut tx, claim, event).await?,
                Event::Eval(event) => eval(&mut tx, claim, event).await?,
                Event::Growth(event) => growth(&mut tx, claim, event).await?,
                Event::Checkpoint(event) => checkpoint(&mut tx, claim, event).await?,
                Event::Snapshot(event) => snapshot(&mut tx, claim, event).await?,
            }
        }
        sqlx::query("UPDATE attempt SET heartbeat_at = ? WHERE id = ?")
            .bind(now())
            .bind(claim.attempt)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

type Tx = Transaction<'static, Sqlite>;
type Query = sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments>;

/// Binds trial, step, tokens, FLOPs and seconds.
fn at(sql: &'static str, claim: &Claim, at: &Position) -> Query {
    sqlx::query(sql)
        .bind(claim.number)
        .bind(at.step as i64)
        .bind(at.tokens as i64)
        .bind(at.train_flops as i64)
        .bind(at.wall_seconds)
}

async fn step(tx: &mut Tx, claim: &Claim, event: &StepEvent) -> Result<(), StoreError> {
    // What the attempt spent is the way from the last recorded step of this attempt, or from where it went on.
    let spent = "UPDATE attempt SET train_flops = train_flops + ?2 - coalesce(
                   (SELECT max(train_flops) FROM step_metric WHERE trial = ?1 AND step < ?3), 0) WHERE id = ?4";
    sqlx::query(spent)
        .bind(claim.number)
        .bind(event.at.train_flops as i64)
        .bind(event.at.step as i64)
        .bind(claim.attempt)
        .execute(&mut **tx)
        .await?;
    at("INSERT OR REPLACE INTO step_metric (trial, step, tokens, train_flops, wall_seconds, loss, learning_rate, gradient_norm, attempt)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", claim, &event.at)
        .bind(event.loss)
        .bind(event.learning_rate)
        .bind(event.gradient_norm)
        .bind(claim.attempt)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn eval(tx: &mut Tx, claim: &Claim, event: &EvalEvent) -> Result<(), StoreError> {
    at("INSERT OR REPLACE INTO eval_metric (trial, step, tokens, train_flops, wall_seconds, val_loss, is_last, attempt)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)", claim, &event.at)
        .bind(event.val_loss)
        .bind(event.last)
        .bind(claim.attempt)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn growth(tx: &mut Tx, claim: &Claim, event: &GrowthEvent) -> Result<(), StoreError> {
    let growths = serde_json::to_string(&event.growths).expect("growths are plain data");
    let axes = serde_json::to_string(&event.axes).expect("axes are plain data");
    let diagnosis =
        event.diagnosis.as_ref().map(|found| serde_json::to_string(found).expect("a diagnosis is plain data"));
    let [before, after] = event.parameters;
    let probe = &event.preservation;
    at("INSERT OR REPLACE INTO growth_event (trial, step, tokens, train_flops, wall_seconds, stage, transforms, parameters_before,
          parameters_after, max_logit_change, max_logit, loss_before, loss_after, tolerance, axes, preserving,
          operator_flops, diagnosis, seconds, attempt)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", claim, &event.at)
        .bind(event.stage as i64)
        .bind(growths)
        .bind(before as i64)
        .bind(after as i64)
        .bind(probe.max_logit_change)
        .bind(probe.max_logit)
        .bind(probe.loss_before)
        .bind(probe.loss_after)
        .bind(probe.tolerance)
        .bind(axes)
        .bind(event.preserving)
        .bind(event.operator_flops as i64)
        .bind(diagnosis)
        .bind(event.seconds)
        .bind(claim.attempt)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn checkpoint(tx: &mut Tx, claim: &Claim, event: &CheckpointEvent) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR REPLACE INTO checkpoint (trial, step, tokens, path, digest, bytes, attempt) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(claim.number)
    .bind(event.at.step as i64)
    .bind(event.at.tokens as i64)
    .bind(event.path.clone())
    .bind(event.digest.clone())
    .bind(event.bytes as i64)
    .bind(claim.attempt)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn snapshot(tx: &mut Tx, claim: &Claim, event: &CheckpointEvent) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO snapshot (trial, step, train_flops, path) VALUES (?, ?, ?, ?)")
        .bind(claim.number)
        .bind(event.at.step as i64)
        .bind(event.at.train_flops as i64)
        .bind(event.path.clone())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
