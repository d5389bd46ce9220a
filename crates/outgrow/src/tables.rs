//! Rows of the database as other programs read them.

mod cell;
mod form;
mod parquet;
mod rows;

pub use self::{
    cell::{printable, short, value},
    form::{Format, as_csv, form},
    parquet::write_batch,
    rows::Form,
};
