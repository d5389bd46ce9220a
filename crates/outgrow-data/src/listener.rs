//! Who is told what happens while text is read.

/// Somebody who is told. What has no interest in it is `()`.
pub trait Listener {
    /// So many bytes of files will be read from here on.
    fn begin(&self, _bytes: u64) {}
    /// So many more were read.
    fn read(&self, _bytes: u64) {}
    /// Something happened that a user should know.
    fn note(&self, _text: &str) {}
}

impl Listener for () {}
