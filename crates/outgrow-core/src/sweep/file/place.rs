//! Where in a text a field stands, for messages.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A step of a way through a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of a table.
    Field(String),
    /// An element of a list.
    Element(usize),
}

/// The characters of a field's name or of a list's element, if the text has it.
pub(super) fn find(text: &str, way: &[Step]) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let (mut span, mut value) = (None, None::<&Spanned<DeValue<'_>>>);
    for step in way {
        let table = match value {
            None => Some(table.get_ref()),
            Some(value) => value.get_ref().as_table(),
        };
        (span, value) = match step {
            Step::Field(name) => {
                let (key, value) = table?.iter().find(|(key, _)| key.get_ref() == name)?;
                (Some(key.span()), Some(value))
            }
            Step::Element(number) => {
                let element = value?.get_ref().as_array()?.get(*number)?;
                // Where it begins: it may be long.
                let begin = element.span().start;
                (Some(begin..begin + 1), Some(element))
            }
        };
    }
    span
}

/// The line of a place, with a mark under it, as compilers show it.
pub(super) fn excerpt(text: &str, span: &Range<usize>) -> (usize, String) {
    let begin = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[begin..].lines().next().unwrap_or_default();
    let number = text[..begin].matches('\n').count() + 1;
    let column = text[begin..span.start].chars().count();
    let width = text[span.clone()].lines().next().unwrap_or_default().chars().count().max(1);
    let (gutter, mark) = (number.to_string(), "^".repeat(width));
    let empty = " ".repeat(gutter.len());
    (number, format!("{empty} |\n{gutter} | {line}\n{empty} | {}{mark}", " ".repeat(column)))
}
