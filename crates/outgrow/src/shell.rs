//! Words as a POSIX shell reads them.

/// Whether a word means itself, in a shell as in sbatch's directives.
pub(crate) fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=:%@,".contains(c))
}

/// A word for the shell.
pub(crate) fn quoted(word: &str) -> String {
    match is_plain(word) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_those_of_shells() {
        for (word, expected) in [
            ("a.toml", "a.toml"),
            ("training.tokens=1e6", "training.tokens=1e6"),
            ("data.paths=['*.txt']", "'data.paths=['\\''*.txt'\\'']'"),
            ("my sweep.toml", "'my sweep.toml'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
