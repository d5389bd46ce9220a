//! Documents in JSON: an object a line, or objects over several lines, in an array or one after the
//! other.

use std::{
    borrow::Cow,
    fmt,
    io::{BufRead, Read},
    path::Path,
};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    documents::{Missing, Skipped},
    error::{CorpusError, read_error},
    files::Source,
    kind::without_mark,
    unpack::unpacked,
};

/// A line, or an object, of more is refused: no text is that long, and it must fit into memory
/// several times.
pub(crate) const MOST_BYTES: usize = 128 << 20;

/// Where a record stands.
struct Place<'a> {
    path: &'a Path,
    line: u64,
}

impl Place<'_> {
    fn refused(&self, why: impl Into<String>) -> CorpusError {
        CorpusError::Document {
            place: format!("{}, line {}", self.path.display(), self.line),
            why: why.into(),
        }
    }
}

/// The texts of a file's records: what has none is counted in `skipped`.
pub(crate) struct Records<'a> {
    path: &'a Path,
    field: &'a str,
    skipped: &'a mut Skipped,
    take: &'a mut dyn FnMut(&[u8]) -> Result<(), CorpusError>,
    missing: Missing,
}

impl<'a> Records<'a> {
    pub fn new(
        path: &'a Path,
        field: &'a str,
        skipped: &'a mut Skipped,
        take: &'a mut dyn FnMut(&[u8]) -> Result<(), CorpusError>,
    ) -> Self {
        Self { path, field, skipped, take, missing: Missing::default() }
    }

    /// A JSON object a line; empty lines are none.
    pub fn lines(mut self, mut reader: impl BufRead) -> Result<(), CorpusError> {
        let mut line = vec![];
        let mut place = Place { path: self.path, line: 0 };
        loop {
            line.clear();
            let limit = MOST_BYTES as u64 + 1;
            let read = (&mut reader)
                .take(limit)
                .read_until(b'\n', &mut line)
                .map_err(read_error(self.path))?;
            place.line += 1;
            match read {
                0 => return self.missing.finish(self.path, self.field),
                read if read > MOST_BYTES => return Err(too_long(&place)),
                _ if line.iter().all(u8::is_ascii_whitespace) => {}
                _ => self.record(&line, &place)?,
            }
        }
    }

    /// JSON objects in an array, or one after the other.
    pub fn values(mut self, mut reader: impl BufRead) -> Result<(), CorpusError> {
        let path = self.path;
        let mut scanner = Scanner::new(path);
        loop {
            let bytes = reader.fill_buf().map_err(read_error(path))?;
            if bytes.is_empty() {
                scanner.finish()?;
                return self.missing.finish(path, self.field);
            }
            for &byte in bytes {
                if let Some(line) = scanner.push(byte)? {
                    let object = std::mem::take(&mut scanner.object);
                    self.record(&object, &Place { path, line })?;
                }
            }
            let read = bytes.len();
            reader.consume(read);
        }
    }

    fn record(&mut self, bytes: &[u8], place: &Place) -> Result<(), CorpusError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            place.refused(format!("byte {} of it is no UTF-8", error.valid_up_to() + 1))
        })?;
        let found = field(text, self.field)
            .map_err(|error| place.refused(format!("it is no JSON object: {error}")))?;
        self.missing.saw(!matches!(found, Field::Missing), || keys(text), self.path, self.field)?;
        match found {
            Field::Text(text) if text.is_empty() => self.skipped.empty += 1,
            Field::Text(text) => (self.take)(text.as_bytes())?,
            Field::Null => self.skipped.null += 1,
            Field::Missing => self.skipped.missing += 1,
            Field::Halves => self.skipped.halves += 1,
            Field::Other(what) => {
                let why = format!(
                    "its `{}` is {what}, not text; name the field of the text (data.field)",
                    self.field
                );
                return Err(place.refused(why));
            }
        }
        Ok(())
    }
}

fn too_long(place: &Place) -> CorpusError {
    place.refused(format!("it is longer than {} MiB; split it", MOST_BYTES >> 20))
}

/// Cuts a stream of JSON into its outermost objects.
struct Scanner<'a> {
    path: &'a Path,
    object: Vec<u8>,
    line: u64,
    /// Where the object at hand began.
    began: u64,
    /// Braces and brackets that are open within an object.
    depth: usize,
    in_string: bool,
    escaped: bool,
    array: Array,
}

#[derive(Clone, Copy, PartialEq)]
enum Array {
    /// Nothing was read yet.
    Unknown,
    None,
    Open,
    Closed,
}

impl<'a> Scanner<'a> {
    fn new(path: &'a Path) -> Self {
        Self {
            path,
            object: vec![],
            line: 1,
            began: 1,
            depth: 0,
            in_string: false,
            escaped: false,
            array: Array::Unknown,
        }
    }

    fn refused<T>(&self, why: &str) -> Result<T, CorpusError> {
        Err(Place { path: self.path, line: self.line }.refused(why))
    }

    /// Takes a byte; gives the line on which the object began that it ends.
    fn push(&mut self, byte: u8) -> Result<Option<u64>, CorpusError> {
        self.line += u64::from(byte == b'\n');
        if self.depth == 0 {
            return self.between(byte).map(|()| None);
        }
        self.object.push(byte);
        if self.object.len() > MOST_BYTES {
            return Err(too_long(&Place { path: self.path, line: self.began }));
        }
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        Ok((self.depth == 0).then_some(self.began))
    }

    fn between(&mut self, byte: u8) -> Result<(), CorpusError> {
        match (byte, self.array) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => {}
            (b'[', Array::Unknown) => self.array = Array::Open,
            (b']', Array::Open) => self.array = Array::Closed,
            (b',', Array::Open) => {}
            (b'{', Array::Unknown | Array::None | Array::Open) => {
                self.array = if self.array == Array::Open { Array::Open } else { Array::None };
                self.object.push(byte);
                (self.depth, self.began) = (1, self.line);
            }
            _ => {
                return self
                    .refused("it must hold JSON objects, alone or in one array, and here stands something else");
            }
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), CorpusError> {
        match (self.depth, self.array) {
            (0, Array::Open) => self.refused("its array has no end; the file was cut off"),
            (0, _) => Ok(()),
            _ => self.refused(&format!(
                "the object that begins on line {} has no end; the file was cut off",
                self.began
            )),
        }
    }
}

/// What stands in the field of the text.
#[derive(Debug, PartialEq)]
enum Field {
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
fn field(record: &str, name: &str) -> Result<Field, serde_json::Error> {
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

/// Whether the first record of a file has a field; not if it has no record.
///
/// # Errors
/// If it can't be read.
pub(crate) fn first_has(source: &Source, name: &str) -> Result<bool, CorpusError> {
    let reader = unpacked(&source.path, source.kind.packing, &())?;
    let mut reader = without_mark(reader).map_err(read_error(&source.path))?;
    let mut scanner = Scanner::new(&source.path);
    loop {
        let bytes = reader.fill_buf().map_err(read_error(&source.path))?;
        let read = bytes.len();
        for &byte in bytes {
            if scanner.push(byte)?.is_some() {
                let text = String::from_utf8_lossy(&scanner.object);
                return Ok(field(&text, name).is_ok_and(|found| found != Field::Missing));
            }
        }
        if read == 0 {
            return Ok(false);
        }
        reader.consume(read);
    }
}

/// Names of a record's fields, for people.
fn keys(record: &str) -> Vec<String> {
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

        /// A stream of objects falls into the same objects in an array, on lines of its own, and
        /// wherever buffers end.
        #[test]
        fn objects_are_cut_apart(texts in proptest::collection::vec(any::<String>(), 1..8), size in 1..40usize, array in any::<bool>()) {
            let objects = texts.iter().map(|text| serde_json::to_string_pretty(&serde_json::json!({ "text": text, "o": {"l": [1]} })).unwrap());
            let objects: Vec<String> = objects.collect();
            let file = if array { format!("[\n{}\n]", objects.join(" ,\n")) } else { objects.join("\n") };
            let (mut found, mut skipped) = (vec![], Skipped::default());
            let mut take = |text: &[u8]| { found.push(String::from_utf8(text.to_vec()).unwrap()); Ok(()) };
            let reader = std::io::BufReader::with_capacity(size, file.as_bytes());
            Records::new(Path::new("x"), "text", &mut skipped, &mut take).values(reader).unwrap();
            let full: Vec<String> = texts.iter().filter(|text| !text.is_empty()).cloned().collect();
            prop_assert_eq!(found, full);
            prop_assert_eq!(skipped.empty as usize, texts.iter().filter(|text| text.is_empty()).count());
        }
    }
}
