//! Searches on a table: a sweep in the database that trained every plan of the lattice.

use std::collections::BTreeMap;

use outgrow_core::{Sweep, TrialState, plan::Strategy, sweep::SearcherKind};
use outgrow_report::{Input, Interval};
use outgrow_search::{Plan, Progress, Row, Rules, Space, Table};
use rayon::prelude::*;
use serde::Serialize;

use super::{Search, last_evaluations, with_searcher};
use crate::{
    error::Error,
    report::rows,
    sweep_file::SweepFile,
    workspace::{Workspace, runtime},
};

/// What many searches found on a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Simulation {
    /// Plans of the table.
    pub plans: usize,
    /// Seeds of each.
    pub seeds: usize,
    /// Searches of each searcher.
    pub searches: u64,
    /// How much too low the loss is that regret is counted from, nats.
    pub luck_of_the_reference: f64,
    /// In the order of the documentation.
    pub searchers: Vec<Simulated>,
}

/// What the searches of one searcher found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Simulated {
    /// As a sweep file says it.
    pub searcher: &'static str,
    /// After each batch.
    pub after: Vec<Mean>,
}

/// Over searches, after some trainings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mean {
    /// How many.
    pub trials: usize,
    /// What they are charged, training FLOPs, on average.
    pub flops: f64,
    /// Nats above the best plan, by seeds that the search did not see.
    pub regret: Interval,
}

impl Workspace {
    /// Lets every searcher search so often on the results of a sweep that trained all plans of the
    /// file's lattice, by the rules of its `[search]`.
    ///
    /// # Errors
    /// If the file has no search, there is no such sweep, or it lacks what the lattice asks for.
    pub fn simulate(
        &self,
        file: &SweepFile,
        table: &str,
        searches: u64,
    ) -> Result<Simulation, Error> {
        let input = runtime()?.block_on(rows(self, table))?;
        let Some(search) = Search::of(file.sweep()) else {
            return Err(Error::Input("the file has no [search]".into()));
        };
        let refused =
            |error: String| Error::Input(format!("the sweep {table} is no table: {error}"));
        let made =
            Table::new(search.space.clone(), table_rows(&input, &search.space).map_err(refused)?);
        let made = made.map_err(refused)?;
        let rules = Rules {
            trials: search.spec.trials,
            batch: search.spec.batch,
            race_every: search.spec.race_every,
        };
        let simulated = |kind: SearcherKind| {
            let one =
                |number: u64| with_searcher(kind, |searcher| made.search(searcher, rules, number));
            let all: Vec<Vec<Progress>> = (0..searches).into_par_iter().map(one).collect();
            Simulated { searcher: kind.name(), after: means(&all) }
        };
        Ok(Simulation {
            plans: search.ways.len(),
            seeds: made.seeds(),
            searches,
            luck_of_the_reference: made.luck_of_the_reference(),
            searchers: SearcherKind::ALL.map(simulated).to_vec(),
        })
    }
}

/// The plans of a sweep's lattice, if it is this one.
fn table_rows(input: &Input, space: &Space) -> Result<BTreeMap<Plan, Row>, String> {
    let sweep = Sweep::parse(&input.spec).map_err(|error| error.to_string())?;
    let same = sweep.spec().strategies.iter().find_map(|own| match &own.strategy {
        Strategy::Enumerated(lattice) if lattice.lattice() == space.lattice => {
            Some((&own.name, lattice))
        }
        _ => None,
    });
    let Some((name, lattice)) = same else {
        return Err("none of its strategies enumerates the lattice of the file".into());
    };
    let ways = lattice.ways().unwrap_or_default();
    let last = last_evaluations(input);
    let mut found: BTreeMap<Plan, Row> = BTreeMap::new();
    for trial in input.trials.iter().filter(|trial| trial.strategy == *name && !trial.tuning) {
        let Some(way) = ways.get(trial.plan).filter(|_| !trial.state.is_open()) else { continue };
        let (flops, loss) = last.get(&*trial.trial).copied().unwrap_or((0.0, None));
        let plan = Plan { way: way.clone(), choices: vec![] };
        let row = found.entry(plan).or_insert_with(|| Row { losses: vec![], flops });
        row.losses.push(loss.filter(|_| trial.state == TrialState::Complete));
    }
    Ok(found)
}

/// Of searches that are equally long.
fn means(all: &[Vec<Progress>]) -> Vec<Mean> {
    let batches = all.iter().map(Vec::len).min().unwrap_or(0);
    let mean = |batch: usize| {
        let own: Vec<Progress> = all.iter().map(|one| one[batch]).collect();
        let regrets: Vec<f64> = own.iter().map(|one| one.regret).collect();
        let flops = own.iter().map(|one| one.flops).sum::<f64>() / own.len() as f64;
        Some(Mean { trials: own.first()?.trials, flops, regret: Interval::of(&regrets)? })
    };
    (0..batches).filter_map(mean).collect()
}
