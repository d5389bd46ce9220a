//! What a page shows while a sweep runs: small answers, however many rows there are.

use crate::{
    Cell, Store, StoreError, Table,
    driver::{Tx, args},
    query::answer,
};

/// The evaluations of the sweep `$1` but those of trials that only tune, its arms and their means. Rates are few: an arm is named by
/// its own only where there are several. What is infinite, or no number, ends a curve.
const MEANS: &str = "WITH rates AS (
         SELECT count(DISTINCT t.learning_rate) AS n
         FROM member m JOIN trial t ON t.number = m.trial WHERE m.sweep_id = $1),
     own AS (
         SELECT m.position AS member, m.strategy, t.learning_rate, m.setting, m.budget,
                coalesce(m.budget, 0) AS at_budget,
                CASE WHEN (SELECT n FROM rates) > 1 THEN m.strategy || ' at ' || t.learning_rate
                     ELSE m.strategy END
                || CASE WHEN m.budget IS NULL THEN '' ELSE ', budget ' || m.budget END
                || CASE WHEN m.setting = '' THEN '' ELSE ', ' || m.setting END AS arm,
                e.tokens, CAST(e.train_flops AS DOUBLE PRECISION) AS train_flops, e.wall_seconds,
                e.val_loss
         FROM member m
         JOIN trial t ON t.number = m.trial
         JOIN eval_metric e ON e.trial = m.trial
         WHERE m.sweep_id = $1 AND m.tuning = 0 AND abs(e.val_loss) < 1e300),
     members AS (
         SELECT strategy, learning_rate, setting, at_budget, count(DISTINCT member) AS n
         FROM own GROUP BY strategy, learning_rate, setting, at_budget),
     means AS (
         SELECT o.strategy, o.learning_rate, o.setting, o.budget, o.at_budget, o.arm, o.tokens,
                count(*) AS trials,
                avg(o.train_flops) AS train_flops, avg(o.wall_seconds) AS wall_seconds,
                avg(o.val_loss) AS val_loss
         FROM own o
         JOIN members n ON n.strategy = o.strategy AND n.learning_rate = o.learning_rate
          AND n.setting = o.setting AND n.at_budget = o.at_budget
         GROUP BY o.strategy, o.learning_rate, o.setting, o.budget, o.at_budget, o.arm, o.tokens,
                  n.n
         HAVING count(*) = n.n)";
/// Of those, the means.
const MEAN: &str = "SELECT strategy, arm, tokens, trials, train_flops, wall_seconds, val_loss,
            learning_rate, setting, budget
     FROM means ORDER BY strategy, at_budget, learning_rate, setting, tokens";
/// Of those, from the end of its arm's mean on, each longer trial.
const LONGER: &str = "ends AS (
         SELECT strategy, learning_rate, setting, at_budget, max(tokens) AS tokens
         FROM means GROUP BY strategy, learning_rate, setting, at_budget),
     lasts AS (SELECT member, max(tokens) AS tokens FROM own GROUP BY member)
     SELECT o.strategy, o.arm, o.member, o.tokens, o.train_flops, o.wall_seconds, o.val_loss,
            o.learning_rate, o.setting, o.budget
     FROM own o
     JOIN lasts l ON l.member = o.member
     LEFT JOIN ends e ON e.strategy = o.strategy AND e.learning_rate = o.learning_rate
      AND e.setting = o.setting AND e.at_budget = o.at_budget
     WHERE o.tokens >= coalesce(e.tokens, 0) AND l.tokens > coalesce(e.tokens, 0)
     ORDER BY o.member, o.tokens";

impl Store {
    /// The mean curve of each arm of a sweep (a strategy at one learning rate, one budget, and one
    /// setting of the sweep's grid): at each number of tokens at which all of its trials that have begun were evaluated, the mean of FLOPs, seconds
    /// and loss; it ends where the first of them ends, for a mean over the others would jump there.
    /// Trials that only tune are left out.
    /// Columns `strategy`, `arm`, `tokens`, `trials`, `train_flops`, `wall_seconds`, `val_loss`,
    /// `learning_rate`, `setting`, `budget`. Then, from the end of its arm's mean on, each longer trial: the
    /// same with `member` in place of `trials`.
    ///
    /// # Errors
    /// If what is named is no identity, or the database can't be read.
    pub async fn mean_curves(&self, sweep_id: &str) -> Result<[Table; 2], StoreError> {
        let of = args![hexadecimal(sweep_id)?];
        let mut tx = self.read().await?;
        let at = ["train_flops", "wall_seconds", "val_loss", "learning_rate", "setting", "budget"];
        let mean = [&["strategy", "arm", "tokens", "trials"], &at[..]].concat();
        let mean = answer(&mut tx, &mean, &format!("{MEANS} {MEAN}"), of).await?;
        let longer = [&["strategy", "arm", "member", "tokens"], &at[..]].concat();
        let longer = answer(&mut tx, &longer, &format!("{MEANS}, {LONGER}"), of).await?;
        Ok([mean, longer])
    }

    /// A row for each trial of a sweep: its place, state, last evaluation, and size in the end.
    ///
    /// # Errors
    /// If what is named is no identity, or the database can't be read.
    pub async fn trial_rows(&self, sweep_id: &str) -> Result<Table, StoreError> {
        let of = args![hexadecimal(sweep_id)?];
        let columns = [
            "strategy",
            "plan",
            "replicate",
            "trial",
            "state",
            "tokens",
            "train_flops",
            "wall_seconds",
            "val_loss",
            "learning_rate",
            "setting",
            "budget",
            "parameters",
        ];
        let sql = format!(
            "SELECT {} FROM finals WHERE sweep_id = $1
             ORDER BY strategy, budget, learning_rate, setting, plan, replicate",
            columns.join(", ")
        );
        answer(&mut self.read().await?, &columns, &sql, of).await
    }

    /// One trial of a sweep: its definition (JSON), evaluations, training losses, and growth
    /// events.
    ///
    /// # Errors
    /// If there is no such trial, or the database can't be read.
    pub async fn trial_page(
        &self,
        sweep_id: &str,
        trial: &str,
    ) -> Result<(String, [Table; 3]), StoreError> {
        let of = [hexadecimal(sweep_id)?, hexadecimal(trial)?];
        let mut tx = self.read().await?;
        let definition = "SELECT definition FROM trial WHERE id = $1";
        let definition = tx.rows(definition, args![trial]).await?;
        let Some(Cell::Text(definition)) = definition.into_iter().flat_map(|row| row.0).next()
        else {
            return Err(StoreError::Query(format!("there is no trial {trial}")));
        };
        let at = ["tokens", "train_flops", "wall_seconds"];
        let curve = [&at[..], &["val_loss"]].concat();
        let curve = of_trial(&mut tx, "curves", &curve, of, "step").await?;
        let steps = [&at[..], &["loss"]].concat();
        let steps = of_trial(&mut tx, "steps", &steps, of, "step").await?;
        let growth = [
            "stage",
            "tokens",
            "train_flops",
            "transforms",
            "parameters_after",
            "error",
            "preserved",
        ];
        let growth = of_trial(&mut tx, "growth", &growth, of, "stage").await?;
        Ok((definition, [curve, steps, growth]))
    }
}

/// Rows of a view, of one trial of a sweep.
async fn of_trial(
    tx: &mut Tx,
    view: &str,
    columns: &[&str],
    [sweep, trial]: [&str; 2],
    order: &str,
) -> Result<Table, StoreError> {
    let sql = format!(
        "SELECT {} FROM {view} WHERE sweep_id = $1 AND trial = $2 ORDER BY {order}",
        columns.join(", ")
    );
    answer(tx, columns, &sql, args![sweep, trial]).await
}

/// An identity of ours; nothing else is looked for.
pub(crate) fn hexadecimal(id: &str) -> Result<&str, StoreError> {
    match !id.is_empty() && id.chars().all(|c| c.is_ascii_hexdigit()) {
        true => Ok(id),
        false => Err(StoreError::Query(format!("{id:?} is no identity"))),
    }
}
