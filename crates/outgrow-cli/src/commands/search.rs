//! `outgrow search`.

use outgrow::{Error, Workspace, readable::flops, search::Found};
use serde_json::json;

use crate::{
    commands::run::{self, Run},
    output::{print, print_json},
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
    let called = run::train(workspace, &args.run, &file)?;
    let Some((found, strategy)) = workspace.found(&called)? else {
        return print("nothing has come to its end yet");
    };
    match args.run.json {
        true => print_json(&as_json(&found, &strategy)),
        false => print(&words(&found, &strategy)),
    }
}

fn words(found: &Found, strategy: &str) -> String {
    let Found { plan, believed: [loss, error], seeds, trials, charged_flops, .. } = found;
    format!(
        "the best of what {trials} trainings asked for ({} charged) is believed to be plan {plan}: \
         {loss:.4} ± {error:.4} nats per token, under {seeds} seed(s)\n\n{strategy}",
        flops(*charged_flops)
    )
}

fn as_json(found: &Found, strategy: &str) -> serde_json::Value {
    let Found { plan, way, believed: [loss, error], seeds, trials, charged_flops } = found;
    json!({
        "plan": plan, "way": way, "loss": loss, "standard_error": error, "seeds": seeds,
        "trials": trials, "charged_flops": charged_flops, "strategy": strategy,
    })
}
