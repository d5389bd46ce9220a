//! Searches on a table: a sweep in the database that trained every plan of the lattice.

use std::{collections::BTreeMap, path::Path};

use outgrow_core::{
    Sweep, TrialState,
    plan::Strategy,
    sweep::{SearcherKind, StrategySpec},
};
use outgrow_data::publish::NewFolder;
use outgrow_report::{Input, Interval, Regret, regret};
use outgrow_search::{Plan, Progress, Row, Rules, Table, cost_of_control};
use rayon::prelude::*;
use serde::Serialize;

use super::{Search, last_evaluations, with_searcher};
use crate::{
    error::Error,
    rows::rows,
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
    /// The share of what a search by `random` is charged in all after which the regret is on average
    /// that of `random` at its end, with a 95 % interval over searches; infinite if it never is.
    pub cost_of_random: Option<(f64, [f64; 2])>,
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

impl Simulation {
    /// Draws regret against cost into a new folder.
    ///
    /// # Errors
    /// If the folder is there, or can't be written.
    pub fn draw(&self, folder: &Path) -> Result<(), Error> {
        let of = |one: &Simulated| Regret {
            searcher: one.searcher.into(),
            is_control: one.searcher == SearcherKind::Random.name(),
            after: one.after.iter().map(|mean| (mean.flops, mean.regret)).collect(),
        };
        let searchers: Vec<Regret> = self.searchers.iter().map(of).collect();
        let files = regret(&searchers).map_err(|error| Error::Environment(error.to_string()))?;
        let new = NewFolder::create(folder)?;
        files.iter().try_for_each(|(name, bytes)| new.write(name, bytes))?;
        Ok(new.finish()?)
    }
}

impl Workspace {
    /// Lets every searcher search so often on the results of a sweep that trained all plans of the
    /// file's lattice, by the rules of its `[search]`. The sweep is one of the database, or that of a
    /// folder of tables, as [`Self::import`] reads it.
    ///
    /// # Errors
    /// If the file has no search, there is no such sweep, or it lacks what the lattice asks for.
    pub fn simulate(
        &self,
        file: &SweepFile,
        table: &str,
        searches: u64,
    ) -> Result<Simulation, Error> {
        let input = self.results(table)?;
        let Some(search) = Search::of(file.sweep()) else {
            return Err(Error::Input("the file has no [search]".into()));
        };
        let refused =
            |error: String| Error::Input(format!("the sweep {table} is no table: {error}"));
        let made = Table::new(search.space.clone(), table_rows(&input, &search).map_err(refused)?);
        let made = made.map_err(refused)?;
        let rules = Rules {
            trials: search.spec.trials,
            batch: search.spec.batch,
            race_every: search.spec.race_every,
        };
        let searched = |kind: SearcherKind| {
            let one =
                |number: u64| with_searcher(kind, |searcher| made.search(searcher, rules, number));
            (0..searches).into_par_iter().map(one).collect::<Vec<Vec<Progress>>>()
        };
        let all = SearcherKind::ALL.map(|kind| (kind, searched(kind)));
        let random = all.iter().find(|(kind, _)| *kind == SearcherKind::Random);
        let simulated = |(kind, own): &(SearcherKind, Vec<Vec<Progress>>)| Simulated {
            searcher: kind.name(),
            after: means(own),
            cost_of_random: random
                .and_then(|(_, random)| cost_of_control(own, random, search.seed)),
        };
        Ok(Simulation {
            plans: made.plans(),
            seeds: made.seeds(),
            searches,
            luck_of_the_reference: made.luck_of_the_reference(),
            searchers: all.iter().map(simulated).collect(),
        })
    }

    /// Of a sweep in the database, or else in a folder of tables.
    fn results(&self, table: &str) -> Result<Input, Error> {
        let there = runtime()?.block_on(rows(self, table));
        if there.is_ok() || !Path::new(table).join("sweep.parquet").exists() {
            return there;
        }
        let scratch = tempfile::tempdir()?;
        let file = scratch.path().join("rows.db").display().to_string();
        let scratch = Workspace::new(file, None);
        scratch.import(Path::new(table))?;
        runtime()?.block_on(async {
            let sweeps = scratch.reading().await?.sweeps().await?;
            match &sweeps[..] {
                [only] => rows(&scratch, &only.id).await,
                all => Err(Error::Input(format!(
                    "{table} holds {} sweeps: read it by `outgrow db import` and name one",
                    all.len()
                ))),
            }
        })
    }
}

/// What a sweep has of the plans that are searched: of its strategy of the same name, or else, where one
/// alone is searched, of the one that enumerates the lattice.
fn table_rows(input: &Input, search: &Search) -> Result<BTreeMap<Plan, Row>, String> {
    let sweep = Sweep::parse(&input.spec).map_err(|error| error.to_string())?;
    let enumerates = |own: &&StrategySpec| match &own.strategy {
        Strategy::Enumerated(own) => own.lattice() == search.space.lattice,
        _ => false,
    };
    let there: Vec<&str> =
        sweep.spec().strategies.iter().filter(enumerates).map(|own| &*own.name).collect();
    let mut table_of: BTreeMap<&str, &str> = BTreeMap::new();
    for (own, _) in &search.strategies {
        let named = there.iter().find(|name| **name == own.name);
        let only = if search.strategies.len() == 1 { there.first() } else { None };
        let Some(name) = named.or(only) else {
            return Err(format!(
                "none of its strategies enumerates the lattice of the file's {}",
                own.name
            ));
        };
        table_of.insert(*name, &own.name);
    }
    let last = last_evaluations(input);
    let mut found: BTreeMap<Plan, Row> = BTreeMap::new();
    for trial in input.trials.iter().filter(|trial| !trial.tuning && !trial.state.is_open()) {
        let own = table_of.get(&*trial.strategy);
        let plan = own.and_then(|own| search.plan(own, trial.plan, trial.learning_rate));
        let Some(plan) = plan else { continue };
        // What is equal in several of them is taken of the first.
        if search.place(&plan).map(|first| &*first.strategy.name) != own.copied() {
            continue;
        }
        let (flops, loss) = last.get(&*trial.trial).copied().unwrap_or((0.0, None));
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
