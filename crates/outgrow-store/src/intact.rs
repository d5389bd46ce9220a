//! Whether measurements are what was written, as their checksums tell.

use crate::{
    Store, StoreError,
    driver::{Arg, Cell, Row, Tx},
    schema::{Kind, Table},
};

impl Store {
    /// Refuses a sweep, or all, that has a complete trial without a last evaluation: an earlier one
    /// would be taken for it.
    ///
    /// # Errors
    /// [`StoreError::Incomplete`] if there is one.
    pub async fn refuse_incomplete(&self, sweep: Option<&str>) -> Result<(), StoreError> {
        let of =
            sweep.map_or("", |_| "AND number IN (SELECT trial FROM member WHERE sweep_id = $1)");
        let incomplete = format!(
            "SELECT count(*) FROM trial WHERE state = 'complete' {of}
             AND NOT EXISTS (SELECT 1 FROM eval_metric e WHERE e.trial = trial.number AND \
             e.is_last = 1)"
        );
        let of: Vec<Arg> = sweep.into_iter().map(Arg::from).collect();
        match self.read().await?.value(&incomplete, &of).await? {
            0 => Ok(()),
            trials => Err(StoreError::Incomplete { trials }),
        }
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
pub(crate) fn columns(table: &Table) -> String {
    let columns = table.columns.iter().map(|(name, _)| match *name {
        "train_flops" | "operator_flops" => format!("CAST(r.{name} AS DOUBLE PRECISION)"),
        name => format!("r.{name}"),
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// The checksum in a row.
pub(crate) fn checksum(table: &Table, row: &Row) -> Option<i64> {
    row.get(table.place("checksum")?).ok()
}

/// The checksum that a row's content gives; none if a column is of another kind.
pub(crate) fn sum(table: &Table, row: &Row) -> Option<i64> {
    let arg = |((name, kind), cell): (&(&str, Kind), &Cell)| match name.ends_with("_flops") {
        true => Some(Arg::Big(None)),
        false => kind.arg(cell),
    };
    let args: Vec<Arg> = table.columns.iter().zip(&row.0).map(arg).collect::<Option<_>>()?;
    Some(table.checksum(&args))
}
