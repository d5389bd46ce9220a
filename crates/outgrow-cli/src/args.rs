//! What the user can type: the commands, and what they share.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use outgrow::{DB, FILES};

use crate::commands::{
    bench::Bench,
    check::Check,
    clean::Clean,
    compare::Compare,
    convert::Convert,
    data::Data,
    db::Db,
    diff::Diff,
    doctor::Doctor,
    eval::Eval,
    export::Export,
    grow::Grow,
    init::Init,
    path::TrialPath,
    plan::Plan,
    query::Query,
    rank::Rank,
    report::Report,
    rm::Rm,
    run::Run,
    sample::Sample,
    search::Search,
    serve::Serve,
    shell::{Completions, Man},
    status::Status,
    submit::Submit,
    worker::Worker,
};

/// Trains transformers that grow while they train, beside models that are born at their size;
/// records every number in a database, and draws the comparison.
#[derive(Parser)]
#[command(name = "outgrow", version, max_term_width = 100, after_help = AFTER)]
pub struct Args {
    /// Results database: a SQLite file, or postgres://USER@HOST/DATABASE
    #[arg(long, global = true, help_heading = GLOBAL, env = DB, hide_env_values = true, default_value = "outgrow.db", value_name = "PATH")]
    pub db: String,
    /// Folder for checkpoints and prepared text; workers on several machines must share it
    /// [default: beside the SQLite file, or here, under the name of the server's database]
    #[arg(long, global = true, help_heading = GLOBAL, env = FILES, hide_env_values = true, value_name = "FOLDER")]
    pub files: Option<PathBuf>,
    /// What to do; without it, outgrow says what comes next.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// All commands. A number below zero after an option is that option's value: whether it may be one,
/// the option says.
pub fn command() -> clap::Command {
    with_negative_numbers(Args::command())
}

fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let takes = |arg: clap::Arg| {
        let takes = !arg.is_positional() && arg.get_action().takes_values();
        arg.allow_negative_numbers(takes)
    };
    command.mut_args(takes).mut_subcommands(with_negative_numbers)
}

/// Where help shows what every command takes.
const GLOBAL: &str = "Options of every command";

const AFTER: &str = "\
A first hour:
  outgrow init SWEEP.toml --text FOLDER   a sweep for your own text
  outgrow plan SWEEP.toml                 its trials and their cost
  outgrow run SWEEP.toml                  train it; Ctrl-C stops, rerun to resume
  outgrow report NAME                     figures, tables, and the answer
  outgrow query \"SELECT * FROM speedups\"

Exit codes:
  0  done              1  it ran, but trials failed or a function was not preserved
  2  wrong input       3  the database, a disk or a device refused        130  stopped by the user

Docs: docs/sweep.md, docs/database.md, docs/operations.md";

/// The commands.
#[derive(Subcommand)]
#[allow(missing_docs)]
pub enum Command {
    Init(Init),
    Run(Run),
    Search(Search),
    Plan(Plan),
    Status(Status),
    Serve(Serve),
    Query(Query),
    Rank(Rank),
    Report(Report),
    Compare(Compare),
    Diff(Diff),
    Export(Export),
    Path(TrialPath),
    Clean(Clean),
    Rm(Rm),
    Check(Check),
    Grow(Grow),
    Convert(Convert),
    Doctor(Doctor),
    Eval(Eval),
    Sample(Sample),
    Bench(Bench),
    Submit(Submit),
    Completions(Completions),
    Man(Man),
    #[command(subcommand)]
    Data(Data),
    #[command(subcommand)]
    Db(Db),
    Worker(Worker),
}
