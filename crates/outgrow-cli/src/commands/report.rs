//! `outgrow report`.

use std::path::PathBuf;

use outgrow_report::{Input, ReportError, report as make};
use serde_json::json;

use crate::{
    args::Report,
    commands::write_files,
    failure::Failure,
    output::{print, print_json},
    place::{Place, runtime},
};

/// Draws a sweep's report.
pub fn report(place: &Place, args: &Report) -> Result<(), Failure> {
    let input = runtime()?.block_on(rows(place, &args.sweep))?;
    let made = make(&input).map_err(|error| match error {
        ReportError::Render(..) => Failure::Environment(error.to_string()),
        _ => Failure::Input(error.to_string()),
    })?;
    let folder = args.output.clone().unwrap_or_else(|| PathBuf::from("reports").join(&input.sweep));
    write_files(&folder, &made.files)?;
    if args.json {
        return print_json(&json!({ "folder": folder, "answer": made.answer, "analysis": made.analysis }));
    }
    let pictures = made.files.iter().filter(|(path, _)| path.ends_with(".pdf")).count();
    let text =
        format!("{}\n\n{pictures} figures (as SVG, PDF and PNG) and the tables: {}", made.answer, folder.display());
    print(&format!("{text}\nbegin with {}", folder.join("README.md").display()))
}

async fn rows(place: &Place, wanted: &str) -> Result<Input, Failure> {
    let store = place.reading().await?;
    let sweep = store.find_sweep(wanted).await?;
    store.refuse_incomplete(Some(&sweep.id)).await?;
    let (trials, curves, growths) = store.report_rows(&sweep.id).await?;
    let environments = store.environments(&sweep.id).await?;
    let (id, data) = (sweep.id, sweep.data_digest);
    Ok(Input { sweep: sweep.name, id, spec: sweep.spec, data, environments, trials, curves, growths })
}
