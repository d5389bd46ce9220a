//! The command `outgrow`: reads what the user typed, calls the other crates, prints what they
//! answer.

mod args;
mod commands;
mod failure;
mod output;
mod phases;
mod place;
mod progress;
mod reading;
mod sweep_file;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    args::{Args, Command},
    failure::Failure,
};

fn main() -> ExitCode {
    outgrow_failpoint::arm();
    let args = Args::parse();
    let place = place::Place::new(args.db, args.files);
    let done = match args.command {
        Command::Run(run) => commands::run::run(&place, &run),
        Command::Plan(plan) => commands::plan::plan(&place, &plan),
        Command::Status(status) => commands::status::status(&place, &status),
        Command::Serve(serve) => commands::serve::serve(&place, &serve),
        Command::Query(query) => commands::query::query(&place, &query),
        Command::Report(report) => commands::report::report(&place, &report),
        Command::Export(export) => commands::export::export(&place, &export),
        Command::Completions(completions) => commands::shell::completions(&completions),
        Command::Man(man) => commands::shell::man(&man),
        Command::Check(check) => commands::check::check(&check),
        Command::Grow(grow) => commands::grow::grow(&grow),
        Command::Convert(convert) => commands::convert::convert(&convert),
        Command::Doctor(doctor) => commands::doctor::doctor(&doctor),
        Command::Eval(eval) => commands::eval::eval(&eval),
        Command::Bench(bench) => commands::bench::bench(&place, &bench),
        Command::BenchServe(serve) => commands::bench::serve(&serve),
        Command::Submit(submit) => commands::submit::submit(&place, &submit),
        Command::Data(data) => commands::data::data(&data),
        Command::Db(db) => commands::db::db(&place, &db),
        Command::Worker(worker) => commands::worker::worker(&place, &worker),
    };
    place.close();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough (`outgrow query … | head`).
        Err(Failure::Pipe) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", output::shown(&failure.to_string()));
            ExitCode::from(failure.code())
        }
    }
}
