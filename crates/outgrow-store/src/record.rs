use outgrow_core::{
    Event,
    event::{CheckpointEvent, EvalEvent, GrowthEvent, Position, StepEvent},
};
use outgrow_failpoint::Point;

use crate::{
    Claim, Store, StoreError,
    driver::{Arg, Tx, args},
    lease::check_epoch,
    open::now,
    schema::{CHECKPOINT, EVAL_METRIC, GROWTH_EVENT, SNAPSHOT, STEP_METRIC, Table},
};

impl Store {
    /// Writes a batch of events of one attempt, all or none, and counts as a heartbeat. A row that
    /// an earlier attempt wrote for the same step is replaced: on a CPU by the same numbers. An
    /// attempt numbers its batches from 1; one that is in the database already, for its writer
    /// never learned that it was written, is passed over.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the trial is another attempt's by now; otherwise if the database
    /// can't be written.
    pub async fn record(
        &self,
        claim: &Claim,
        batch: i64,
        events: &[Event],
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        check_epoch(&mut tx, claim).await?;
        let (written, spent) = spent(&mut tx, claim, events).await?;
        if batch <= written {
            return Ok(());
        }
        let mut rows = Rows::default();
        events.iter().for_each(|event| rows.add(claim, event));
        for (table, rows) in rows.0 {
            table.replace(&mut tx, &latest(table, rows)).await?;
        }
        if events.iter().any(|event| matches!(event, Event::Checkpoint(_))) {
            // It came further than before: what killed its workers until now does not count any
            // more.
            tx.execute("UPDATE trial SET crashes = 0 WHERE number = $1", args![claim.number])
                .await?;
        }
        let done = "UPDATE attempt SET heartbeat_at = $1, batch = $2, train_flops = CAST($3 AS \
                    NUMERIC) WHERE id = $4";
        tx.execute(done, args![now(), batch, spent, claim.attempt]).await?;
        tx.commit(Point::CommitRecord).await
    }
}

/// The batches that the attempt has written, and what it has spent with these events: the way from
/// the last recorded step, or from where it went on.
async fn spent(tx: &mut Tx, claim: &Claim, events: &[Event]) -> Result<(i64, i128), StoreError> {
    let steps = || {
        events
            .iter()
            .filter_map(|event| if let Event::Step(step) = event { Some(step.at) } else { None })
    };
    let first = steps().next().map_or(0, |at| at.step);
    let before = "SELECT batch, train_flops, (SELECT max(train_flops) FROM step_metric WHERE \
                  trial = $2 AND step < $3)
                  FROM attempt WHERE id = $1";
    let row = tx.row(before, args![claim.attempt, claim.number, first]).await?;
    let row = row.ok_or(StoreError::Sql(sqlx::Error::RowNotFound))?;
    let way = match steps().next_back() {
        Some(last) => last.train_flops as i128 - row.get::<Option<i128>>(2)?.unwrap_or(0),
        None => 0,
    };
    // What was tried beside a growth is charged to it, and other trials spend it.
    let plan = &claim.trial.plan;
    let tried = events.iter().filter_map(|event| match event {
        Event::Growth(event) => Some(plan.look_flops(event.stage) as i128),
        _ => None,
    });
    Ok((row.get(0)?, row.get::<i128>(1)? + way - tried.sum::<i128>()))
}

/// The rows of a batch, table by table.
#[derive(Default)]
struct Rows(Vec<(&'static Table, Vec<Vec<Arg>>)>);

impl Rows {
    fn add(&mut self, claim: &Claim, event: &Event) {
        let (table, mut row) = match event {
            Event::Step(event) => (&STEP_METRIC, step(claim, event)),
            Event::Eval(event) => (&EVAL_METRIC, eval(claim, event)),
            Event::Growth(event) => (&GROWTH_EVENT, growth(claim, event)),
            Event::Checkpoint(event) => (&CHECKPOINT, checkpoint(claim, event)),
            Event::Snapshot(event) => (&SNAPSHOT, snapshot(claim, event)),
        };
        table.seal(&mut row);
        match self.0.iter_mut().find(|(other, _)| other.name == table.name) {
            Some((_, rows)) => rows.push(row),
            None => self.0.push((table, vec![row])),
        }
    }
}

/// Of rows with the same key the last one.
fn latest(table: &Table, rows: Vec<Vec<Arg>>) -> Vec<Vec<Arg>> {
    let key = |row: &[Arg]| format!("{:?}", &row[..table.key]);
    let mut kept: Vec<Vec<Arg>> = vec![];
    for row in rows {
        // Rows come in order, so only neighbours can be alike.
        match kept.last_mut() {
            Some(last) if key(last) == key(&row) => *last = row,
            _ => kept.push(row),
        }
    }
    kept
}

/// In place of the checksum until the row is whole.
const UNSEALED: i64 = 0;

/// Steps, tokens, FLOPs and seconds.
fn at(at: &Position) -> [Arg; 4] {
    [at.step.into(), at.tokens.into(), at.train_flops.into(), at.wall_seconds.into()]
}

fn step(claim: &Claim, event: &StepEvent) -> Vec<Arg> {
    let numbers =
        args![event.loss, event.learning_rate, event.gradient_norm, UNSEALED, claim.attempt];
    [args![claim.number], &at(&event.at)[..], numbers].concat()
}

fn eval(claim: &Claim, event: &EvalEvent) -> Vec<Arg> {
    [
        args![claim.number],
        &at(&event.at)[..],
        args![event.val_loss, event.last, UNSEALED, claim.attempt],
    ]
    .concat()
}

fn growth(claim: &Claim, event: &GrowthEvent) -> Vec<Arg> {
    let json = |value: Result<String, serde_json::Error>| {
        value.expect("what an event holds is plain data")
    };
    let growths = json(serde_json::to_string(&event.growths));
    let axes = json(serde_json::to_string(&event.axes));
    let diagnosis = event.diagnosis.as_ref().map(|found| json(serde_json::to_string(found)));
    let [before, after] = event.parameters;
    let probe = &event.preservation;
    let rest = args![
        growths,
        before,
        after,
        probe.max_logit_change,
        probe.max_logit,
        probe.loss_before,
        probe.loss_after,
        probe.tolerance,
        event.seconds,
        axes,
        event.preserving,
        event.operator_flops,
        diagnosis,
        UNSEALED,
        claim.attempt,
    ];
    [args![claim.number, event.stage], &at(&event.at)[..], rest].concat()
}

fn checkpoint(claim: &Claim, event: &CheckpointEvent) -> Vec<Arg> {
    let CheckpointEvent { at, path, digest, bytes } = event;
    args![claim.number, at.step, at.tokens, path, digest, *bytes, claim.attempt].to_vec()
}

fn snapshot(claim: &Claim, event: &CheckpointEvent) -> Vec<Arg> {
    args![claim.number, event.at.step, event.at.train_flops, &event.path, &event.digest].to_vec()
}
