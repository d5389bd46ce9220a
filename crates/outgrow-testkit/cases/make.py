#!/usr/bin/env python3
"""Makes the reference cases of this folder, independently of the Rust code: the paper's model and its six transforms
(Gesmundo & Maile, arXiv 2308.06103, section 3) written again in PyTorch, in float64, with one matrix per head as the paper
has it, and gradients by autograd.

    LD_LIBRARY_PATH=.libtorch/stubs PYTHONPATH=.libtorch python3 crates/outgrow-testkit/cases/make.py

Each case is a pair of files. `.json`: the sizes before (`config`) and after, and the transforms in order (`ops`).
`.safetensors`: `param.*` and `kind.*` (0 new and zero, 1 copied or scaled, 2 new and free), tokens, targets, logits, and
for some `grad.*` of the mean cross-entropy of the causal logits at epsilon 0.
"""
import json
import math
import os
import random
import struct
import sys

sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = dict(N=2, h=6, E=2, k=3, v=2, p=5, vocab=7, o=5, s=4, b=2)
EPS = 1e-6
torch.set_default_dtype(torch.float64)
torch.manual_seed(20)


def draw(*shape):
    # Representable in float32, so that a float32 test starts from the same numbers.
    return (torch.randn(*shape) * 0.7).to(torch.float32).to(torch.float64)


class Tracked:
    """A value and, for each entry, where it came from."""

    def __init__(self, value, kind):
        self.value, self.kind = value, torch.full(value.shape, kind, dtype=torch.int8)

    def pad(self, axis, n, free):
        shape = list(self.value.shape)
        shape[axis] = n
        new = Tracked(draw(*shape) if free else torch.zeros(*shape), 2 if free else 0)
        self.value = torch.cat([self.value, new.value], axis)
        self.kind = torch.cat([self.kind, new.kind], axis)

    def scale(self, factor):
        self.value = self.value * factor


def head(h, k, v, kind=1, silent=False):
    return dict(
        wq=Tracked(draw(h, k), kind), wk=Tracked(draw(h, k), kind), wv=Tracked(draw(h, v), kind),
        wo=Tracked(torch.zeros(v, h), 0) if silent else Tracked(draw(v, h), kind),
    )


def layer(h, heads, p, kind=1, silent=False):
    def out(*shape):
        return Tracked(torch.zeros(*shape), 0) if silent else Tracked(draw(*shape), kind)
    return dict(
        norm_mha=Tracked(draw(h), kind), norm_mlp=Tracked(draw(h), kind),
        heads=[head(h, k, v, kind, silent) for k, v in heads],
        w1=Tracked(draw(h, p), kind), b1=Tracked(draw(p), kind), w2=out(p, h), b2=out(h),
    )


def base_model():
    c = CONFIG
    return dict(
        embed=Tracked(draw(c["vocab"], c["h"]), 1), pos=Tracked(draw(c["s"], c["h"]), 1),
        w_out=Tracked(draw(c["h"], c["o"]), 1),
        layers=[layer(c["h"], [(c["k"], c["v"])] * c["E"], c["p"]) for _ in range(c["N"])],
    )


def width(model):
    return model["embed"].value.shape[1]


def mlp_expand(model, layer, p):
    block = model["layers"][layer]
    n = p - block["b1"].value.shape[0]
    block["w1"].pad(1, n, True)
    block["b1"].pad(0, n, True)
    block["w2"].pad(0, n, False)


def head_add(model, layer, k, v):
    model["layers"][layer]["heads"].append(head(width(model), k, v, kind=2, silent=True))


def heads_expand(model, layer, head, v):
    one = model["layers"][layer]["heads"][head]
    n = v - one["wv"].value.shape[1]
    one["wv"].pad(1, n, True)
    one["wo"].pad(0, n, False)


def attention_expand(model, layer, head, k):
    one = model["layers"][layer]["heads"][head]
    old = one["wk"].value.shape[1]
    one["wq"].pad(1, k - old, True)
    one["wk"].scale(math.sqrt(k / old))
    one["wk"].pad(1, k - old, False)


def hidden_expand(model, h):
    old = width(model)
    n = h - old
    model["embed"].pad(1, n, False)
    model["pos"].pad(1, n, False)
    model["w_out"].pad(0, n, True)
    for block in model["layers"]:
        for norm in ("norm_mha", "norm_mlp"):
            block[norm].scale(math.sqrt(old / h))
            block[norm].pad(0, n, True)
        for one in block["heads"]:
            for name in ("wq", "wk", "wv"):
                one[name].pad(0, n, True)
            one["wo"].pad(1, n, False)
        block["w1"].pad(0, n, True)
        block["w2"].pad(1, n, False)
        block["b2"].pad(0, n, False)


def layer_add(model, index, heads, p):
    model["layers"].insert(index, layer(width(model), heads, p, kind=2, silent=True))


TRANSFORMS = {f.__name__: f for f in (mlp_expand, head_add, heads_expand, attention_expand, hidden_expand, layer_add)}


def norm(x, gain, eps_sum):
    # x * g / sqrt(mean(x^2)), epsilon on the sum of squares.
    return x * gain * math.sqrt(x.shape[-1]) / torch.sqrt((x * x).sum(-1, keepdim=True) + eps_sum)


def logits(model, tokens, causal, eps):
    # `eps` is stated on the mean of the base; on the sum of squares it does not change with the width.
    eps_sum = eps * CONFIG["h"]
    x = model["embed"].value[tokens] + model["pos"].value
    hidden = torch.triu(torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool), 1) if causal else None
    for block in model["layers"]:
        n = norm(x, block["norm_mha"].value, eps_sum)
        for one in block["heads"]:
            scores = (n @ one["wq"].value) @ (n @ one["wk"].value).transpose(1, 2) / math.sqrt(one["wk"].value.shape[1])
            if causal:
                scores = scores.masked_fill(hidden, -math.inf)
            x = x + torch.softmax(scores, -1) @ (n @ one["wv"].value) @ one["wo"].value
        n = norm(x, block["norm_mlp"].value, eps_sum)
        x = x + torch.relu(n @ block["w1"].value + block["b1"].value) @ block["w2"].value + block["b2"].value
    return x @ model["w_out"].value


def named(model):
    yield from (("embed.weight", model["embed"]), ("pos.weight", model["pos"]), ("w_out", model["w_out"]))
    for i, block in enumerate(model["layers"]):
        for norm in ("norm_mha", "norm_mlp"):
            yield f"layers.{i}.{norm}.g", block[norm]
        for e, one in enumerate(block["heads"]):
            yield from ((f"layers.{i}.heads.{e}.{name}", tracked) for name, tracked in one.items())
        yield from ((f"layers.{i}.mlp.{name}", block[name]) for name in ("w1", "b1", "w2", "b2"))


def save(path, tensors):
    formats = {torch.float64: ("F64", "d"), torch.int64: ("I64", "q"), torch.int8: ("I8", "b")}
    header, body = {}, b""
    for name, tensor in tensors.items():
        dtype, code = formats[tensor.dtype]
        data = struct.pack(f"<{tensor.numel()}{code}", *tensor.detach().flatten().tolist())
        header[name] = dict(dtype=dtype, shape=list(tensor.shape), data_offsets=[len(body), len(body) + len(data)])
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def write(name, model, ops, tokens, targets):
    tensors = {"input.tokens": tokens, "input.targets": targets}
    leaves = dict(named(model))
    for key, tracked in leaves.items():
        tracked.value = tracked.value.detach().requires_grad_()
        tensors[f"param.{key}"], tensors[f"kind.{key}"] = tracked.value, tracked.kind
    for mask in ("bidir", "causal"):
        for suffix, eps in (("eps0", 0.0), ("epsfix", EPS)):
            tensors[f"logits.{mask}.{suffix}"] = logits(model, tokens, mask == "causal", eps)
    causal = tensors["logits.causal.eps0"]
    loss = torch.nn.functional.cross_entropy(causal.flatten(0, 1), targets.flatten())
    gradients = torch.autograd.grad(loss, [tracked.value for tracked in leaves.values()])
    tensors.update({f"grad.{key}": gradient for key, gradient in zip(leaves, gradients)})
    save(os.path.join(HERE, f"S_{name}.safetensors"), tensors)
    shape = [dict(p=block["b1"].value.shape[0],
                  heads=[[one["wk"].value.shape[1], one["wv"].value.shape[1]] for one in block["heads"]])
             for block in model["layers"]]
    about = dict(config=CONFIG, ops=ops, h=width(model), layers=shape, loss_causal_eps0=loss.item(),
                 eps_fixed=EPS * CONFIG["h"] / width(model))
    with open(os.path.join(HERE, f"S_{name}.json"), "w") as file:
        file.write(json.dumps(about) + "\n")
    return causal


CASES = {
    "base": [],
    "mlp": [("mlp_expand", dict(layer=0, p=8)), ("mlp_expand", dict(layer=1, p=6))],
    "headadd": [("head_add", dict(layer=1, k=2, v=3))],
    "headsexp": [("heads_expand", dict(layer=0, head=1, v=4))],
    "attnexp": [("attention_expand", dict(layer=0, head=0, k=5))],
    "hidden": [("hidden_expand", dict(h=9))],
    "layeradd": [("layer_add", dict(index=1, heads=[[2, 2], [3, 1]], p=4))],
    "compose": [
        ("layer_add", dict(index=2, heads=[[2, 3]], p=3)), ("attention_expand", dict(layer=2, head=0, k=4)),
        ("hidden_expand", dict(h=8)), ("head_add", dict(layer=0, k=1, v=2)), ("mlp_expand", dict(layer=2, p=7)),
        ("heads_expand", dict(layer=1, head=1, v=5)), ("hidden_expand", dict(h=11)), ("mlp_expand", dict(layer=0, p=9)),
        ("attention_expand", dict(layer=0, head=2, k=3)), ("layer_add", dict(index=0, heads=[[1, 1]], p=2)),
    ],
}


def main():
    rng = random.Random(3)
    ids = lambda n: torch.tensor([[rng.randrange(n) for _ in range(CONFIG["s"])] for _ in range(CONFIG["b"])])
    tokens, targets = ids(CONFIG["vocab"]), ids(CONFIG["o"])
    base = base_model()
    first = None
    for name, ops in CASES.items():
        model = base_model()
        for (_, to), (_, origin) in zip(named(model), named(base)):
            to.value = origin.value.detach().clone()
        for op, arguments in ops:
            TRANSFORMS[op](model, **arguments)
        found = write(name, model, ops, tokens, targets)
        first = found if first is None else first
        print(f"{name}: logits moved by {(found - first).abs().max().item():.1e}")


main()
