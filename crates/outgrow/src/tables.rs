//! Rows of the database as other programs read them.

mod cell;
mod form;
mod output;
mod parquet;
mod read;
mod replace;
mod rows;
mod table;

pub use self::{
    cell::value,
    form::{Format, as_csv, form},
    output::Output,
    parquet::{write_batch, write_rows},
    read::read_parquet,
    replace::refuse_others,
    rows::Form,
};
