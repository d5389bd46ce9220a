//! A value as text, as JSON, and for people.

use outgrow_store::Cell;
use serde_json::Value;

/// All that there is of a value: numbers with all digits, bytes as SQL has them (`x'ff'`), nothing
/// for NULL.
pub fn text(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Integer(value) => value.to_string(),
        Cell::Big(value) => value.to_string(),
        Cell::Real(value)
            if *value != 0.0 && !(1e-5..1e16).contains(&value.abs()) && value.is_finite() =>
        {
            format!("{value:e}")
        }
        Cell::Real(value) => value.to_string(),
        Cell::Text(value) | Cell::Decimal(value) => value.clone(),
        Cell::Blob(bytes) => format!("x'{}'", hex(bytes)),
    }
}

/// A value for people: six digits of a number, and nothing that moves a terminal's cursor.
pub fn short(cell: &Cell) -> String {
    match cell {
        Cell::Big(value) => format!("{:.4e}", *value as f64),
        Cell::Real(value) if *value != 0.0 && !(1e-3..1e7).contains(&value.abs()) => {
            format!("{value:.4e}")
        }
        Cell::Real(value) => format!("{value:.5}"),
        Cell::Text(value) => printable(value),
        other => text(other),
    }
}

/// A text whose control characters, but for the ends of lines, are escaped.
pub fn printable(text: &str) -> String {
    let is_odd = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_odd(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// A value in JSON's own text, numbers with all digits. What JSON has no number for is a string:
/// NaN, Infinity, -Infinity; bytes are hexadecimal.
pub fn json(cell: &Cell) -> String {
    match cell {
        Cell::Real(value) if value.is_nan() => "\"NaN\"".into(),
        Cell::Real(f64::INFINITY) => "\"Infinity\"".into(),
        Cell::Real(f64::NEG_INFINITY) => "\"-Infinity\"".into(),
        Cell::Big(value) => value.to_string(),
        Cell::Decimal(digits) => digits.clone(),
        other => value(other).to_string(),
    }
}

/// A value as the page takes it: what is no number is null, and what is beyond 64 bits the nearest
/// real number.
pub fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(value) => (*value).into(),
        Cell::Big(value) => (*value as f64).into(),
        Cell::Real(value) => (*value).into(),
        Cell::Decimal(digits) => digits.parse::<f64>().map_or(Value::Null, Value::from),
        Cell::Text(value) => value.clone().into(),
        Cell::Blob(bytes) => hex(bytes).into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_digits_in_every_format() {
        let digits = "0.33333333333333333333";
        for (cell, as_text, as_json, for_people) in [
            (Cell::Null, "", "null", ""),
            (
                Cell::Integer(i64::MAX),
                "9223372036854775807",
                "9223372036854775807",
                "9223372036854775807",
            ),
            (
                Cell::Integer((1 << 53) + 1),
                "9007199254740993",
                "9007199254740993",
                "9007199254740993",
            ),
            (
                Cell::Big(10_i128.pow(22) + 1),
                "10000000000000000000001",
                "10000000000000000000001",
                "1.0000e22",
            ),
            (Cell::Real(0.1), "0.1", "0.1", "0.10000"),
            (Cell::Real(1e300), "1e300", "1e+300", "1.0000e300"),
            (Cell::Real(-0.0), "-0", "-0.0", "-0.00000"),
            (Cell::Real(f64::NAN), "NaN", "\"NaN\"", "NaN"),
            (Cell::Real(f64::NEG_INFINITY), "-inf", "\"-Infinity\"", "-inf"),
            (Cell::Decimal(digits.into()), digits, digits, digits),
            (Cell::Blob(vec![0, 255]), "x'00ff'", "\"00ff\"", "x'00ff'"),
            (
                Cell::Text("a\u{1b}[2J\n\"b".into()),
                "a\u{1b}[2J\n\"b",
                r#""a\u001b[2J\n\"b""#,
                "a\\u{1b}[2J\n\"b",
            ),
        ] {
            let found = (text(&cell), json(&cell), short(&cell));
            assert_eq!(found, (as_text.into(), as_json.into(), for_people.into()), "{cell:?}");
            serde_json::from_str::<Value>(&json(&cell)).expect("JSON");
        }
    }
}
