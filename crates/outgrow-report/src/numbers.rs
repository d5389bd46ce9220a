//! Numbers as texts.

use crate::interval::Interval;

/// More digits than asked for where fewer would hide that an interval excludes zero.
const MORE: usize = 4;

/// A mean with half the width of its interval, or, where that is cut on one side, with its ends.
pub fn plus_minus(interval: &Interval, digits: usize) -> String {
    let mean = interval.mean;
    let Some([low, high]) = interval.bounds else { return format!("{mean:.digits$}") };
    let half = (high - low) / 2.0;
    let is_even = (high + low - 2.0 * mean).abs() <= 1e-9 * (high - low).max(mean.abs());
    if !is_even {
        let ends = ends(interval, |value, digits| format!("{value:.digits$}"), digits);
        return format!("{mean:.digits$} {}", ends.replace('-', "\u{2212}"));
    }
    let text = |digits: usize| [format!("{:.digits$}", mean.abs()), format!("{half:.digits$}")];
    let tells = |digits: &usize| {
        let [mean, half] = text(*digits);
        !interval.excludes_zero() || mean != half
    };
    let digits = (digits..digits + MORE).find(tells).unwrap_or(digits);
    format!("{mean:.digits$} ± {half:.digits$}")
}

/// The ends of an interval as `[low, high]`, with more digits where fewer would make an end zero
/// that is not, of an interval that excludes zero; none of one seed.
pub fn bounds(interval: &Interval, number: fn(f64, usize) -> String, digits: usize) -> String {
    match interval.bounds {
        None => "one seed".into(),
        Some(_) => ends(interval, number, digits),
    }
}

fn ends(interval: &Interval, number: impl Fn(f64, usize) -> String, digits: usize) -> String {
    let [low, high] = interval.bounds.unwrap_or([interval.mean; 2]);
    let is_zero = |value: f64, digits: usize| {
        value != 0.0 && !number(value, digits).contains(|c: char| ('1'..='9').contains(&c))
    };
    let tells = |digits: &usize| {
        !interval.excludes_zero() || !(is_zero(low, *digits) || is_zero(high, *digits))
    };
    let digits = (digits..digits + MORE).find(tells).unwrap_or(digits);
    format!("[{}, {}]", number(low, digits), number(high, digits))
}

/// A fraction in per cent, without the sign.
pub fn percent(fraction: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", 100.0 * fraction);
    match text.contains(|c: char| ('1'..='9').contains(&c)) {
        true => text.replace('-', "\u{2212}"),
        false => text.replace('-', ""),
    }
}

/// A difference of losses, with its sign.
pub fn signed_loss(nats: f64, digits: usize) -> String {
    format!("{nats:+.digits$}").replace('-', "\u{2212}")
}

/// A p-value.
pub fn p_text(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}

/// A large number with two or three digits: `950`, `9.6k`, `31k`, `235k`, `1.2M`.
pub fn short(number: f64) -> String {
    let units = [(1e9, "B"), (1e6, "M"), (1e3, "k")];
    match units.into_iter().find(|(size, _)| number >= 0.9995 * size) {
        Some((size, unit)) if number < 9.95 * size => format!("{:.1}{unit}", number / size),
        Some((size, unit)) => format!("{:.0}{unit}", number / size),
        None => format!("{number:.0}"),
    }
}

/// No value.
pub fn dash() -> String {
    "–".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_not_zero_does_not_look_like_it() {
        let of = |mean: f64, bounds| Interval { mean, bounds: Some(bounds), n: 4 };
        let saved = of(-0.19, [-0.374, -0.004]);
        assert_eq!(bounds(&saved, percent, 0), "[−37.4, −0.4]");
        assert_eq!(bounds(&of(0.1, [-0.004, 0.204]), percent, 0), "[0, 20]");
        assert_eq!(bounds(&of(0.2, [0.1, 0.3]), percent, 0), "[10, 30]");
        assert_eq!(bounds(&of(-0.2, [-0.4, -0.0002]), signed_loss, 3), "[−0.4000, −0.0002]");
        assert_eq!(plus_minus(&of(20.0, [0.02, 39.98]), 1), "20.00 ± 19.98");
        assert_eq!(plus_minus(&of(10.0, [-10.0, 30.0]), 1), "10.0 ± 20.0");
        assert_eq!(plus_minus(&of(59.3, [23.0, 95.6]), 1), "59.3 ± 36.3");
    }

    #[test]
    fn what_is_cut_on_one_side_has_its_ends() {
        let cut = Interval { mean: 80.0, bounds: Some([-5.0, 100.0]), n: 3 };
        assert_eq!(plus_minus(&cut, 1), "80.0 [−5.0, 100.0]");
    }

    #[test]
    fn large_numbers_are_short() {
        let all = [950.0, 9640.0, 999_900.0, 31_200.0, 1_234_567.0, 7e9].map(short);
        assert_eq!(all, ["950", "9.6k", "1.0M", "31k", "1.2M", "7.0B"]);
    }
}
