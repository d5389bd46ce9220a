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


class RMSNorm(nn.Module):
    def __init__(self, d_model):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        return x * self.gain / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()


# An architecture that names no norm has the paper's.
NORMS = {None: RMSNorm, "layer_norm": nn.LayerNorm}


class Head(nn.Module):
    def __init__(self, d_model, d_k, d_v):
        super().__init__()
        self.query, self.key = nn.Linear(d_model, d_k, bias=False), nn.Linear(d_model, d_k, bias=False)
        self.value, self.out = nn.Linear(d_model, d_v, bias=False), nn.Linear(d_v, d_model, bias=False)

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.transpose(1, 2) / math.sqrt(k.shape[-1])
        return self.out(torch.softmax(scores, -1) @ v)


class Layer(nn.Module):
    def __init__(self, d_model, layer, norm):
        super().__init__()
        heads = [(run["d_k"], run["d_v"]) for run in layer["heads"] for _ in range(run["n_heads"])]
        self.heads = nn.ModuleList(Head(d_model, d_k, d_v) for d_k, d_v in heads)
        self.attention_norm, self.mlp_norm = norm(d_model), norm(d_model)
        self.mlp = nn.Sequential(nn.Linear(d_model, layer["d_ff"]), nn.ReLU(), nn.Linear(layer["d_ff"], d_model))

    def forward(self, x):
        n = self.attention_norm(x)
        x = x + sum(head(n) for head in self.heads)
        return x + self.mlp(self.mlp_norm(x))


class Model(nn.Module):
    def __init__(self, a):
        super().__init__()
        norm = NORMS[a["form"].get("norm")]
        self.embedding = nn.Embedding(a["vocab_size"], a["d_model"])
        self.positions = nn.Parameter(torch.zeros(a["seq_len"], a["d_model"]))
        self.layers = nn.Sequential(*(Layer(a["d_model"], layer, norm) for layer in a["layers"]))
        self.final_norm = norm(a["d_model"]) if a["form"]["final_norm"] else nn.Identity()
        self.unembedding = nn.Linear(a["d_model"], a["n_outputs"], bias=False)

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
