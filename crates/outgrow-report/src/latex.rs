//! Tables (booktabs) and figures as LaTeX, for the columns of a two-column page.

mod setting;

use crate::{escape::latex, figures::Figure, table::Table};
use setting::{caption, heading, natural};

/// How wide a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One column of a two-column page.
    Single,
    /// Both.
    Double,
}

impl Width {
    /// Both.
    pub const ALL: [Width; 2] = [Width::Single, Width::Double];

    /// What its files are called.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Double => "double",
        }
    }

    /// Points that there are at least: the column and the page of `article` on A4 are the
    /// narrowest that are usual.
    fn room(self) -> f64 {
        match self {
            Self::Single => 220.0,
            Self::Double => 450.0,
        }
    }

    /// The environment, and its width.
    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Single => ["table", "\\columnwidth"],
            Self::Double => ["table*", "\\textwidth"],
        }
    }

    /// Points of a column of texts, at least.
    fn least_text(self, columns: usize) -> f64 {
        match self {
            Self::Single => (76.0 / columns.max(1) as f64).max(44.0),
            Self::Double => (120.0 / columns.max(1) as f64).max(60.0),
        }
    }
}

/// Half the space between two columns, in points.
const SEPARATION: f64 = 3.0;

/// A column of texts that shares the room that is left.
const TEXT: &str = ">{\\raggedright\\arraybackslash}X";

/// A table with its caption: the most important columns that fit.
pub fn table(table: &Table, width: Width) -> String {
    let table = &fitting(&table.without_empty(), width);
    let [environment, measure] = width.names();
    let columns: String =
        table.columns.iter().map(|column| if column.is_text { TEXT } else { "r" }).collect();
    let header: Vec<String> = table.columns.iter().map(heading).collect();
    let mut text = format!(
        "% Needs \\usepackage{{booktabs,tabularx}}.\n\
         \\begin{{{environment}}}[tb]\n  \\centering\\footnotesize\n  \
         \\setlength{{\\tabcolsep}}{{{SEPARATION}pt}}\\emergencystretch=4em\n  \
         \\setlength{{\\abovecaptionskip}}{{0pt}}\\setlength{{\\belowcaptionskip}}{{6pt}}\n  \
         \\caption{{{}}}\n  \\label{{tab:{}}}\n  \
         \\begin{{tabularx}}{{{measure}}}{{@{{}}{columns}@{{}}}}\n  \\toprule\n  {} \\\\\n  \
         \\midrule\n",
        caption(&table.caption),
        table.name,
        header.join(" & ")
    );
    for row in 0..table.rows.len() {
        text += &format!("  {} \\\\\n", line(table, row));
    }
    text + &format!("  \\bottomrule\n  \\end{{tabularx}}\n\\end{{{environment}}}\n")
}

fn line(table: &Table, row: usize) -> String {
    let cell = |(column, cell): (usize, &crate::table::Cell)| {
        let shown = cell.shown();
        let text = match table.columns[column].is_text {
            true => setting::cell(&shown),
            false => signed(&latex(&shown)),
        };
        if table.is_best(row, column) { format!("\\textbf{{{text}}}") } else { text }
    };
    table.rows[row].iter().enumerate().map(cell).collect::<Vec<_>>().join(" & ")
}

/// The table with as many of its columns as there is room for, the most important first.
fn fitting(table: &Table, width: Width) -> Table {
    let mut order: Vec<usize> = (0..table.columns.len()).collect();
    order.sort_by_key(|column| table.columns[*column].rank);
    let mut chosen: Vec<usize> = vec![];
    for column in order {
        let mut more = [&chosen[..], &[column]].concat();
        more.sort_unstable();
        if table.columns[column].rank == 0 || needs(&table.only(&more), width) <= width.room() {
            chosen = more;
        }
    }
    table.only(&chosen)
}

/// Points that a table takes at least.
fn needs(table: &Table, width: Width) -> f64 {
    let texts = table.columns.iter().filter(|column| column.is_text).count();
    let own = |column: usize| match table.columns[column].is_text {
        true => width.least_text(texts),
        false => natural(table, column),
    };
    let columns = table.columns.len();
    (0..columns).map(own).sum::<f64>() + 2.0 * SEPARATION * columns.saturating_sub(1) as f64
}

/// The figures with their captions, all of one width.
pub fn figures(all: &[Figure], width: Width) -> String {
    let (environment, measure) = match width {
        Width::Single => ("figure", "\\columnwidth"),
        Width::Double => ("figure*", "\\textwidth"),
    };
    let one = |figure: &Figure| {
        let (name, suffix) = (figure.name, width.suffix());
        format!(
            "\\begin{{{environment}}}\n  \\centering\\emergencystretch=4em\n  \
             \\includegraphics[width={measure}]{{figures/{name}-{suffix}.pdf}}\n  \
             \\caption{{{}}}\n  \\label{{fig:{name}}}\n\\end{{{environment}}}\n",
            caption(&figure.caption),
        )
    };
    let all = all.iter().map(one).collect::<Vec<_>>().join("\n");
    format!("% Needs \\usepackage{{graphicx}}.\n{all}")
}

/// A number's minus sign is not a hyphen.
fn signed(cell: &str) -> String {
    match cell.strip_prefix('-') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("$-${rest}"),
        _ => cell.to_owned(),
    }
}
