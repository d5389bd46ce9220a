//! The tables as data: what is inserted in bulk, and what `copy` carries from one database to
//! another.

use crate::{
    StoreError,
    driver::{Arg, Cell, FromCell, Tx},
};

/// The kind of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    /// A whole number that may be beyond 64 bits.
    Flops,
    Real,
    Text,
}
use Kind::*;

impl Kind {
    /// A cell that was read, to be written; none if it is of another kind.
    pub fn arg(self, cell: &Cell) -> Option<Arg> {
        Some(match (self, cell) {
            (Integer, Cell::Integer(value)) => Arg::Integer(Some(*value)),
            (Real, Cell::Real(value)) => Arg::Real(Some(*value)),
            (Real, Cell::Integer(value)) => Arg::Real(Some(*value as f64)),
            (Text, Cell::Text(value)) => Arg::Text(Some(value.clone())),
            (Flops, cell) => Arg::Big(Option::<i128>::from_cell(cell)?),
            (Integer, Cell::Null) => Arg::Integer(None),
            (Real, Cell::Null) => Arg::Real(None),
            (Text, Cell::Null) => Arg::Text(None),
            _ => return None,
        })
    }
}

/// A table: its columns, of which the first `key` tell its rows apart.
pub(crate) struct Table {
    pub name: &'static str,
    pub key: usize,
    pub columns: &'static [(&'static str, Kind)],
}

pub(crate) static SWEEP: Table = Table {
    name: "sweep",
    key: 1,
    columns: &[
        ("id", Text),
        ("name", Text),
        ("spec", Text),
        ("data_digest", Text),
        ("created_at", Real),
        ("evaluated_tokens", Integer),
        ("evaluated_bytes", Integer),
        ("tokenizer", Text),
        ("words", Text),
    ],
};

/// Without its number, which each database gives anew.
pub(crate) static TRIAL: Table = Table {
    name: "trial",
    key: 1,
    columns: &[
        ("id", Text),
        ("definition", Text),
        ("tokens", Integer),
        ("train_flops", Flops),
        ("parameters", Integer),
        ("learning_rate", Real),
        ("state", Text),
        ("epoch", Integer),
        ("crashes", Integer),
        ("error", Text),
        ("micro_batches", Integer),
        ("not_before", Real),
    ],
};

pub(crate) static MEMBER: Table = Table {
    name: "member",
    key: 2,
    columns: &[
        ("sweep_id", Text),
        ("position", Integer),
        ("trial", Integer),
        ("strategy", Text),
        ("kind", Text),
        ("plan", Integer),
        ("replicate", Integer),
        ("learning_rate", Real),
        ("setting", Text),
        ("budget", Real),
        ("tuning", Integer),
    ],
};

pub(crate) static ENVIRONMENT: Table = Table {
    name: "environment",
    key: 4,
    columns: &[("host", Text), ("device", Text), ("threads", Integer), ("versions", Text)],
};

pub(crate) static ATTEMPT: Table = Table {
    name: "attempt",
    key: 2,
    columns: &[
        ("trial", Integer),
        ("epoch", Integer),
        ("environment", Integer),
        ("process", Text),
        ("started_at", Real),
        ("heartbeat_at", Real),
        ("ended_at", Real),
        ("outcome", Text),
        ("train_flops", Flops),
        ("note", Text),
        ("stacked_replicates", Integer),
        ("predicted_bytes", Integer),
        ("peak_bytes", Integer),
        ("batch", Integer),
        ("log", Text),
    ],
};

pub(crate) static STEP_METRIC: Table = Table {
    name: "step_metric",
    key: 2,
    columns: &[
        ("trial", Integer),
        ("step", Integer),
        ("tokens", Integer),
        ("train_flops", Flops),
        ("wall_seconds", Real),
        ("loss", Real),
        ("learning_rate", Real),
        ("gradient_norm", Real),
        ("checksum", Integer),
        ("attempt", Integer),
    ],
};

pub(crate) static EVAL_METRIC: Table = Table {
    name: "eval_metric",
    key: 2,
    columns: &[
        ("trial", Integer),
        ("step", Integer),
        ("tokens", Integer),
        ("train_flops", Flops),
        ("wall_seconds", Real),
        ("val_loss", Real),
        ("is_last", Integer),
        ("checksum", Integer),
        ("attempt", Integer),
    ],
};

pub(crate) static GROWTH_EVENT: Table = Table {
    name: "growth_event",
    key: 2,
    columns: &[
        ("trial", Integer),
        ("stage", Integer),
        ("step", Integer),
        ("tokens", Integer),
        ("train_flops", Flops),
        ("wall_seconds", Real),
        ("transforms", Text),
        ("parameters_before", Integer),
        ("parameters_after", Integer),
        ("max_logit_change", Real),
        ("max_logit", Real),
        ("loss_before", Real),
        ("loss_after", Real),
        ("tolerance", Real),
        ("seconds", Real),
        ("axes", Text),
        ("preserving", Integer),
        ("operator_flops", Flops),
        ("diagnosis", Text),
        ("checksum", Integer),
        ("attempt", Integer),
    ],
};

pub(crate) static CHECKPOINT: Table = Table {
    name: "checkpoint",
    key: 2,
    columns: &[
        ("trial", Integer),
        ("step", Integer),
        ("tokens", Integer),
        ("path", Text),
        ("digest", Text),
        ("bytes", Integer),
        ("attempt", Integer),
    ],
};

pub(crate) static SNAPSHOT: Table = Table {
    name: "snapshot",
    key: 2,
    columns: &[
        ("trial", Integer),
        ("step", Integer),
        ("train_flops", Flops),
        ("path", Text),
        ("digest", Text),
    ],
};

pub(crate) static SHARED_PREFIX: Table = Table {
    name: "shared_prefix",
    key: 2,
    columns: &[("sweep_id", Text), ("trial", Integer), ("parent", Integer), ("step", Integer)],
};

/// Columns that a checksum leaves out: numbers that each database gives anew, and FLOPs, which
/// follow from the trial's definition.
const NOT_SUMMED: [&str; 5] = ["trial", "attempt", "checksum", "train_flops", "operator_flops"];

/// Rows of one statement: larger statements are hardly faster, and each size is prepared once.
const AT_ONCE: usize = 64;

impl Table {
    pub fn column_names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// Inserts rows; those whose key is there already stay as they are. Gives how many are new.
    pub async fn insert(&self, tx: &mut Tx, rows: &[Vec<Arg>]) -> Result<u64, StoreError> {
        self.write(tx, rows, "DO NOTHING").await
    }

    /// Inserts rows; those whose key is there already are replaced. No two of them may have one
    /// key.
    pub async fn replace(&self, tx: &mut Tx, rows: &[Vec<Arg>]) -> Result<u64, StoreError> {
        self.write(tx, rows, &self.update()).await
    }

    async fn write(
        &self,
        tx: &mut Tx,
        rows: &[Vec<Arg>],
        otherwise: &str,
    ) -> Result<u64, StoreError> {
        let mut new = 0;
        let many = rows.len() / AT_ONCE * AT_ONCE;
        for (some, at_once) in [(&rows[..many], AT_ONCE), (&rows[many..], 1)] {
            let sql = self.insertion(at_once, otherwise);
            for chunk in some.chunks(at_once) {
                new += tx.execute(&sql, &chunk.concat()).await?;
            }
        }
        Ok(new)
    }

    fn insertion(&self, rows: usize, otherwise: &str) -> String {
        let width = self.columns.len();
        let row = |row: usize| {
            let place = |(column, (_, kind)): (usize, &(&str, Kind))| {
                let number = row * width + column + 1;
                if *kind == Flops {
                    format!("CAST(${number} AS NUMERIC)")
                } else {
                    format!("${number}")
                }
            };
            format!(
                "({})",
                self.columns.iter().enumerate().map(place).collect::<Vec<_>>().join(", ")
            )
        };
        let rows = (0..rows).map(row).collect::<Vec<_>>().join(", ");
        format!(
            "INSERT INTO {} ({}) VALUES {rows} {}",
            self.name,
            self.column_names(),
            self.on_conflict(otherwise)
        )
    }

    /// The place of a column.
    pub fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|(name, _)| *name == column)
    }

    /// A digest of what was measured: by it a row is known to be what its writer wrote. Never 0,
    /// which says that there is none.
    pub fn checksum(&self, row: &[Arg]) -> i64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.name.as_bytes());
        for ((name, _), arg) in self.columns.iter().zip(row) {
            if !NOT_SUMMED.contains(name) {
                arg.digest(&mut hasher);
            }
        }
        let first = *hasher.finalize().as_bytes().first_chunk().expect("a digest is longer");
        (u64::from_le_bytes(first) >> 1).max(1) as i64
    }

    /// Puts the checksum into a row that has a place for it.
    pub fn seal(&self, row: &mut [Arg]) {
        if let Some(place) = self.place("checksum") {
            row[place] = self.checksum(row).into();
        }
    }

    /// `ON CONFLICT` on the key.
    fn on_conflict(&self, otherwise: &str) -> String {
        let key: Vec<&str> = self.columns[..self.key].iter().map(|(name, _)| *name).collect();
        format!("ON CONFLICT ({}) {otherwise}", key.join(", "))
    }

    fn update(&self) -> String {
        let set =
            self.columns[self.key..].iter().map(|(name, _)| format!("{name} = excluded.{name}"));
        format!("DO UPDATE SET {}", set.collect::<Vec<_>>().join(", "))
    }

    /// Copies rows of the trial `$3` to the trial `$1` and its attempt `$2`, replacing what is
    /// there, where `condition` holds.
    pub fn copy_of_trial(&self, condition: &str) -> String {
        let selected = self.columns.iter().map(|(name, _)| match *name {
            "trial" => "CAST($1 AS BIGINT)",
            "attempt" => "CAST($2 AS BIGINT)",
            other => other,
        });
        format!(
            "INSERT INTO {name} ({columns}) SELECT {} FROM {name} WHERE trial = $3 AND \
             {condition} {}",
            selected.collect::<Vec<_>>().join(", "),
            self.on_conflict(&self.update()),
            name = self.name,
            columns = self.column_names(),
        )
    }

    /// A row that was read, to be written.
    pub fn args(&self, cells: &[Cell]) -> Result<Vec<Arg>, StoreError> {
        let arg = |((name, kind), cell): (&(&str, Kind), &Cell)| {
            let error = || format!("{}.{name} holds {cell:?}, not {kind:?}", self.name);
            kind.arg(cell).ok_or_else(|| StoreError::Corrupt { what: "value", error: error() })
        };
        self.columns.iter().zip(cells).map(arg).collect()
    }
}
