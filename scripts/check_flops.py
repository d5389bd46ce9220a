#!/usr/bin/env python3
"""Compares the cost model with PyTorch: reads architectures with their costs (one JSON object a line) from standard input,
builds each as a PyTorch model, and counts parameters and the FLOPs of a forward and of a forward and backward pass with
torch.utils.flop_counter.FlopCounterMode. They must agree exactly.

The model's attention is written as two matrix products, for that is what the convention counts (a fused causal kernel
would be counted the same: in full). The first operation reads the embedding, whose backward pass is no matrix product, so
forward and backward are exactly three times the forward pass.

    cargo run -q -p outgrow-core --example costs | LD_LIBRARY_PATH=.libtorch/stubs PYTHONPATH=.libtorch python3 scripts/check_flops.py
"""
import json
import math
import os
import sys
import warnings

# Lazy binding: a CPU machine lacks CUDA's libraries, of which nothing is called.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
warnings.filterwarnings("ignore")
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class Norm(nn.Module):
    """RMSNorm or LayerNorm, with gains (and a LayerNorm's biases) or without."""

    def __init__(self, width, form, centred=None):
        super().__init__()
        self.centred = form.get("norm") == "layer_norm" if centred is None else centred
        gains = form.get("norm_gains", True)
        self.gain = nn.Parameter(torch.ones(width)) if gains else 1.0
        self.bias = nn.Parameter(torch.zeros(width)) if gains and self.centred else 0.0

    def forward(self, x):
        x = x - x.mean(-1, keepdim=True) if self.centred else x
        return x * self.gain / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() + self.bias


class Head(nn.Module):
    """Keys and values, and the queries that read them. Turning queries and keys by their positions is no matrix product."""

    def __init__(self, d_model, n_queries, d_k, d_v, form):
        super().__init__()
        bias = form.get("qkv_bias", False)
        self.queries = nn.ModuleList(nn.Linear(d_model, d_k, bias=bias) for _ in range(n_queries))
        self.key, self.value = nn.Linear(d_model, d_k, bias=bias), nn.Linear(d_model, d_v, bias=bias)
        self.outs = nn.ModuleList(nn.Linear(d_v, d_model, bias=False) for _ in range(n_queries))

    def forward(self, x, query_norm, key_norm):
        k, v = key_norm(self.key(x)), self.value(x)

        def read(query, out):
            scores = query_norm(query(x)) @ k.transpose(1, 2) / math.sqrt(k.shape[-1])
            return out(torch.softmax(scores, -1) @ v)

        return sum(read(query, out) for query, out in zip(self.queries, self.outs))


class Mlp(nn.Module):
    def __init__(self, d_model, d_ff, form):
        super().__init__()
        bias = form.get("mlp_bias", True)
        self.gate = nn.Linear(d_model, d_ff, bias=bias) if form.get("gated", False) else None
        self.up, self.down = nn.Linear(d_model, d_ff, bias=bias), nn.Linear(d_ff, d_model, bias=bias)

    def forward(self, x):
        return self.down(self.up(x).relu() if self.gate is None else self.gate(x).relu() * self.up(x))


class Layer(nn.Module):
    def __init__(self, d_model, layer, form):
        super().__init__()
        # A run that does not say how many keys and values its heads share has one for each.
        shared = [(run, run.get("n_kv_heads", run["n_heads"])) for run in layer["heads"]]
        heads = [(run["n_heads"] // n, run["d_k"], run["d_v"]) for run, n in shared for _ in range(n)]
        self.heads = nn.ModuleList(Head(d_model, *head, form) for head in heads)
        normed = form.get("qk_norm_eps") is not None
        self.query_norm, self.key_norm = (
            Norm(heads[0][1], form, centred=False) if normed else nn.Identity() for _ in range(2))
        self.out_bias = nn.Parameter(torch.zeros(d_model)) if form.get("output_bias", False) else 0.0
        self.attention_norm, self.mlp_norm = Norm(d_model, form), Norm(d_model, form)
        self.mlp, self.parallel = Mlp(d_model, layer["d_ff"], form), form.get("parallel", False)

    def forward(self, x, attention_gain, mlp_gain):
        n = self.attention_norm(x)
        attended = sum(head(n, self.query_norm, self.key_norm) for head in self.heads) + self.out_bias
        after = x + attended * attention_gain
        return after + self.mlp(self.mlp_norm(x if self.parallel else after)) * mlp_gain


class Pass(nn.Module):
    """One use of a layer, which may be used several times, with gains of its own."""

    def __init__(self, layer, d_model, form):
        super().__init__()
        gains = form.get("branch_gains", False)
        self.layer = layer
        self.attention_gain, self.mlp_gain = (nn.Parameter(torch.ones(d_model)) if gains else 1.0 for _ in range(2))

    def forward(self, x):
        return self.layer(x, self.attention_gain, self.mlp_gain)


class Model(nn.Module):
    def __init__(self, a):
        super().__init__()
        form = a["form"]
        learned = form.get("positions", {"kind": "learned"})["kind"] == "learned"
        self.embedding = nn.Embedding(a["vocab_size"], a["d_model"])
        self.positions = nn.Parameter(torch.zeros(a["seq_len"], a["d_model"])) if learned else 0.0
        passes = []
        for layer in a["layers"]:
            own = passes[layer["of"]].layer if "of" in layer else Layer(a["d_model"], layer, form)
            passes.append(Pass(own, a["d_model"], form))
        self.layers = nn.Sequential(*passes)
        self.final_norm = Norm(a["d_model"], form) if form["final_norm"] else nn.Identity()
        self.unembedding = nn.Linear(a["d_model"], a["n_outputs"], bias=False)
        if form.get("tied", False):
            self.unembedding.weight = self.embedding.weight

    def forward(self, tokens):
        return self.unembedding(self.final_norm(self.layers(self.embedding(tokens) + self.positions)))


def count(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def main():
    lines = [json.loads(line) for line in sys.stdin]
    wrong = 0
    for line in lines:
        architecture = line["architecture"]
        model = Model(architecture)
        tokens = torch.zeros(1, architecture["seq_len"], dtype=torch.long)
        found = {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "forward_flops": count(lambda: model(tokens)),
            "train_flops": count(lambda: model(tokens).sum().backward()),
        }
        for name, value in found.items():
            if value != line[name]:
                wrong += 1
                print(f"{name}: the cost model says {line[name]}, PyTorch {value}: {json.dumps(architecture)}")
    print(f"check_flops: {len(lines)} architectures against FlopCounterMode of torch {torch.__version__}: {wrong} differences")
    sys.exit(1 if wrong or not lines else 0)


main()
