//! A search over the plans of a lattice: what was asked for and what came of it is in the database,
//! and what comes next follows from that.

mod elsewhere;
mod simulation;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{
    Sweep, TrialState,
    growth::Sizes,
    plan::{
        Strategy,
        strategy::{
            Enumerated, Layers, Listed, Measure, Places, Share,
            lattice::{Lattice, Step, Way},
        },
    },
    rows::TrialRow,
    sweep::{Member, SearchSpec, SearcherKind, SizesSpec, StrategySpec},
};
use outgrow_report::Input;
use outgrow_search::{
    Asked, Choice, Estimate, Evolution, History, Local, Outcome, Plan, Predictor, Racing, Random,
    Searcher, Space, Surrogate, Tpe,
};
use outgrow_store::TrainedAt;

use crate::{
    error::Error,
    rows::rows,
    workspace::{Workspace, runtime},
};

pub(crate) use self::elsewhere::promised;
pub use self::simulation::{Mean, Simulated, Simulation};

/// The search of a sweep.
pub struct Search {
    spec: SearchSpec,
    space: Space,
    ways: Vec<Way>,
    /// The strategies that are searched, each with where its layers go.
    strategies: Vec<(StrategySpec, Layers)>,
    /// Learning rates that a plan may be trained at.
    rates: Vec<f64>,
    /// Of the sweep.
    seed: u64,
    /// Paired seeds that a plan can be trained under.
    replicates: usize,
}

/// Where a plan is trained.
struct Placed<'a> {
    strategy: &'a StrategySpec,
    layers: Layers,
    /// Among the plans of the strategy.
    number: usize,
    learning_rate: f64,
}

/// The plan that a search believes to be the best.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Of which strategy.
    pub strategy: String,
    /// Its number among the plans of the strategy.
    pub number: usize,
    /// Itself.
    pub plan: Plan,
    /// At which learning rate, where it was searched among several.
    pub learning_rate: Option<f64>,
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
        Ok(found.map(|found| (found.clone(), search.as_strategy(&found.plan))))
    }
}

impl Search {
    /// Of a sweep that has one.
    pub fn of(sweep: &Sweep) -> Option<Self> {
        let searched = sweep.search()?;
        let strategies = searched.strategies.iter();
        let strategies: Vec<_> =
            strategies.map(|(own, lattice)| ((*own).clone(), lattice.layers)).collect();
        let lattice = searched.lattice();
        let of_strategies = Choice {
            name: "strategy".into(),
            values: strategies.len().try_into().ok()?,
            of_axes: matters_where(&strategies, lattice),
        };
        let of_rates = Choice {
            name: "learning rate".into(),
            values: searched.rates.len().try_into().ok()?,
            of_axes: vec![],
        };
        let mut choices = vec![of_strategies, of_rates];
        choices.retain(|choice| choice.values > 1);
        Some(Self {
            spec: searched.spec.clone(),
            space: Space { lattice: lattice.lattice(), choices, born: false },
            ways: lattice.ways()?.to_vec(),
            strategies,
            rates: searched.rates.clone(),
            seed: sweep.spec().seed,
            replicates: sweep.spec().replicates,
        })
    }

    /// Of a resolved sweep file that has one.
    pub(crate) fn of_spec(spec: &str) -> Option<Self> {
        // Few sweeps have one, and a sweep takes a while to be understood.
        let sweep = spec.contains("[search]").then(|| Sweep::parse(spec).ok()).flatten()?;
        Self::of(&sweep)
    }

    /// The plan of a number of a strategy at a learning rate; equal plans of several are one.
    fn plan(&self, strategy: &str, number: usize, learning_rate: f64) -> Option<Plan> {
        let strategy = self.strategies.iter().position(|(own, _)| own.name == strategy)?;
        let rate = match self.rates.len() {
            1 => 0,
            _ => self.rates.iter().position(|own| *own == learning_rate)?,
        };
        let choices = [(self.strategies.len(), strategy), (self.rates.len(), rate)];
        let choices = choices.iter().filter(|(values, _)| *values > 1);
        let choices = choices.map(|(_, value)| *value as u8).collect();
        Some(self.space.canonical(Plan { way: self.ways.get(number)?.clone(), choices }))
    }

    fn place(&self, plan: &Plan) -> Option<Placed<'_>> {
        let mut choices = plan.choices.iter();
        let mut chosen = |values: usize| match values {
            2.. => choices.next().map(|value| usize::from(*value)),
            _ => Some(0),
        };
        let (strategy, layers) = self.strategies.get(chosen(self.strategies.len())?)?;
        let learning_rate = *self.rates.get(chosen(self.rates.len())?)?;
        let number = self.ways.iter().position(|way| *way == plan.way)?;
        Some(Placed { strategy, layers: *layers, number, learning_rate })
    }

    /// Where a plan is trained at, if there are several learning rates.
    fn rate_of(&self, placed: &Placed) -> Option<f64> {
        (self.rates.len() > 1).then_some(placed.learning_rate)
    }

    /// The places of the trials that are asked for next; none when it is at its end.
    pub(crate) fn next_round(
        &self,
        members: &[Member],
        there: &BTreeSet<usize>,
        input: &Input,
        trained: &[TrainedAt],
    ) -> BTreeSet<usize> {
        let places: BTreeMap<(&str, usize, u64, usize), usize> = members
            .iter()
            .map(|member| {
                let rate = member.trial.settings.training.learning_rate.to_bits();
                ((&*member.strategy, member.plan, rate, member.replicate), member.position)
            })
            .collect();
        let next = match self.spec.asynchronous {
            true => self.next_of(&self.recorded(members, input, trained)),
            false => self.replay(input).1,
        };
        let place = |asked: &Asked| {
            let Placed { strategy, number, learning_rate, .. } = self.place(&asked.plan)?;
            let rate = learning_rate.to_bits();
            places.get(&(&*strategy.name, number, rate, asked.seed)).copied()
        };
        next.iter().filter_map(place).filter(|place| !there.contains(place)).collect()
    }

    /// The plan that is believed to be the best; none before one has come to its end.
    pub(crate) fn found(&self, input: &Input) -> Option<Found> {
        let history = self.so_far(input);
        let (plan, estimate) = history.best()?;
        let placed = self.place(plan)?;
        Some(Found {
            strategy: placed.strategy.name.clone(),
            number: placed.number,
            plan: plan.clone(),
            learning_rate: self.rate_of(&placed),
            believed: [estimate.loss, estimate.error],
            seeds: estimate.seeds,
            trials: history.outcomes.len(),
            charged_flops: history.charged(),
        })
    }

    /// The believed losses of its plans, means over the paired seeds, beside what a plan and its policy
    /// are called in the rows, each at its best learning rate; none before plans were trained under all
    /// of these.
    pub(crate) fn believes(&self, input: &Input) -> Vec<([String; 2], Estimate)> {
        let named: BTreeMap<(&str, usize), &TrialRow> =
            input.trials.iter().map(|trial| ((&*trial.strategy, trial.plan), trial)).collect();
        let history = self.so_far(input);
        let believed = history.believed();
        let Some(shift) = believed.over_seeds(0..self.replicates) else { return vec![] };
        let one = |(plan, estimate): (&&Plan, &Estimate)| {
            let Placed { strategy, number, .. } = self.place(plan)?;
            let trial = named.get(&(&*strategy.name, number))?;
            let loss = estimate.loss + shift;
            Some((trial.grown_by(), Estimate { loss, ..*estimate }))
        };
        let mut best: BTreeMap<[String; 2], Estimate> = BTreeMap::new();
        for (plan, estimate) in believed.plans.iter().filter_map(one) {
            let known = best.entry(plan).or_insert(estimate);
            *known = if estimate.loss < known.loss { estimate } else { *known };
        }
        best.into_iter().collect()
    }

    /// What has ended; in which order, nothing that is believed depends on.
    fn so_far(&self, input: &Input) -> History {
        if !self.spec.asynchronous {
            return self.replay(input).0;
        }
        let mut history = History::default();
        for (number, ((plan, seed), (loss, flops))) in self.ended(input).into_iter().enumerate() {
            history.asked.push(Asked { plan, seed, after: number });
            history.outcomes.push(Outcome { asked: number, loss, flops });
        }
        history
    }

    /// What was asked for and what came of it, in the order of the database, of a search that does not
    /// go batch by batch. What was known when a trial was asked for is what had ended when it began.
    fn recorded(&self, members: &[Member], input: &Input, trained: &[TrainedAt]) -> History {
        let places: BTreeMap<usize, &Member> =
            members.iter().map(|member| (member.position, member)).collect();
        let results = self.ended(input);
        let mut history = History::default();
        let mut begins: Vec<Option<f64>> = vec![];
        let mut ends: Vec<(f64, Outcome)> = vec![];
        for one in trained {
            let Some(member) = places.get(&one.position) else { continue };
            let rate = member.trial.settings.training.learning_rate;
            let Some(plan) = self.plan(&member.strategy, member.plan, rate) else { continue };
            let seed = member.replicate;
            if let Some((loss, flops)) = results.get(&(plan.clone(), seed)).copied() {
                let asked = history.asked.len();
                ends.push((one.ended.unwrap_or(0.0), Outcome { asked, loss, flops }));
            }
            begins.push(one.began);
            history.asked.push(Asked { plan, seed, after: 0 });
        }
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (asked, began) in history.asked.iter_mut().zip(begins) {
            let is_known = |(ended, _): &&(f64, Outcome)| began.is_none_or(|began| *ended < began);
            asked.after = ends.iter().filter(is_known).count();
        }
        history.outcomes = ends.into_iter().map(|(_, outcome)| outcome).collect();
        history
    }

    /// What to ask for beside what is under way.
    fn next_of(&self, history: &History) -> Vec<Asked> {
        let under_way = history.asked.len() - history.outcomes.len();
        let left = self.spec.trials.saturating_sub(history.asked.len());
        self.ask(history, self.spec.batch.saturating_sub(under_way).min(left))
    }

    /// What was asked for, batch by batch from the first, and what came of it; and the batch that
    /// comes next: the first that has not ended.
    fn replay(&self, input: &Input) -> (History, Vec<Asked>) {
        let ended = self.ended(input);
        let mut history = History::default();
        loop {
            let left = self.spec.trials.saturating_sub(history.asked.len());
            let batch = self.ask(&history, self.spec.batch.min(left));
            let outcome = |asked: &Asked| ended.get(&(asked.plan.clone(), asked.seed)).copied();
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
        with_searcher(self.spec.searcher, |searcher| {
            let racing = Racing { searcher, every: self.spec.race_every, seeds: self.replicates };
            racing.ask(&self.space, history, self.seed, n)
        })
    }

    /// How each training of a plan under a seed ended, and what it is charged.
    fn ended(&self, input: &Input) -> BTreeMap<(Plan, usize), (Option<f64>, f64)> {
        let last = last_evaluations(input);
        // One that failed may be trained again: until it is, what follows is not known.
        let ended = input
            .trials
            .iter()
            .filter(|trial| !trial.state.is_open() && trial.state != TrialState::Failed);
        ended
            .filter_map(|trial| {
                let plan = self.plan(&trial.strategy, trial.plan, trial.learning_rate)?;
                let (flops, loss) = last.get(&*trial.trial).copied().unwrap_or((0.0, None));
                let loss = loss.filter(|_| trial.state == TrialState::Complete);
                Some(((plan, trial.replicate), (loss, flops)))
            })
            .collect()
    }

    /// A plan as a strategy of a sweep file that anybody can run.
    pub fn as_strategy(&self, plan: &Plan) -> String {
        let Some(placed) = self.place(plan) else { return String::new() };
        let Placed { strategy: own, layers, .. } = placed;
        let (way, Lattice { axes, at, .. }) = (&plan.way, &self.space.lattice);
        let sizes = |levels: &[u8]| {
            let mut all = Sizes::default();
            for (axis, level) in axes.iter().zip(levels) {
                all = all.over(axis.levels[usize::from(*level)]);
            }
            all
        };
        let place = |step: &Step| at.of().0[usize::from(step.place)];
        let places = Places(way.stages.iter().map(place).collect());
        let at = match at.measure() {
            Measure::Tokens => Share::Tokens(places),
            Measure::Compute => Share::Compute { compute: places },
        };
        // The last stage goes to the target by itself.
        let to_target = usize::from(*way.end() == self.space.lattice.top());
        let written = way.stages.len().saturating_sub(to_target);
        let listed = Listed {
            at,
            sizes: way.stages[..written].iter().map(|step| sizes(&step.levels)).collect(),
            layers,
        };
        let found = StrategySpec {
            name: "found".into(),
            strategy: Strategy::Listed(listed),
            growth: own.growth.clone(),
            initial: Some(SizesSpec::from(sizes(&way.initial))),
            about: None,
        };
        let strategies = toml::Value::Array(vec![toml::Table::from(found).into()]);
        let text =
            toml::to_string(&toml::Table::from_iter([("strategies".to_owned(), strategies)]))
                .unwrap_or_default();
        match self.rate_of(&placed) {
            Some(rate) => format!("# at training.learning_rate = {rate}\n{text}"),
            None => text,
        }
    }
}

/// The axes that must grow for strategies to differ: all that add layers, where they differ in where these
/// go alone; none where all of their plans differ.
fn matters_where(strategies: &[(StrategySpec, Layers)], lattice: &Enumerated) -> Vec<usize> {
    let same = strategies.windows(2).all(|pair| pair[0].0.growth == pair[1].0.growth);
    let adds = |axis: &usize| lattice.axes[*axis].levels.iter().any(|own| own.n_layers.is_some());
    (0..lattice.axes.len()).filter(|axis| same && adds(axis)).collect()
}

/// Calls a searcher by its kind.
fn with_searcher<T>(kind: SearcherKind, call: impl FnOnce(&dyn Searcher) -> T) -> T {
    match kind {
        SearcherKind::Random => call(&Random),
        SearcherKind::Local => call(&Local::default()),
        SearcherKind::Evolution => call(&Evolution::default()),
        SearcherKind::Tpe => call(&Tpe::default()),
        SearcherKind::BoostedTrees => call(&Surrogate::with(Predictor::BoostedTrees)),
        SearcherKind::Surrogate => call(&Surrogate::with(Predictor::Ridge)),
    }
}

/// Of each trial: what it had spent at its last evaluation, and the loss there.
fn last_evaluations(input: &Input) -> BTreeMap<&str, (f64, Option<f64>)> {
    // The rows of a trial come in order.
    let rows = input.curves.iter();
    rows.map(|row| (&*row.trial, (row.at.train_flops as f64, row.val_loss))).collect()
}
