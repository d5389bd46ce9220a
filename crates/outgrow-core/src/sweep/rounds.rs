//! Rounds: where seeds only tune, these are trained first, at every point of the grid; then, where
//! the best lies at the rim of what was tried and the sweep is to be widened, beyond it; and the
//! seeds that are compared at the end, only at the points that were chosen. What sees on the way how
//! it grows takes several rounds for each of these.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    frontier::BORN,
    looks::{LOOK, Looked},
    members::Member,
    resolved::Sweep,
};

/// What has a point of the grid of its own: a strategy, a control or a born size, at a budget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArmAt {
    strategy: String,
    /// The bits of the budget, for an order.
    budget: Option<u64>,
}

/// A point of the grid.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct GridPoint {
    pub learning_rate: f64,
    pub setting: String,
}

/// At which end of the rates that were tried the best one lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Edge {
    Lowest,
    Highest,
}

/// What the seeds that only tune say of an arm.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The point at which it is compared; none where fewer than two of them came to their end
    /// anywhere: then it is compared wherever they were trained.
    pub point: Option<GridPoint>,
    /// Whether the best rate there is at an end of those tried.
    pub edge: Option<Edge>,
    /// Their mean final loss at that point, nats per token.
    pub loss: f64,
}

/// Of all arms whose tuning trials have ended.
pub type Choices = BTreeMap<ArmAt, Chosen>;

/// Places of trials in their sweep.
type Places = BTreeSet<usize>;

impl ArmAt {
    /// An arm at a budget, where the sweep has a frontier.
    pub fn new(strategy: &str, budget: Option<f64>) -> Self {
        Self { strategy: strategy.to_owned(), budget: budget.map(f64::to_bits) }
    }

    fn of(member: &Member) -> Self {
        Self::new(&member.strategy, member.budget)
    }
}

impl GridPoint {
    fn of(member: &Member) -> Self {
        let learning_rate = member.trial.settings.training.learning_rate;
        Self { learning_rate, setting: member.setting.clone() }
    }
}

impl Sweep {
    /// Whether its trials are trained in rounds, for the first must end before the next is known.
    pub fn has_rounds(&self) -> bool {
        self.spec.tuning_replicates > 0 || self.spec.search.is_some() || self.looks_around()
    }

    /// The places of the trials that it begins with: all, or those that only tune, or those that no
    /// searcher asks for.
    pub fn first_round(&self, members: &[Member]) -> Places {
        self.now(members, &self.first(members), &Looked::new())
    }

    fn first(&self, members: &[Member]) -> Places {
        let is_first = |member: &&Member| match self.spec.tuning_replicates {
            0 => !self.is_searched(member),
            _ => member.tuning && !member.widens,
        };
        let compared = members.iter().filter(|member| member.kind != LOOK);
        compared.filter(is_first).map(|member| member.position).collect()
    }

    /// The places of the trials that follow when those `there` have come to their end; none if
    /// nothing follows. A size whose trials would repeat a training text of so many tokens is not
    /// tried: such ends are in no vertex.
    pub fn next_round(
        &self,
        members: &[Member],
        there: &Places,
        choices: &Choices,
        looked: &Looked,
        text_tokens: u64,
    ) -> Places {
        let now = |wanted: &Places| &self.now(members, wanted, looked) - there;
        // Whoever looks around while it tunes must have seen its way before anything is chosen; a look
        // that failed holds it up.
        let first = self.now(members, &self.first(members), looked);
        let is_open = |look: &Member| look.kind == LOOK && first.contains(&look.position);
        let next = &first - there;
        if !next.is_empty() || self.spec.tuning_replicates == 0 || members.iter().any(is_open) {
            return next;
        }
        let mut next = Places::new();
        if self.spec.widen {
            let tuning = || members.iter().filter(|member| member.tuning && member.kind != LOOK);
            let tried: Vec<&Member> =
                tuning().filter(|member| there.contains(&member.position)).collect();
            let untried: Vec<&Member> = tuning()
                .filter(|member| !there.contains(&member.position))
                .filter(|member| member.kind != BORN || member.passes(text_tokens) <= 1.0)
                .collect();
            let wider = wider_rates(&tried, &untried, choices);
            next = wider.into_iter().chain(self.wider_sizes(&tried, &untried, choices)).collect();
            next = now(&next);
        }
        match next.is_empty() {
            true => now(&compared(members, there, choices)),
            false => next,
        }
    }

    /// The trials of all rounds together, before anything has been chosen.
    pub fn expected(&self, members: Vec<Member>) -> Vec<Member> {
        let places = self.expected_places(&members, &Choices::default(), &Places::new());
        members.into_iter().filter(|member| places.contains(&member.position)).collect()
    }

    /// The places of the trials of all rounds together, if nothing is widened. For an arm that has
    /// not chosen yet the middle rate and the last setting are taken: a rate costs what any other
    /// does; and the order that a look may choose is one whose looks are `there`.
    pub fn expected_places(&self, members: &[Member], choices: &Choices, there: &Places) -> Places {
        let first = self.first(members);
        let all = |wanted: &Places| self.until_the_end(members, wanted, there);
        if self.spec.tuning_replicates == 0 {
            return all(&first).into_iter().chain(self.searched(members)).collect();
        }
        let mut rates = self.spec.rates();
        rates.sort_by(f64::total_cmp);
        let middle = rates[rates.len() / 2];
        let mut chosen = choices.clone();
        for member in members.iter().filter(|member| first.contains(&member.position)) {
            let point = GridPoint { learning_rate: middle, ..GridPoint::of(member) };
            let middle = Chosen { point: Some(point), edge: None, loss: f64::NAN };
            chosen.entry(ArmAt::of(member)).or_insert(middle);
        }
        all(&(&first | &compared(members, &first, &chosen)))
    }

    /// Trials of the next size, at the rates of the file, where the best size at a budget of growing
    /// strategies is one of the two smallest or of the two largest: a parabola's vertex between two
    /// sizes at the rim is not enclosed.
    fn wider_sizes(&self, tried: &[&Member], untried: &[&Member], choices: &Choices) -> Places {
        let budgets = self.spec.frontier.as_ref().and_then(|one| one.strategies_at.clone());
        let names: Vec<String> = self.born_sizes().into_iter().map(|size| size.name).collect();
        let is_tried = |name: &&String| tried.iter().any(|member| member.strategy == **name);
        let own: Vec<&String> = names.iter().filter(is_tried).collect();
        let mut wider: BTreeSet<&String> = BTreeSet::new();
        for budget in budgets.into_iter().flatten() {
            let loss = |name: &&&String| {
                choices.get(&ArmAt::new(name, Some(budget))).map_or(f64::NAN, |one| one.loss)
            };
            let known = own.iter().enumerate().filter(|(_, name)| loss(name).is_finite());
            let best = known.min_by(|a, b| loss(&a.1).total_cmp(&loss(&b.1)));
            let Some((best, _)) = best else { continue };
            let place = |name: &String| names.iter().position(|other| other == name);
            let (first, last) = (place(own[0]), place(own[own.len() - 1]));
            if best < 2 {
                wider.extend(first.and_then(|first| names.get(first.checked_sub(1)?)));
            }
            if best + 2 >= own.len() {
                wider.extend(last.and_then(|last| names.get(last + 1)));
            }
        }
        let rates = self.spec.rates();
        let is_next = |member: &&&Member| {
            member.kind == BORN
                && wider.contains(&member.strategy)
                && rates.contains(&GridPoint::of(member).learning_rate)
        };
        untried.iter().filter(is_next).map(|member| member.position).collect()
    }
}

/// Trials at the next rate of each arm whose best is the last.
fn wider_rates(tried: &[&Member], untried: &[&Member], choices: &Choices) -> Places {
    let mut places = Places::new();
    for (arm, chosen) in choices {
        let (Some(edge), Some(point)) = (chosen.edge, &chosen.point) else { continue };
        let own = |member: &&&Member| ArmAt::of(member) == *arm && member.setting == point.setting;
        let rate = |member: &&Member| GridPoint::of(member).learning_rate;
        let tried = tried.iter().filter(own).map(rate);
        let new = || untried.iter().filter(own);
        let next = match edge {
            Edge::Lowest => {
                let end = tried.fold(f64::INFINITY, f64::min);
                new().map(rate).filter(|rate| *rate < end).max_by(f64::total_cmp)
            }
            Edge::Highest => {
                let end = tried.fold(0.0, f64::max);
                new().map(rate).filter(|rate| *rate > end).min_by(f64::total_cmp)
            }
        };
        let at = new().filter(|member| Some(rate(member)) == next);
        places.extend(at.map(|member| member.position));
    }
    places
}

/// Trials of the seeds that are compared, at the points that were chosen.
fn compared(members: &[Member], there: &Places, choices: &Choices) -> Places {
    let is_tried = |member: &&Member| member.tuning && there.contains(&member.position);
    let mut tried: BTreeMap<ArmAt, Vec<GridPoint>> = BTreeMap::new();
    for member in members.iter().filter(is_tried) {
        tried.entry(ArmAt::of(member)).or_default().push(GridPoint::of(member));
    }
    let is_chosen = |member: &&Member| {
        let (arm, point) = (ArmAt::of(member), GridPoint::of(member));
        !member.tuning
            && choices.get(&arm).is_some_and(|chosen| match &chosen.point {
                Some(at) => *at == point,
                None => tried.get(&arm).is_some_and(|tried| tried.contains(&point)),
            })
    };
    members.iter().filter(is_chosen).map(|member| member.position).collect()
}
