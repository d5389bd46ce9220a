//! The views as data: the public interface of a database, column by column, as docs/database.md
//! states it.

use crate::{
    Cell, Store, StoreError, Table,
    driver::Arg,
    intact::refuse_changed,
    live::hexadecimal,
    query::answer,
    schema::{self, EVAL_METRIC, GROWTH_EVENT, STEP_METRIC},
};

/// The kind of a column of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Integer,
    /// A whole number that may be beyond 64 bits.
    Flops,
    Real,
    Text,
    /// 1 or 0.
    Flag,
}
use Kind::*;

/// A view: what a row of it is, and its columns beside the place ([`PLACE`]).
#[allow(missing_docs)]
pub struct View {
    pub name: &'static str,
    /// In which order its rows are given within a plan and replicate.
    order: &'static str,
    /// Beside the place.
    pub columns: &'static [(&'static str, Kind)],
}

/// The columns with which every view begins.
pub const PLACE: [(&str, Kind); 7] = [
    ("sweep", Text),
    ("sweep_id", Text),
    ("strategy", Text),
    ("kind", Text),
    ("plan", Integer),
    ("replicate", Integer),
    ("trial", Text),
];

/// The views whose rows belong to trials.
pub const VIEWS: [View; 6] = [
    View {
        name: "finals",
        order: "budget, learning_rate, setting",
        columns: &[
            ("state", Text),
            ("parameters", Integer),
            ("tokens", Integer),
            ("train_flops", Flops),
            ("wall_seconds", Real),
            ("val_loss", Real),
            ("bits_per_token", Real),
            ("bits_per_byte", Real),
            ("learning_rate", Real),
            ("setting", Text),
            ("budget", Real),
            ("tuning", Flag),
        ],
    },
    View {
        name: "curves",
        order: "budget, learning_rate, setting, step",
        columns: &[
            ("step", Integer),
            ("tokens", Integer),
            ("train_flops", Flops),
            ("wall_seconds", Real),
            ("val_loss", Real),
            ("bits_per_token", Real),
            ("bits_per_byte", Real),
            ("learning_rate", Real),
            ("setting", Text),
            ("budget", Real),
            ("tuning", Flag),
        ],
    },
    View {
        name: "steps",
        order: "budget, learning_rate, setting, step",
        columns: &[
            ("step", Integer),
            ("tokens", Integer),
            ("train_flops", Flops),
            ("wall_seconds", Real),
            ("loss", Real),
            ("gradient_norm", Real),
            ("learning_rate", Real),
            ("setting", Text),
            ("budget", Real),
            ("tuning", Flag),
        ],
    },
    View {
        name: "growth",
        order: "budget, learning_rate, setting, stage",
        columns: &[
            ("stage", Integer),
            ("tokens", Integer),
            ("train_flops", Flops),
            ("transforms", Text),
            ("parameters_before", Integer),
            ("parameters_after", Integer),
            ("max_logit_change", Real),
            ("error", Real),
            ("tolerance", Real),
            ("preserved", Flag),
            ("loss_change", Real),
            ("seconds", Real),
            ("preserving", Flag),
            ("operator_flops", Flops),
            ("diagnosis", Text),
            ("learning_rate", Real),
            ("setting", Text),
            ("budget", Real),
            ("tuning", Flag),
        ],
    },
    View {
        name: "speedups",
        order: "budget, learning_rate, setting",
        columns: &[
            ("target_loss", Real),
            ("target_bits_per_byte", Real),
            ("reached", Flag),
            ("compute_saving", Real),
            ("sunk_compute_saving", Real),
            ("token_saving", Real),
            ("wall_saving", Real),
            ("learning_rate", Real),
            ("setting", Text),
            ("budget", Real),
        ],
    },
    View {
        name: "compute",
        order: "budget, learning_rate, setting, trial",
        columns: &[
            ("state", Text),
            ("charged_flops", Flops),
            ("spent_flops", Flops),
            ("learning_rate", Real),
            ("setting", Text),
            ("budget", Real),
            ("tuning", Flag),
        ],
    },
];

impl View {
    /// All columns, those of the place first.
    pub fn all_columns(&self) -> impl Iterator<Item = (&'static str, Kind)> {
        PLACE.into_iter().chain(self.columns.iter().copied())
    }

    /// The tables of measurements that it shows.
    fn measured(&self) -> Vec<&'static schema::Table> {
        match self.name {
            "finals" | "curves" => vec![&EVAL_METRIC],
            "speedups" => vec![&EVAL_METRIC, &GROWTH_EVENT],
            "growth" => vec![&GROWTH_EVENT],
            "steps" => vec![&STEP_METRIC],
            _ => vec![],
        }
    }
}

impl Store {
    /// The rows of a view, of one sweep or of all, trial by trial in the order of their places.
    ///
    /// # Errors
    /// If the database can't be read, or rows are not what was written.
    pub async fn view(&self, view: &View, sweep_id: Option<&str>) -> Result<Table, StoreError> {
        let mut tx = self.read().await?;
        refuse_changed(&mut tx, &view.measured(), sweep_id).await?;
        let names: Vec<&str> = view.all_columns().map(|(name, _)| name).collect();
        let of = sweep_id.map(hexadecimal).transpose()?;
        let sql = format!(
            "SELECT {} FROM {} {} ORDER BY sweep, strategy, plan, replicate, {}",
            names.join(", "),
            view.name,
            of.map_or("", |_| "WHERE sweep_id = $1"),
            view.order
        );
        let of: Vec<Arg> = of.into_iter().map(Arg::from).collect();
        let mut table = answer(&mut tx, &names, &sql, &of).await?;
        for (column, (_, kind)) in view.all_columns().enumerate() {
            table.rows.iter_mut().for_each(|row| tidy(&mut row[column], kind));
        }
        Ok(table)
    }
}

/// What a database may give in another type than the column's: a whole number as a real one.
fn tidy(cell: &mut Cell, kind: Kind) {
    match (&*cell, kind) {
        (Cell::Integer(value), Real) => *cell = Cell::Real(*value as f64),
        (Cell::Real(value), Integer | Flag | Flops) if value.abs() < -(i64::MIN as f64) => {
            *cell = Cell::Integer(*value as i64);
        }
        _ => {}
    }
}
