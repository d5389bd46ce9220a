//! Where one JSON object ends and the next begins.

use std::path::Path;

use crate::error::CorpusError;

/// A line, or an object, of more is refused: no text is that long, and it must fit into memory
/// several times.
pub(crate) const MOST_BYTES: usize = 128 << 20;

/// Where a record stands.
pub(super) struct Place<'a> {
    pub path: &'a Path,
    pub line: u64,
}

impl Place<'_> {
    pub fn refused(&self, why: impl Into<String>) -> CorpusError {
        CorpusError::Document {
            place: format!("{}, line {}", self.path.display(), self.line),
            why: why.into(),
        }
    }
}

pub(super) fn too_long(place: &Place) -> CorpusError {
    place.refused(format!("it is longer than {} MiB; split it", MOST_BYTES >> 20))
}

/// Cuts a stream of JSON into its outermost objects.
pub(super) struct Scanner<'a> {
    path: &'a Path,
    /// The object at hand.
    pub object: Vec<u8>,
    line: u64,
    /// Where the object at hand began.
    began: u64,
    /// Braces and brackets that are open within an object.
    depth: usize,
    in_string: bool,
    escaped: bool,
    array: Array,
    last: Last,
}

/// What stands before, in an array.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Begin,
    Object,
    Comma,
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
    pub fn new(path: &'a Path) -> Self {
        Self {
            path,
            object: vec![],
            line: 1,
            began: 1,
            depth: 0,
            in_string: false,
            escaped: false,
            array: Array::Unknown,
            last: Last::Begin,
        }
    }

    fn refused<T>(&self, why: &str) -> Result<T, CorpusError> {
        Err(Place { path: self.path, line: self.line }.refused(why))
    }

    /// Takes a byte; gives the line on which the object began that it ends.
    pub fn push(&mut self, byte: u8) -> Result<Option<u64>, CorpusError> {
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
        if self.depth > 0 {
            return Ok(None);
        }
        self.last = Last::Object;
        Ok(Some(self.began))
    }

    fn between(&mut self, byte: u8) -> Result<(), CorpusError> {
        let is_misplaced = match byte {
            b'{' => self.last == Last::Object,
            b',' => self.last != Last::Object,
            b']' => self.last == Last::Comma,
            _ => false,
        };
        if self.array == Array::Open && is_misplaced {
            return self.refused(
                "its array is broken: one comma stands between two objects, and none elsewhere",
            );
        }
        match (byte, self.array) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => {}
            (b'[', Array::Unknown) => self.array = Array::Open,
            (b']', Array::Open) => self.array = Array::Closed,
            (b',', Array::Open) => self.last = Last::Comma,
            (b'{', Array::Unknown | Array::None | Array::Open) => {
                self.array = if self.array == Array::Open { Array::Open } else { Array::None };
                self.object.push(byte);
                (self.depth, self.began) = (1, self.line);
            }
            _ => {
                return self.refused(
                    "it must hold JSON objects, alone or in one array, and here stands \
                              something else",
                );
            }
        }
        Ok(())
    }

    pub fn finish(&self) -> Result<(), CorpusError> {
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
