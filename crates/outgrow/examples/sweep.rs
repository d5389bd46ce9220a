//! Runs a sweep from Rust, queries what was recorded, and writes its report:
//! `cargo run --release --example sweep -- experiments/quickstart/sweep.toml`.

use outgrow::{Error, ReportOptions, RunOptions, SweepFile, Workspace};

fn main() -> Result<(), Error> {
    let path = std::env::args().nth(1).unwrap_or("experiments/quickstart/sweep.toml".into());
    let file = SweepFile::read(path)?;
    // `None`: checkpoints and prepared text lie beside the database.
    let workspace = Workspace::new("example.db".into(), None);
    // `&()` and the empty closure hear of progress, and say nothing.
    let finished = workspace.run(&file, &RunOptions::default(), &(), &mut |_| {})?;
    println!("{} trials have ended: {:?}", finished.status.ended(), finished.ended);
    for row in workspace.query("SELECT strategy, avg(val_loss) FROM finals GROUP BY strategy")?.rows
    {
        println!("{row:?}");
    }
    // `force`: whatever lies in the folder is replaced.
    let options =
        ReportOptions { folder: Some("example-report".as_ref()), force: true, unit: None };
    let written = workspace.report(&finished.sweep, None, options)?;
    println!("{}\n\nsee {}", written.report.answer, written.folder.display());
    Ok(())
}
