//! `outgrow doctor`.

use std::path::PathBuf;

use outgrow::{
    Error, Workspace,
    doctor::{DoctorText, doctor as examine},
};

use super::grow::How;
use crate::{
    output::{is_terminal, print, print_json},
    phases,
};

/// Dry-run a growth: is the function preserved, do new weights get gradients?
///
/// Grows as `outgrow grow` would, writes nothing, and trains a copy for three steps. Exit code 1 if
/// nothing new can ever learn, or if a claim to preserve the function is broken.
#[derive(clap::Args)]
pub struct Doctor {
    /// The checkpoint to grow (a folder), or a trial as `outgrow path` takes it
    pub from: String,
    /// Text for the three steps [default: random tokens]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// The tokenizer of the text: a tokenizer.json, or a folder with one [default: that in the
    /// model's folder, or bytes]
    #[arg(long, value_name = "PATH", requires = "text")]
    pub tokenizer: Option<PathBuf>,
    #[command(flatten)]
    pub how: How,
}

/// Examines a growth.
pub fn doctor(workspace: &Workspace, args: &Doctor) -> Result<(), Error> {
    let from = workspace.model(&args.from)?;
    let on = DoctorText { text: args.text.as_deref(), tokenizer: args.tokenizer.as_deref() };
    let options = args.how.options(None)?;
    let found = phases::told(|tell| examine(&from, &options, on, tell))?;
    match args.how.json {
        true => print_json(&found)?,
        false => print(&found.describe(is_terminal()))?,
    }
    found.verdict()
}
