//! A search over the plans of a lattice: what was asked for and what came of it is in the database,
//! and what comes next follows from that.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{
    Sweep, TrialState,
    plan::strategy::{
        Layers, Measure,
        lattice::{Lattice, Way},
    },
    sweep::{Member, SearchSpec, SearcherKind},
};
use outgrow_report::Input;
use outgrow_search::{
    Asked, Evolution, History, Local, Outcome, Racing, Random, Searcher, Space, Surrogate,
};

use crate::{
    error::Error,
    report::rows,
    workspace::{Workspace, runtime},
};

/// The search of a sweep.
pub struct Search {
    spec: SearchSpec,
    space: Space,
    ways: Vec<Way>,
    layers: Layers,
    /// Of the sweep.
    seed: u64,
    /// Paired seeds that a plan can be trained under.
    replicates: usize,
}

/// The plan that a search believes to be the best.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its number among the plans of the strategy.
    pub plan: usize,
    /// Itself.
    pub way: Way,
    /// What is believed of its final loss, nats per token, and the standard error of that.
    pub believed: [f64; 2],
    /// Seeds that it was trained under.
    pub seeds: usize,
    /// Trainings that the search asked for and that have ended.
    pub trials: usize,
    /// What they are charged, training FLOPs.
    pub charged_flops: f64,
}

impl Workspace {
    /// What the search of a sweep has found so far, and how a sweep file says it; none before the
    /// first batch has ended.
    ///
    /// # Errors
    /// If there is no such sweep, it has no search, or the database can't be read.
    pub fn found(&self, name: &str) -> Result<Option<(Found, String)>, Error> {
        let input = runtime()?.block_on(rows(self, name))?;
        let sweep = Sweep::parse(&input.spec).map_err(Error::input(name))?;
        let Some(search) = Search::of(&sweep) else {
            return Err(Error::Input(format!("the sweep {name} has no [search]")));
        };
        let found = search.found(&input);
        Ok(found.map(|found| (found.clone(), search.as_strategy(&found.way))))
    }
}

impl Search {
    /// Of a sweep that has one.
    pub fn of(sweep: &Sweep) -> Option<Self> {
        let (spec, lattice) = sweep.search()?;
        let space = Space { lattice: lattice.lattice(), choices: vec![], born: false, free: false };
        let (ways, spec, layers) = (lattice.ways()?.to_vec(), spec.clone(), lattice.layers);
        let (seed, replicates) = (sweep.spec().seed, sweep.spec().replicates);
        Some(Self { spec, space, ways, layers, seed, replicates })
    }

    /// The places of the trials that are asked for next; none when it is at its end.
    pub(crate) fn next_round(
        &self,
        members: &[Member],
        there: &BTreeSet<usize>,
        input: &Input,
    ) -> BTreeSet<usize> {
        let places: BTreeMap<(usize, usize), usize> = members
            .iter()
            .filter(|member| member.strategy == self.spec.strategy)
            .map(|member| ((member.plan, member.replicate), member.position))
            .collect();
        let (_, next) = self.replay(input);
        let place = |asked: &Asked| {
            let number = self.ways.iter().position(|way| *way == asked.plan.way)?;
            places.get(&(number, asked.seed)).copied()
        };
        next.iter().filter_map(place).filter(|place| !there.contains(place)).collect()
    }

    /// The plan that is believed to be the best; none before one has come to its end.
    pub(crate) fn found(&self, input: &Input) -> Option<Found> {
        let (history, _) = self.replay(input);
        let (plan, estimate) = history.best()?;
        Some(Found {
            plan: self.ways.iter().position(|way| *way == plan.way)?,
            way: plan.way.clone(),
            believed: [estimate.loss, estimate.error],
            seeds: estimate.seeds,
            trials: history.outcomes.len(),
            charged_flops: history.charged(),
        })
    }

    /// What was asked for, batch by batch from the first, and what came of it; and the batch that
    /// comes next: the first that has not ended.
    fn replay(&self, input: &Input) -> (History, Vec<Asked>) {
        let ended = self.ended(input);
        let mut history = History::default();
        loop {
            let left = self.spec.trials.saturating_sub(history.asked.len());
            let batch = self.ask(&history, self.spec.batch.min(left));
            let outcome = |asked: &Asked| ended.get(&(&asked.plan.way, asked.seed)).copied();
            let outcomes: Option<Vec<_>> = batch.iter().map(outcome).collect();
            let Some(outcomes) = outcomes.filter(|_| !batch.is_empty()) else {
                return (history, batch);
            };
            for (asked, (loss, flops)) in batch.into_iter().zip(outcomes) {
                let number = history.asked.len();
                history.asked.push(asked);
                history.outcomes.push(Outcome { asked: number, loss, flops });
            }
        }
    }

    fn ask(&self, history: &History, n: usize) -> Vec<Asked> {
        let (evolution, local) = (Evolution::default(), Local::default());
        let surrogate = Surrogate::default();
        let searcher: &dyn Searcher = match self.spec.searcher {
            SearcherKind::Random => &Random,
            SearcherKind::Local => &local,
            SearcherKind::Evolution => &evolution,
            SearcherKind::Surrogate => &surrogate,
        };
        match self.spec.race_every {
            0 => searcher.ask(&self.space, history, self.seed, n),
            every => {
                let racing = Racing { searcher, every, seeds: self.replicates };
                racing.ask(&self.space, history, self.seed, n)
            }
        }
    }

    /// How each training of a plan under a seed ended, and what it is charged.
    fn ended(&self, input: &Input) -> BTreeMap<(&Way, usize), (Option<f64>, f64)> {
        let mut last: BTreeMap<&str, (f64, Option<f64>)> = BTreeMap::new();
        for row in &input.curves {
            // The rows of a trial come in order.
            last.insert(&row.trial, (row.at.train_flops as f64, row.val_loss));
        }
        let trials = input.trials.iter().filter(|trial| trial.strategy == self.spec.strategy);
        let ended = trials.filter(|trial| !trial.state.is_open());
        ended
            .filter_map(|trial| {
                let (flops, loss) = last.get(&*trial.trial).copied().unwrap_or((0.0, None));
                let loss = loss.filter(|_| trial.state == TrialState::Complete);
                let way = self.ways.get(trial.plan)?;
                Some(((way, trial.replicate), (loss, flops)))
            })
            .collect()
    }

    /// A plan as a strategy of a sweep file that anybody can run.
    pub fn as_strategy(&self, way: &Way) -> String {
        let Lattice { axes, at, .. } = &self.space.lattice;
        let sizes = |levels: &[u8]| {
            let all = axes.iter().zip(levels).map(|(axis, level)| axis.levels[usize::from(*level)]);
            let fields: toml::Table =
                all.filter_map(|sizes| toml::Table::try_from(sizes).ok()).flatten().collect();
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            format!("{{ {} }}", fields.join(", "))
        };
        let places: Vec<String> = way
            .stages
            .iter()
            .map(|step| format!("{:?}", at.of().0[usize::from(step.place)]))
            .collect();
        let field = match at.measure() {
            Measure::Tokens => "at",
            Measure::Compute => "at_compute",
        };
        let inner: Vec<String> = way
            .stages
            .iter()
            .take(way.stages.len().saturating_sub(1))
            .map(|step| sizes(&step.levels))
            .collect();
        format!(
            "[[strategies]]\nname = \"found\"\nkind = \"listed\"\ninitial = {}\n{field} = [{}]\n\
             sizes = [{}]\nlayers = {}\n",
            sizes(&way.initial),
            places.join(", "),
            inner.join(", "),
            serde_json::to_string(&self.layers).unwrap_or_default(),
        )
    }
}
