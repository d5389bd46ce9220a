//! `config.json`, field by field.

use std::{fs, path::Path};

use serde_json::{Map, Value};

use super::{HubError, file_error, format_error};

/// No `config.json` or index is longer: a bound for untrusted input.
const MAX_BYTES: u64 = 64 << 20;

/// The object in a JSON file.
pub fn read_object(path: &Path) -> Result<Map<String, Value>, HubError> {
    let size = fs::metadata(path).map_err(file_error(path))?.len();
    if size > MAX_BYTES {
        return Err(format_error(path, format!("it has {size} bytes, more than {MAX_BYTES}")));
    }
    let text = fs::read(path).map_err(file_error(path))?;
    serde_json::from_slice(&text).map_err(|error| format_error(path, format!("it is no JSON object: {error}")))
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

    fn typed<T>(&self, key: &str, kind: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, HubError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => self.refuse(format!("`{key}` is {value}; it must be {kind}")),
            },
        }
    }

    pub fn size(&self, key: &str) -> Result<Option<usize>, HubError> {
        self.typed(key, "a whole number of at least 0", |value| value.as_u64().and_then(|n| usize::try_from(n).ok()))
    }

    pub fn needed(&self, key: &str) -> Result<usize, HubError> {
        match self.size(key)? {
            Some(size) => Ok(size),
            None => self.refuse(format!("`{key}` is missing")),
        }
    }

    pub fn number(&self, key: &str, default: f64) -> Result<f64, HubError> {
        Ok(self.typed(key, "a number", Value::as_f64)?.unwrap_or(default))
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool, HubError> {
        Ok(self.typed(key, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    pub fn text(&self, key: &str) -> Result<Option<String>, HubError> {
        self.typed(key, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// Refuses a field that changes what the model computes in a way that we do not know, unless it has the usual value.
    pub fn only(&self, key: &str, usual: impl Into<Value>, what: &str) -> Result<(), HubError> {
        let usual = usual.into();
        match self.get(key) {
            Some(value) if *value != usual => {
                self.refuse(format!("`{key}` is {value}, and {what} is not known here; only {usual} is"))
            }
            _ => Ok(()),
        }
    }

    /// The object in a field.
    pub fn object(&self, key: &str) -> Result<Option<Config<'_>>, HubError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Config { path: self.path, fields })),
            Some(value) => self.refuse(format!("`{key}` is {value}; it must be an object")),
        }
    }
}
