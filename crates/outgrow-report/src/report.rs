//! A whole report.

use rayon::prelude::*;

use crate::{
    analysis::Analysis,
    answer::Answer,
    error::ReportError,
    escape::csv,
    figures::{self, Figure},
    input::Input,
    latex::{self, Width},
    markdown, provenance, tables,
};

/// A finished report.
pub struct Report {
    /// Relative path and content of every file.
    pub files: Vec<(String, Vec<u8>)>,
    /// What the sweep says about growing.
    pub answer: Answer,
    /// The numbers behind it.
    pub analysis: Analysis,
}

/// Makes the report.
///
/// # Errors
/// If there is nothing to show.
pub fn report(input: &Input) -> Result<Report, ReportError> {
    let analysis = Analysis::new(input)?;
    let figures = figures::all(&analysis);
    let rendered: Vec<_> = figures.par_iter().map(figures::files).collect::<Result<_, _>>()?;
    let mut files: Vec<(String, Vec<u8>)> = rendered.into_iter().flatten().collect();
    let answer = Answer::new(&analysis);
    files.extend(texts(&analysis, &answer, &figures));
    if let Some(found) = analysis.searched.as_ref().filter(|found| !found.strategy.is_empty()) {
        files.push(("found.toml".into(), found.strategy.clone().into_bytes()));
    }
    files.sort();
    let provenance = provenance::file(input, &analysis, &files);
    files.push(("provenance.json".into(), provenance));
    Ok(Report { files, answer, analysis })
}

/// The files beside the figures.
fn texts(analysis: &Analysis, answer: &Answer, figures: &[Figure]) -> Vec<(String, Vec<u8>)> {
    let tables = tables::all(analysis);
    let mut files = vec![(
        "README.md".into(),
        markdown::readme(analysis, answer, figures, &tables).into_bytes(),
    )];
    for width in Width::ALL {
        let path = format!("figures/figures-{}.tex", width.suffix());
        files.push((path, latex::figures(figures, width).into_bytes()));
    }
    for table in &tables {
        let path = |suffix: &str| format!("tables/{}.{suffix}", table.name);
        files.push((path("csv"), csv(&table.raw())));
        files.push((path("md"), markdown::table(table).into_bytes()));
        for width in Width::ALL {
            let path = format!("tables/{}-{}.tex", table.name, width.suffix());
            files.push((path, latex::table(table, width).into_bytes()));
        }
    }
    files
}
