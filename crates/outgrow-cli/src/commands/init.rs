//! `outgrow init`, and what `outgrow` alone says.

use std::path::{Path, PathBuf};

use outgrow::{Error, InitOptions, Workspace, init as write, readable::amount};

use crate::output::print;

/// Write a commented sweep file for your own text; `outgrow plan` shows its cost
///
/// Three ways of growing from half the width and half the depth into the target size are compared
/// with models that never grow, all with the same compute, 3 seeds each. Change the file as you
/// like: docs/sweep.md has every field.
#[derive(clap::Args)]
pub struct Init {
    /// The file to write
    #[arg(default_value = "sweep.toml")]
    pub to: PathBuf,
    /// Files and folders of text: plain text, JSON lines, Parquet
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub text: Vec<PathBuf>,
    /// A tokenizer.json, or a folder with one [default: text is read as bytes]
    #[arg(long, value_name = "PATH")]
    pub tokenizer: Option<PathBuf>,
    /// About how many parameters the target has, without embeddings: 200k, 10M
    #[arg(long, value_name = "N", default_value = "200k", value_parser = amount)]
    pub parameters: u64,
    /// Training tokens of a model that is born at that size: 5M, 1e9 [default: 20 for each of its
    /// parameters]
    #[arg(long, value_name = "N", value_parser = amount)]
    pub tokens: Option<u64>,
    /// Tokens of a sequence
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..1 << 20))]
    pub seq_len: usize,
}

/// Writes a first sweep file.
pub fn init(args: &Init) -> Result<(), Error> {
    let &Init { parameters, tokens, seq_len, .. } = args;
    let options = InitOptions {
        text: args.text.clone(),
        tokenizer: args.tokenizer.clone(),
        parameters,
        tokens,
        seq_len,
    };
    let file = write(&args.to, &options)?;
    let next = next(&args.to, &file.sweep().spec().name);
    print(&format!("{}: {}\n\n{next}", args.to.display(), file.sizes()))
}

fn next(file: &Path, name: &str) -> String {
    let file = file.display();
    format!(
        "  outgrow plan {file}     its trials, and what they cost here; change the file until you \
         like it\n  \
         outgrow run {file}      train it; Ctrl-C stops, rerun to resume\n  \
         outgrow report {name}   figures, tables and the answer, in reports/{name}"
    )
}

/// Says what to do next: where there is a database, what is in it.
pub fn guide(workspace: &Workspace) -> Result<(), Error> {
    let sweeps = workspace.status(None).unwrap_or_default();
    let Some(((sweep, status, _), _)) = sweeps.last() else {
        return print(&format!(
            "outgrow trains transformers that grow, and compares them with models born at their \
             size.\n\n  \
             outgrow init mine.toml --text FOLDER    write a sweep for your own \
             text\n{}\n\n`outgrow --help` lists all commands",
            next("mine.toml".as_ref(), "mine")
        ));
    };
    let (ended, total, name) = (status.ended(), status.total(), &sweep.name);
    let next = match total - ended {
        0 => format!("outgrow report {name}    figures, tables and the answer"),
        open => format!("outgrow run SWEEP.toml    the file of {name}: {open} trials are left"),
    };
    print(&format!(
        "{} sweeps in {}; the newest is {name}, with {ended} of {total} trials done\n\n  {next}\n  \
         outgrow status    where each stands\n\n`outgrow --help` lists all commands",
        sweeps.len(),
        outgrow_store::Address::shown(&workspace.db),
    ))
}
