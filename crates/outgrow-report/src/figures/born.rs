//! Figures of the frontier of being born, and which growing arms they name.

mod frontier;
mod gap;
mod iso_flop;
mod key;
mod multiplier;

use plotters::style::RGBColor;

use super::{
    chart::MOST,
    figure::Figure,
    measures::PT,
    named::{self, OTHERS},
    sheet::Sample,
    style::{self, Look},
};
use crate::{analysis::Analysis, born::Born};

/// All of them; none without a frontier.
pub fn figures(analysis: &Analysis) -> Vec<Figure> {
    let Some(born) = &analysis.born else { return vec![] };
    let arms = arms(analysis, born);
    [
        frontier::figure(born, &arms),
        gap::figure(born, &arms),
        iso_flop::figure(born, &arms),
        multiplier::figure(born, &arms),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A growing arm.
struct Arm {
    /// Its name in the sweep.
    name: String,
    /// What people read for it.
    shown: String,
    look: Look,
    is_named: bool,
}

impl Arm {
    /// How it is drawn.
    fn look(&self) -> Look {
        if self.is_named { self.look } else { OTHERS }
    }
}

/// All growing arms, in the order of the rows, in the colours of the other figures.
fn arms(analysis: &Analysis, born: &Born) -> Vec<Arm> {
    let mut names: Vec<&str> = vec![];
    for end in &born.ends.grown {
        if !names.contains(&end.arm.as_str()) {
            names.push(&end.arm);
        }
    }
    let merits: Vec<f64> = names.iter().map(|name| mean_gap(born, name)).collect();
    let is_named = named::named(&merits);
    let known: Vec<&str> = analysis.strategies.iter().map(|one| one.name.as_str()).collect();
    let first = usize::from(analysis.control.is_none());
    let mut next = first + known.len();
    let mut number = |name: &str| {
        known.iter().position(|own| *own == name).map_or_else(
            || {
                next += 1;
                next - 1
            },
            |place| first + place,
        )
    };
    let arm = |(name, is_named): (&&str, bool)| Arm {
        name: (*name).to_owned(),
        shown: analysis.shown(name).to_owned(),
        look: style::strategy(number(name)),
        is_named,
    };
    let mut arms: Vec<Arm> = names.iter().zip(is_named).map(arm).collect();
    tell_apart(&mut arms);
    arms
}

/// Of more arms than there are colours two that are named may have one: the later gets another.
fn tell_apart(arms: &mut [Arm]) {
    let mut used: Vec<RGBColor> = vec![];
    for arm in arms.iter_mut().filter(|arm| arm.is_named) {
        if used.contains(&arm.look.color) {
            let mut free = (1..).map(style::strategy).take(2 * MOST);
            arm.look = free.find(|look| !used.contains(&look.color)).unwrap_or(arm.look);
        }
        used.push(arm.look.color);
    }
}

/// Over its budgets; the last of all where none is judged.
fn mean_gap(born: &Born, arm: &str) -> f64 {
    let own = born.frontier.gaps.iter().filter(|gap| gap.arm == arm);
    let gaps: Vec<f64> =
        own.filter_map(|gap| Some(gap.against.as_ref().ok()?.gap.value.mean)).collect();
    if gaps.is_empty() { f64::INFINITY } else { gaps.iter().sum::<f64>() / gaps.len() as f64 }
}

/// Named arms, and the others as one.
fn legend(arms: &[Arm]) -> Vec<(String, Look)> {
    let named = arms.iter().filter(|arm| arm.is_named);
    let entries = named.map(|arm| (arm.shown.clone(), Look { dash: "", ..arm.look })).collect();
    named::with_others(entries, arms.iter().filter(|arm| !arm.is_named).count())
}

/// What a caption says of those that are not named.
fn unnamed(arms: &[Arm]) -> String {
    named::words(arms.iter().filter(|arm| !arm.is_named).count(), "the lowest gaps")
}

/// Others first, so that named ones are in front.
fn back_to_front(arms: &[Arm]) -> Vec<&Arm> {
    let (named, others): (Vec<&Arm>, Vec<&Arm>) = arms.iter().partition(|arm| arm.is_named);
    others.into_iter().chain(named).collect()
}

/// So far to the right of its place a named arm stands, in the middle of all of them.
fn beside(arms: &[Arm], arm: &Arm, step: i32) -> i32 {
    let named: Vec<&str> =
        arms.iter().filter(|arm| arm.is_named).map(|arm| arm.name.as_str()).collect();
    let place = named.iter().position(|name| *name == arm.name);
    place.map_or(0, |place| (2 * place as i32 - named.len() as i32 + 1) * step / 2)
}

/// The grey of a born size, from light to dark.
fn shade(place: usize, of: usize) -> RGBColor {
    let share = place as f64 / of.saturating_sub(1).max(1) as f64;
    let grey = (205.0 - 150.0 * share) as u8;
    RGBColor(grey, grey, grey)
}

/// What an axis of parameters divides by, and its name.
fn parameter_unit(largest: f64) -> (f64, &'static str) {
    match largest {
        n if n < 2e3 => (1.0, "Parameters N"),
        n if n < 2e6 => (1e3, "Parameters N (thousands)"),
        n if n < 2e9 => (1e6, "Parameters N (millions)"),
        _ => (1e9, "Parameters N (billions)"),
    }
}

/// The height of a legend of arms.
fn legend_height(width: i32, arms: &[Arm]) -> i32 {
    match arms.is_empty() {
        true => 6 * PT,
        // The next row is as far below as the rows of a legend are apart.
        false => {
            let sheet = super::sheet::Sheet::new(width, PT);
            sheet.legend(8 * PT, &legend(arms), Sample::Marker) + 3 * PT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_that_are_named_have_a_color_each() {
        let arm = |number: usize| Arm {
            name: number.to_string(),
            shown: number.to_string(),
            look: style::strategy(number),
            is_named: number != 2,
        };
        let mut arms: Vec<Arm> = [1, 2, 3, 9, 10, 17].map(arm).into();
        let before: Vec<RGBColor> = arms.iter().map(|arm| arm.look.color).collect();
        assert_eq!(before[0], before[3], "colours come again");
        tell_apart(&mut arms);
        let named: Vec<RGBColor> =
            arms.iter().filter(|arm| arm.is_named).map(|arm| arm.look.color).collect();
        let alike = |color: &&RGBColor| named.iter().filter(|other| other == color).count() > 1;
        assert!(!named.iter().any(|color| alike(&color)), "{named:?}");
        assert_eq!(arms[0].look.color, before[0], "who comes first keeps its own");
    }
}
