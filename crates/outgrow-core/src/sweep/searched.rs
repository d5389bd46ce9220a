//! The plans among which a sweep searches.

use std::collections::BTreeSet;

use super::{members::Member, resolved::Sweep, search::SearchSpec, spec::StrategySpec};
use crate::plan::{Strategy, strategy::Enumerated};

/// A search, with what it searches among.
pub struct Searched<'a> {
    /// Who asks, and how often.
    pub spec: &'a SearchSpec,
    /// The strategies that are searched, and their plans: all of one lattice.
    pub strategies: Vec<(&'a StrategySpec, &'a Enumerated)>,
    /// Learning rates that a plan may be trained at, of the file or of its grid.
    pub rates: Vec<f64>,
}

impl Sweep {
    /// The search of the sweep; none without one.
    pub fn search(&self) -> Option<Searched<'_>> {
        let spec = self.spec.search.as_ref()?;
        let named = |name: &String| {
            let found = self.spec.strategies.iter().find(|found| found.name == *name)?;
            match &found.strategy {
                Strategy::Enumerated(lattice) => Some((found, lattice)),
                _ => None,
            }
        };
        let strategies = spec.strategy.all().iter().map(named).collect::<Option<_>>()?;
        Some(Searched { spec, strategies, rates: self.spec.rates() })
    }

    /// Whether a searcher asks for the trial.
    pub fn is_searched(&self, member: &Member) -> bool {
        let names = self.spec.search.as_ref().map(|search| search.strategy.all());
        names.is_some_and(|names| names.contains(&member.strategy))
    }

    /// So many trials of the plans, for what a search costs before anything is asked for.
    pub(super) fn searched(&self, members: &[Member]) -> BTreeSet<usize> {
        let trials = self.spec.search.as_ref().map_or(0, |search| search.trials);
        let own = members.iter().filter(|member| self.is_searched(member));
        let mut own: Vec<(usize, usize)> = own.map(|one| (one.replicate, one.position)).collect();
        own.sort_unstable();
        // Of all plans evenly, for they differ in what they cost; then of the next seeds.
        let of_first = own.iter().filter(|(replicate, _)| *replicate == 0).count();
        let spread = (0..trials.min(of_first)).map(|n| own[n * of_first / trials.min(of_first)].1);
        let again = own.iter().skip(of_first).map(|(_, position)| *position);
        spread.chain(again).take(trials).collect()
    }
}

impl Searched<'_> {
    /// The lattice of all of them.
    pub fn lattice(&self) -> &Enumerated {
        self.strategies[0].1
    }

    /// Among how many plans is searched, each at every rate.
    pub fn plans(&self) -> usize {
        self.strategies.len() * self.rates.len() * self.lattice().ways().map_or(0, <[_]>::len)
    }
}
