//! Rows of what is not there.

use super::{finding::Finding, walk::Walk};
use crate::{
    StoreError,
    driver::{Arg, args},
    estimates,
};

/// Tables whose rows name a trial, those first that others do not refer to; and the column that
/// names it.
const OF_TRIALS: [(&str, &str); 9] = [
    ("step_metric", "trial"),
    ("eval_metric", "trial"),
    ("growth_event", "trial"),
    ("checkpoint", "trial"),
    ("snapshot", "trial"),
    ("shared_prefix", "trial"),
    ("shared_prefix", "parent"),
    ("member", "trial"),
    ("attempt", "trial"),
];

/// Holds of rows whose trial is not there; `$1` are the numbers of those that will be, between
/// commas.
fn of_no_trial((table, column): &(&str, &str)) -> String {
    format!(
        "(NOT EXISTS (SELECT 1 FROM trial WHERE number = {table}.{column})
          AND $1 NOT LIKE '%,' || {column} || ',%')"
    )
}

impl Walk<'_> {
    /// What is left of a trial that nobody knows belongs to nothing.
    pub(super) async fn remove_lost(&mut self) -> Result<(), StoreError> {
        for number in std::mem::take(&mut self.lost) {
            for (table, column) in OF_TRIALS {
                let left = format!("DELETE FROM {table} WHERE {column} = $1");
                self.mend(&left, args![number]).await?;
            }
            self.mend("DELETE FROM trial WHERE number = $1", args![number]).await?;
        }
        Ok(())
    }

    /// Rows of what is not there.
    pub(super) async fn dangling(&mut self) -> Result<(), StoreError> {
        let again: String = self.again.iter().map(|number| format!("{number},")).collect();
        let again = args![format!(",{again}")];
        for named in &OF_TRIALS {
            self.remove_dangling(named.0, &of_no_trial(named), again, "a trial").await?;
        }
        for table in ["member", "shared_prefix"] {
            // Those of no trial are removed already, or will be.
            let others = OF_TRIALS.iter().filter(|(other, _)| *other == table).map(of_no_trial);
            let gone = format!("NOT EXISTS (SELECT 1 FROM sweep WHERE id = {table}.sweep_id)");
            let gone = others.fold(gone, |gone, other| format!("{gone} AND NOT {other}"));
            self.remove_dangling(table, &gone, again, "a sweep").await?;
        }
        for table in estimates::TABLES {
            let gone = format!("NOT EXISTS (SELECT 1 FROM sweep WHERE id = {table}.sweep_id)");
            self.remove_dangling(table, &gone, &[], "a sweep").await?;
        }
        self.without_environment().await
    }

    async fn without_environment(&mut self) -> Result<(), StoreError> {
        let lost = "SELECT count(*) FROM attempt
                    WHERE NOT EXISTS (SELECT 1 FROM environment WHERE id = attempt.environment)";
        let rows: u64 = self.tx.value(lost, &[]).await?;
        if rows == 0 {
            return Ok(());
        }
        self.found(Finding::Dangling { table: "attempt", of: "an environment", rows });
        if self.mends {
            let environment = self.lost_environment().await?;
            let unknown = "UPDATE attempt SET environment = $1
                           WHERE NOT EXISTS (SELECT 1 FROM environment WHERE id = \
                           attempt.environment)";
            self.mend(unknown, args![environment]).await?;
        }
        Ok(())
    }

    async fn remove_dangling(
        &mut self,
        table: &'static str,
        gone: &str,
        args: &[Arg],
        of: &'static str,
    ) -> Result<(), StoreError> {
        let rows = format!("SELECT count(*) FROM {table} WHERE {gone}");
        let rows: u64 = self.tx.value(&rows, args).await?;
        if rows > 0 {
            self.found(Finding::Dangling { table, of, rows });
            self.mend(&format!("DELETE FROM {table} WHERE {gone}"), args).await?;
        }
        Ok(())
    }
}
