//! How wide texts are on paper, and where their lines may end.

use unicode_normalization::UnicodeNormalization;

use crate::{
    escape::{latex, visible},
    table::{Column, Table},
};

/// `\footnotesize` of a paper in ten points.
const SIZE: f64 = 8.0;
/// Points of a word's part after which a line may end.
const PART: f64 = 28.0;
/// Points of a word that fits into a narrow column: longer ones must be parted by us. LaTeX parts
/// words of letters by itself.
const LONG: [f64; 2] = [42.0, 60.0];
/// The same for a word of a caption.
const LONG_IN_CAPTION: f64 = 110.0;
/// Points of a line in a column's head.
const HEAD: f64 = 56.0;

/// The width of a text in points: of Computer Modern, rather too wide than too narrow.
pub fn width(text: &str) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '!' | '\'' | '`' => 0.3,
        'f' | 't' | 'r' | ' ' | 's' | '-' | '(' | ')' | '[' | ']' | '/' => 0.42,
        'm' | 'w' | 'M' | 'W' | '…' | '@' | '%' => 1.09,
        '0'..='9' => 0.54,
        'a'..='z' | '–' => 0.58,
        'A'..='Z' | '±' | '≤' | '−' | '+' | '=' | '<' | '>' => 0.83,
        c if c.is_ascii() => 0.83,
        // Its number, in the typewriter's letters.
        c if latex(&c.to_string()).contains("texttt") => 4.8,
        _ => 0.9,
    };
    visible(text).chars().map(em).sum::<f64>() * SIZE
}

/// The width of a column of numbers in points.
pub fn natural(table: &Table, column: usize) -> f64 {
    let cell = |row: usize| {
        let own = width(&table.rows[row][column].shown());
        if table.is_best(row, column) { 1.16 * own } else { own }
    };
    let head =
        lines(&table.columns[column].head).iter().map(|line| width(line)).fold(0.0, f64::max);
    (0..table.rows.len()).map(cell).fold(head, f64::max)
}

/// A column's head, in several lines where it is long.
pub fn heading(column: &Column) -> String {
    if column.is_text {
        return cell(&column.head);
    }
    let lines: Vec<String> = lines(&column.head).iter().map(|line| latex(line)).collect();
    match lines.len() {
        1 => lines.concat(),
        _ => {
            format!("\\begin{{tabular}}[b]{{@{{}}r@{{}}}}{}\\end{{tabular}}", lines.join(" \\\\ "))
        }
    }
}

/// A head in lines that are no longer than they must be.
fn lines(head: &str) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in head.split(' ') {
        for (number, part) in parts(word, LONG[1]).into_iter().enumerate() {
            match lines.last_mut() {
                Some(line) if number == 0 && width(&format!("{line} {part}")) <= HEAD => {
                    *line += &format!(" {part}");
                }
                _ => lines.push(part),
            }
        }
    }
    lines
}

/// A word in parts, none much longer than others, where it is wider than so many points.
fn parts(word: &str, long: f64) -> Vec<String> {
    if width(word) <= long {
        return vec![word.to_owned()];
    }
    let mut parts = vec![String::new()];
    for c in word.chars() {
        let part = parts.last_mut().expect("never empty");
        if part.is_empty() || width(part) + width(&c.to_string()) <= PART {
            part.push(c);
        } else {
            parts.push(c.to_string());
        }
    }
    parts
}

/// A text in a cell: the lines may end within a long word.
pub fn cell(text: &str) -> String {
    let long = |word: &str| LONG[usize::from(word.chars().all(|c| c.is_ascii_alphabetic()))];
    // LaTeX parts no word at the beginning of a paragraph.
    format!("\\hspace{{0pt}}{}", set(text, long))
}

/// A text in a caption: the lines may end within a very long word.
pub fn caption(text: &str) -> String {
    set(text, |_| LONG_IN_CAPTION)
}

fn set(text: &str, long: impl Fn(&str) -> f64) -> String {
    let word = |word: &str| {
        let parts: Vec<String> = parts(word, long(word)).iter().map(|part| latex(part)).collect();
        parts.join("\\hspace{0pt}")
    };
    let text: String = text.nfc().collect();
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
