#!/usr/bin/env python3
"""The training step of `outgrow-bench steps` in PyTorch: the same model (RMSNorm, ReLU, no biases in attention), AdamW with clipping,
random token ids. Reads numbers of steps from standard input, one a line, and answers each with the seconds that they took and the
last loss, as JSON. `outgrow-bench steps --pytorch` runs it beside our own; by hand:

    echo 20 | LD_LIBRARY_PATH=.libtorch/stubs PYTHONPATH=.libtorch/stubs:.libtorch python3 scripts/pytorch_gpt.py \\
      '{"n_layers": 4, "n_heads": 4, "d_model": 128, "seq_len": 64, "batch": 12, "vocab": 256, "precision": "float32",
        "attention": "sdpa", "optimizer": "fused", "compile": false, "device": "cpu", "threads": 1}'
"""
import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")
import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, how, d_model, n_heads):
        super().__init__()
        self.how, self.n_heads = how, n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (y.view(b, t, self.n_heads, -1).transpose(1, 2) for y in self.qkv(x).split(d, dim=2))
        if self.how == "sdpa":
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            above = torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1)
            scores = (q @ k.transpose(-2, -1)) * (d // self.n_heads) ** -0.5
            y = scores.masked_fill(above, float("-inf")).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    def __init__(self, how, d_model, n_heads):
        super().__init__()
        self.norm_1, self.norm_2 = nn.RMSNorm(d_model, eps=1e-5), nn.RMSNorm(d_model, eps=1e-5)
        self.attention = Attention(how, d_model, n_heads)
        self.mlp = nn.Sequential(nn.Linear(d_model, 4 * d_model), nn.ReLU(), nn.Linear(4 * d_model, d_model))

    def forward(self, x):
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class Gpt(nn.Module):
    def __init__(self, how, vocab, seq_len, n_layers, n_heads, d_model):
        super().__init__()
        self.embedding, self.positions = nn.Embedding(vocab, d_model), nn.Parameter(0.02 * torch.randn(seq_len, d_model))
        self.blocks = nn.Sequential(*(Block(how, d_model, n_heads) for _ in range(n_layers)))
        self.norm, self.unembedding = nn.RMSNorm(d_model, eps=1e-5), nn.Linear(d_model, vocab, bias=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokens, targets):
        x = self.embedding(tokens) + self.positions
        logits = self.unembedding(self.norm(self.blocks(x)))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def main():
    spec = json.loads(sys.argv[1])
    torch.set_num_threads(spec["threads"])
    torch.manual_seed(1)
    device = torch.device(spec["device"])
    sizes = {name: spec[name] for name in ("vocab", "seq_len", "n_layers", "n_heads", "d_model")}
    model = Gpt(spec["attention"], **sizes).to(device)
    decay = [p for p in model.parameters() if p.dim() == 2]
    rest = [p for p in model.parameters() if p.dim() != 2]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    # A plain loop over the parameters is what neither of the two flags means.
    how = {"fused": {"fused": True}, "foreach": {"foreach": True}, "loop": {"foreach": False, "fused": False}}
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, **how[spec["optimizer"]])
    forward = torch.compile(model) if spec["compile"] else model
    shape = (spec["batch"], spec["seq_len"] + 1)
    bf16 = spec["precision"] == "bfloat16"

    def step():
        text = torch.randint(spec["vocab"], shape)
        if device.type == "cuda":
            text = text.pin_memory().to(device, non_blocking=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = forward(text[:, :-1].contiguous(), text[:, 1:].contiguous())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            loss = step()
        loss = loss.item()
        print(json.dumps({"seconds": time.perf_counter() - began, "loss": loss}), flush=True)


main()
