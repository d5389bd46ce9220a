//! What a page shows while a sweep runs: small answers, however many rows there are.

use crate::{Store, StoreError, Table};

impl Store {
    /// The mean curve of each arm of a sweep (a strategy at one learning rate): at each number of tokens the mean of FLOPs, seconds and loss over
    /// the trials that were evaluated there. Columns `strategy`, `arm`, `tokens`, `trials`, `train_flops`, `wall_seconds`, `val_loss`.
    ///
    /// # Errors
    /// If there is no such sweep, or the query fails.
    pub async fn mean_curves(&self, sweep_id: &str) -> Result<Table, StoreError> {
        let id = hexadecimal(sweep_id)?;
        // Rates are few: an arm is named by its own only where there are several.
        let sql = format!(
            "WITH rates AS (SELECT count(DISTINCT t.learning_rate) AS n FROM member m JOIN trial t ON t.number = m.trial WHERE m.sweep_id = '{id}')
             SELECT m.strategy,
                    CASE WHEN (SELECT n FROM rates) > 1 THEN m.strategy || ' at ' || t.learning_rate ELSE m.strategy END AS arm,
                    e.tokens, count(*) AS trials, CAST(avg(e.train_flops) AS DOUBLE PRECISION) AS train_flops,
                    avg(e.wall_seconds) AS wall_seconds, avg(e.val_loss) AS val_loss
             FROM member m JOIN trial t ON t.number = m.trial JOIN eval_metric e ON e.trial = m.trial
             WHERE m.sweep_id = '{id}' GROUP BY m.strategy, t.learning_rate, e.tokens ORDER BY m.strategy, t.learning_rate, e.tokens"
        );
        self.query(&sql).await
    }

    /// A row for each trial of a sweep: its place, state, and last evaluation.
    ///
    /// # Errors
    /// If there is no such sweep, or the query fails.
    pub async fn trial_rows(&self, sweep_id: &str) -> Result<Table, StoreError> {
        let id = hexadecimal(sweep_id)?;
        let columns = "strategy, plan, replicate, trial, state, tokens, train_flops, wall_seconds, val_loss";
        self.query(&format!(
            "SELECT {columns} FROM finals WHERE sweep_id = '{id}' ORDER BY strategy, plan, replicate, learning_rate"
        ))
        .await
    }

    /// One trial of a sweep: its definition (JSON), evaluations, training losses, and growth events.
    ///
    /// # Errors
    /// If there is no such trial, or a query fails.
    pub async fn trial_page(&self, sweep_id: &str, trial: &str) -> Result<(String, [Table; 3]), StoreError> {
        let (sweep, trial) = (hexadecimal(sweep_id)?, hexadecimal(trial)?);
        let of = format!("WHERE sweep_id = '{sweep}' AND trial = '{trial}'");
        let definition = self.query(&format!("SELECT definition FROM trial WHERE id = '{trial}'")).await?;
        let Some(crate::Cell::Text(definition)) = definition.rows.into_iter().flatten().next() else {
            return Err(StoreError::Query(format!("there is no trial {trial}")));
        };
        let at = "tokens, train_flops, wall_seconds";
        let curves = self.query(&format!("SELECT {at}, val_loss FROM curves {of} ORDER BY step")).await?;
        let steps = self.query(&format!("SELECT {at}, loss FROM steps {of} ORDER BY step")).await?;
        let growth = format!(
            "SELECT stage, tokens, train_flops, transforms, parameters_after, error, preserved FROM growth {of} ORDER BY stage"
        );
        Ok((definition, [curves, steps, self.query(&growth).await?]))
    }
}

/// An identity of ours, which goes into a query as it is.
pub(crate) fn hexadecimal(id: &str) -> Result<&str, StoreError> {
    match !id.is_empty() && id.chars().all(|c| c.is_ascii_hexdigit()) {
        true => Ok(id),
        false => Err(StoreError::Query(format!("{id:?} is no identity"))),
    }
}
