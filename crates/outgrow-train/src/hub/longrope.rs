//! Frequencies to the last bit.
//!
//! A wider head keeps its frequencies under another θ; but transformers computes them in float32,
//! so that they come out different in their last digits, which a float64 model shows. Its
//! `longrope` multiplies each power of θ by a factor of its own: with a θ that is a little too
//! large, there is a float32 factor below 1 that gives exactly the power that was. Short and long
//! texts get the same factors. What the frequencies were made of stands beside, in a field of ours
//! that transformers carries along.

use outgrow_core::Rotary;
use serde_json::{Map, Value, json};

use super::{
    config::{Config, SECTIONS},
    error::HubError,
};
use crate::model::powers;

/// Ours: θ and width as they were.
const OURS: &str = "outgrow_rotary";

/// The θ that is written, for programs that do not read factors: right to four digits.
fn theta(rotary: Rotary, d_k: usize) -> f64 {
    rotary.theta.powf(d_k as f64 / rotary.width as f64) * 1.0001
}

/// For each pair the factor that makes its power of that θ the power that it had; none if there is
/// no such float32.
fn factors(rotary: Rotary, d_k: usize) -> Option<Vec<f32>> {
    let pairs = d_k / 2;
    let wanted = powers(rotary.theta, &rotary.exponents(pairs));
    let there = powers(theta(rotary, d_k), &Rotary { width: d_k, ..rotary }.exponents(pairs));
    let factor = |(wanted, there): (f32, f32)| {
        let near = (wanted / there).to_bits();
        (near - 4..=near + 4).map(f32::from_bits).find(|factor| factor * there == wanted)
    };
    wanted.into_iter().zip(there).map(factor).collect()
}

/// Writes the frequencies of heads of this `d_k` so, if θ alone does not give them.
pub fn write(config: &mut Map<String, Value>, rotary: Rotary, d_k: usize, seq_len: usize) {
    let needed = rotary.channels.is_none() && rotary.scaling.is_none() && rotary.width != d_k;
    let Some(factors) = needed.then(|| factors(rotary, d_k)).flatten() else { return };
    let section = json!({ "rope_type": "longrope", "rope_theta": theta(rotary, d_k), "short_factor": factors, "long_factor": factors,
        "factor": 1.0, "attention_factor": 1.0, "original_max_position_embeddings": seq_len });
    // transformers 4 knows the first only.
    for key in SECTIONS {
        config.insert(key.into(), section.clone());
    }
    config.insert("rope_theta".into(), theta(rotary, d_k).into());
    config.insert(OURS.into(), json!({ "theta": rotary.theta, "width": rotary.width }));
}

/// Takes back what [`write`] wrote.
pub fn remove(config: &mut Map<String, Value>) {
    if config.remove(OURS).is_some() {
        SECTIONS.iter().for_each(|key| drop(config.remove(*key)));
        config.remove("rope_theta");
    }
}

/// The rotary positions that [`write`] wrote; none if these are others.
pub fn read(config: &Config, rope: &Config, d_k: usize) -> Result<Option<Rotary>, HubError> {
    let Some(ours) = config.object(OURS)? else { return Ok(None) };
    let rotary = Rotary {
        theta: ours.number("theta", 0.0)?,
        width: ours.needed("width")?,
        channels: None,
        scaling: None,
    };
    let sizes = rotary.theta >= 1.0
        && rotary.theta.is_finite()
        && (1..=1 << 24).contains(&rotary.width)
        && d_k <= 1 << 24;
    let expected = if sizes { factors(rotary, d_k) } else { None };
    let theta = if sizes { theta(rotary, d_k) } else { 0.0 };
    let is_ours = [
        ("rope_type", json!("longrope")),
        ("short_factor", json!(expected)),
        ("long_factor", json!(expected)),
        // What transformers multiplies by, beside.
        ("rope_theta", json!(theta)),
        ("factor", json!(1.0)),
        ("attention_factor", json!(1.0)),
    ];
    let is_said = |(key, value): &(&str, Value)| rope.get(key) == Some(value);
    let is_outside = config.get("rope_theta").is_none_or(|found| *found == json!(theta));
    if expected.is_none() || !is_outside || !is_ours.iter().all(is_said) {
        return config.refuse(format!(
            "`{OURS}` does not say what the rotary positions are; remove it, and only theta counts"
        ));
    }
    Ok(Some(rotary))
}
