//! Which trial shares a prefix with which.

use outgrow_core::sweep::Member;

use super::Plan;

/// A trial in the tree of shared prefixes.
#[derive(Clone, Copy, Debug)]
pub struct Branch<'a> {
    /// The trial.
    pub member: &'a Member,
    /// How many trials are above it.
    pub depth: usize,
    /// Tokens after which it leaves the one above it; 0 without one.
    pub from_tokens: u64,
}

impl Plan {
    /// The trials, each below the one that it shares a prefix with.
    pub fn tree(&self) -> Vec<Branch<'_>> {
        let all = self.shared_prefixes();
        let mut children = vec![vec![]; all.len()];
        for (number, (_, prefix)) in all.iter().enumerate() {
            prefix.iter().for_each(|prefix| children[prefix.of].push(number));
        }
        let roots = (0..all.len()).filter(|&number| all[number].1.is_none());
        // The next trial is the last here.
        let mut open: Vec<(usize, usize)> = roots.rev().map(|root| (root, 0)).collect();
        let mut tree = vec![];
        while let Some((number, depth)) = open.pop() {
            let (member, prefix) = all[number];
            let step_tokens = member.trial.step_tokens();
            let from_tokens = prefix.map_or(0, |prefix| prefix.step * step_tokens);
            tree.push(Branch { member, depth, from_tokens });
            open.extend(children[number].iter().rev().map(|&child| (child, depth + 1)));
        }
        tree
    }
}
