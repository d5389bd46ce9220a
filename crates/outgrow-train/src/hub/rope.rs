//! Rotary positions in a `config.json`.
//!
//! They have several homes. transformers 5 reads `rope_scaling` if it is there, otherwise
//! `rope_parameters`, and takes θ and the share of turned channels from there, from fields of the
//! configuration, or by default, in this order; transformers 4 prefers the fields and does not know
//! `rope_parameters`. What is read here is what transformers 5 reads, and every other statement
//! must agree with it.

use outgrow_core::{FrequencyScaling, Rotary};
use serde_json::{Map, Value, json};

use super::{
    config::{Config, SECTIONS},
    error::HubError,
    longrope,
};

/// Names of θ and of the share of turned channels outside of them.
const THETA: [&str; 2] = ["rope_theta", "rotary_emb_base"];
const SHARE: [&str; 2] = ["partial_rotary_factor", "rotary_pct"];
/// What an object of rotary positions may say.
const KEYS: [&str; 11] = [
    "rope_type",
    "type",
    "rope_theta",
    "partial_rotary_factor",
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "original_max_position_embeddings",
    "attention_factor",
    "short_factor",
    "long_factor",
];

/// Which of the names a family reads outside of the objects, and its share if none is stated.
struct Words {
    theta: &'static str,
    share: &'static str,
    usual_share: f64,
}

impl Words {
    fn of(partial: bool) -> Self {
        match partial {
            true => Self { theta: THETA[1], share: SHARE[1], usual_share: 0.25 },
            false => Self { theta: THETA[0], share: SHARE[0], usual_share: 1.0 },
        }
    }
}

/// Rotary positions of heads of `d_k` channels; `partial` where the family can turn a part of them.
pub fn read(config: &Config, d_k: usize, partial: bool) -> Result<Rotary, HubError> {
    let words = Words::of(partial);
    let sections = sections(config)?;
    let first = sections.first().map(|(_, section)| section);
    let resolve = |inside: &str, outside: &str, usual: f64| match first
        .map(|s| s.stated(inside))
        .transpose()?
    {
        Some(Some(value)) => Ok(value),
        _ => config.number(outside, usual),
    };
    let theta = resolve(THETA[0], words.theta, 10_000.0)?;
    let share = resolve(SHARE[0], words.share, words.usual_share)?;
    agree(config, &sections, THETA, theta)?;
    agree(config, &sections, SHARE, share)?;
    if let [(_, a), (_, b)] = &sections[..] {
        agree_on_type(config, a, b)?;
    }
    let channels = channels(config, share, d_k, partial)?;
    if let Some(rope) = first.filter(|_| !partial)
        && let Some(rotary) = longrope::read(config, rope, d_k)?
    {
        return Ok(rotary);
    }
    let scaling = first.map_or(Ok(None), |rope| read_scaling(config, rope))?;
    let width = channels.map_or(d_k, |channels| channels.max(1));
    Ok(Rotary { theta, width, channels, scaling })
}

/// The objects that are there, with their names.
fn sections<'a>(config: &'a Config) -> Result<Vec<(&'static str, Config<'a>)>, HubError> {
    let mut found = vec![];
    for name in SECTIONS {
        let Some(section) = config.object(name)? else { continue };
        if let Some(key) = section.fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return config.refuse(format!(
                "unknown field `{key}` in `{name}`; expected one of {}",
                KEYS.join(", ")
            ));
        }
        found.push((name, section));
    }
    Ok(found)
}

/// Refuses any statement of a number, in an object or under one of its names outside, that is
/// another than what holds.
fn agree(
    config: &Config,
    sections: &[(&str, Config)],
    names: [&str; 2],
    holds: f64,
) -> Result<(), HubError> {
    let inside = |(name, section): &(&str, Config)| {
        Ok((format!("{name}.{}", names[0]), section.stated(names[0])?))
    };
    let outside = |name: &&str| Ok((name.to_string(), config.stated(name)?));
    let all = sections.iter().map(inside).chain(names.iter().map(outside));
    let stated = all.collect::<Result<Vec<(String, Option<f64>)>, HubError>>()?;
    let Some((name, value)) =
        stated.iter().find_map(|(name, value)| Some((name, value.filter(|v| *v != holds)?)))
    else {
        return Ok(());
    };
    let by = stated.iter().find(|(_, value)| *value == Some(holds));
    let by = by.map_or_else(|| "by default it is".into(), |(by, _)| format!("`{by}` is"));
    config.contradiction([&format!("`{name}` is {value}"), &format!("{by} {holds}")])
}

fn agree_on_type(config: &Config, a: &Config, b: &Config) -> Result<(), HubError> {
    let without = |section: &Config| {
        let mut fields = section.fields.clone();
        fields.retain(|key, _| !["rope_theta", "partial_rotary_factor"].contains(&key.as_str()));
        fields
    };
    if without(a) == without(b) || read_scaling(config, a)? == read_scaling(config, b)? {
        return Ok(());
    }
    let said = |name: &str, section: &Config| {
        format!("`{name}` is {}", Value::Object(section.fields.clone()))
    };
    config.contradiction([&said(SECTIONS[0], a), &said(SECTIONS[1], b)])
}

/// How many channels are turned, rounded down as by transformers; none where all are and the family
/// can't turn fewer.
fn channels(
    config: &Config,
    share: f64,
    d_k: usize,
    partial: bool,
) -> Result<Option<usize>, HubError> {
    if !(0.0..=1.0).contains(&share) {
        return config.refuse(format!(
            "the share of channels that are turned is {share}; it must be from 0 to 1"
        ));
    }
    if !partial && share != 1.0 {
        return config.refuse(format!(
            "rotary positions on {share} of the channels (`{}`) are not supported, only on all",
            SHARE[0]
        ));
    }
    Ok(partial.then_some((d_k as f64 * share) as usize))
}

fn read_scaling(config: &Config, rope: &Config) -> Result<Option<FrequencyScaling>, HubError> {
    let kind = match (rope.text("rope_type")?, rope.text("type")?) {
        (Some(a), Some(b)) if a != b => {
            return config
                .contradiction([&format!("`rope_type` is {a:?}"), &format!("`type` is {b:?}")]);
        }
        (a, b) => a.or(b).unwrap_or_else(|| "default".into()),
    };
    let needed = |key: &str| match rope.stated(key)? {
        Some(value) => Ok(value),
        None => config.refuse(format!("rotary positions of type {kind:?} need a number `{key}`")),
    };
    match kind.as_str() {
        "default" => match rope.get("factor") {
            Some(factor) if factor.as_f64() != Some(1.0) => config.contradiction([
                &format!("the rotary positions have `factor` {factor}"),
                &"their type, \"default\", has none",
            ]),
            _ => Ok(None),
        },
        "linear" => Ok(Some(FrequencyScaling::Linear { factor: needed("factor")? })),
        "llama3" => Ok(Some(FrequencyScaling::Llama3 {
            factor: needed("factor")?,
            low_freq_factor: needed("low_freq_factor")?,
            high_freq_factor: needed("high_freq_factor")?,
            original_length: original_length(config, rope)?,
        })),
        other => config.refuse(format!(
            "unknown type {other:?} of rotary positions; expected one of default, linear, llama3"
        )),
    }
}

/// The length that a model was trained with before; transformers 5 prefers what stands outside.
fn original_length(config: &Config, rope: &Config) -> Result<usize, HubError> {
    const KEY: &str = "original_max_position_embeddings";
    let inside = rope.needed(KEY)?;
    match config.size(KEY)? {
        Some(outside) if outside != inside => config.contradiction([
            &format!("`{KEY}` is {outside}"),
            &format!("within the rotary positions it is {inside}"),
        ]),
        _ => Ok(inside),
    }
}

fn scaling_fields(scaling: Option<FrequencyScaling>) -> Map<String, Value> {
    let fields = match scaling {
        None => json!({ "rope_type": "default" }),
        Some(FrequencyScaling::Linear { factor }) => {
            json!({ "rope_type": "linear", "factor": factor })
        }
        Some(FrequencyScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_length,
        }) => {
            json!({ "rope_type": "llama3", "factor": factor, "low_freq_factor": low_freq_factor,
                    "high_freq_factor": high_freq_factor, "original_max_position_embeddings": original_length })
        }
    };
    fields.as_object().expect("an object").clone()
}

/// The share of which transformers, which rounds down, makes `turned` of `d_k` channels again.
fn exact_share(turned: usize, d_k: usize) -> f64 {
    let mut share = turned as f64 / d_k as f64;
    while ((d_k as f64 * share) as usize) < turned {
        share = share.next_up();
    }
    share
}

/// Writes rotary positions of heads of this `d_k` wherever the configuration states them; in the
/// words of transformers 4 and 5 in one that does not.
pub fn write(config: &mut Map<String, Value>, rotary: Rotary, d_k: usize, partial: bool) {
    let turned = rotary.turned(d_k);
    // transformers' frequencies are θ^(−2i/turned); with this θ they are θ^(−2i/width), so that
    // those of old pairs stay.
    let theta = match turned == rotary.width {
        true => rotary.theta,
        false => rotary.theta.powf(turned as f64 / rotary.width as f64),
    };
    let (words, share) = (Words::of(partial), exact_share(turned, d_k));
    let mut first = None;
    for name in SECTIONS {
        let Some(Value::Object(fields)) =
            config.get_mut(name).filter(|section| **section != json!({}))
        else {
            continue;
        };
        let stated = [replace(fields, THETA[0], theta), replace(fields, SHARE[0], share)];
        first.get_or_insert(stated);
    }
    for (key, value) in [(THETA[0], theta), (THETA[1], theta), (SHARE[0], share), (SHARE[1], share)]
    {
        replace(config, key, value);
    }
    let [has_theta, has_share] = first.unwrap_or([false; 2]);
    if !has_theta {
        config.insert(words.theta.into(), theta.into());
    }
    if partial && !has_share {
        config.insert(words.share.into(), share.into());
    }
    if first.is_none() {
        let mut fields = scaling_fields(rotary.scaling);
        if rotary.scaling.is_some() {
            config.insert(SECTIONS[0].into(), fields.clone().into());
        }
        fields.insert(THETA[0].into(), theta.into());
        if partial {
            fields.insert(SHARE[0].into(), share.into());
        }
        config.insert(SECTIONS[1].into(), fields.into());
    }
}

/// Replaces a number that is there; gives whether it is.
fn replace(fields: &mut Map<String, Value>, key: &str, value: f64) -> bool {
    let there = fields.contains_key(key);
    if there {
        fields.insert(key.into(), value.into());
    }
    there
}
