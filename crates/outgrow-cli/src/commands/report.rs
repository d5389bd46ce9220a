//! `outgrow report`.

mod previous;

use std::path::{Path, PathBuf};

use outgrow_data::publish::{Destination, NewFolder};
use outgrow_report::{Input, ReportError, escape::file_name, report as make};
use serde_json::json;

use self::previous::Previous;
use crate::{
    args::Report,
    failure::Failure,
    output::{print, print_json},
    place::{Place, runtime},
};

/// Draws a sweep's report.
pub fn report(place: &Place, args: &Report) -> Result<(), Failure> {
    let input = runtime()?.block_on(rows(place, &args.sweep))?;
    let folder = args
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from("reports").join(file_name(&input.sweep)));
    // Before the work is done, and again after it.
    let may_replace = || may_replace(&folder, &input, args.force);
    may_replace()?;
    let made = make(&input).map_err(|error| match error {
        ReportError::Render(..) => Failure::Environment(error.to_string()),
        _ => Failure::Input(error.to_string()),
    })?;
    let replaced = may_replace()?;
    let new = match replaced {
        Some(_) => NewFolder::instead_of(&folder)?,
        None => NewFolder::create(&folder)?,
    };
    made.files.iter().try_for_each(|(name, bytes)| new.write(name, bytes))?;
    let kept = match replaced {
        Some(Replaced { is_kept }) => new.replace(is_kept)?,
        None => new.finish().map(|()| None)?,
    };
    if let Some(kept) = kept {
        eprintln!("note: what was in {} is now in {}", folder.display(), kept.display());
    }
    if args.json {
        return print_json(
            &json!({ "folder": folder, "answer": made.answer, "analysis": made.analysis }),
        );
    }
    let pictures = made.files.iter().filter(|(path, _)| path.ends_with(".pdf")).count();
    let text = format!(
        "{}\n\n{pictures} figures (as SVG, PDF and PNG) and the tables: {}",
        made.answer,
        folder.display()
    );
    print(&format!("{text}\nbegin with {}", folder.join("README.md").display()))
}

/// A folder that gives way to the report.
struct Replaced {
    /// Whether it holds what no report of ours was made of.
    is_kept: bool,
}

/// Whether something is at the report's place, and may give way.
fn may_replace(folder: &Path, input: &Input, is_forced: bool) -> Result<Option<Replaced>, Failure> {
    if Destination::of(folder)? != Destination::Occupied {
        return Ok(None);
    }
    if !folder.is_dir() {
        return Err(Failure::Input(format!(
            "{} is no folder; name another place with -o",
            folder.display()
        )));
    }
    let previous = Previous::read(folder)?;
    match previous.hinders(input) {
        Some(why) if !is_forced => {
            let way = "name another folder with -o, or replace it by --force (what outgrow did not write there is kept beside it)";
            Err(Failure::Input(format!("{} {why}; {way}", folder.display())))
        }
        _ => Ok(Some(Replaced { is_kept: !previous.is_ours_alone() })),
    }
}

async fn rows(place: &Place, wanted: &str) -> Result<Input, Failure> {
    let store = place.reading().await?;
    let sweep = store.find_sweep(wanted).await?;
    store.refuse_incomplete(Some(&sweep.id)).await?;
    let (trials, curves, growths) = store.report_rows(&sweep.id).await?;
    let environments = store.environments(&sweep.id).await?;
    let (id, data) = (sweep.id, sweep.data_digest);
    Ok(Input {
        sweep: sweep.name,
        id,
        spec: sweep.spec,
        data,
        environments,
        trials,
        curves,
        growths,
    })
}
