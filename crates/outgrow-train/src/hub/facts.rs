//! What a `config.json` says beyond sizes and rotary positions: facts with two names, code that the
//! folder brings along, fields that other code would read.

use serde_json::{Map, Value};

use super::{config::Config, error::HubError, format::Format};

/// Two names of one fact, of other families or other versions. A configuration may have both if
/// they agree.
const NAMES: [[&str; 2]; 12] = [
    ["n_embd", "hidden_size"],
    ["n_layer", "num_hidden_layers"],
    ["n_head", "num_attention_heads"],
    ["n_positions", "max_position_embeddings"],
    ["n_positions", "n_ctx"],
    ["n_inner", "intermediate_size"],
    ["activation_function", "hidden_act"],
    ["hidden_act", "hidden_activation"],
    ["layer_norm_epsilon", "layer_norm_eps"],
    ["rms_norm_eps", "layer_norm_eps"],
    ["tie_word_embeddings", "tie_embeddings"],
    ["dtype", "torch_dtype"],
];

/// Fields by which other code, or another family, computes something else unless they are off:
/// null, false, 0 or empty.
const OFF: [&str; 44] = [
    "add_cross_attention",
    "alibi",
    "attention_chunk_size",
    "attention_multiplier",
    "attn_logit_softcapping",
    "attn_scale",
    "audio_config",
    "clip_qkv",
    "compression_config",
    "final_logit_softcapping",
    "first_k_dense_replace",
    "is_encoder_decoder",
    "kv_lora_rank",
    "lm_head_bias",
    "logit_softcapping",
    "logits_soft_cap",
    "moe_intermediate_size",
    "n_routed_experts",
    "no_rope_layer_interval",
    "no_rope_layers",
    "nope_layer_interval",
    "num_experts",
    "num_local_experts",
    "parallel_attn",
    "partial_rotary_dim",
    "per_layer_config",
    "pruned_heads",
    "q_lora_rank",
    "qk_layernorm",
    "qk_norm",
    "qkv_bias",
    "quantization_config",
    "query_pre_attn_scalar",
    "rope_interleave",
    "rope_interleaved",
    "scale_attn_by_inverse_layer_idx",
    "sliding_window",
    "sliding_window_pattern",
    "text_config",
    "transformers_weights",
    "use_bidirectional_attention",
    "use_qk_norm",
    "use_sliding_window",
    "vision_config",
];

/// Of those that must be on.
const SWITCHES: [&str; 2] = ["is_causal", "scale_attn_weights"];

/// Factors by which other families multiply, and switches that are on.
const ONE: [&str; 10] = [
    "embedding_multiplier",
    "is_causal",
    "lm_head_multiplier",
    "logit_scale",
    "logits_mup_width_multiplier",
    "logits_scaling",
    "residual_multiplier",
    "scale_attn_weights",
    "scale_depth",
    "scale_emb",
];

/// Fields of these families and of transformers that do not change logits, or that are read
/// elsewhere.
const KNOWN: &str = "_attn_implementation_autoset _name_or_path activation_function architectures attention_bias attention_dropout \
    attn_pdrop bad_words_ids begin_suppress_tokens bos_token_id chunk_size_feed_forward classifier_dropout cross_attention_hidden_size \
    decoder_start_token_id diversity_penalty do_sample dtype early_stopping embd_pdrop encoder_no_repeat_ngram_size eos_token_id \
    exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_eos_token_id gradient_checkpointing head_dim hidden_act \
    hidden_activation hidden_dropout hidden_size id2label initializer_range intermediate_size is_decoder label2id layer_norm_eps \
    layer_norm_epsilon layer_types length_penalty max_length max_position_embeddings max_window_layers min_length mlp_bias model_type n_ctx \
    n_embd n_head n_inner n_layer n_positions name_or_path no_repeat_ngram_size num_attention_heads num_beam_groups num_beams \
    num_hidden_layers num_key_value_heads num_labels num_return_sequences original_max_position_embeddings outgrow_rotary \
    output_attentions output_hidden_states output_scores pad_token_id partial_rotary_factor prefix pretraining_tp problem_type \
    remove_invalid_values reorder_and_upcast_attn repetition_penalty resid_pdrop return_dict return_dict_in_generate rms_norm_eps \
    rope_parameters rope_scaling rope_theta rotary_emb_base rotary_pct sep_token_id summary_activation summary_first_dropout \
    summary_proj_to_labels summary_type summary_use_proj suppress_tokens task_specific_params temperature tf_legacy_loss tie_embeddings \
    tie_encoder_decoder tie_word_embeddings tokenizer_class top_k top_p torch_dtype torchscript transformers_version typical_p use_bfloat16 \
    use_cache use_parallel_residual vocab_size";

/// Refuses a configuration that contradicts itself, or that other code than this family's computes
/// something else by.
pub fn check(config: &Config, format: &Format) -> Result<(), HubError> {
    check_code(config, format)?;
    for [a, b] in NAMES {
        if let (Some(one), Some(other)) = (config.get(a), config.get(b))
            && one != other
        {
            return config
                .contradiction([&format!("`{a}` is {one}"), &format!("`{b}` is {other}")]);
        }
    }
    check_layer_types(config)?;
    let name = format.model_type;
    for (key, value) in config.fields {
        let unused = format.unused.contains(&key.as_str());
        let odd = OFF.contains(&key.as_str()) && !is_off(value) && !unused
            || ONE.contains(&key.as_str()) && !is_one(key, value);
        if odd {
            return config.refuse(format!(
                "`{key}` is {value}, with which a model computes something else than a plain {name} model; this is not supported"
            ));
        }
    }
    Ok(())
}

/// Refuses code of the folder's own, and a class of another family.
fn check_code(config: &Config, format: &Format) -> Result<(), HubError> {
    if let Some(Value::Object(map)) = config.get("auto_map")
        && let Some((class, code)) = map
            .iter()
            .find(|(class, _)| ["AutoModel", "AutoConfig"].iter().any(|a| class.starts_with(a)))
    {
        let name = format.model_type;
        return config.refuse(format!(
            "`auto_map` says that {class} is code of the folder's own, {code}, which may compute something else than a plain {name} model; \
             if it does not, remove `auto_map` and the code"
        ));
    }
    let list = match config.get("architectures") {
        None => return Ok(()),
        Some(Value::Array(list)) => list,
        Some(other) => {
            return config.refuse(format!("`architectures` is {other}; it must be a list"));
        }
    };
    let is_own = |class: &Value| {
        let own = |name: &str| class.as_str().is_some_and(|class| class.eq_ignore_ascii_case(name));
        format.classes.into_iter().any(own)
    };
    match list.iter().find(|class| !is_own(class)) {
        None => Ok(()),
        Some(class) => config.contradiction([
            &format!("`architectures` names {class}"),
            &format!("`model_type` {:?} means {}", format.model_type, format.classes[0]),
        ]),
    }
}

/// Layers that are said one by one must all attend to everything.
fn check_layer_types(config: &Config) -> Result<(), HubError> {
    let Some(types) = config.get("layer_types") else { return Ok(()) };
    let Some(list) =
        types.as_array().filter(|list| list.iter().all(|kind| kind == "full_attention"))
    else {
        return config
            .refuse(format!("`layer_types` is {types}; only \"full_attention\" is known here"));
    };
    match config.size("num_hidden_layers")? {
        Some(n) if n != list.len() => config.contradiction([
            &format!("`layer_types` has {} layers", list.len()),
            &format!("`num_hidden_layers` is {n}"),
        ]),
        _ => Ok(()),
    }
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(is_off),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    }
}

/// Whether a factor is one, or a switch on; what transformers takes for neither is refused.
fn is_one(key: &str, value: &Value) -> bool {
    match SWITCHES.contains(&key) {
        true => *value == Value::Bool(true),
        false => value.is_null() || value.as_f64() == Some(1.0),
    }
}

/// Fields that mean nothing here, nor to transformers' own code of these families.
pub fn unknown(fields: &Map<String, Value>) -> Vec<&str> {
    let known = |key: &str| {
        OFF.contains(&key) || ONE.contains(&key) || KNOWN.split(' ').any(|known| known == key)
    };
    fields.keys().map(String::as_str).filter(|key| !known(key)).collect()
}

/// Gives facts that have another name in this configuration, too, the value that they have under
/// the family's `own` name.
pub fn rename(config: &mut Map<String, Value>, own: &[&str]) {
    let is_said = |config: &Map<String, Value>, name: &str| {
        config.get(name).is_some_and(|value| !value.is_null())
    };
    for [a, b] in NAMES {
        let (from, to) = if own.contains(&a) { (a, b) } else { (b, a) };
        if own.contains(&from) && is_said(config, to) {
            config.insert(to.into(), config[from].clone());
        }
    }
}
