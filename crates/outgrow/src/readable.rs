//! Numbers and tables as people read them.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use outgrow_report::escape::visible;

/// A text of several lines for a terminal: whatever stands in a line, it moves no cursor and
/// changes no colour.
pub fn shown(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// A table as text, each cell in one line; columns whose number is in `right` hold numbers. If it
/// `fits`, it is made as narrow as the terminal.
pub fn table(header: &[&str], rows: &[Vec<String>], right: &[usize], fits: bool) -> String {
    let header: Vec<String> = header.iter().map(|name| visible(name)).collect();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| visible(cell)).collect()).collect();
    let mut table = Table::new();
    let style = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
    table.load_style(style).set_header(header).add_rows(rows);
    if fits {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// `1.23e15` as `1.23 PFLOP`.
pub fn flops(value: f64) -> String {
    format!("{}FLOP", scaled(value))
}

/// A number with three digits and a decimal prefix, and a space before the unit that follows.
pub fn scaled(value: f64) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P", "E", "Z"];
    let power = (0..prefixes.len() - 1).find(|&p| value.abs() < 999.5 * 1000f64.powi(p as i32));
    let power = power.unwrap_or(prefixes.len() - 1);
    let mantissa = value / 1000f64.powi(power as i32);
    let digits = if power == 0 || mantissa.abs() >= 99.95 {
        0
    } else if mantissa.abs() >= 9.995 {
        1
    } else {
        2
    };
    format!("{mantissa:.digits$} {}", prefixes[power])
}

/// A number of bytes with three digits and a decimal prefix: `1.23 MB`.
pub fn bytes(value: u64) -> String {
    format!("{}B", scaled(value as f64))
}

/// A count with three digits and a decimal prefix: `1.23k`.
pub fn count(value: f64) -> String {
    scaled(value).trim_end().replace(' ', "")
}

/// A number as people write it: `200k`, `10M`, `1.5B`, `1e9`, `1_000`.
///
/// # Errors
/// If it is none, or not from 1 to 2^53.
pub fn amount(text: &str) -> Result<u64, String> {
    let plain = text.replace('_', "");
    let (digits, unit) = match plain.char_indices().last() {
        Some((at, 'k' | 'K')) => (&plain[..at], 1e3),
        Some((at, 'M' | 'm')) => (&plain[..at], 1e6),
        Some((at, 'B' | 'b' | 'G' | 'g')) => (&plain[..at], 1e9),
        _ => (&*plain, 1.0),
    };
    let value = digits.parse::<f64>().map(|value| (value * unit).round());
    match value {
        Ok(value) if (1.0..=(1_u64 << 53) as f64).contains(&value) => Ok(value as u64),
        _ => Err("give a number from 1 to 2^53, such as 500000, 500k, 20M or 1e9".into()),
    }
}

/// A speed or a size: a number from 1e-3 to 1e12.
///
/// # Errors
/// If it is none, or beyond these.
pub fn positive_number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (1e-3..=1e12).contains(number));
    number.ok_or_else(|| "give a number from 1e-3 to 1e12".into())
}

/// Seconds as people say them.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 99.5 => format!("{s:.0} s"),
        s if s < 99.5 * 60.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_table_reaches_the_terminal_but_text() {
        let row = vec!["x\ny\t\u{202e}\u{9b}1m".into()];
        let text = table(&["a\u{1b}[2J"], &[row], &[], false);
        assert!(
            text.contains("a\\u{1b}[2J") && text.contains("x\\ny\\t\\u{202e}\\u{9b}1m"),
            "{text:?}"
        );
        assert_eq!(shown("a\nb\u{7}"), "a\nb\\u{7}");
    }

    #[test]
    fn numbers_read_well() {
        let found = [0.0, 7.0, 999.0, 1234.0, 99_960.0, 999_600.0, 1.5e15].map(count);
        assert_eq!(found, ["0", "7", "999", "1.23k", "100k", "1.00M", "1.50P"]);
        assert_eq!([5.0, 600.0, 7200.0].map(duration), ["5 s", "10 min", "2.0 h"]);
        assert_eq!(flops(2.5e12), "2.50 TFLOP");
        let amounts = ["200k", "1_000", "1.5B", "1e9"].map(amount);
        assert_eq!(amounts, [200_000, 1000, 1_500_000_000, 1_000_000_000].map(Ok));
        assert!(["", "k", "0", "-1", "1e99", "many"].into_iter().all(|text| amount(text).is_err()));
    }
}
