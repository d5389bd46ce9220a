//! Numbers as texts.

use crate::interval::Interval;

/// A mean with half the width of its interval.
pub fn plus_minus(interval: &Interval, digits: usize) -> String {
    match interval.bounds {
        Some([low, high]) => {
            format!("{:.digits$} ± {:.digits$}", interval.mean, (high - low) / 2.0)
        }
        None => format!("{:.digits$}", interval.mean),
    }
}

/// A fraction in per cent, without the sign.
pub fn percent(fraction: f64) -> String {
    format!("{:.0}", 100.0 * fraction).replace("-0", "0").replace('-', "\u{2212}")
}

/// A difference of losses, with its sign.
pub fn signed_loss(nats: f64) -> String {
    format!("{nats:+.3}").replace('-', "\u{2212}")
}

/// A p-value.
pub fn p_text(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}

/// No value.
pub fn dash() -> String {
    "–".into()
}
