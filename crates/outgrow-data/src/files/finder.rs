//! Which files some paths lead to: all of them are found first, and then it is decided which are
//! read.

use std::path::PathBuf;

use outgrow_core::sweep::{DataSpec, TextFormat};

use super::{
    looked::{Holds, Looked},
    names::{is_about, is_named_data, is_named_text},
    pattern::expand,
    source::{LeftOut, Source},
    walk::Walk,
};
use crate::error::CorpusError;

/// The files of a sweep's data.
pub(crate) struct Found {
    pub train: Vec<Source>,
    /// Files of validation text, if they are named.
    pub validation: Option<Vec<Source>>,
    /// What was found and is not read.
    pub left_out: Vec<LeftOut>,
}

/// A path of the user's.
struct Named {
    is_folder: bool,
    is_validation: bool,
    /// The numbers of the files that it leads to.
    files: Vec<usize>,
}

/// The files of all paths, each once, however many links and paths lead to it: folders in the order
/// of the names in them, validation text first, so that what both name is not trained on. What is
/// named by hand is read. In folders hidden entries are left out, and `own` files; beside files of
/// data what is none; and JSON without a text of the name `field`.
///
/// # Errors
/// If one can't be read, is no file, holds what is not read, or there is nothing in it.
pub(crate) fn find(spec: &DataSpec, field: &str, own: &[PathBuf]) -> Result<Found, CorpusError> {
    let mut walk = Walk::new(own);
    let mut all = vec![];
    let validation = spec.validation_paths.iter().flatten().map(|path| (path, true));
    let train = spec.paths.iter().flatten().map(|path| (path, false));
    for (path, is_validation) in validation.chain(train) {
        for path in expand(path)? {
            let (is_folder, files) = walk.named(&path)?;
            all.push(Named { is_folder, is_validation, files });
        }
    }
    let mut decided = Decided::of(&walk, spec.format, field, &all);
    let left_out = decided.left_out(walk);
    let validation = decided.sources(true)?;
    let train = decided.sources(false)?;
    if train.is_empty() && !validation.is_empty() {
        let paths: Vec<_> = spec.paths.iter().flatten().map(String::as_str).collect();
        return Err(CorpusError::Document {
            place: paths.join(", "),
            why: "all of its files are validation text, as data.validation_paths names them, and \
                  none is left to train on; name others there, or give a share instead \
                  (data.validation = 0.1)"
                .into(),
        });
    }
    let validation = spec.validation_paths.as_ref().map(|_| validation);
    Ok(Found { train, validation, left_out })
}

/// What becomes of the files of a walk, by their numbers.
struct Decided {
    looked: Vec<Option<Looked>>,
    places: Vec<Place>,
    /// Those that are read as training text, and as validation text, in their order.
    parts: [Vec<usize>; 2],
}

impl Decided {
    fn of(walk: &Walk, format: Option<TextFormat>, field: &str, all: &[Named]) -> Self {
        let mut decided = Self {
            looked: walk.files.iter().map(|_| None).collect(),
            places: walk.files.iter().map(|_| Place::Nowhere).collect(),
            parts: [vec![], vec![]],
        };
        for named in all {
            for &n in named.files.iter().filter(|&&n| walk.files[n].bytes > 0) {
                decided.looked[n].get_or_insert_with(|| Looked::at(&walk.files[n], format));
            }
            let rule = Rule::of(named, format, field, &mut decided.looked);
            for &n in &named.files {
                match walk.files[n].bytes {
                    0 => decided.places[n] = Place::LeftOut("empty".into()),
                    _ => decided.decide(n, &rule, named.is_validation),
                }
            }
        }
        decided
    }

    fn decide(&mut self, n: usize, rule: &Rule, validates: bool) {
        match (&self.places[n], rule.why_not(self.looked[n].as_ref().expect("looked at"))) {
            (Place::Read { .. }, _) => {}
            (Place::Nowhere, Some(why)) => self.places[n] = Place::LeftOut(why),
            (Place::LeftOut(_), Some(_)) => {}
            (_, None) => {
                self.places[n] = Place::Read { validates };
                self.parts[usize::from(validates)].push(n);
            }
        }
    }

    /// What was found and is not read, the other paths to a file that is read among it.
    fn left_out(&self, walk: Walk) -> Vec<LeftOut> {
        let Walk { files, doubles, mut left_out, .. } = walk;
        for (n, place) in self.places.iter().enumerate() {
            if let Place::LeftOut(why) = place {
                left_out.push(LeftOut::new(&files[n].path, why));
            }
        }
        for (path, n) in doubles {
            let known = &files[n].path;
            let why = match &self.places[n] {
                Place::LeftOut(_) if path == *known => continue,
                Place::LeftOut(why) => why.clone(),
                Place::Read { validates: true } => {
                    format!("it is read as {} already, as validation text", known.display())
                }
                _ if path == *known => continue,
                _ => format!("it is read as {} already", known.display()),
            };
            left_out.push(LeftOut::new(&path, &why));
        }
        left_out
    }

    /// The files that are read, as validation text or as training text.
    fn sources(&mut self, validates: bool) -> Result<Vec<Source>, CorpusError> {
        let Self { looked, parts, .. } = self;
        let numbers = parts[usize::from(validates)].iter();
        numbers.map(|&n| looked[n].take().expect("looked at").source).collect()
    }
}

/// What becomes of a file.
enum Place {
    /// It was not decided yet.
    Nowhere,
    /// As validation text, or as training text.
    Read { validates: bool },
    /// And why.
    LeftOut(String),
}

/// Which files of a path are read.
struct Rule {
    /// Whether all are: they are named by hand, or the user says what they hold.
    takes_all: bool,
    has_data: bool,
    has_text: bool,
}

impl Rule {
    fn of(
        named: &Named,
        format: Option<TextFormat>,
        field: &str,
        looked: &mut [Option<Looked>],
    ) -> Self {
        let takes_all = !named.is_folder || format == Some(TextFormat::Text);
        let mut rule = Self { takes_all, has_data: false, has_text: false };
        if takes_all {
            return rule;
        }
        for &n in &named.files {
            let Some(looked) = &mut looked[n] else { continue };
            let holds = looked.holds(field);
            let (is_data, is_text) = (*holds == Holds::Data, *holds == Holds::Text);
            let counts = !is_about(&looked.path);
            rule.has_data |= is_data && counts;
            rule.has_text |= is_text && counts;
        }
        rule
    }

    /// Why a file is not read.
    fn why_not(&self, looked: &Looked) -> Option<String> {
        let path = &looked.path;
        match looked.known() {
            _ if self.takes_all => None,
            _ if self.has_data && is_about(path) => Some("it is about the data".into()),
            Holds::Data => None,
            Holds::None(why) => {
                ((self.has_data || self.has_text) && !is_named_text(path)).then(|| why.clone())
            }
            // What can't be read matters only if it is to be read.
            Holds::Text | Holds::Unknown => {
                (self.has_data && !is_named_data(path)).then(|| "beside files of data".into())
            }
        }
    }
}
