//! Small named edits of plans. Each can be undone by another of the list, and by them any plan of a
//! space is reached from any other.

use outgrow_core::{
    plan::strategy::lattice::{Levels, Step},
    stream::Stream,
};
use rand::{RngExt, seq::IndexedRandom};

use crate::space::{Plan, Space};

/// An edit. Stages are counted from 0; phases, too: 0 is before the first stage, `n` after the nth.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mutation {
    /// A stage goes to another place between its neighbours.
    Move { stage: usize, place: u16 },
    /// A phase more, at these levels: where there was one rise there are two, the other keeping its
    /// place; before the first stage, the plan begins smaller; after the last, it ends larger.
    Insert { phase: usize, place: u16, levels: Levels },
    /// A phase less: the two rises beside it become one, at the place of the earlier or of the later;
    /// without the first phase the plan begins larger, without the last it ends smaller.
    Remove { phase: usize, later: bool },
    /// A stage and the next exchange what they raise.
    Swap { stage: usize },
    /// An axis has another level in one phase.
    Level { phase: usize, axis: usize, level: u8 },
    /// Another value of a choice.
    Choose { choice: usize, value: u8 },
}

/// So many draws in a row that are no plan mean that a plan has no neighbour.
const MOST_DRAWS: usize = 1000;

impl Space {
    /// The plan after an edit; none if it would be no other plan of this space.
    pub fn mutated(&self, plan: &Plan, mutation: &Mutation) -> Option<Plan> {
        let mut edited = plan.clone();
        apply(&mut edited, mutation)?;
        let edited = self.canonical(edited);
        (edited != *plan && self.contains(&edited)).then_some(edited)
    }

    /// A plan one edit away, its kind drawn first; none if there is hardly any.
    pub fn neighbour(&self, plan: &Plan, random: &mut Stream) -> Option<(Mutation, Plan)> {
        (0..MOST_DRAWS).find_map(|_| {
            let mutation = self.draw_mutation(plan, random)?;
            let mutated = self.mutated(plan, &mutation)?;
            Some((mutation, mutated))
        })
    }

    fn draw_mutation(&self, plan: &Plan, random: &mut Stream) -> Option<Mutation> {
        let top = self.lattice.top();
        let stages = plan.way.stages.len();
        let place = random.random_range(0..self.lattice.places().max(1)) as u16;
        let axis = random.random_range(0..top.len().max(1));
        let kinds = if self.choices.is_empty() { 5 } else { 6 };
        Some(match random.random_range(0..kinds) {
            0 if stages > 0 => Mutation::Move { stage: random.random_range(0..stages), place },
            1 => {
                let phase = random.random_range(0..=stages + 1);
                let levels = self.levels_between(plan, phase, random);
                Mutation::Insert { phase, place, levels }
            }
            2 => {
                let phase = random.random_range(0..=stages);
                Mutation::Remove { phase, later: random.random() }
            }
            3 if stages > 1 => Mutation::Swap { stage: random.random_range(0..stages - 1) },
            4 => {
                let phase = random.random_range(0..=stages);
                let level = random.random_range(0..=*top.get(axis)?);
                Mutation::Level { phase, axis, level }
            }
            5 => {
                let choice = random.random_range(0..self.choices.len());
                let value = random.random_range(0..self.choices[choice].values.max(1));
                Mutation::Choose { choice, value }
            }
            _ => return None,
        })
    }

    /// Levels for a new phase, between those of its neighbours.
    fn levels_between(&self, plan: &Plan, phase: usize, random: &mut Stream) -> Levels {
        let (way, top) = (&plan.way, self.lattice.top());
        let low =
            phase.checked_sub(1).map(|before| way.phase(before.min(way.stages.len())).clone());
        let low = low.unwrap_or_else(|| vec![0; top.len()]);
        let high = if phase <= way.stages.len() { way.phase(phase) } else { &top };
        let both = low.iter().zip(high);
        both.map(|(low, high)| (*low..=*high).collect::<Vec<u8>>())
            .map(|levels| levels.choose(random).copied().unwrap_or(0))
            .collect()
    }

    /// The edit that undoes an edit of this plan.
    pub fn inverse(&self, plan: &Plan, mutation: &Mutation) -> Option<Mutation> {
        let way = &plan.way;
        Some(match mutation {
            Mutation::Move { stage, .. } => {
                Mutation::Move { stage: *stage, place: way.stages.get(*stage)?.place }
            }
            Mutation::Insert { phase, place, .. } => {
                let old = phase.checked_sub(1).and_then(|stage| way.stages.get(stage));
                let later = old.is_some_and(|step| *place < step.place);
                Mutation::Remove { phase: *phase, later }
            }
            Mutation::Remove { phase, later } => {
                let levels = way.phase(*phase).clone();
                let dropped = match phase {
                    0 => 0,
                    last if *last == way.stages.len() => last - 1,
                    inner => inner - usize::from(*later),
                };
                Mutation::Insert { phase: *phase, place: way.stages.get(dropped)?.place, levels }
            }
            Mutation::Swap { stage } => Mutation::Swap { stage: *stage },
            Mutation::Level { phase, axis, .. } => {
                let level = *way.phase(*phase).get(*axis)?;
                Mutation::Level { phase: *phase, axis: *axis, level }
            }
            Mutation::Choose { choice, .. } => {
                Mutation::Choose { choice: *choice, value: *plan.choices.get(*choice)? }
            }
        })
    }
}

/// None where the edit names what is not there; what comes out may be no plan.
fn apply(plan: &mut Plan, mutation: &Mutation) -> Option<()> {
    let way = &mut plan.way;
    let stages = way.stages.len();
    match mutation {
        Mutation::Move { stage, place } => way.stages.get_mut(*stage)?.place = *place,
        Mutation::Insert { phase: 0, place, levels } => {
            let old = std::mem::replace(&mut way.initial, levels.clone());
            way.stages.insert(0, Step { place: *place, levels: old });
        }
        Mutation::Insert { phase, place, levels } => {
            let new = Step { place: *place, levels: levels.clone() };
            match way.stages.get_mut(phase - 1) {
                Some(old) if *place > old.place => {
                    let after = std::mem::replace(&mut old.levels, levels.clone());
                    way.stages.insert(*phase, Step { place: *place, levels: after });
                }
                Some(_) => way.stages.insert(phase - 1, new),
                None if *phase == stages + 1 => way.stages.push(new),
                None => return None,
            }
        }
        Mutation::Remove { .. } if stages == 0 => return None,
        Mutation::Remove { phase: 0, .. } => way.initial = way.stages.remove(0).levels,
        Mutation::Remove { phase, .. } if *phase == stages => drop(way.stages.pop()),
        Mutation::Remove { phase, later } => {
            let after = (*phase < stages).then(|| way.stages.remove(*phase))?;
            let merged = &mut way.stages[phase - 1];
            merged.levels = after.levels;
            merged.place = if *later { after.place } else { merged.place };
        }
        Mutation::Swap { stage } => {
            let after = way.stages.get(stage + 1)?.levels.clone();
            let (before, middle) = (way.phase(*stage).clone(), way.phase(stage + 1).clone());
            let swapped = before.iter().zip(middle.iter().zip(after));
            way.stages[*stage].levels =
                swapped.map(|(before, (middle, after))| before + (after - middle)).collect();
        }
        Mutation::Level { phase, axis, level } => {
            let levels = match phase {
                0 => &mut way.initial,
                phase => &mut way.stages.get_mut(phase - 1)?.levels,
            };
            *levels.get_mut(*axis)? = *level;
        }
        Mutation::Choose { choice, value } => *plan.choices.get_mut(*choice)? = *value,
    }
    Some(())
}
