//! Tables (booktabs) and figures as LaTeX.

use crate::{escape::latex, figures::Figure, tables::Table};

/// A table with its caption.
pub fn table(table: &Table) -> String {
    let rows = &table.rows;
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().map(|cell| signed(&latex(cell))).collect();
        format!("  {} \\\\\n", cells.join(" & "))
    };
    let mut text = format!(
        "% Needs \\usepackage{{booktabs}}. Means over seeds, \\pm half the width of the 95 % \
         Student-t interval.\n\
         \\begin{{table}}\n  \\centering\n  \\caption{{{} \
         Means over seeds $\\pm$ half the width of the 95\\,\\% Student-$t$ \
         interval.}}\n  \\begin{{tabular}}{{l{}}}\n  \\toprule\n",
        latex(&table.caption),
        "r".repeat(rows[0].len() - 1)
    );
    for (number, row) in rows.iter().enumerate() {
        text += &line(row);
        if number == 0 {
            text += "  \\midrule\n";
        }
    }
    text + "  \\bottomrule\n  \\end{tabular}\n\\end{table}\n"
}

/// The figures with their captions.
pub fn figures(all: &[Figure]) -> String {
    let one = |figure: &Figure| {
        format!(
            "\\begin{{figure}}\n  \\centering\n  \\includegraphics{{figures/{}-single.pdf}}\n  \\caption{{{}}}\n  \\label{{fig:{}}}\n\\end{{figure}}\n",
            figure.name,
            latex(&figure.caption),
            figure.name
        )
    };
    all.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// A number's minus sign is not a hyphen.
fn signed(cell: &str) -> String {
    match cell.strip_prefix('-') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("$-${rest}"),
        _ => cell.to_owned(),
    }
}
