//! `bin/outgrow` of a release archive: starts the program, or sets up the libtorch that it needs.
//!
//! The program is linked to libtorch, which is too large for an archive, and does not even start
//! without it. This one is not: it needs nothing but the C library, so `outgrow setup` works on a
//! machine that has neither Python nor curl nor unzip.

mod archive;
mod error;
mod existing;
mod launch;
mod list;
mod place;
mod setup;

use std::{env, process::ExitCode};

use clap::Parser;

use self::{error::Error, place::Place, setup::Options};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
    let place = Place::here()?;
    let mut args = env::args_os().skip(1).peekable();
    match args.next_if(|first| first == "setup") {
        Some(_) => setup::run(
            &place,
            &Options::parse_from(["outgrow setup".into()].into_iter().chain(args)),
        ),
        None => Err(launch::start(&place, args)),
    }
}
