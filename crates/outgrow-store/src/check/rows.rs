//! The rows that a trial left, against what it must have recorded, and what is trained again where
//! they are not that.

use std::collections::BTreeSet;

use super::{Again, Finding, Problem, Seen, Walk};
use crate::{
    StoreError,
    driver::{Arg, Cell, Row, Tx, args},
    schema::{EVAL_METRIC, GROWTH_EVENT, Kind, STEP_METRIC, Table},
};

/// Tables whose rows name a trial, those first that others do not refer to; and the column that
/// names it.
pub(super) const OF_TRIALS: [(&str, &str); 9] = [
    ("step_metric", "trial"),
    ("eval_metric", "trial"),
    ("growth_event", "trial"),
    ("checkpoint", "trial"),
    ("snapshot", "trial"),
    ("beginning", "trial"),
    ("beginning", "parent"),
    ("member", "trial"),
    ("attempt", "trial"),
];

/// What is measured.
static MEASURED: [&Table; 3] = [&STEP_METRIC, &EVAL_METRIC, &GROWTH_EVENT];

/// What was seen of a trial's rows.
#[derive(Default)]
pub(super) struct Looked {
    /// The step of the first row that a later state builds on and that is not there, or not whole.
    first: Option<u64>,
    /// The last step that is recorded.
    last: u64,
    /// Whether a recorded loss is infinite or no number.
    diverged: bool,
    /// Whole rows whose attempt is not there, by its number.
    without_attempt: BTreeSet<i64>,
}

/// A row as it stands in one of the tables.
struct Found {
    step: u64,
    key: u64,
    /// Where it is looked for whether rows are missing.
    problem: Option<Problem>,
}

/// How far rows must be there, to the last: the end of what is done, or of what others go on from.
struct Horizon {
    step: u64,
    /// Whether the last step is evaluated, too.
    evaluated: bool,
}

impl Walk<'_> {
    pub(super) async fn look(&mut self, seen: &Seen) -> Result<Looked, StoreError> {
        let mut looked = Looked::default();
        let last = "SELECT coalesce(max(step), 0) FROM step_metric WHERE trial = $1 AND step <= $2";
        looked.last = self.tx.value(last, args![seen.number, seen.trial.steps()]).await?;
        let horizon = self.horizon(seen, looked.last).await?;
        let sealing = self.sealing(seen.number).await?;
        for table in MEASURED {
            self.table(table, seen, &horizon, &sealing, &mut looked).await?;
        }
        self.savers(seen, &mut looked).await?;
        self.attempts(seen, &looked.without_attempt).await?;
        Ok(looked)
    }

    /// Attempts that recorded a checkpoint and are not there.
    async fn savers(&mut self, seen: &Seen, looked: &mut Looked) -> Result<(), StoreError> {
        let lost = "SELECT attempt, count(*), min(step) FROM checkpoint c WHERE trial = $1
                    AND NOT EXISTS (SELECT 1 FROM attempt WHERE id = c.attempt) GROUP BY attempt";
        for row in self.tx.rows(lost, args![seen.number]).await? {
            let (trial, problem) = (seen.which.clone(), Problem::OfNoAttempt);
            self.found(Finding::Rows {
                trial,
                table: "checkpoint",
                problem,
                rows: row.get(1)?,
                first_step: row.get(2)?,
            });
            looked.without_attempt.insert(row.get(0)?);
        }
        Ok(())
    }

    async fn horizon(&mut self, seen: &Seen, last: u64) -> Result<Horizon, StoreError> {
        let saved = "SELECT coalesce(max(step), 0) FROM (SELECT step FROM checkpoint WHERE trial = $1
                     UNION ALL SELECT step FROM snapshot WHERE trial = $1) AS saved WHERE step <= $2";
        let end = seen.trial.steps();
        Ok(match seen.state.as_str() {
            "complete" => Horizon { step: end, evaluated: true },
            // It ended when the loss was recorded, or at the evaluation after that.
            "diverged" => Horizon { step: last, evaluated: false },
            _ => {
                let step = self.tx.value(saved, args![seen.number, end]).await?;
                Horizon { step, evaluated: !self.known.due.contains(&(seen.number, step)) }
            }
        })
    }

    /// Attempts some of whose rows carry checksums: then all of them must.
    async fn sealing(&mut self, number: i64) -> Result<BTreeSet<i64>, StoreError> {
        let each = MEASURED.map(|table| {
            format!("SELECT attempt FROM {} WHERE trial = $1 AND checksum <> 0", table.name)
        });
        Ok(self.tx.column(&each.join(" UNION "), args![number]).await?.into_iter().collect())
    }

    async fn table(
        &mut self,
        table: &'static Table,
        seen: &Seen,
        horizon: &Horizon,
        sealing: &BTreeSet<i64>,
        looked: &mut Looked,
    ) -> Result<(), StoreError> {
        let mut tally = Tally::new(table, seen, horizon);
        let mut unsealed = 0;
        let judged = |row: Row| {
            let found = judge(table, seen, sealing, &row);
            if found.problem == Some(Problem::OfNoAttempt) {
                looked.without_attempt.extend(row.get::<i64>(table.columns.len() - 1).ok());
            }
            looked.diverged |= is_diverged(table, &row);
            unsealed += u64::from(found.problem.is_none() && checksum(table, &row) == Some(0));
            tally.take(found);
            Ok(())
        };
        self.tx.map(&selection(table), args![seen.number], judged).await?;
        tally.end();
        self.report.rows += tally.whole;
        self.report.unsealed += unsealed;
        looked.first = [looked.first, tally.first].into_iter().flatten().min();
        for (problem, (rows, first_step)) in tally.problems {
            let (trial, table) = (seen.which.clone(), table.name);
            self.found(Finding::Rows { trial, table, problem, rows, first_step });
        }
        let remove =
            format!("DELETE FROM {} WHERE trial = $1 AND {} = $2", table.name, table.columns[1].0);
        for key in tally.remove {
            self.mend(&remove, args![seen.number, key]).await?;
        }
        Ok(())
    }

    /// Gives whole rows whose attempt was lost one again, each of an epoch of its own.
    async fn attempts(&mut self, seen: &Seen, lost: &BTreeSet<i64>) -> Result<(), StoreError> {
        for attempt in lost.iter().filter(|_| self.mends).copied().collect::<Vec<_>>() {
            let environment = self.lost_environment().await?;
            let nobody = r#"{"host":"unknown","boot":"","pid":0,"started":0}"#;
            let again = "INSERT INTO attempt (id, trial, epoch, environment, process, started_at, heartbeat_at, ended_at, outcome, note)
                 SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), coalesce(max(epoch), 0) + 1, CAST($3 AS BIGINT), CAST($4 AS TEXT), 0.0, 0.0, 0.0,
                        'died', 'its record was lost' FROM attempt WHERE trial = $2";
            self.mend(again, args![attempt, seen.number, environment, nobody]).await?;
        }
        let raised = "UPDATE trial SET epoch = (SELECT max(epoch) FROM attempt WHERE trial = $1)
                      WHERE number = $1 AND epoch < (SELECT max(epoch) FROM attempt WHERE trial = $1)";
        self.mend(raised, args![seen.number]).await
    }

    /// A place for attempts of which it is not known any more.
    pub(super) async fn lost_environment(&mut self) -> Result<i64, StoreError> {
        let place = args!["unknown", "unknown", 0_i64, "unknown"];
        crate::schema::ENVIRONMENT.insert(&mut self.tx, &[place.to_vec()]).await?;
        let id = "SELECT id FROM environment WHERE host = $1 AND device = $2 AND threads = $3 AND versions = $4";
        self.tx.value(id, place).await
    }

    /// Forgets the states that can't be used; puts a trial back to waiting whose rows are not
    /// whole.
    pub(super) async fn conclude(
        &mut self,
        seen: &mut Seen,
        looked: &Looked,
    ) -> Result<(), StoreError> {
        let mut first = looked.first;
        let is_ended = matches!(seen.state.as_str(), "complete" | "diverged");
        if seen.state == "diverged" && !looked.diverged && first.is_none() {
            self.found(Finding::NotDiverged { trial: seen.which.clone() });
            first = Some(looked.last.max(1));
        }
        let (from_step, forgot) = self.checkpoints(seen, first).await?;
        self.snapshots(seen, first).await?;
        if let (Some(_), true) = (first, is_ended) {
            self.again(
                seen,
                from_step,
                if seen.state == "complete" { seen.trial.steps() } else { looked.last },
            );
            let again = "UPDATE trial SET state = 'waiting', error = NULL, crashes = 0, not_before = NULL WHERE number = $1";
            self.mend(again, args![seen.number]).await?;
            seen.state = "waiting".into();
        } else if !is_ended && forgot {
            self.again(seen, from_step, looked.last);
        }
        if seen.is_told && self.is_complete(seen).await? {
            self.mend("UPDATE trial SET state = 'complete' WHERE number = $1", args![seen.number])
                .await?;
            seen.state = "complete".into();
        }
        Ok(())
    }

    fn again(&mut self, seen: &Seen, from_step: u64, to_step: u64) {
        let (trial, of_step) = (&seen.trial, seen.trial.step_tokens());
        let flops = |step: u64| trial.plan.train_flops(step * of_step) as f64;
        let tokens = to_step.saturating_sub(from_step) * of_step;
        if tokens > 0 {
            let train_flops = flops(to_step) - flops(from_step);
            self.report.again.push(Again {
                trial: seen.which.clone(),
                from_step,
                to_step,
                tokens,
                train_flops,
            });
        }
    }

    /// Forgets checkpoints that can't be used, or whose rows are not whole; gives the step of the
    /// newest that can be used, or 0, and whether a newer one is forgotten.
    async fn checkpoints(
        &mut self,
        seen: &Seen,
        first: Option<u64>,
    ) -> Result<(u64, bool), StoreError> {
        let (number, known) = (seen.number, self.known);
        let (mut usable, mut newest) = (0, 0);
        let all = "SELECT step, tokens, bytes FROM checkpoint WHERE trial = $1 ORDER BY step";
        for row in self.tx.rows(all, args![number]).await? {
            let step: i64 = row.get(0)?;
            let place = step as u64;
            let is_right = place <= seen.trial.steps()
                && row.0[1] == Cell::Integer((place * seen.trial.step_tokens()) as i64);
            let why = known.checkpoints.get(&(number, place)).map(String::as_str);
            let why =
                why.or((!is_right).then_some("no checkpoint of this trial stands at such a step"));
            newest = place;
            if let Some(why) = why {
                let (trial, bytes) = (seen.which.clone(), row.get(2).unwrap_or(0));
                self.found(Finding::Checkpoint { trial, step: place, bytes, why: why.to_owned() });
                self.mend(
                    "DELETE FROM checkpoint WHERE trial = $1 AND step = $2",
                    args![number, step],
                )
                .await?;
            } else if first.is_none_or(|first| place < first)
                && known.cleared.get(&number).is_none_or(|to| place > *to)
            {
                usable = place;
            }
        }
        let forgot = usable < newest;
        if forgot {
            // Older ones that were removed from disk are newest now.
            self.mend(
                "DELETE FROM checkpoint WHERE trial = $1 AND step > $2",
                args![number, usable],
            )
            .await?;
        }
        Ok((usable, forgot))
    }

    async fn snapshots(&mut self, seen: &Seen, first: Option<u64>) -> Result<(), StoreError> {
        let number = seen.number;
        let all = "SELECT step, CAST(train_flops AS DOUBLE PRECISION) FROM snapshot WHERE trial = $1 ORDER BY step";
        for row in self.tx.rows(all, args![number]).await? {
            let step: i64 = row.get(0)?;
            let place = step as u64;
            let flops =
                seen.trial.plan.train_flops(place.saturating_mul(seen.trial.step_tokens())) as f64;
            let why = match self.known.snapshots.get(&(number, place)) {
                Some(why) => Some(why.clone()),
                None if row.get::<f64>(1).ok() != Some(flops) => {
                    Some("its FLOPs are not those of its step".to_owned())
                }
                None => None,
            };
            if let Some(why) = &why {
                self.found(Finding::Snapshot {
                    trial: seen.which.clone(),
                    step: place,
                    why: why.clone(),
                });
            }
            if why.is_some() || first.is_some_and(|first| place >= first) {
                self.mend(
                    "DELETE FROM snapshot WHERE trial = $1 AND step = $2",
                    args![number, step],
                )
                .await?;
            }
        }
        Ok(())
    }

    /// Whether everything is recorded that a complete trial has.
    async fn is_complete(&mut self, seen: &Seen) -> Result<bool, StoreError> {
        let whole = Horizon { step: seen.trial.steps(), evaluated: true };
        for table in MEASURED {
            let mut tally = Tally::new(table, seen, &whole);
            let none = BTreeSet::new();
            let judged = |row: Row| {
                tally.take(judge(table, seen, &none, &row));
                Ok(())
            };
            self.tx.map(&selection(table), args![seen.number], judged).await?;
            tally.end();
            if tally.first.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Rows of what is not there.
    pub(super) async fn dangling(&mut self) -> Result<(), StoreError> {
        let again: Vec<String> = self.again.iter().map(i64::to_string).collect();
        let again = if again.is_empty() { "-1".into() } else { again.join(", ") };
        let of_no_trial = |(table, column): &(&str, &str)| {
            format!(
                "(NOT EXISTS (SELECT 1 FROM trial WHERE number = {table}.{column}) AND {column} NOT IN ({again}))"
            )
        };
        for named in &OF_TRIALS {
            self.remove_dangling(named.0, &of_no_trial(named), "a trial").await?;
        }
        for table in ["member", "beginning"] {
            // Those of no trial are removed already, or will be.
            let others = OF_TRIALS.iter().filter(|(other, _)| *other == table).map(of_no_trial);
            let gone = format!("NOT EXISTS (SELECT 1 FROM sweep WHERE id = {table}.sweep_id)");
            let gone = others.fold(gone, |gone, other| format!("{gone} AND NOT {other}"));
            self.remove_dangling(table, &gone, "a sweep").await?;
        }
        let gone = "NOT EXISTS (SELECT 1 FROM environment WHERE id = attempt.environment)";
        let attempts: u64 =
            self.tx.value(&format!("SELECT count(*) FROM attempt WHERE {gone}"), &[]).await?;
        if attempts > 0 {
            self.found(Finding::Dangling {
                table: "attempt",
                of: "an environment",
                rows: attempts,
            });
            if self.mends {
                let environment = self.lost_environment().await?;
                self.mend(
                    &format!("UPDATE attempt SET environment = $1 WHERE {gone}"),
                    args![environment],
                )
                .await?;
            }
        }
        Ok(())
    }

    async fn remove_dangling(
        &mut self,
        table: &'static str,
        gone: &str,
        of: &'static str,
    ) -> Result<(), StoreError> {
        let rows: u64 =
            self.tx.value(&format!("SELECT count(*) FROM {table} WHERE {gone}"), &[]).await?;
        if rows > 0 {
            self.found(Finding::Dangling { table, of, rows });
            self.mend(&format!("DELETE FROM {table} WHERE {gone}"), &[]).await?;
        }
        Ok(())
    }
}

/// Refuses rows, of a sweep or of all, that are not what was written.
pub(crate) async fn refuse_changed(
    tx: &mut Tx,
    tables: &[&'static Table],
    sweep: Option<&str>,
) -> Result<(), StoreError> {
    for table in tables {
        let of =
            sweep.map_or("", |_| "WHERE r.trial IN (SELECT trial FROM member WHERE sweep_id = $1)");
        let sql = format!("SELECT {} FROM {} r {of}", columns(table), table.name);
        let look = |row: Row| match (checksum(table, &row), sum(table, &row)) {
            (Some(0), Some(_)) => Ok(()),
            (stored, found) if found.is_some() && stored == found => Ok(()),
            _ => {
                Err(StoreError::Changed { table: table.name, trial: row.get(0)?, key: row.get(1)? })
            }
        };
        let of: Vec<Arg> = sweep.into_iter().map(Arg::from).collect();
        tx.map(&sql, &of, look).await?;
    }
    Ok(())
}

/// The columns of a table, as they are compared.
fn columns(table: &Table) -> String {
    let columns = table.columns.iter().map(|(name, _)| match *name {
        "train_flops" | "operator_flops" => format!("CAST(r.{name} AS DOUBLE PRECISION)"),
        name => format!("r.{name}"),
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// All rows of a trial in one of the tables, in order, each with its attempt's trial and epoch.
fn selection(table: &Table) -> String {
    let (name, key) = (table.name, table.columns[1].0);
    format!(
        "SELECT {}, a.trial, a.epoch FROM {name} r LEFT JOIN attempt a ON a.id = r.attempt WHERE r.trial = $1 ORDER BY r.{key}",
        columns(table)
    )
}

fn checksum(table: &Table, row: &Row) -> Option<i64> {
    row.get(table.place("checksum")?).ok()
}

fn is_diverged(table: &Table, row: &Row) -> bool {
    let loss = table.place("loss").or_else(|| table.place("val_loss"));
    loss.is_some_and(|place| !matches!(row.get::<f64>(place), Ok(loss) if loss.is_finite()))
}

/// A row against its trial. What is wrong with its content comes before what is wrong with its
/// attempt.
fn judge(table: &Table, seen: &Seen, sealing: &BTreeSet<i64>, row: &Row) -> Found {
    let width = table.columns.len();
    let key: u64 = row.get(1).unwrap_or(u64::MAX);
    let step = match table.name {
        "growth_event" => {
            seen.trial.expected_growth(key as usize).map_or(u64::MAX, |growth| growth.step)
        }
        _ => key,
    };
    let step = if step == u64::MAX { row.get(2).unwrap_or(step) } else { step };
    let stored = checksum(table, row);
    let sum = sum(table, row);
    let attempt: Option<i64> = row.get(width - 1).ok();
    let (of_trial, epoch) = (
        row.get::<Option<i64>>(width).ok().flatten(),
        row.get::<Option<i64>>(width + 1).ok().flatten(),
    );
    let is_sealed = stored.is_some_and(|stored| stored != 0);
    let problem = if sum.is_none() || (is_sealed && sum != stored) {
        Some(Problem::Changed)
    } else if !is_consistent(table, seen, key, row) {
        Some(Problem::Inconsistent)
    } else if of_trial.is_some_and(|trial| trial != seen.number) {
        Some(Problem::OfAnotherTrial)
    } else if of_trial.is_none() {
        Some(Problem::OfNoAttempt).filter(|_| is_sealed).or(Some(Problem::Unsealed))
    } else if !is_sealed && attempt.is_some_and(|attempt| sealing.contains(&attempt)) {
        Some(Problem::Unsealed)
    } else if !is_sealed && epoch > Some(seen.epoch) {
        Some(Problem::Later)
    } else {
        None
    };
    Found { step, key, problem }
}

/// The checksum that a row's content gives; none if a column is of another kind.
fn sum(table: &Table, row: &Row) -> Option<i64> {
    let arg = |((name, kind), cell): (&(&str, Kind), &Cell)| match name.ends_with("_flops") {
        true => Some(Arg::Big(None)),
        false => kind.arg(cell),
    };
    let args: Vec<Arg> = table.columns.iter().zip(&row.0).map(arg).collect::<Option<_>>()?;
    Some(table.checksum(&args))
}

/// Whether what follows from the definition is as it follows.
fn is_consistent(table: &Table, seen: &Seen, key: u64, row: &Row) -> bool {
    let (trial, end) = (&seen.trial, seen.trial.steps());
    let flops = |place: usize| row.get::<f64>(place).ok();
    let (step, tokens) = match table.name {
        "growth_event" => {
            let Some(expected) = trial.expected_growth(key as usize) else { return true };
            let operators = trial.plan.operator_flops(key as usize);
            let spent = trial.plan.train_flops(expected.tokens) + operators;
            let text =
                |column: &str| table.place(column).and_then(|place| row.get::<String>(place).ok());
            let number =
                |column: &str| table.place(column).and_then(|place| row.get::<u64>(place).ok());
            return number("step") == Some(expected.step)
                && number("tokens") == Some(expected.tokens)
                && flops(4) == Some(spent as f64)
                && table.place("operator_flops").and_then(flops) == Some(operators as f64)
                && text("transforms") == serde_json::to_string(expected.growths).ok()
                && [number("parameters_before"), number("parameters_after")]
                    == expected.parameters.map(Some)
                && number("preserving") == Some(expected.preserving.into());
        }
        // A row at no such step is unexpected, which is said of it then.
        _ if key > end => return true,
        _ => (key, key * trial.step_tokens()),
    };
    let is_last =
        table.place("is_last").is_none_or(|place| row.get::<bool>(place).ok() == Some(step == end));
    row.get::<u64>(2).ok() == Some(tokens)
        && flops(3) == Some(trial.plan.train_flops(tokens) as f64)
        && is_last
}

/// Rows of one table, counted against what must be there.
struct Tally<'a> {
    table: &'static Table,
    seen: &'a Seen,
    horizon: &'a Horizon,
    /// Key and step of the next row that must come; none if there is none.
    due: Option<(u64, u64)>,
    /// How many have each problem, and the first one's step.
    problems: std::collections::BTreeMap<Problem, (u64, u64)>,
    /// The step up to which a state can be used is before this one.
    first: Option<u64>,
    remove: Vec<u64>,
    whole: u64,
}

impl<'a> Tally<'a> {
    fn new(table: &'static Table, seen: &'a Seen, horizon: &'a Horizon) -> Self {
        let mut tally = Self {
            table,
            seen,
            horizon,
            due: None,
            problems: Default::default(),
            first: None,
            remove: vec![],
            whole: 0,
        };
        tally.due = tally.after(None);
        tally
    }

    /// Key and step of the row after that of a key.
    fn after(&self, key: Option<u64>) -> Option<(u64, u64)> {
        let trial = &self.seen.trial;
        match self.table.name {
            "growth_event" => {
                let stage = key.map_or(0, |key| key + 1);
                trial.expected_growth(stage as usize).map(|growth| (stage, growth.step))
            }
            "eval_metric" => trial.next_evaluated(key.unwrap_or(0)).map(|step| (step, step)),
            _ => trial.next_recorded(key.unwrap_or(0)).map(|step| (step, step)),
        }
    }

    /// A state of this step or a later one builds on a row of `step`; one of a growth is after the
    /// step that it comes before.
    fn builds_on(&self, step: u64) -> u64 {
        if self.table.name == "growth_event" { step.saturating_add(1) } else { step }
    }

    /// Whether a row of that step must be there.
    fn is_needed(&self, step: u64) -> bool {
        let Horizon { step: end, evaluated } = *self.horizon;
        let last = self.builds_on(step);
        last < end || (last == end && (evaluated || self.table.name != "eval_metric"))
    }

    fn take(&mut self, found: Found) {
        while let Some((key, step)) = self.due.filter(|(key, _)| *key < found.key) {
            if self.is_needed(step) {
                self.note(Problem::Missing, step, true);
            }
            self.due = self.after(Some(key));
        }
        let is_due = self.due.is_some_and(|(key, _)| key == found.key);
        if is_due {
            self.due = self.after(Some(found.key));
        }
        let problem = if is_due { found.problem } else { Some(Problem::Unexpected) };
        match problem {
            None => self.whole += 1,
            Some(Problem::OfNoAttempt) => {
                self.whole += 1;
                self.note(Problem::OfNoAttempt, found.step, false);
            }
            Some(problem) => {
                self.remove.push(found.key);
                self.note(problem, found.step, is_due && self.is_needed(found.step));
            }
        }
    }

    /// What must come after the last row.
    fn end(&mut self) {
        while let Some((key, step)) = self.due.filter(|(_, step)| self.is_needed(*step)) {
            self.note(Problem::Missing, step, true);
            self.due = self.after(Some(key));
        }
    }

    fn note(&mut self, problem: Problem, step: u64, is_needed: bool) {
        let (rows, first) = self.problems.entry(problem).or_insert((0, step));
        *rows += 1;
        *first = (*first).min(step);
        if is_needed {
            let step = self.builds_on(step);
            self.first = Some(self.first.map_or(step, |first| first.min(step)));
        }
    }
}
