//! A table of a report, before any format.

use crate::numbers::dash;

/// A table in a report: the same in every format, but for what does not fit on paper.
pub struct Table {
    /// Name of its files, and its label.
    pub name: &'static str,
    /// What a paper would print above it.
    pub caption: String,
    pub columns: Vec<Column>,
    /// Its cells, as many a row as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    /// What stands above it.
    pub head: String,
    /// Which columns paper has room for: those of the lowest numbers; 0 is always there.
    pub rank: u8,
    /// Which of its values is the best.
    pub best: Option<Best>,
    /// Whether its texts are broken into lines.
    pub is_text: bool,
}

/// The better end of a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Best {
    Lowest,
    Highest,
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub enum Cell {
    /// The name of an arm, and what people read for it.
    Name([String; 2]),
    Text(String),
    /// A number in words, and its value.
    Number(String, f64),
    /// A text that is the best of its own.
    Bold(String),
    Missing,
}

impl Cell {
    /// What people read.
    pub fn shown(&self) -> String {
        match self {
            Self::Name([_, text]) | Self::Text(text) | Self::Bold(text) | Self::Number(text, _) => {
                text.clone()
            }
            Self::Missing => dash(),
        }
    }

    /// What programs read.
    pub fn raw(&self) -> String {
        match self {
            Self::Name([name, _]) => name.clone(),
            other => other.shown(),
        }
    }

    fn value(&self) -> Option<f64> {
        match self {
            Self::Number(_, value) => Some(*value),
            _ => None,
        }
    }
}

/// Of a text.
impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Column {
    /// A column of numbers.
    pub fn new(head: &str, rank: u8) -> Self {
        Self { head: head.to_owned(), rank, best: None, is_text: false }
    }

    /// A column of names or other texts.
    pub fn text(head: &str, rank: u8) -> Self {
        Self { is_text: true, ..Self::new(head, rank) }
    }

    /// The best of its values is to be seen.
    pub fn best(self, best: Best) -> Self {
        Self { best: Some(best), ..self }
    }
}

impl Table {
    /// The same without the columns in which no row has anything.
    pub fn without_empty(&self) -> Self {
        let has_any =
            |column: &usize| self.rows.iter().any(|row| !matches!(row[*column], Cell::Missing));
        self.only(&(0..self.columns.len()).filter(has_any).collect::<Vec<_>>())
    }

    /// Some of its columns.
    pub fn only(&self, columns: &[usize]) -> Self {
        let cells = |row: &Vec<Cell>| columns.iter().map(|n| row[*n].clone()).collect();
        Self {
            name: self.name,
            caption: self.caption.clone(),
            columns: columns.iter().map(|n| self.columns[*n].clone()).collect(),
            rows: self.rows.iter().map(cells).collect(),
        }
    }

    /// Whether a cell is to be seen first: it has the best value of its column, of at least two.
    pub fn is_best(&self, row: usize, column: usize) -> bool {
        if matches!(self.rows[row][column], Cell::Bold(_)) {
            return true;
        }
        let values = || self.rows.iter().filter_map(|row| row[column].value());
        let best = match self.columns[column].best {
            Some(Best::Lowest) => values().reduce(f64::min),
            Some(Best::Highest) => values().reduce(f64::max),
            None => None,
        };
        best.is_some() && values().count() > 1 && self.rows[row][column].value() == best
    }

    /// Header and rows as programs read them.
    pub fn raw(&self) -> Vec<Vec<String>> {
        let header = self.columns.iter().map(|column| column.head.clone()).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(Cell::raw).collect());
        [header].into_iter().chain(rows).collect()
    }
}
