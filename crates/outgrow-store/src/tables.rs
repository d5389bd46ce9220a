//! The tables themselves as rows, for files that another machine reads back.

use std::collections::BTreeMap;

use outgrow_failpoint::Point;

use crate::{
    Store, StoreError,
    driver::{Arg, Cell, Tx},
    intact::refuse_changed,
    query::Table as Rows,
    schema::{
        ATTEMPT, ENVIRONMENT, EVAL_METRIC, FRONTIER_ESTIMATE, GAP_ESTIMATE, GROWTH_EVENT, MEMBER,
        SHARED_PREFIX, STEP_METRIC, SWEEP, TRIAL, Table,
    },
};

/// A table whose rows are carried.
struct Carried {
    table: &'static Table,
    /// The column of the number that a database gives each row, which other tables name it by.
    number: Option<&'static str>,
    /// Which rows belong to the sweep `$1`.
    of_sweep: &'static str,
}

const OF_SWEEP: &str = "sweep_id = $1";
const OF_TRIALS: &str = "trial IN (SELECT trial FROM member WHERE sweep_id = $1)";

const fn carried(
    table: &'static Table,
    number: Option<&'static str>,
    of_sweep: &'static str,
) -> Carried {
    Carried { table, number, of_sweep }
}

/// In an order in which each row comes after those that it names. Checkpoints are not among them: they
/// are files.
static CARRIED: [Carried; 11] = [
    carried(&SWEEP, None, "id = $1"),
    carried(&TRIAL, Some("number"), "number IN (SELECT trial FROM member WHERE sweep_id = $1)"),
    carried(&MEMBER, None, OF_SWEEP),
    carried(
        &ENVIRONMENT,
        Some("id"),
        "id IN (SELECT environment FROM attempt WHERE trial IN (SELECT trial FROM member WHERE \
         sweep_id = $1))",
    ),
    carried(&ATTEMPT, Some("id"), OF_TRIALS),
    carried(&STEP_METRIC, None, OF_TRIALS),
    carried(&EVAL_METRIC, None, OF_TRIALS),
    carried(&GROWTH_EVENT, None, OF_TRIALS),
    carried(&SHARED_PREFIX, None, OF_SWEEP),
    carried(&FRONTIER_ESTIMATE, None, OF_SWEEP),
    carried(&GAP_ESTIMATE, None, OF_SWEEP),
];

/// Tables of what was measured, whose rows have checksums.
static MEASURED: [&Table; 3] = [&STEP_METRIC, &EVAL_METRIC, &GROWTH_EVENT];

/// The names of the tables that [`Store::tables`] gives and [`Store::fill`] wants.
pub fn carried_tables() -> impl Iterator<Item = &'static str> {
    CARRIED.iter().map(|carried| carried.table.name)
}

impl Store {
    /// The tables of a sweep, or of all, by name: everything but checkpoints.
    ///
    /// # Errors
    /// If the database can't be read, or rows are not what was written.
    pub async fn tables(
        &self,
        sweep: Option<&str>,
    ) -> Result<BTreeMap<&'static str, Rows>, StoreError> {
        let mut tx = self.read().await?;
        refuse_changed(&mut tx, &MEASURED, sweep).await?;
        let mut tables = BTreeMap::new();
        for carried in &CARRIED {
            tables.insert(carried.table.name, carried.rows(&mut tx, sweep).await?);
        }
        Ok(tables)
    }

    /// Fills a new database with tables as [`tables`](Self::tables) gives them.
    ///
    /// # Errors
    /// If a table or a column is missing, holds what it can't, or rows are not what was written.
    pub async fn fill(&self, tables: &BTreeMap<String, Rows>) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        for carried in &CARRIED {
            let name = carried.table.name;
            let rows =
                tables.get(name).ok_or_else(|| StoreError::Rows(format!("{name} is missing")))?;
            carried.fill(&mut tx, rows).await?;
        }
        refuse_changed(&mut tx, &MEASURED, None).await?;
        tx.commit(Point::CommitCopy).await
    }
}

impl Carried {
    /// The columns that are carried.
    fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.number.into_iter().chain(self.table.columns.iter().map(|(name, _)| *name))
    }

    async fn rows(&self, tx: &mut Tx, sweep: Option<&str>) -> Result<Rows, StoreError> {
        let columns: Vec<&str> = self.columns().collect();
        let of = sweep.map_or(String::new(), |_| format!("WHERE {}", self.of_sweep));
        let order = (1..=self.number.map_or(self.table.key, |_| 1)).map(|n| n.to_string());
        let sql = format!(
            "SELECT {} FROM {} {of} ORDER BY {}",
            columns.join(", "),
            self.table.name,
            order.collect::<Vec<_>>().join(", ")
        );
        let of: Vec<Arg> = sweep.into_iter().map(Arg::from).collect();
        let rows = tx.map(&sql, &of, |row| Ok(row.0)).await?;
        Ok(Rows { columns: columns.into_iter().map(str::to_owned).collect(), rows })
    }

    async fn fill(&self, tx: &mut Tx, rows: &Rows) -> Result<(), StoreError> {
        let place = |wanted: &str| {
            let lacking =
                || StoreError::Rows(format!("{} has no column {wanted}", self.table.name));
            rows.columns.iter().position(|name| name == wanted).ok_or_else(lacking)
        };
        let places: Vec<usize> =
            self.table.columns.iter().map(|(name, _)| place(name)).collect::<Result<_, _>>()?;
        let args = |row: &Vec<Cell>| {
            self.table.args(&places.iter().map(|place| row[*place].clone()).collect::<Vec<_>>())
        };
        let all: Vec<Vec<Arg>> = rows.rows.iter().map(args).collect::<Result<_, _>>()?;
        let Some(number) = self.number else {
            return self.table.insert(tx, &all).await.map(drop);
        };
        let at = place(number)?;
        let names: Vec<&str> = self.columns().collect();
        let values: Vec<String> = (1..=names.len()).map(|n| format!("${n}")).collect();
        let (names, values) = (names.join(", "), values.join(", "));
        let sql = format!("INSERT INTO {} ({names}) VALUES ({values})", self.table.name);
        for (row, own) in rows.rows.iter().zip(all) {
            let Cell::Integer(number) = row[at] else {
                let error = format!("{}.{number} holds {:?}", self.table.name, row[at]);
                return Err(StoreError::Corrupt { what: "value", error });
            };
            let args: Vec<Arg> = std::iter::once(number.into()).chain(own).collect();
            tx.execute(&sql, &args).await?;
        }
        Ok(())
    }
}
