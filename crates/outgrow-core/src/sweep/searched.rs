//! The plans among which a sweep searches.

use std::collections::BTreeSet;

use super::{members::Member, resolved::Sweep, search::SearchSpec};
use crate::plan::{Strategy, strategy::Enumerated};

impl Sweep {
    /// The search of the sweep, and the strategy among whose plans it searches; none without one.
    pub fn search(&self) -> Option<(&SearchSpec, &Enumerated)> {
        let search = self.spec.search.as_ref()?;
        let named = self.spec.strategies.iter().find(|found| found.name == search.strategy)?;
        match &named.strategy {
            Strategy::Enumerated(lattice) => Some((search, lattice)),
            _ => None,
        }
    }

    /// Whether a searcher asks for the trial.
    pub fn is_searched(&self, member: &Member) -> bool {
        self.spec.search.as_ref().is_some_and(|search| search.strategy == member.strategy)
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
