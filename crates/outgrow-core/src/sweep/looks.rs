//! Looks: where a strategy sees on the way which growth is the best, all of them are trained for a while,
//! as trials that nothing is compared with; what looks best goes on. One place follows the other, and the
//! trial of the chosen order comes last.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    error::{SweepError, bad},
    members::Member,
    resolved::Sweep,
    settings::{Settings, TrainingSettings, Trial},
};
use crate::plan::{LearningRateAtGrowth, Stage, Strategy};

/// What its trials are called beside the kinds of strategies.
pub const LOOK: &str = "look";

/// How looks ended, by the identity of their trials: the last validation loss, infinite where it diverged.
pub type Looked = HashMap<String, f64>;

/// Places of trials in their sweep.
type Places = BTreeSet<usize>;

impl Trial {
    /// For each of its stages, where something else was tried: its own look.
    fn looks(&self) -> impl Iterator<Item = Option<Self>> {
        let stages = self.plan.stages().iter().enumerate();
        stages.map(|(number, stage)| stage.look.is_some().then(|| self.look(number, stage)))
    }

    /// Until it is known how good its growth at a stage looks.
    fn look(&self, number: usize, stage: &Stage) -> Self {
        let training = &self.settings.training;
        let schedule = training.schedule.settled();
        let training = TrainingSettings { schedule, ..training.clone() };
        let settings = Settings { tokens: stage.looked_at(), training, ..self.settings.clone() };
        Self { plan: self.plan.until(number + 1), settings, seed: self.seed }
    }

    /// Refuses looks after the end of what all trials of a seed have in common.
    fn check_looks(&self, strategy: &str) -> Result<(), SweepError> {
        let Settings { tokens, training, .. } = &self.settings;
        let last = self.plan.stages().iter().filter(|stage| stage.look.is_some());
        let last = last.map(Stage::looked_at).max().unwrap_or(0);
        if last > training.schedule.settled_until(*tokens) {
            let allowed = format!(
                "until {strategy} has chosen, at {last} of {tokens} tokens, the learning rate must be that of \
                 every order: `kind = \"wsd\"` or `\"constant\"`, a warm-up in tokens, and no decay before it"
            );
            return bad("training.schedule", format!("{:?}", training.schedule), &allowed);
        }
        match self.policy().learning_rate {
            LearningRateAtGrowth::Rewind { .. } if last > 0 => {
                let allowed = format!(
                    "{strategy} compares orders on the way, each with another end: not rewound"
                );
                bad("training.growth.learning_rate", "rewind", &allowed)
            }
            _ => Ok(()),
        }
    }
}

impl Member {
    /// Where it comes among what one seed of a strategy trains that sees on the way how it grows: after
    /// so many other looks; 0 for all others.
    pub fn round(&self) -> usize {
        let plan = &self.trial.plan;
        match (self.kind == LOOK, plan.looks_around()) {
            (true, _) => plan.stages().len() - 1,
            (false, true) => plan.stages().len(),
            (false, false) => 0,
        }
    }
}

impl Sweep {
    /// Whether a strategy sees on the way how it grows.
    pub(super) fn looks_around(&self) -> bool {
        let is_one = |strategy: &Strategy| matches!(strategy, Strategy::ChooseAfter(_));
        self.spec.strategies.iter().any(|own| is_one(&own.strategy))
    }

    /// The looks of all trials, each once in what it is for.
    pub(super) fn looks(&self, members: &[Member]) -> Result<Vec<Member>, SweepError> {
        let mut looks = vec![];
        for (_, orders) in groups(members.iter()) {
            let mut known = BTreeSet::new();
            for order in orders {
                order.trial.check_looks(&order.strategy)?;
                for trial in order.trial.looks().flatten() {
                    let plan = known.len();
                    if known.insert(trial.id()) {
                        let strategy = format!("{}: looks", order.strategy);
                        looks.push(Member {
                            strategy,
                            kind: LOOK,
                            plan,
                            trial,
                            tuning: true,
                            ..order.clone()
                        });
                    }
                }
            }
        }
        Ok(looks)
    }

    /// Of trials that are to be trained those that can be now: instead of all orders of a strategy that
    /// looks around the looks that come next, or the order that they have chosen.
    pub(super) fn now(&self, members: &[Member], wanted: &Places, looked: &Looked) -> Places {
        let next = |mut steps: Vec<Places>| steps.pop().unwrap_or_default();
        self.instead(members, wanted, &|trial| looked.get(trial).copied(), next)
    }

    /// The same with all that follow. Which order is chosen is not known: of those whose looks are `there`
    /// the first.
    pub(super) fn until_the_end(
        &self,
        members: &[Member],
        wanted: &Places,
        there: &Places,
    ) -> Places {
        let looks = members.iter().filter(|member| member.kind == LOOK);
        let looks = looks.filter(|look| there.contains(&look.position));
        let looks: BTreeSet<_> = looks.map(|look| (group(look), look.trial.id())).collect();
        let seen = |order: &Member| {
            let own = order.trial.looks().flatten();
            let looked = own.filter(|look| looks.contains(&(group(order), look.id()))).count();
            (there.contains(&order.position), looked)
        };
        let mut likely = wanted.clone();
        for orders in groups(members.iter()).into_values() {
            let most = orders.iter().map(|order| seen(order)).max();
            for order in orders.iter().filter(|order| Some(seen(order)) < most) {
                likely.remove(&order.position);
            }
        }
        let all = |steps: Vec<Places>| steps.into_iter().flatten().collect();
        self.instead(members, &likely, &|_| Some(0.0), all)
    }

    fn instead(
        &self,
        members: &[Member],
        wanted: &Places,
        loss: &dyn Fn(&str) -> Option<f64>,
        of: impl Fn(Vec<Places>) -> Places,
    ) -> Places {
        if !self.looks_around() {
            return wanted.clone();
        }
        let own = || members.iter().filter(|member| wanted.contains(&member.position));
        let looks = members.iter().filter(|member| member.kind == LOOK);
        let places: BTreeMap<_, usize> =
            looks.map(|look| ((group(look), look.trial.id()), look.position)).collect();
        let mut all: Places =
            own().filter(|member| !chooses(member)).map(|member| member.position).collect();
        for (group, orders) in groups(own()) {
            let place = |look: &str| places.get(&(group.clone(), look.to_owned())).copied();
            all.extend(of(steps(orders, loss, &place)));
        }
        all
    }
}

/// What is trained for one seed, step by step, as far as it is known: looks at a place, then at the next,
/// and last the order that was chosen.
fn steps(
    mut orders: Vec<&Member>,
    loss: &dyn Fn(&str) -> Option<f64>,
    place: &dyn Fn(&str) -> Option<usize>,
) -> Vec<Places> {
    let mut steps = vec![];
    let stages = orders.iter().map(|order| order.trial.plan.stages().len()).max().unwrap_or(0);
    for stage in 0..stages {
        let look = |order: &Member| order.trial.looks().nth(stage).flatten().map(|own| own.id());
        let own: Vec<(Option<String>, &Member)> =
            orders.iter().map(|order| (look(order), *order)).collect();
        // In the order of the file, so that of equal ones the first goes on.
        let mut tried: Vec<&String> = vec![];
        for (look, _) in &own {
            tried.extend(look.as_ref().filter(|look| !tried.contains(look)));
        }
        if tried.is_empty() {
            continue;
        }
        steps.push(tried.iter().filter_map(|look| place(look)).collect());
        let losses: Option<Vec<f64>> = tried.iter().map(|look| loss(look)).collect();
        let Some(losses) = losses else { return steps };
        let best = tried.iter().zip(&losses).min_by(|a, b| a.1.total_cmp(b.1));
        let Some((best, _)) = best else { return steps };
        orders = own
            .iter()
            .filter(|(look, _)| look.as_ref() == Some(best))
            .map(|(_, own)| *own)
            .collect();
    }
    steps.push(orders.first().map(|order| order.position).into_iter().collect());
    steps
}

fn chooses(member: &Member) -> bool {
    member.trial.plan.looks_around() && member.kind != LOOK
}

/// What one order is chosen for: a strategy at a point of the grid and a budget, under a seed.
type Group = (String, usize, [u64; 2], String);

fn group(member: &Member) -> Group {
    let strategy = member.strategy.trim_end_matches(": looks").to_owned();
    let rate = member.trial.settings.training.learning_rate.to_bits();
    let budget = member.budget.map_or(0, f64::to_bits);
    (strategy, member.replicate, [rate, budget], member.setting.clone())
}

fn groups<'a>(members: impl Iterator<Item = &'a Member>) -> BTreeMap<Group, Vec<&'a Member>> {
    let mut groups: BTreeMap<Group, Vec<&Member>> = BTreeMap::new();
    for member in members.filter(|member| chooses(member)) {
        groups.entry(group(member)).or_default().push(member);
    }
    groups
}
