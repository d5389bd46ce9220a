//! Which files some paths lead to: all of them are found first, and then it is decided which are
//! read.

use std::path::PathBuf;

use outgrow_core::sweep::{DataSpec, TextFormat};

use super::{
    looked::{Holds, Looked},
    names::{is_about, is_named_data, is_named_text},
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
        let (is_folder, files) = walk.named(path)?;
        all.push(Named { is_folder, is_validation, files });
    }
    let mut looked: Vec<Option<Looked>> = walk.files.iter().map(|_| None).collect();
    let mut places: Vec<Place> = walk.files.iter().map(|_| Place::Nowhere).collect();
    let mut parts = [vec![], vec![]];
    for named in &all {
        for &n in named.files.iter().filter(|&&n| walk.files[n].bytes > 0) {
            looked[n].get_or_insert_with(|| Looked::at(&walk.files[n], spec.format));
        }
        let rule = Rule::of(named, spec.format, field, &mut looked);
        for &n in &named.files {
            if walk.files[n].bytes == 0 {
                places[n] = Place::LeftOut("empty".into());
                continue;
            }
            match (&places[n], rule.why_not(looked[n].as_ref().expect("looked at"))) {
                (Place::Read { .. }, _) => {}
                (Place::Nowhere, Some(why)) => places[n] = Place::LeftOut(why),
                (Place::LeftOut(_), Some(_)) => {}
                (_, None) => {
                    places[n] = Place::Read { validates: named.is_validation };
                    parts[usize::from(named.is_validation)].push(n);
                }
            }
        }
    }
    let mut left_out = walk.left_out;
    for (n, place) in places.iter().enumerate() {
        if let Place::LeftOut(why) = place {
            left_out.push(LeftOut::new(&walk.files[n].path, why));
        }
    }
    for (path, n) in walk.doubles {
        let known = &walk.files[n].path;
        let why = match &places[n] {
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
    let mut sources = |numbers: &[usize]| -> Result<Vec<Source>, CorpusError> {
        numbers.iter().map(|&n| looked[n].take().expect("looked at").source).collect()
    };
    let validation = sources(&parts[1])?;
    let train = sources(&parts[0])?;
    if train.is_empty() && !validation.is_empty() {
        let paths: Vec<_> = spec.paths.iter().flatten().map(String::as_str).collect();
        return Err(CorpusError::Document {
            place: paths.join(", "),
            why: "all of its files are validation text, as data.validation_paths names them, and \
                  none is left to train \
                  on; name others there, or give a share instead (data.validation = 0.1)"
                .into(),
        });
    }
    let validation = spec.validation_paths.as_ref().map(|_| validation);
    Ok(Found { train, validation, left_out })
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
