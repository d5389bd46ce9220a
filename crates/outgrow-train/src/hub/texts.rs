//! What transformers reads beside a model to turn text into its tokens.

use std::path::Path;

use serde_json::{Map, Value, json};

/// A tokenizer as transformers loads it.
#[derive(Clone, Debug)]
pub struct HubTokenizer {
    /// A `tokenizer.json`.
    pub json: Vec<u8>,
    /// The token that ends a document and stands before the next one, and its number.
    pub end: Option<(String, u32)>,
    /// Whether the name of a control token within a text is that token.
    pub joined: bool,
}

/// Ids are the 256 bytes of UTF-8; byte 0 ends a document.
///
/// A vocabulary of 256 bytes and no characters: each character falls back to its bytes, and nothing
/// merges them.
pub fn byte_tokenizer() -> HubTokenizer {
    let vocab: Map<String, Value> =
        (0..256).map(|byte| (format!("<0x{byte:02X}>"), byte.into())).collect();
    let end = "<0x00>";
    let json = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [{ "id": 0, "content": end, "single_word": false, "lstrip": false,
                           "rstrip": false, "normalized": false, "special": true }],
        "normalizer": null,
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": [{ "type": "ByteFallback" }, { "type": "Fuse" }] },
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": true,
                   "ignore_merges": false, "vocab": vocab, "merges": [] },
    });
    let json = serde_json::to_vec(&json).expect("plain data");
    HubTokenizer { json, end: Some((end.into(), 0)), joined: false }
}

impl HubTokenizer {
    /// Names in the configurations of a model and of how it generates.
    pub(super) fn ids(&self) -> [(&'static str, Value); 2] {
        let id = self.end.as_ref().map_or(Value::Null, |(_, id)| (*id).into());
        [("bos_token_id", id.clone()), ("eos_token_id", id)]
    }

    /// Files beside a model of that longest input, but for those that are in `folder` already.
    pub(super) fn files(&self, folder: &Path, seq_len: usize) -> Vec<(&'static str, Vec<u8>)> {
        let mut config = json!({
            // transformers has a class for each family, some of which make another tokenizer of the
            // file's parts; this one takes the file as it is.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": seq_len,
            "clean_up_tokenization_spaces": false,
            "split_special_tokens": !self.joined,
        });
        for name in ["bos_token", "eos_token"] {
            if let Some((token, _)) = &self.end {
                config[name] = token.as_str().into();
            }
        }
        let generation: Map<String, Value> =
            self.ids().into_iter().map(|(name, id)| (name.to_owned(), id)).collect();
        let text = |value: Value| {
            let mut text = serde_json::to_vec_pretty(&value).expect("plain data");
            text.push(b'\n');
            text
        };
        let all = [
            ("tokenizer.json", self.json.clone()),
            ("tokenizer_config.json", text(config)),
            ("generation_config.json", text(generation.into())),
        ];
        all.into_iter().filter(|(name, _)| !folder.join(name).exists()).collect()
    }
}
