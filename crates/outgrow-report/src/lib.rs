//! Rows to a report: statistics, figures, tables, provenance.
//!
//! It takes plain rows and gives files as bytes; where the rows come from and where the files go it
//! does not know. The unit of replication is the seed: the plans of a strategy are averaged within
//! each seed before anything is said about spread. The same rows give the same bytes.

mod analysis;
mod axis;
mod canvas;
mod comparison;
pub mod escape;
mod figures;
mod font;
mod interval;
mod provenance;
mod render;
mod scaling;
mod sheet;
mod style;
mod tables;

use outgrow_core::rows::{CurveRow, GrowthRow, TrialRow};
use rayon::prelude::*;
use thiserror::Error;

pub use analysis::{Analysis, Role, Strategy};
pub use comparison::{Ablation, Comparison, Gap, Saving};
pub use interval::Interval;
pub use provenance::digest;
pub use scaling::{Scaling, ScalingPoint, scaling};

/// Everything that a report is made of.
#[derive(Clone, Debug)]
pub struct Input {
    /// The sweep's name.
    pub sweep: String,
    /// Its identity by content.
    pub id: String,
    /// The resolved sweep file.
    pub spec: String,
    /// Digest of its text.
    pub data: String,
    /// On what its trials were trained, one line each.
    pub environments: Vec<String>,
    /// Its trials in their order.
    pub trials: Vec<TrialRow>,
    /// Their validation curves, in the order of trial and step.
    pub curves: Vec<CurveRow>,
    /// Their growth events, in the order of trial and stage.
    pub growths: Vec<GrowthRow>,
}

/// A finished report.
pub struct Report {
    /// Relative path and content of every file.
    pub files: Vec<(String, Vec<u8>)>,
    /// The answer in one paragraph.
    pub answer: String,
    /// The numbers behind it.
    pub analysis: Analysis,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// Nothing was evaluated: why, and what to do.
    #[error("{0}")]
    Empty(String),
    /// A figure can't be turned into a PDF or a PNG.
    #[error("cannot render figure {0}: {1}")]
    Render(&'static str, String),
}

/// Makes the report.
///
/// # Errors
/// If there is nothing to show.
pub fn report(input: &Input) -> Result<Report, ReportError> {
    let analysis = Analysis::new(input)?;
    let figures = figures::all(&analysis);
    let rendered: Vec<_> = figures.par_iter().map(render::files).collect::<Result<_, _>>()?;
    let mut files: Vec<(String, Vec<u8>)> = rendered.into_iter().flatten().collect();
    let answer = tables::answer(&analysis, escape::visible);
    files.extend(tables::files(&analysis, &figures));
    files.sort();
    let provenance = provenance::file(input, &analysis, &files);
    files.push(("provenance.json".into(), provenance));
    Ok(Report { files, answer, analysis })
}
