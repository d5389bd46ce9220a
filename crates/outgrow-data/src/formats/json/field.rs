//! The field of a record that holds its text.

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What stands in the field of the text.
#[derive(Debug, PartialEq)]
pub(super) enum Field {
    Text(String),
    /// `null`, or NaN, which some write for it.
    Null,
    Missing,
    /// Half a surrogate pair, which stands for no character.
    Halves,
    /// Something else than text.
    Other(&'static str),
}

/// The field of a record: of this very name, or, where the name has dots, within objects.
pub(super) fn field(record: &str, name: &str) -> Result<Field, serde_json::Error> {
    let found = raw_field(record, name);
    // Other fields may hold what only some writers take for JSON.
    found.or_else(|error| without_nan(record).map_or(Err(error), |text| raw_field(&text, name)))
}

fn raw_field(record: &str, name: &str) -> Result<Field, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(record);
    let found = reader.deserialize_map(Wanted(name))?;
    reader.end()?;
    match found {
        Wants::Missing => Ok(Field::Missing),
        Wants::Here(raw) => Ok(value(raw.get())),
        Wants::Within(raw, _) if raw.get() == "null" => Ok(Field::Null),
        Wants::Within(raw, rest) if raw.get().starts_with('{') => raw_field(raw.get(), rest),
        Wants::Within(..) => Ok(Field::Missing),
    }
}

fn value(raw: &str) -> Field {
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).map_or(Field::Halves, Field::Text),
        Some(b'n') => Field::Null,
        Some(b'{') => Field::Other("an object"),
        Some(b'[') => Field::Other("a list"),
        Some(b't' | b'f') => Field::Other("true or false"),
        _ => Field::Other("a number"),
    }
}

enum Wants<'de, 'n> {
    Missing,
    Here(&'de RawValue),
    Within(&'de RawValue, &'n str),
}

struct Wanted<'n>(&'n str);

impl<'de, 'n: 'de> Visitor<'de> for Wanted<'n> {
    type Value = Wants<'de, 'n>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = Wants::Missing;
        while let Some(key) = map.next_key::<Cow<str>>()? {
            let rest = self.0.strip_prefix(&*key);
            match rest.map(|rest| (rest, rest.strip_prefix('.'))) {
                Some(("", _)) => found = Wants::Here(map.next_value()?),
                Some((_, Some(rest))) if !matches!(found, Wants::Here(_)) => {
                    found = Wants::Within(map.next_value()?, rest);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// The record with `null` where `NaN`, `Infinity` and `-Infinity` stand, as Python's and other
/// writers have them; none where there are none.
fn without_nan(record: &str) -> Option<String> {
    let (mut text, mut rest, mut changed) = (String::with_capacity(record.len()), record, false);
    while let Some(at) = rest.find(['"', 'N', 'I', '-']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let number = ["NaN", "-NaN", "Infinity", "-Infinity"]
            .into_iter()
            .find(|number| rest.starts_with(number));
        let length = match number {
            Some(number) => number.len(),
            None if rest.starts_with('"') => string_length(rest),
            None => 1,
        };
        text.push_str(if number.is_some() { "null" } else { &rest[..length] });
        changed |= number.is_some();
        rest = &rest[length..];
    }
    changed.then(|| text + rest)
}

/// Bytes of the string that a text begins with.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |at| at + 2)
}

/// Whether a line is a JSON object, with or without NaN in it.
pub(crate) fn is_object(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|line| field(line, "").is_ok())
}

/// Names of a record's fields, for people.
pub(super) fn keys(record: &str) -> Vec<String> {
    let record = without_nan(record).map_or(Cow::Borrowed(record), Cow::Owned);
    let fields: Result<std::collections::BTreeMap<String, IgnoredAny>, _> =
        serde_json::from_str(&record);
    fields.map(|fields| fields.into_keys().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_found_in_what_writers_write() {
        let text = |text: &str| Field::Text(text.into());
        let cases = [
            (r#"{"text": "a"}"#, "text", text("a")),
            (r#"{"text": "a", "score": NaN}"#, "text", text("a")),
            (
                r#"{"score": -Infinity, "more": [Infinity, {"x": NaN}], "text": "NaN \" Infinity"}"#,
                "text",
                text("NaN \" Infinity"),
            ),
            (r#"{"text": NaN}"#, "text", Field::Null),
            (r#"{"text": null}"#, "text", Field::Null),
            (r#"{"body": "a"}"#, "text", Field::Missing),
            (r#"{"text": "x\ud83d"}"#, "text", Field::Halves),
            (r#"{"text": "a", "other": "x\ud83d"}"#, "text", text("a")),
            (r#"{"text": "\ud83d\ude00"}"#, "text", text("😀")),
            (r#"{"text": 3}"#, "text", Field::Other("a number")),
            (r#"{"text": ["a"]}"#, "text", Field::Other("a list")),
            (r#"{"text": {"a": "b"}}"#, "text", Field::Other("an object")),
            (r#"{"a": {"b": "c"}}"#, "a.b", text("c")),
            (r#"{"a": {"b": {"c": "d"}}}"#, "a.b.c", text("d")),
            (r#"{"a.b": "c", "a": {"b": "d"}}"#, "a.b", text("c")),
            (r#"{"a": null}"#, "a.b", Field::Null),
            (r#"{"a": 3}"#, "a.b", Field::Missing),
            (r#"{"a": {"c": "d"}}"#, "a.b", Field::Missing),
            (r#"{"text": "a", "text": "b"}"#, "text", text("b")),
        ];
        for (record, name, expected) in cases {
            assert_eq!(field(record, name).expect(record), expected, "{record}");
        }
        for wrong in [
            "",
            "3",
            "[]",
            "\"text\"",
            r#"{"text": "a""#,
            r#"{"text": "a"} {}"#,
            r#"{"text": NaNo}"#,
            "{text: 3}",
        ] {
            assert!(field(wrong, "text").is_err(), "{wrong}");
        }
    }

    proptest! {
        /// Whatever the text is, and whatever stands beside it, it is found as it was written.
        #[test]
        fn any_text_is_found_beside_anything(text in any::<String>(), other in any::<String>(), nan in any::<bool>()) {
            let (text_json, other_json) = (serde_json::to_string(&text).unwrap(), serde_json::to_string(&other).unwrap());
            let number = if nan { "NaN" } else { "-1.5" };
            let record = format!("{{\"x\": {other_json}, \"n\": {number}, \"text\": {text_json}}}");
            prop_assert_eq!(field(&record, "text").unwrap(), Field::Text(text));
        }
    }
}
