//! The list of what libtorch is: `cpu BYTES SHA-256 URL`, one file a line.

use std::{fs, path::Path};

use crate::error::Error;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Cpu,
    Cuda,
}

/// A wheel to be fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct Wheel {
    pub part: Part,
    pub bytes: u64,
    pub sha256: String,
    pub url: String,
}

impl Wheel {
    /// The name of its file.
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }
}

/// The version, and its wheels.
#[derive(Debug, PartialEq)]
pub struct List {
    pub version: String,
    pub wheels: Vec<Wheel>,
}

impl List {
    /// Reads it.
    ///
    /// # Errors
    /// If it is not there, or no such list.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(Error::file(path))?;
        Self::parse(&text).ok_or_else(|| {
            Error::Said(format!("{} is damaged; unpack the archive again", path.display()))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (mut version, mut wheels) = (None, vec![]);
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["version", found] => version = Some(found.to_owned()),
                // The same for developers who have another Python.
                ["python", ..] => {}
                [part, bytes, sha256, url] => {
                    let part = match part {
                        "cpu" => Part::Cpu,
                        "cuda" => Part::Cuda,
                        _ => return None,
                    };
                    let (sha256, url) = (sha256.to_owned(), url.to_owned());
                    wheels.push(Wheel { part, bytes: bytes.parse().ok()?, sha256, url });
                }
                _ => return None,
            }
        }
        Some(Self { version: version?, wheels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_this_project_is_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/libtorch.list");
        let list = List::read(&path).expect("a list");
        let of = |part| list.wheels.iter().filter(move |wheel| wheel.part == part);
        assert_eq!((of(Part::Cpu).count(), of(Part::Cuda).count()), (3, 13));
        for wheel in &list.wheels {
            assert!(wheel.url.starts_with("https://") && wheel.name().ends_with("x86_64.whl"));
            assert!(wheel.sha256.len() == 64 && wheel.bytes > 100_000, "{wheel:?}");
        }
        assert!(list.wheels[0].name().starts_with(&format!("torch-{}-", list.version)));
    }

    #[test]
    fn what_is_no_list_is_none() {
        for wrong in
            ["", "cpu 1 a b", "version 1\ncpu x a b", "version 1\ngpu 1 a b", "version 1\ncpu 1 a"]
        {
            assert_eq!(List::parse(wrong), None, "{wrong:?}");
        }
    }
}
