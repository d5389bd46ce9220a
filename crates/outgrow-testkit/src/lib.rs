//! For tests only: the reference cases of the paper's mathematics, and skipped tests.
//!
//! The cases lie in `crates/outgrow-testkit/cases`, and further ones may lie in
//! `../shared/fixtures` beside the checkout. Each is a pair `<CONFIG>_<case>.safetensors` and
//! `.json`: parameters, logits and gradients of a model computed independently of this code (in
//! PyTorch, or in numpy and JAX), which of its entries are new, and the transforms that made it out
//! of its base.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use outgrow_core::{
    Architecture, Form, HeadShape, LayerShape, ParamId, ParamKind, Transform,
    growth::transform::{
        AttentionExpansion, HeadAddition, HeadsExpansion, HiddenExpansion, LayerAddition,
        MlpExpansion,
    },
    model::parameters,
    reference::{Array, Params},
};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// One reference case.
pub struct Case {
    /// `A_hidden`.
    pub name: String,
    /// Its sizes; the form is the paper's own.
    pub architecture: Architecture,
    json: Value,
    tensors: BTreeMap<String, Array>,
}

/// A form under which a case gives logits: the suffix of their name, and the form.
pub type Variant = (String, Form);

/// Tells that the running test is skipped, and why: on standard error, and in the file that the
/// environment variable `OUTGROW_TEST_SKIPS` names, where `scripts/test` counts them.
///
/// # Panics
/// If that file can't be written.
pub fn skip(why: &str) {
    eprintln!("skipped: {why}");
    let Some(file) = std::env::var_os("OUTGROW_TEST_SKIPS") else { return };
    let mut file = fs::OpenOptions::new().create(true).append(true).open(file).expect("a file");
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    // One write: tests of other processes append, too.
    file.write_all(format!("{why}\t{test}\n").as_bytes()).expect("a skip is noted");
}

/// Every case: those of the project, and further ones beside the checkout.
pub fn cases() -> Vec<Case> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: BTreeMap<Option<std::ffi::OsString>, PathBuf> = BTreeMap::new();
    for folder in ["../../../shared/fixtures", "cases"].map(|folder| here.join(folder)) {
        let files = fs::read_dir(folder).into_iter().flatten();
        let files = files.map(|entry| entry.expect("a file").path());
        let is_case = |path: &PathBuf| path.extension().is_some_and(|e| e == "safetensors");
        paths.extend(files.filter(is_case).map(|path| (path.file_name().map(Into::into), path)));
    }
    paths.values().map(|path| Case::read(path)).collect()
}

impl Case {
    /// Reads one case from its `.safetensors` and the `.json` beside it.
    ///
    /// # Panics
    /// If it is not one.
    pub fn read(path: &Path) -> Self {
        let bytes = fs::read(path).expect("a readable case");
        let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
        let tensors = tensors.iter().map(|(name, view)| (name.to_owned(), array(&view))).collect();
        let json: Value = serde_json::from_slice(
            &fs::read(path.with_extension("json")).expect("the .json beside it"),
        )
        .expect("JSON");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        Self { name, architecture: architecture(&json), json, tensors }
    }

    /// The case that this one's transforms start from.
    pub fn base<'a>(&self, all: &'a [Case]) -> &'a Case {
        let config = self.name.split('_').next().expect("a config");
        let pre = self.name.replace("_post", "_pre");
        let find = |name: &str| all.iter().find(|case| case.name == name);
        let base = if pre == self.name { None } else { find(&pre) };
        base.or_else(|| find(&format!("{config}_base")))
            .unwrap_or_else(|| panic!("{config}_base is missing"))
    }

    /// The transforms, or none where the case was made in another way.
    pub fn transforms(&self) -> Option<Vec<Transform>> {
        self.json["ops"].as_array()?.iter().map(|op| transform(op[0].as_str()?, &op[1])).collect()
    }

    /// The parameters in our layout: the heads of a layer side by side.
    pub fn params(&self) -> Params {
        self.group("param").expect("every case has parameters")
    }

    /// For each entry: 0 new and zero, 1 copied from the base, 2 new and free, 3 not tracked.
    pub fn kinds(&self) -> Params {
        self.group("kind").expect("every case has kinds")
    }

    /// Gradients of the mean cross-entropy of the causal logits at ε = 0.
    pub fn gradients(&self) -> Option<Params> {
        self.group("grad")
    }

    /// Token ids, batch × position.
    pub fn tokens(&self) -> Vec<Vec<usize>> {
        self.integers("input.tokens")
    }

    /// What the gradients' loss compares with.
    pub fn targets(&self) -> Vec<Vec<usize>> {
        self.integers("input.targets")
    }

    /// The loss of the gradients.
    pub fn loss(&self) -> Option<f64> {
        self.json["loss_causal_eps0"].as_f64()
    }

    /// The forms under which the case gives logits.
    pub fn variants(&self) -> Vec<Variant> {
        let d = self.architecture.d_model as f64;
        let number = |key: &str| self.json[key].as_f64().unwrap_or(1e-6) * d;
        let eps =
            [("eps0", 0.0), ("epsfix", number("eps_fixed")), ("epsresc", number("eps_rescaled"))];
        let all = [("bidir", false), ("causal", true)].into_iter().flat_map(|(mask, causal)| {
            eps.map(|(name, eps_sum)| {
                (format!("{mask}.{name}"), Form { causal, eps_sum, ..Form::paper() })
            })
        });
        all.filter(|(name, _)| self.tensors.contains_key(&format!("logits.{name}"))).collect()
    }

    /// Logits of a variant, batch × position × output.
    pub fn logits(&self, variant: &str) -> &Array {
        &self.tensors[&format!("logits.{variant}")]
    }

    fn integers(&self, name: &str) -> Vec<Vec<usize>> {
        let tokens = &self.tensors[name];
        tokens
            .values
            .chunks(tokens.shape[1])
            .map(|row| row.iter().map(|&t| t as usize).collect())
            .collect()
    }

    fn group(&self, prefix: &str) -> Option<Params> {
        self.tensors.keys().any(|name| name.starts_with(prefix)).then(|| {
            let one = |id: ParamId| (id, self.param(prefix, id));
            parameters(&self.architecture).into_iter().map(one).collect()
        })
    }

    fn param(&self, prefix: &str, id: ParamId) -> Array {
        use ParamKind::*;
        let get = |name: &str| self.tensors[&format!("{prefix}.{name}")].clone();
        let Some(layer) = id.layer else {
            return match id.kind {
                Embedding => get("embed.weight"),
                Positions => get("pos.weight"),
                Unembedding => get("w_out"),
                other => panic!("the cases have no {other:?}"),
            };
        };
        let of_layer = |name: &str| get(&format!("layers.{layer}.{name}"));
        let heads = |name: &str, dim: usize| {
            let n = self.architecture.layers[layer].heads.len();
            let parts = (0..n).map(|e| of_layer(&format!("heads.{e}.{name}")));
            parts
                .reduce(|a, b| outgrow_core::edit::Values::insert(&a, dim, a.shape[dim], &b))
                .expect("a head")
        };
        match id.kind {
            AttentionNorm => of_layer("norm_mha.g"),
            MlpNorm => of_layer("norm_mlp.g"),
            Wq => heads("wq", 1),
            Wk => heads("wk", 1),
            Wv => heads("wv", 1),
            Wo => heads("wo", 0),
            W1 => of_layer("mlp.w1"),
            B1 => of_layer("mlp.b1"),
            W2 => of_layer("mlp.w2"),
            B2 => of_layer("mlp.b2"),
            other => panic!("{other:?} is in no layer"),
        }
    }
}

fn array(view: &safetensors::tensor::TensorView) -> Array {
    let data = view.data();
    let values = match view.dtype() {
        Dtype::F64 => {
            data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("8"))).collect()
        }
        Dtype::F32 => data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().expect("4")).into())
            .collect(),
        Dtype::I64 => data
            .chunks_exact(8)
            .map(|b| i64::from_le_bytes(b.try_into().expect("8")) as f64)
            .collect(),
        Dtype::I8 => data.iter().map(|&b| (b as i8).into()).collect(),
        other => panic!("the cases have no {other:?}"),
    };
    Array::new(view.shape().to_vec(), values)
}

fn size(value: &Value) -> usize {
    value.as_u64().expect("a size") as usize
}

fn head_shapes(value: &Value) -> Vec<HeadShape> {
    let pairs = value.as_array().expect("a list of heads");
    pairs.iter().map(|pair| HeadShape::new(size(&pair[0]), size(&pair[1]))).collect()
}

fn architecture(json: &Value) -> Architecture {
    let config = &json["config"];
    let layer = |layer: &Value| LayerShape::own(head_shapes(&layer["heads"]), size(&layer["p"]));
    Architecture {
        vocab_size: size(&config["vocab"]),
        n_outputs: size(&config["o"]),
        seq_len: size(&config["s"]),
        d_model: size(&json["h"]),
        layers: json["layers"].as_array().expect("layers").iter().map(layer).collect(),
        form: Form::paper(),
    }
}

fn transform(name: &str, a: &Value) -> Option<Transform> {
    let layer = a.get("layer").map(size);
    let heads = a.get("head").map(|head| vec![size(head)]);
    Some(match name {
        "mlp_expand" => MlpExpansion { layer, d_ff: size(&a["p"]) }.into(),
        "head_add" => HeadAddition {
            d_k: Some(size(&a["k"])),
            d_v: Some(size(&a["v"])),
            ..HeadAddition::heads(layer, 1)
        }
        .into(),
        "heads_expand" => HeadsExpansion { layer, heads, d_v: size(&a["v"]) }.into(),
        "attention_expand" => AttentionExpansion { layer, heads, d_k: size(&a["k"]) }.into(),
        "hidden_expand" => HiddenExpansion { d_model: size(&a["h"]) }.into(),
        "layer_add" => {
            let shape = LayerShape::own(head_shapes(&a["heads"]), size(&a["p"]));
            LayerAddition { index: size(&a["index"]), shape: Some(shape) }.into()
        }
        _ => return None,
    })
}
