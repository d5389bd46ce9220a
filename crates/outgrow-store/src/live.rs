//! What a page shows while a sweep runs: small answers, however many rows there are.

use crate::{Store, StoreError, Table};

impl Store {
    /// The mean curve of each arm of a sweep (a strategy at one learning rate): at each number of
    /// tokens at which all of its trials that have begun were evaluated, the mean of FLOPs, seconds
    /// and loss; it ends where the first of them ends, for a mean over the others would jump there.
    /// Columns `strategy`, `arm`, `tokens`, `trials`, `train_flops`, `wall_seconds`, `val_loss`.
    /// Then, from the end of its arm's mean on, each longer trial: `strategy`, `arm`, `member`,
    /// `tokens`, `train_flops`, `wall_seconds`, `val_loss`.
    ///
    /// # Errors
    /// If there is no such sweep, or the query fails.
    pub async fn mean_curves(&self, sweep_id: &str) -> Result<[Table; 2], StoreError> {
        let id = hexadecimal(sweep_id)?;
        // Rates are few: an arm is named by its own only where there are several. What is infinite,
        // or no number, ends a curve.
        let common = format!(
            "WITH rates AS (SELECT count(DISTINCT t.learning_rate) AS n FROM member m JOIN trial t ON t.number = m.trial WHERE m.sweep_id = '{id}'),
             own AS (SELECT m.position AS member, m.strategy, t.learning_rate,
                    CASE WHEN (SELECT n FROM rates) > 1 THEN m.strategy || ' at ' || t.learning_rate ELSE m.strategy END AS arm,
                    e.tokens, CAST(e.train_flops AS DOUBLE PRECISION) AS train_flops, e.wall_seconds, e.val_loss
                 FROM member m JOIN trial t ON t.number = m.trial JOIN eval_metric e ON e.trial = m.trial
                 WHERE m.sweep_id = '{id}' AND abs(e.val_loss) < 1e300),
             members AS (SELECT strategy, learning_rate, count(DISTINCT member) AS n FROM own GROUP BY strategy, learning_rate),
             means AS (SELECT o.strategy, o.learning_rate, o.arm, o.tokens, count(*) AS trials, avg(o.train_flops) AS train_flops,
                    avg(o.wall_seconds) AS wall_seconds, avg(o.val_loss) AS val_loss
                 FROM own o JOIN members n ON n.strategy = o.strategy AND n.learning_rate = o.learning_rate
                 GROUP BY o.strategy, o.learning_rate, o.arm, o.tokens, n.n HAVING count(*) = n.n)"
        );
        let means = format!(
            "{common} SELECT strategy, arm, tokens, trials, train_flops, wall_seconds, val_loss FROM means
             ORDER BY strategy, learning_rate, tokens"
        );
        let longer = format!(
            "{common}, ends AS (SELECT strategy, learning_rate, max(tokens) AS tokens FROM means GROUP BY strategy, learning_rate),
             lasts AS (SELECT member, max(tokens) AS tokens FROM own GROUP BY member)
             SELECT o.strategy, o.arm, o.member, o.tokens, o.train_flops, o.wall_seconds, o.val_loss
             FROM own o JOIN lasts l ON l.member = o.member
             LEFT JOIN ends e ON e.strategy = o.strategy AND e.learning_rate = o.learning_rate
             WHERE o.tokens >= coalesce(e.tokens, 0) AND l.tokens > coalesce(e.tokens, 0) ORDER BY o.member, o.tokens"
        );
        Ok([self.query(&means).await?, self.query(&longer).await?])
    }

    /// A row for each trial of a sweep: its place, state, and last evaluation.
    ///
    /// # Errors
    /// If there is no such sweep, or the query fails.
    pub async fn trial_rows(&self, sweep_id: &str) -> Result<Table, StoreError> {
        let id = hexadecimal(sweep_id)?;
        let columns =
            "strategy, plan, replicate, trial, state, tokens, train_flops, wall_seconds, val_loss";
        self.query(&format!(
            "SELECT {columns} FROM finals WHERE sweep_id = '{id}' ORDER BY strategy, plan, replicate, learning_rate"
        ))
        .await
    }

    /// One trial of a sweep: its definition (JSON), evaluations, training losses, and growth
    /// events.
    ///
    /// # Errors
    /// If there is no such trial, or a query fails.
    pub async fn trial_page(
        &self,
        sweep_id: &str,
        trial: &str,
    ) -> Result<(String, [Table; 3]), StoreError> {
        let (sweep, trial) = (hexadecimal(sweep_id)?, hexadecimal(trial)?);
        let of = format!("WHERE sweep_id = '{sweep}' AND trial = '{trial}'");
        let definition =
            self.query(&format!("SELECT definition FROM trial WHERE id = '{trial}'")).await?;
        let Some(crate::Cell::Text(definition)) = definition.rows.into_iter().flatten().next()
        else {
            return Err(StoreError::Query(format!("there is no trial {trial}")));
        };
        let at = "tokens, train_flops, wall_seconds";
        let curves =
            self.query(&format!("SELECT {at}, val_loss FROM curves {of} ORDER BY step")).await?;
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
