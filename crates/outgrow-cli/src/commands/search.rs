//! `outgrow search`.

use std::path::PathBuf;

use outgrow::{
    Error, Workspace,
    readable::flops,
    search::{Found, Mean, Simulated, Simulation},
};
use serde_json::json;

use crate::{
    commands::run::{self, Run},
    output::{print, print_json, table},
};

/// Search among the plans of a lattice. Rerun to go on
///
/// What the file's [search] asks for is trained batch by batch, and the strategies and controls that
/// are not searched beside it. A search that was stopped or killed goes on with the same plans; the
/// same file finds the same plan with any number of workers. At the end stands the plan that is
/// believed to be the best, as a strategy of a sweep file. That is a belief, for it was chosen by
/// the losses that it is believed for: train it again under another `seed`, beside what it is
/// compared with.
#[derive(clap::Args)]
pub struct Search {
    #[command(flatten)]
    pub run: Run,
    /// Train nothing: let every searcher search many times on the results of this sweep, which
    /// trained all plans of the lattice, and print what they found; or a folder of its exported
    /// tables
    #[arg(long, value_name = "SWEEP")]
    pub simulate: Option<String>,
    /// Searches of each searcher on that
    #[arg(long, value_name = "N", default_value_t = 200, requires = "simulate", value_parser = clap::value_parser!(u64).range(2..=100_000))]
    pub searches: u64,
    /// A new folder for a figure of regret against cost
    #[arg(long, value_name = "FOLDER", requires = "simulate")]
    pub figure: Option<PathBuf>,
}

/// Trains what is asked for, and says what was found.
pub fn run(workspace: &Workspace, args: &Search) -> Result<(), Error> {
    let file = args.run.sweep.read()?;
    if file.sweep().search().is_none() {
        let path = args.run.sweep.sweep.display();
        return Err(Error::Input(format!(
            "{path} has no [search]: `outgrow run` trains all of its trials"
        )));
    }
    if let Some(table) = &args.simulate {
        // Before the work is done.
        if let Some(folder) = args.figure.as_deref().filter(|folder| folder.exists()) {
            let folder = folder.display();
            return Err(Error::Input(format!("{folder} is there already: name a new folder")));
        }
        let simulation = workspace.simulate(&file, table, args.searches)?;
        match args.run.json {
            true => print_json(&json!(simulation))?,
            false => print(&simulated(&simulation))?,
        }
        return args.figure.as_deref().map_or(Ok(()), |folder| simulation.draw(folder));
    }
    let finished = run::trained(workspace, &args.run, &file)?;
    run::tell_failures(&finished);
    // Also of a search that is not at its end: it says of how many trainings.
    let found = workspace.found(&finished.called)?;
    match (&found, args.run.json) {
        (found, true) => {
            print_json(&found.as_ref().map(|(found, strategy)| as_json(found, strategy)))?;
        }
        (Some((found, strategy)), false) => print(&words(found, strategy))?,
        (None, false) => {}
    }
    finished.verdict(&file)
}

/// A line for each searcher: its regret after some shares of its trainings.
fn simulated(simulation: &Simulation) -> String {
    let Simulation { plans, seeds, searches, luck_of_the_reference: luck, searchers } = simulation;
    let shares = [0.125, 0.25, 0.5, 1.0];
    let at = |one: &Simulated, share: f64| {
        let last = one.after.len().saturating_sub(1);
        one.after.get((share * (last + 1) as f64).ceil().max(1.0) as usize - 1).copied()
    };
    let first = searchers.first();
    let trials = |share| first.and_then(|one| at(one, share)).map_or(0, |mean| mean.trials);
    let header: Vec<String> = shares.map(|share| format!("after {}", trials(share))).to_vec();
    let header: Vec<&str> = ["searcher"]
        .into_iter()
        .chain(header.iter().map(String::as_str))
        .chain(["as random's end at"])
        .collect();
    let cell = |mean: Mean| format!("{:.4} ± {:.4}", mean.regret.mean, mean.regret.half_width());
    let percent = |share: f64| match share.is_finite() {
        true => format!("{:.0} %", 100.0 * share),
        false => "never".to_owned(),
    };
    let cost = |one: &Simulated| {
        one.cost_of_random.map_or_else(String::new, |(share, [low, high])| {
            format!("{} [{}, {}]", percent(share), percent(low), percent(high))
        })
    };
    let row = |one: &Simulated| {
        let cells = shares.map(|share| at(one, share).map_or_else(String::new, cell));
        [one.searcher.to_owned()].into_iter().chain(cells).chain([cost(one)]).collect()
    };
    let rows: Vec<Vec<String>> = searchers.iter().map(row).collect();
    format!(
        "regret: how far the plan that is believed to be the best is above the best of {plans}, by \
         seeds that the search did not see ({seeds} in all), nats; mean of {searches} searches ± half \
         a 95 % interval; that best is too low by about {luck:.4}, for it was lucky; the last column is \
         the share of what random is charged in all at which a searcher is as good as random at its \
         end\n\n{}",
        table(&header, rows, &[1, 2, 3, 4, 5])
    )
}

fn words(found: &Found, strategy: &str) -> String {
    let Found {
        strategy: own,
        number,
        learning_rate,
        believed: [loss, error],
        seeds,
        trials,
        charged_flops,
        ..
    } = found;
    let rate = learning_rate.map_or_else(String::new, |rate| format!(" at learning rate {rate}"));
    format!(
        "the best of what {trials} trainings asked for ({} charged) is believed to be plan {number} of \
         {own}{rate}: {loss:.4} ± {error:.4} nats per token, under {seeds} seed(s)\n\n{strategy}",
        flops(*charged_flops)
    )
}

fn as_json(found: &Found, strategy: &str) -> serde_json::Value {
    let Found {
        strategy: own,
        number,
        plan,
        learning_rate,
        believed,
        seeds,
        trials,
        charged_flops,
    } = found;
    let [loss, error] = believed;
    json!({
        "of": own, "plan": number, "way": plan.way, "learning_rate": learning_rate,
        "loss": loss, "standard_error": error, "seeds": seeds, "trials": trials, "charged_flops": charged_flops, "strategy": strategy,
    })
}
