//! The records of a file, as lines or as values.

use std::{
    io::{BufRead, Read},
    path::Path,
};

use super::{
    field::{Field, field, keys},
    scanner::{MOST_BYTES, Place, Scanner, too_long},
};
use crate::{
    error::{CorpusError, read_error},
    formats::{
        kind::Packing,
        skipped::{Missing, Skipped},
        unpack::{unpacked, without_mark},
    },
};

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
        self.missing.saw(found != Field::Missing, || keys(text));
        if self.missing.is_enough() {
            self.missing.finish(self.path, self.field)?;
        }
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

/// Why a file has no text of this name, if none of its records has one, as far as they are looked
/// at: mostly that is the first.
///
/// # Errors
/// If it can't be read, or is no JSON.
pub(crate) fn lacks(
    path: &Path,
    packing: Packing,
    name: &str,
) -> Result<Option<String>, CorpusError> {
    let reader = unpacked(path, packing, &())?;
    let mut reader = without_mark(reader).map_err(read_error(path))?;
    let (mut scanner, mut missing) = (Scanner::new(path), Missing::default());
    loop {
        let bytes = reader.fill_buf().map_err(read_error(path))?;
        for &byte in bytes {
            if scanner.push(byte)?.is_none() {
                continue;
            }
            let object = std::mem::take(&mut scanner.object);
            let text = String::from_utf8_lossy(&object);
            let has = field(&text, name).is_ok_and(|found| found != Field::Missing);
            missing.saw(has, || keys(&text));
            if has || missing.is_enough() {
                return Ok(missing.why(name));
            }
        }
        let read = bytes.len();
        if read == 0 {
            scanner.finish()?;
            return Ok(missing.why(name));
        }
        reader.consume(read);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
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
