//! The command `outgrow`: reads what the user typed, calls the library, prints what it answers.

#![deny(clippy::print_stderr)]

mod args;
mod commands;
mod output;
mod phases;
mod progress;
mod reading;
mod values;

use std::io::{self, Write};

use clap::FromArgMatches;
use nix::libc;
use outgrow::{Error, Workspace};

use crate::args::{Args, Command};

fn main() {
    outgrow_failpoint::arm();
    let args = args::command().try_get_matches();
    let code = match args.and_then(|matches| Args::from_arg_matches(&matches)) {
        Ok(args) => answer(args),
        // Help and version are answers, too; where nobody can hear it, there is nothing to add.
        Err(error) => {
            let _ = error.print();
            error.exit_code()
        }
    };
    end(code)
}

fn answer(args: Args) -> i32 {
    outgrow::notes_to_stderr();
    let workspace = Workspace::new(args.db, args.files);
    let done = match args.command {
        Some(command) => run(&workspace, command),
        None => commands::init::guide(&workspace),
    };
    workspace.close();
    match done {
        Ok(()) => 0,
        // Whoever read our output has seen enough (`outgrow query … | head`).
        Err(Error::Closed) => 0,
        Err(error) => {
            output::say(&format!("error: {}", output::shown(&error.to_string())));
            error.exit_code().into()
        }
    }
}

/// Ends the process. Libtorch takes itself apart in 0.2 s, longer than most commands take, only for
/// memory that goes back with the process anyway.
fn end(code: i32) -> ! {
    let _ = io::stdout().flush();
    // SAFETY: neither has preconditions. Only destructors of statics and what is registered for the end
    // are left out, none of which is ours.
    unsafe {
        libc::fflush(std::ptr::null_mut());
        libc::_exit(code)
    }
}

fn run(workspace: &Workspace, command: Command) -> Result<(), Error> {
    match command {
        Command::Init(init) => commands::init::init(&init),
        Command::Run(run) => commands::run::run(workspace, &run),
        Command::Search(search) => commands::search::run(workspace, &search),
        Command::Plan(plan) => commands::plan::plan(workspace, &plan),
        Command::Status(status) => commands::status::status(workspace, &status),
        Command::Serve(serve) => commands::serve::serve(workspace, &serve),
        Command::Query(query) => commands::query::query(workspace, &query),
        Command::Rank(rank) => commands::rank::run(workspace, &rank),
        Command::Report(report) => commands::report::report(workspace, &report),
        Command::Compare(compare) => commands::compare::compare(workspace, &compare),
        Command::Diff(diff) => commands::diff::diff(workspace, &diff),
        Command::Export(export) => commands::export::export(workspace, &export),
        Command::Path(path) => commands::path::path(workspace, &path),
        Command::Clean(clean) => commands::clean::clean(workspace, &clean),
        Command::Rm(rm) => commands::rm::rm(workspace, &rm),
        Command::Completions(completions) => {
            commands::shell::completions(&completions, args::command())
        }
        Command::Man(man) => commands::shell::man(&man, args::command()),
        Command::Check(check) => commands::check::check(workspace, &check),
        Command::Grow(grow) => commands::grow::grow(workspace, &grow),
        Command::Convert(convert) => commands::convert::convert(workspace, &convert),
        Command::Doctor(doctor) => commands::doctor::doctor(workspace, &doctor),
        Command::Eval(eval) => commands::eval::eval(workspace, &eval),
        Command::Sample(sample) => commands::sample::sample(workspace, &sample),
        Command::Bench(bench) => commands::bench::bench(&bench),
        Command::Submit(submit) => commands::submit::submit(workspace, &submit),
        Command::Data(data) => commands::data::data(workspace, &data),
        Command::Db(db) => commands::db::db(workspace, &db),
        Command::Worker(worker) => commands::worker::worker(workspace, &worker),
    }
}
