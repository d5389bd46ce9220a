//! Files of tokenizers that are no `tokenizer.json`.

use std::path::Path;

/// What to do with a tokenizer in another format, if this path is one or a folder with one in it.
pub(super) fn hint(path: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let mut found = vec![];
    if path.is_dir() {
        if path.join("tokenizer.json").symlink_metadata().is_ok() {
            return String::new();
        }
        let entries = path.read_dir().into_iter().flatten().flatten();
        found.extend(entries.filter_map(|entry| name(&entry.path())));
        found.sort();
    } else {
        found.extend(name(path));
    }
    let Some((file, what)) = found.iter().find_map(|name| Some((name, what(name)?))) else {
        return String::new();
    };
    format!(
        "; {file} is {what}: save it as a tokenizer.json, for example in Python by \
         transformers.AutoTokenizer.from_pretrained(FOLDER).save_pretrained(NEW)"
    )
}

/// What a file of this name is.
fn what(name: &str) -> Option<&'static str> {
    match name {
        "vocab.json" | "merges.txt" | "vocab.bpe" | "encoder.json" => {
            Some("a part of a slow tokenizer")
        }
        "vocab.txt" => Some("a vocabulary of WordPiece"),
        _ if name.ends_with(".model") => Some("a model of SentencePiece"),
        _ if name.ends_with(".tiktoken") => Some("a vocabulary of tiktoken"),
        _ => None,
    }
}
