//! `outgrow report`.

use outgrow::{Error, LossUnit, ReportOptions, Workspace};
use serde_json::json;
use std::path::PathBuf;

use crate::{
    output::{print, print_json},
    values::loss_unit,
};

/// Draw a sweep's figures and tables, and print its answer
///
/// Figures come as SVG, PDF and PNG, at the width of one and of two columns; tables as Markdown,
/// LaTeX (booktabs) and CSV; provenance.json says what all of it was made from. The same rows give
/// the same bytes.
#[derive(clap::Args)]
pub struct Report {
    /// The sweep's name or identity
    pub sweep: String,
    /// Where to [default: reports/NAME]; an older report of the same sweep is replaced completely
    #[arg(long, short, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// Show how every strategy and control differs from this one, instead of the [[contrasts]] of
    /// the sweep file
    #[arg(long, value_name = "STRATEGY")]
    pub versus: Option<String>,
    /// The unit of losses, in figures and tables [default: nats-per-token, and with a tokenizer
    /// bits per byte beside them in tables]
    #[arg(long, value_parser = loss_unit())]
    pub unit: Option<LossUnit>,
    /// Replace what is there, whatever it is; what outgrow did not write is kept beside it, as
    /// FOLDER.replaced-1
    #[arg(long)]
    pub force: bool,
    /// Print the answer and the tables as JSON
    #[arg(long)]
    pub json: bool,
}

/// Draws a sweep's report.
pub fn report(workspace: &Workspace, args: &Report) -> Result<(), Error> {
    let options =
        ReportOptions { folder: args.output.as_deref(), force: args.force, unit: args.unit };
    let written = workspace.report(&args.sweep, args.versus.as_deref(), options)?;
    let (folder, made) = (&written.folder, &written.report);
    if let Some(kept) = &written.kept {
        crate::output::say(&format!(
            "note: what was in {} is now in {}",
            folder.display(),
            kept.display()
        ));
    }
    if args.json {
        return print_json(
            &json!({ "folder": folder, "answer": made.answer, "analysis": made.analysis }),
        );
    }
    let pictures = made.files.iter().filter(|(path, _)| path.ends_with(".pdf")).count();
    let search = made.analysis.searched.as_ref();
    let search = search.map_or_else(String::new, |found| format!("{}\n\n", found.words()));
    let text = format!(
        "{search}{}\n\n{pictures} figures (as SVG, PDF and PNG) and the tables: {}",
        made.answer,
        folder.display()
    );
    print(&format!("{text}\nbegin with {}", folder.join("README.md").display()))
}
