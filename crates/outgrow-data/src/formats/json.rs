//! Documents in JSON: an object a line, or objects over several lines, in an array or one after the
//! other.

mod field;
mod records;
mod scanner;

pub(crate) use self::records::{Records, lacks};
pub(super) use self::{field::is_object, scanner::MOST_BYTES};
