//! Lengths on a sheet, in hundredths of a point.

/// One point.
pub const PT: i32 = 100;

/// Size of labels of axes and series.
pub const LABEL: i32 = 9 * PT;

/// Size of numbers at ticks, and of the legend.
pub const TICK: i32 = 8 * PT;

/// A point on the sheet.
pub type At = (i32, i32);

/// Widths of a paper's columns in hundredths of a point, and what their files are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// 3.25 inches.
    Single,
    /// 6.75 inches.
    Double,
}

impl Column {
    /// Both.
    pub const ALL: [Column; 2] = [Column::Single, Column::Double];

    /// Its width.
    pub fn width(self) -> i32 {
        match self {
            Column::Single => 234 * PT,
            Column::Double => 486 * PT,
        }
    }

    /// The usual height of a figure: flatter where it is wide.
    pub fn height(self) -> i32 {
        match self {
            Column::Single => 160 * PT,
            Column::Double => 220 * PT,
        }
    }

    /// The height of a plot alone.
    pub fn plot_height(self) -> i32 {
        match self {
            Column::Single => 112 * PT,
            Column::Double => 170 * PT,
        }
    }

    /// How many panels stand side by side.
    pub fn panels(self) -> i32 {
        match self {
            Column::Single => 3,
            Column::Double => 5,
        }
    }

    /// The height of a panel.
    pub fn panel_height(self) -> i32 {
        match self {
            Column::Single => 46 * PT,
            Column::Double => 62 * PT,
        }
    }

    /// What its files are called.
    pub fn suffix(self) -> &'static str {
        match self {
            Column::Single => "single",
            Column::Double => "double",
        }
    }

    /// How many labels fit along its width.
    pub fn labels(self) -> usize {
        match self {
            Column::Single => 6,
            Column::Double => 10,
        }
    }
}
