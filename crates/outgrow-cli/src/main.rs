//! The command `outgrow`.
fn main() {}
