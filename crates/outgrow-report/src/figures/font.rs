//! The one font of all figures: embedded here, in every SVG, and (as a subset) in every PDF, so
//! that text stays text.

use std::sync::{Arc, LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use ttf_parser::Face;
use usvg::fontdb::Database;

use super::measures::{PT, TICK};
use crate::escape::visible;

/// Its name.
pub const FAMILY: &str = "Outgrow Sans";
static BYTES: &[u8] = include_bytes!("../../fonts/outgrow-sans-regular.otf");
static FACE: LazyLock<Face> =
    LazyLock::new(|| Face::parse(BYTES, 0).expect("the embedded font is valid"));
static ENCODED: LazyLock<String> = LazyLock::new(|| STANDARD.encode(BYTES));
static DATABASE: LazyLock<Arc<Database>> = LazyLock::new(|| {
    // Only ours: with system fonts in reach a missing glyph would come from another font without a
    // word.
    let mut database = Database::new();
    database.load_font_data(BYTES.to_vec());
    Arc::new(database)
});

/// A database of this font alone.
pub fn database() -> Arc<Database> {
    DATABASE.clone()
}

/// The CSS rule that carries the font inside an SVG.
pub fn css() -> String {
    format!("@font-face{{font-family:\"{FAMILY}\";src:url(data:font/otf;base64,{})}}", *ENCODED)
}

/// No name takes more of a figure's width than this, in hundredths of a point: about half of a
/// column.
const WIDEST: i32 = 124 * PT;

/// A name as the figures write it: what the font has no sign for is its number, `U+6210`; a long
/// name has its middle left out and some digits of its digest there, so that names which differ are
/// not written alike.
pub fn label(name: &str) -> String {
    label_in(name, WIDEST)
}

/// The same within a width.
pub fn label_in(name: &str, widest: i32) -> String {
    let sign = |c: char| {
        if FACE.glyph_index(c).is_some() {
            c.to_string()
        } else {
            format!("U+{:04X}", u32::from(c))
        }
    };
    let whole: String = visible(name).chars().map(sign).collect();
    if width(&whole, TICK) <= widest {
        return whole;
    }
    let signs: Vec<char> = whole.chars().collect();
    let digest = &blake3::hash(name.as_bytes()).to_hex()[..4];
    let cut = |left: usize| -> String {
        let (head, tail) = (&signs[..left - left / 3], &signs[signs.len() - left / 3..]);
        format!("{}…{digest}…{}", String::from_iter(head), String::from_iter(tail))
    };
    let fits = |text: &String| width(text, TICK) <= widest;
    (1..signs.len().min(60)).rev().map(cut).find(fits).unwrap_or_else(|| digest.to_owned())
}

/// What stands around a text that is to be raised: characters that no name has once it is made
/// [visible](crate::escape::visible).
pub const RAISED: [char; 2] = ['\u{e}', '\u{f}'];

/// Width of a text at a size; an exponent is as wide as it would be if it were not raised.
pub fn width(text: &str, size: i32) -> i32 {
    let advance = |character| FACE.glyph_hor_advance(FACE.glyph_index(character)?);
    let units: u32 = text.chars().filter_map(advance).map(u32::from).sum();
    (f64::from(units) * f64::from(size) / f64::from(FACE.units_per_em())).ceil() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_can_be_written() {
        let long = "a".repeat(300);
        let names = [
            "random",
            "from_scratch 3",
            "成長",
            "a\nb",
            "😀",
            &"成".repeat(100),
            &long,
            &format!("{long}b"),
            &"W".repeat(40),
            "^{2}",
        ];
        let labels = names.map(label);
        for label in &labels {
            assert!(width(label, TICK) <= WIDEST && !label.is_empty(), "{label}");
            assert!(label.chars().all(|c| FACE.glyph_index(c).is_some()), "{label}");
        }
        assert_eq!(labels[..5], ["random", "from_scratch 3", "U+6210U+9577", "a\\nb", "U+1F600"]);
        let different: std::collections::BTreeSet<_> = labels.iter().collect();
        assert_eq!(different.len(), names.len());
    }
}
