//! Parsers of what options take.

use clap::builder::{PossibleValue, PossibleValuesParser, RangedI64ValueParser, TypedValueParser};
use outgrow::LossUnit;
use outgrow_core::KeepFinal;

/// A parser of numbers from 1 to 65535.
pub fn positive() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

/// A parser of values that have names, each with its help, if there is any.
pub fn one_of<T, const N: usize>(
    values: [(&'static str, &'static str, T); N],
) -> impl TypedValueParser<Value = T>
where
    T: Clone + Send + Sync + 'static,
{
    let possible = values.each_ref().map(|(name, help, _)| {
        PossibleValue::new(*name).help(Some(*help).filter(|help| !help.is_empty()))
    });
    PossibleValuesParser::new(possible).map(move |given| {
        let named = values.iter().find(|(name, ..)| *name == given);
        named.expect("clap lets through what has a name alone").2.clone()
    })
}

/// A parser of what stays of a complete trial's checkpoints.
pub fn keep_final() -> impl TypedValueParser<Value = KeepFinal> {
    one_of([
        ("weights", "The weights of the last", KeepFinal::Weights),
        ("all", "As many as --keep says, with the optimizer's state", KeepFinal::All),
        ("none", "Nothing: the numbers alone", KeepFinal::None),
    ])
}

/// A parser of the unit of losses.
pub fn loss_unit() -> impl TypedValueParser<Value = LossUnit> {
    one_of([
        ("nats-per-token", "As it is recorded", LossUnit::NatsPerToken),
        (
            "bits-per-byte",
            "Of the text that the predicted tokens stand for: the same for all tokenizers",
            LossUnit::BitsPerByte,
        ),
    ])
}
