"""Models of Hugging Face's transformers for tests: makes small ones, and says what they compute.

hub.py make FOLDER              one folder for each family and variant, with random weights
hub.py odd FOLDER               from those: folders whose files contradict each other, or hold what is no number
hub.py ask TOKENS FOLDER ...    of each: logits of rows of token ids (a JSON file), and 50 tokens more of each row, greedily; as JSON
hub.py text TEXT WINDOW FOLDER ...   of each, with its own tokenizer: token ids of a text, and its loss in windows of so many tokens; as JSON
hub.py try TOKENS FOLDER ...    of each, as transformers loads it unasked: its logits, or what it says instead; as JSON
"""
import os
import sys

sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
import json
import shutil

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPTNeoXConfig, LlamaConfig, Qwen3Config, GPT2LMHeadModel, GPTNeoXForCausalLM,
    LlamaForCausalLM, Qwen3ForCausalLM,
)

COMMON = dict(vocab_size=97, bos_token_id=1, eos_token_id=None, pad_token_id=0)
LLAMA3 = dict(rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)


def llama(**more):
    sizes = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, head_dim=8,
                 num_key_value_heads=2, max_position_embeddings=64)
    return LlamaForCausalLM(LlamaConfig(**{**COMMON, **sizes, **more}))


def qwen3(**more):
    sizes = dict(hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, head_dim=16,
                 num_key_value_heads=2, max_position_embeddings=64)
    return Qwen3ForCausalLM(Qwen3Config(**{**COMMON, **sizes, **more}))


def gpt2(**more):
    sizes = dict(n_embd=32, n_layer=2, n_head=4, n_positions=64)
    return GPT2LMHeadModel(GPT2Config(**{**COMMON, **sizes, **more}))


def gpt_neox(**more):
    sizes = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                 max_position_embeddings=64)
    return GPTNeoXForCausalLM(GPTNeoXConfig(**{**COMMON, **sizes, **more}))


# Name: model, type, and how large a shard may be.
MODELS = {
    "llama": (llama, {}, torch.float32, None),
    "llama-bfloat16": (llama, dict(num_key_value_heads=4), torch.bfloat16, None),
    "llama-sharded-tied": (llama, dict(tie_word_embeddings=True), torch.float32, "20KB"),
    "llama-float64": (llama, dict(attention_bias=True, mlp_bias=True), torch.float64, None),
    "llama-long": (llama, dict(rope_parameters=LLAMA3), torch.float32, None),
    "qwen3": (qwen3, {}, torch.float32, None),
    "qwen3-float64-tied": (qwen3, dict(tie_word_embeddings=True), torch.float64, None),
    "gpt2": (gpt2, {}, torch.float32, None),
    "gpt2-float16": (gpt2, dict(n_inner=48), torch.float16, None),
    "gpt2-float64": (gpt2, dict(tie_word_embeddings=False), torch.float64, None),
    "gpt_neox": (gpt_neox, {}, torch.float32, None),
    "gpt_neox-float64": (gpt_neox, dict(use_parallel_residual=False), torch.float64, None),
}


def make(folder):
    for number, (name, (build, more, dtype, shard)) in enumerate(MODELS.items()):
        torch.manual_seed(number)
        model = build(**more)
        with torch.no_grad():
            for parameter in model.parameters():
                # Gains and biases, too, are what training would have made of them.
                parameter.add_(torch.randn_like(parameter) * (0.2 if parameter.dim() == 1 else 0.1))
        limit = {} if shard is None else dict(max_shard_size=shard)
        model.to(dtype).save_pretrained(os.path.join(folder, name), **limit)
        with open(os.path.join(folder, name, "tokenizer.json"), "w") as file:
            file.write('{"made": "by hand"}\n')


def odd(folder):
    single, index = "model.safetensors", "model.safetensors.index.json"

    def copy(name, of="llama"):
        to = os.path.join(folder, name)
        shutil.copytree(os.path.join(folder, of), to)
        return lambda file: os.path.join(to, file)

    def change(name, edit, of="llama", file=single, **config):
        place = copy(name, of)
        tensors = load_file(place(file))
        edit(tensors)
        save_file(tensors, place(file), metadata={"format": "pt"})
        with open(place("config.json")) as text:
            config = {**json.load(text), **config}
        with open(place("config.json"), "w") as text:
            json.dump(config, text)
        return place

    def head(of):
        return lambda tensors: tensors.update({"lm_head.weight": of(tensors["model.embed_tokens.weight"])})

    def spoil(value):
        return lambda tensors: tensors["model.layers.1.mlp.up_proj.weight"].view(-1)[5:6].fill_(value)

    tied = dict(tie_word_embeddings=True)
    change("tied-own-head", lambda tensors: None, **tied)
    change("tied-own-head-float16", head(lambda table: (table * 2).half()), **tied)
    change("tied-rounded-head", head(lambda table: table.half()), **tied)
    change("tied-same-head", head(torch.clone), **tied)
    change("tied-same-head-bfloat16", head(torch.clone), of="llama-bfloat16", **tied)
    change("not-a-number", spoil(float("nan")))
    change("infinite", spoil(float("-inf")))
    change("buffers", lambda tensors: tensors.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}))
    change("gpt2-own-head", lambda tensors: tensors.update({"lm_head.weight": tensors["transformer.wte.weight"] * 2}),
           of="gpt2")
    for name, factor in [("two-sets-same", 1.0), ("two-sets-differ", 2.0)]:
        place = change(name, lambda tensors: None)
        tensors = load_file(place(single))
        tensors["model.norm.weight"] = tensors["model.norm.weight"] * factor
        save_file(tensors, place("model-00001-of-00001.safetensors"), metadata={"format": "pt"})
        with open(place(index), "w") as text:
            json.dump({"weight_map": {name: "model-00001-of-00001.safetensors" for name in tensors}}, text)
    place = copy("index-of-one")
    with open(place(index), "w") as text:
        json.dump({"weight_map": {name: single for name in load_file(place(single))}}, text)
    for name in ["index-wrong", "index-lacks", "sharded-own-head"]:
        place = copy(name, "llama-sharded-tied")
        with open(place(index)) as text:
            content = json.load(text)
        places = content["weight_map"]
        if name == "index-wrong":
            places["model.norm.weight"] = next(file for file in places.values() if file != places["model.norm.weight"])
        if name == "index-lacks":
            del places["model.norm.weight"]
        if name == "sharded-own-head":
            file = places["model.norm.weight"]
            places["lm_head.weight"] = file
            tensors = load_file(place(file))
            tensors["lm_head.weight"] = torch.randn(97, 32)
            save_file(tensors, place(file), metadata={"format": "pt"})
        with open(place(index), "w") as text:
            json.dump(content, text)
    place = copy("strays")
    save_file({"x": torch.zeros(3)}, place("model-00001-of-00002.safetensors"), metadata={"format": "pt"})
    torch.save(dict(load_file(place(single))), place("pytorch_model.bin"))


def exact_norms():
    """Llama's and Qwen3's norms compute in float32 even in a float64 model; here they compute in the model's type."""
    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    transformers.models.llama.modeling_llama.LlamaRMSNorm.forward = forward
    transformers.models.qwen3.modeling_qwen3.Qwen3RMSNorm.forward = forward


def load(folder):
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    dtype = getattr(torch, config.get("dtype") or config.get("torch_dtype"))
    if dtype == torch.float64:
        exact_norms()
    # Short types are computed in float32, as the weights that they are.
    computed = dtype if dtype == torch.float64 else torch.float32
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=computed, attn_implementation="sdpa", output_loading_info=True)
    wrong = {key: list(map(str, value)) for key, value in report.items() if value}
    if wrong:
        sys.exit(f"transformers reports {wrong}")
    return model.eval()


def ask(folder, tokens):
    model = load(folder)
    with torch.no_grad():
        generated = model.generate(tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=50, do_sample=False,
                                   eos_token_id=None, pad_token_id=0)
        return dict(logits=model(tokens).logits.double().tolist(), generated=generated.tolist())


def text(folder, path, window):
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    with open(path, encoding="utf-8", newline="") as file:
        content = file.read()
    ids = tokenizer(content)["input_ids"]
    nats, predicted = 0.0, 0
    for start in range(0, len(ids) - window, window):
        own = torch.tensor([ids[start:start + window + 1]])
        with torch.no_grad():
            logits = model(own[:, :-1]).logits.double()
        nats += torch.nn.functional.cross_entropy(logits[0], own[0, 1:], reduction="sum").item()
        predicted += window
    prompt = torch.tensor([ids[:4]])
    generated = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=4, do_sample=False)
    return dict(ids=ids, nats=nats, predicted=predicted, again=tokenizer.decode(ids), eos=tokenizer.eos_token_id,
                bos=tokenizer.bos_token_id, ends=model.generation_config.eos_token_id, longest=tokenizer.model_max_length,
                # A letter for each byte, or a token.
                bytes=[len(token) if len(tokenizer) > 256 else 1 for token in tokenizer.convert_ids_to_tokens(ids)],
                batch=tokenizer(["", content[:9]], add_special_tokens=False)["input_ids"],
                generated=generated[0].tolist())


def attempt(folder, tokens):
    try:
        model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        if report["missing_keys"]:
            return dict(refused=f"missing {report['missing_keys']}")
        with torch.no_grad():
            return dict(logits=model.eval()(tokens).logits.double().tolist())
    except Exception as error:
        return dict(refused=str(error))


def main():
    torch.set_num_threads(1)
    command, *rest = sys.argv[1:]
    if command in ("make", "odd"):
        return globals()[command](*rest)
    if command == "text":
        path, window, *folders = rest
        return print(json.dumps({folder: text(folder, path, int(window)) for folder in folders}))
    tokens, *folders = rest
    with open(tokens) as file:
        tokens = torch.tensor(json.load(file))
    answer = {"ask": ask, "try": attempt}[command]
    print(json.dumps({folder: answer(folder, tokens) for folder in folders}))


main()
