"""Reads a native checkpoint of outgrow, of any form, into a module of PyTorch; docs/checkpoint.md has the formula.

    from outgrow_checkpoint import Outgrow
    logits = Outgrow("outgrow.db.checkpoints/<trial>/step-0000000100-1")(token_ids)      # b × t × n_outputs of b × t
"""
import json
import math
import pathlib

import torch
from safetensors.torch import load_file
from torch.nn import functional as F

ACTIVATIONS = dict(relu=F.relu, gelu=F.gelu, gelu_tanh=lambda x: F.gelu(x, approximate="tanh"), silu=F.silu)


def frequencies(rotary, n_pairs):
    """Radians per position of each pair of channels, in float32 whatever the model is in."""
    f = 1.0 / torch.pow(rotary["theta"], torch.arange(n_pairs, dtype=torch.float32) * 2 / rotary["width"])
    scaling = rotary.get("scaling") or dict(kind="none")
    if scaling["kind"] == "linear":
        return f / scaling["factor"]
    if scaling["kind"] == "llama3":
        low, high, length = scaling["low_freq_factor"], scaling["high_freq_factor"], scaling["original_length"]
        smooth = ((length * f / (2 * math.pi) - low) / (high - low)).clamp(0, 1)
        return (1 - smooth) * f / scaling["factor"] + smooth * f
    return f


class Outgrow(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.sizes = json.loads(pathlib.Path(folder, "checkpoint.json").read_text())["architecture"]
        self.form = self.sizes["form"]
        short = (torch.bfloat16, torch.float16)
        tensors = load_file(pathlib.Path(folder, "model.safetensors")).items()
        parameters = {name.replace(".", "/"): x.float() if x.dtype in short else x for name, x in tensors}
        self.parameters_by_name = torch.nn.ParameterDict(parameters)

    def get(self, name, otherwise=None):
        return self.parameters_by_name[name] if name in self.parameters_by_name else otherwise

    def norm(self, x, name):
        if self.form.get("norm") == "layer_norm":
            x = x - x.mean(-1, keepdim=True)
        x = x * math.sqrt(x.shape[-1]) / (x.square().sum(-1, keepdim=True) + self.form["eps_sum"]).sqrt()
        return x * self.get(name, 1.0) + self.get(name + "_bias", 0.0)

    def affine(self, x, layer, which):
        return x @ self.get(f"{layer}w_{which}") + self.get(f"{layer}b_{which}", 0.0)

    def meet(self, x, gain):
        """Queries or keys, b × heads × t × d_k, as they meet each other: normed, and turned by their positions."""
        if self.form.get("qk_norm_eps") is not None:
            x = x * (x.square().mean(-1, keepdim=True) + self.form["qk_norm_eps"]).rsqrt() * self.get(gain, 1.0)
        rotary = self.form.get("positions", dict(kind="learned"))
        if rotary["kind"] == "learned":
            return x
        turned = rotary.get("channels") or x.shape[-1]
        angles = torch.arange(x.shape[-2], dtype=torch.float32)[:, None] * frequencies(rotary, turned // 2)
        cos, sin = angles.cos().to(x), angles.sin().to(x)
        a, b = x[..., 0:turned:2], x[..., 1:turned:2]
        pairs = torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2)
        return torch.cat((pairs, x[..., turned:]), -1)

    def attention(self, x, layer, runs):
        q, k, v = (self.affine(x, layer, which) for which in "qkv")
        mixed = []
        for run in runs:  # of equal heads, side by side; groups of queries share keys and values
            n, n_kv = run["n_heads"], run.get("n_kv_heads") or run["n_heads"]
            widths = n * run["d_k"], n_kv * run["d_k"], n_kv * run["d_v"]
            (own_q, q), (own_k, k), (own_v, v) = (
                x.split((width, x.shape[-1] - width), -1) for x, width in zip((q, k, v), widths))
            own_q, own_k, own_v = (
                x.unflatten(-1, (heads, -1)).transpose(-2, -3) for x, heads in ((own_q, n), (own_k, n_kv), (own_v, n_kv)))
            own_q, own_k = self.meet(own_q, layer + "query_norm"), self.meet(own_k, layer + "key_norm")
            own_k, own_v = (x.repeat_interleave(n // n_kv, -3) for x in (own_k, own_v))
            scores = own_q @ own_k.transpose(-1, -2) / math.sqrt(run["d_k"])
            if self.form["causal"]:
                scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -math.inf)
            mixed.append((scores.softmax(-1) @ own_v).transpose(-2, -3).flatten(-2))
        return self.affine(torch.cat(mixed, -1), layer, "o")

    def mlp(self, x, layer):
        act, inner = ACTIVATIONS[self.form.get("activation", "relu")], self.affine(x, layer, "1")
        inner = act(self.affine(x, layer, "g")) * inner if self.form.get("gated") else act(inner)
        return self.affine(inner, layer, "2")

    def forward(self, ids):
        x = self.get("embedding")[ids]
        if self.get("positions") is not None:
            x = x + self.get("positions")[: ids.shape[-1]]
        for number, shape in enumerate(self.sizes["layers"]):
            layer, own = f"layers/{shape.get('of', number)}/", f"layers/{number}/"  # weights may be those of a layer before it
            attended = self.attention(self.norm(x, layer + "attention_norm"), layer, shape["heads"])
            after = x + attended * self.get(own + "attention_gain", 1.0)
            read = x if self.form.get("parallel") else after
            x = after + self.mlp(self.norm(read, layer + "mlp_norm"), layer) * self.get(own + "mlp_gain", 1.0)
        if self.form["final_norm"]:
            x = self.norm(x, "final_norm")
        return x @ (self.get("embedding").T if self.form.get("tied") else self.get("unembedding"))
