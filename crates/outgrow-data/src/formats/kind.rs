//! Format and compression of a file.

/// What an unpacked file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    /// Plain text.
    Text,
    /// A JSON object a line.
    Lines,
    /// A JSON array of objects.
    Array,
    /// JSON objects over several lines, or a single one.
    Objects,
    Parquet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// How a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub format: Format,
    pub packing: Packing,
}

impl Kind {
    /// For people.
    pub fn describe(self) -> String {
        let format = match self.format {
            Format::Text => "plain text",
            Format::Lines => "JSON lines",
            Format::Array => "JSON array",
            Format::Objects => "JSON objects",
            Format::Parquet => "Parquet",
        };
        let packing = match self.packing {
            Packing::Plain => "",
            Packing::Gzip => ", gzip",
            Packing::Zstd => ", zstd",
        };
        format!("{format}{packing}")
    }
}
