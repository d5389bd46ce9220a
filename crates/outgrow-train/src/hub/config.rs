//! `config.json`, field by field.

use std::{fmt, fs, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::error::{HubError, file_error, format_error};

/// The objects that may hold rotary positions, in the order in which transformers 5 looks.
pub const SECTIONS: [&str; 2] = ["rope_scaling", "rope_parameters"];

/// No `config.json` or index is longer: a bound for untrusted input.
const MAX_BYTES: u64 = 64 << 20;

/// The object in a JSON file. What readers understand differently is refused: a key twice, a mark
/// of byte order, numbers that are none.
pub fn read_object(path: &Path) -> Result<Map<String, Value>, HubError> {
    let about = fs::metadata(path).map_err(file_error(path))?;
    if !about.is_file() {
        return Err(format_error(path, "it is no regular file"));
    }
    if about.len() > MAX_BYTES {
        return Err(format_error(
            path,
            format!("it has {} bytes, more than {MAX_BYTES}", about.len()),
        ));
    }
    let text = fs::read(path).map_err(file_error(path))?;
    let refuse = |why: &str| Err(format_error(path, why));
    if text.starts_with(b"\xef\xbb\xbf") {
        return refuse(
            "it begins with a byte order mark, which JSON does not allow; save it as UTF-8 without one",
        );
    }
    let Ok(text) = std::str::from_utf8(&text) else {
        return refuse("it is no JSON: it is not UTF-8");
    };
    match serde_json::from_str(text) {
        Ok(Strict(Value::Object(fields))) => Ok(fields),
        Ok(_) => refuse("it is no JSON object"),
        Err(error) => {
            let odd = ["NaN", "Infinity"].into_iter().find(|word| text.contains(word));
            let hint = odd.map_or(String::new(), |word| format!("; {word} is no number of JSON"));
            refuse(&format!("it is no JSON object: {error}{hint}"))
        }
    }
}

/// A JSON value none of whose objects has a key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut list = vec![];
        while let Some(Strict(value)) = entries.next_element()? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, _>()? {
            if let Some(before) = object.insert(key.clone(), value) {
                let why = format!(
                    "`{key}` stands there twice, once as {before} and once as {}",
                    object[&key]
                );
                return Err(A::Error::custom(why));
            }
        }
        Ok(object.into())
    }
}

/// A configuration and where it comes from.
pub struct Config<'a> {
    pub path: &'a Path,
    pub fields: &'a Map<String, Value>,
}

impl Config<'_> {
    pub fn refuse<T>(&self, why: impl ToString) -> Result<T, HubError> {
        Err(format_error(self.path, why))
    }

    /// A field that is there and not null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// A field of a type; null is not of it.
    fn typed<T>(
        &self,
        key: &str,
        kind: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, HubError> {
        match self.fields.get(key) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => self.refuse(format!("`{key}` is {value}; it must be {kind}")),
            },
        }
    }

    /// A size that may be left out or null.
    pub fn size(&self, key: &str) -> Result<Option<usize>, HubError> {
        match self.get(key) {
            None => Ok(None),
            Some(_) => self.typed(key, "a whole number of at least 0", |n| {
                n.as_u64().and_then(|n| n.try_into().ok())
            }),
        }
    }

    pub fn needed(&self, key: &str) -> Result<usize, HubError> {
        match self.size(key)? {
            Some(size) => Ok(size),
            None => self.refuse(format!("`{key}` is missing")),
        }
    }

    pub fn stated(&self, key: &str) -> Result<Option<f64>, HubError> {
        self.typed(key, "a number", Value::as_f64)
    }

    pub fn number(&self, key: &str, default: f64) -> Result<f64, HubError> {
        Ok(self.stated(key)?.unwrap_or(default))
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool, HubError> {
        Ok(self.typed(key, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    pub fn text(&self, key: &str) -> Result<Option<String>, HubError> {
        self.typed(key, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// The object in a field; an empty one is none, as for transformers.
    pub fn object(&self, key: &str) -> Result<Option<Config<'_>>, HubError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(fields)) if fields.is_empty() => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Config { path: self.path, fields })),
            Some(value) => self.refuse(format!("`{key}` is {value}; it must be an object")),
        }
    }

    /// Refuses two statements of one fact that differ: which one a program takes depends on the
    /// program and its version.
    pub fn contradiction<T>(&self, [a, b]: [&dyn fmt::Display; 2]) -> Result<T, HubError> {
        self.refuse(format!(
            "{a}, but {b}: which of them holds depends on who reads it; remove the wrong one"
        ))
    }
}
