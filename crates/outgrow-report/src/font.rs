//! The one font of all figures: embedded here, in every SVG, and (as a subset) in every PDF, so that text stays text.

use std::sync::{Arc, LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use ttf_parser::Face;
use usvg::fontdb::Database;

use crate::ReportError;

/// Its name.
pub const FAMILY: &str = "Outgrow Sans";
static BYTES: &[u8] = include_bytes!("../fonts/outgrow-sans-regular.otf");
static FACE: LazyLock<Face> = LazyLock::new(|| Face::parse(BYTES, 0).expect("the embedded font is valid"));
static ENCODED: LazyLock<String> = LazyLock::new(|| STANDARD.encode(BYTES));
static DATABASE: LazyLock<Arc<Database>> = LazyLock::new(|| {
    // Only ours: with system fonts in reach a missing glyph would come from another font without a word.
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

/// Refuses a text that the font can't write.
pub fn check(text: &str) -> Result<(), ReportError> {
    match text.chars().find(|character| FACE.glyph_index(*character).is_none()) {
        None => Ok(()),
        Some(character) => Err(ReportError::Glyph { character, text: text.to_owned() }),
    }
}

/// Width of a text at a size, without what `^{...}` raises.
pub fn width(text: &str, size: i32) -> i32 {
    let advance = |character| FACE.glyph_hor_advance(FACE.glyph_index(character)?);
    let units: u32 = text.chars().filter_map(advance).map(u32::from).sum();
    (f64::from(units) * f64::from(size) / f64::from(FACE.units_per_em())).ceil() as i32
}
