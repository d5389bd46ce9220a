//! Savings that were read in the middle of a schedule.

/// Behind such a number.
pub const MARK: &str = " †";

/// What the mark means.
pub const FOOTNOTE: &str = "† read on the way: some trial had this loss before the end of its own schedule, before its \
     learning rate had decayed; the loss that it is compared with, and all final losses, are read \
     at the end of a schedule.";

/// A number with its mark, if it takes one.
pub fn marked(text: String, is_on_the_way: bool) -> String {
    if is_on_the_way { text + MARK } else { text }
}
