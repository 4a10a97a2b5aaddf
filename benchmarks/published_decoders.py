"""Decoders as LitGPT trains them: one block for all of its models, LoRA, losses by chunks.

LitGPT's model keeps queries, keys and values in one projection, widens shared keys before the
attention, computes norms and rotations in float32 and never ties its embeddings; Fabric makes its
scores float32. Its LoRA keeps the projection frozen and adds (x A B) behind a dropout; where only
queries and values are adapted, their update is copied into zeros. All of that shows in memory, so
it is written out here rather than taken from zoo's own Llama, which is leaner. Settings are those
of LitGPT's `config.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

CHUNK = 128
"""Tokens of the head's output, and rows of the loss, that are made at a time."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A model of LitGPT's catalogue."""

    layers: int
    width: int
    heads: int
    hidden: int
    vocabulary: int
    """Tokens, padded as LitGPT does."""
    groups: int | None = None
    """Heads of keys and values; None: as many as queries."""
    head: int | None = None
    """Width of a head; None: `width / heads`."""
    mlp: str = "swiglu"
    """`swiglu`, `geglu` or `gelu`."""
    layer_norm: bool = False
    parallel: bool = False
    """Attention and MLP side by side."""
    shared_norm: bool = False
    rotary: float = 1.0
    bias: bool = False
    head_bias: bool = False


PHI: dict[str, Any] = {
    "mlp": "gelu",
    "layer_norm": True,
    "parallel": True,
    "shared_norm": True,
    "bias": True,
    "head_bias": True,
}
MODELS = {
    "phi-1.5": Settings(24, 2048, 32, 8192, 51200, rotary=0.5, **PHI),
    "phi-2": Settings(32, 2560, 32, 10240, 51200, rotary=0.4, **PHI),
    "stablelm-alpha-3b": Settings(
        16,
        4096,
        32,
        16384,
        50688,
        mlp="gelu",
        layer_norm=True,
        parallel=True,
        rotary=0.25,
        bias=True,
    ),
    "falcon-7b": Settings(
        32,
        4544,
        71,
        18176,
        65024,
        1,
        64,
        mlp="gelu",
        layer_norm=True,
        parallel=True,
        shared_norm=True,
    ),
    "falcon-40b": Settings(
        60, 8192, 128, 32768, 65024, 8, 64, mlp="gelu", layer_norm=True, parallel=True
    ),
    "llama-2-7b": Settings(32, 4096, 32, 11008, 32000),
    "llama-2-13b": Settings(40, 5120, 40, 13824, 32000),
    "llama-3-8b": Settings(32, 4096, 32, 14336, 128256, 8),
    "llama-3.2-1b": Settings(16, 2048, 32, 8192, 128256, 8),
    "llama-3.2-3b": Settings(28, 3072, 24, 8192, 128256, 8),
    "mistral-7b": Settings(32, 4096, 32, 14336, 32000, 8),
    "tiny-llama": Settings(22, 2048, 32, 5632, 32000, 4),
    "phi-3-mini": Settings(32, 3072, 32, 8192, 32064),
    "gemma-2b": Settings(18, 2048, 8, 16384, 256000, 1, 256, mlp="geglu"),
}


@dataclass(frozen=True, slots=True)
class Lora:
    """What is adapted, and with which rank."""

    rank: int
    parts: str = "qv"
    """Of q, k, v, p (the projection of the attention's output), m (the MLP), h (the head)."""
    dropout: float = 0.05


class RmsNorm(nn.Module):
    """In float32, its result in the type of its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) of the same shape."""
        wide = x.float()
        mean = torch.mean(wide * wide, dim=-1, keepdim=True)
        scaled: Tensor = (wide * torch.rsqrt(mean + 1e-5)).to(x.dtype) * self.weight
        return scaled


class Adapted(nn.Module):
    """A frozen linear layer and its update of low rank, for all of its outputs or some of them."""

    def __init__(self, linear: nn.Linear, lora: Lora, sizes: list[int], chosen: list[bool]) -> None:
        super().__init__()
        self.linear, self.dropout, self.scale = linear, nn.Dropout(lora.dropout), 16 / lora.rank
        self.down = nn.Linear(linear.in_features, lora.rank * sum(chosen), bias=False)
        adapted = [size for size, one in zip(sizes, chosen, strict=True) if one]
        self.up = nn.ModuleList(nn.Linear(lora.rank, size, bias=False) for size in adapted)
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        self.ranges = [
            (start, start + size)
            for start, size, one in zip(starts, sizes, chosen, strict=True)
            if one
        ]
        self.whole = all(chosen)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        frozen = self.linear(x)
        low = self.down(self.dropout(x)).chunk(len(self.up), dim=-1)
        parts = [up(one) for up, one in zip(self.up, low, strict=True)]
        update = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        if not self.whole:
            blank = update.new_zeros((*update.shape[:-1], frozen.shape[-1]))
            places = torch.cat([torch.arange(*one, device=x.device) for one in self.ranges])
            update = blank.index_copy(-1, places, update)
        adapted: Tensor = frozen + update * self.scale
        return adapted


def linear(inputs: int, outputs: int, lora: Lora | None, part: str, *, bias: bool) -> nn.Module:
    """A linear layer, adapted where `lora` names its part."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    if lora is None or part not in lora.parts:
        return layer
    return Adapted(layer, lora, [outputs], [True])


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of the first dims of each head, in float32."""
    dims = cos.shape[-1]
    turned = x[..., :dims]
    first, second = turned[..., : dims // 2], turned[..., dims // 2 :]
    turned = (turned * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)
    return torch.cat((turned, x[..., dims:]), dim=-1)


class Attention(nn.Module):
    """Causal attention, keys and values widened to the number of queries."""

    def __init__(self, settings: Settings, lora: Lora | None) -> None:
        super().__init__()
        self.heads, self.head = settings.heads, settings.head or settings.width // settings.heads
        self.groups = settings.groups or self.heads
        sizes = [self.heads * self.head, self.groups * self.head, self.groups * self.head]
        qkv = nn.Linear(settings.width, sum(sizes), bias=settings.bias)
        chosen = [lora is not None and part in lora.parts for part in "qkv"]
        self.qkv = Adapted(qkv, lora, sizes, chosen) if lora is not None and any(chosen) else qkv
        self.proj = linear(sizes[0], settings.width, lora, "p", bias=settings.bias)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(N, T, width) of the same shape."""
        batch, length, _ = x.shape
        each = self.heads // self.groups
        qkv = self.qkv(x).view(batch, length, self.groups, each + 2, self.head)
        q, k, v = qkv.permute(0, 2, 3, 1, 4).split((each, 1, 1), dim=2)
        if each > 1:
            wide = (batch, self.groups, each, length, self.head)
            k, v = k.expand(wide), v.expand(wide)
        q, k, v = (one.reshape(batch, -1, length, self.head) for one in (q, k, v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        y = fn.scaled_dot_product_attention(q, k, v, is_causal=True)
        out: Tensor = self.proj(y.transpose(1, 2).reshape(batch, length, -1))
        return out


class Mlp(nn.Module):
    """Gated or not."""

    def __init__(self, settings: Settings, lora: Lora | None) -> None:
        super().__init__()
        narrow, wide, bias = settings.width, settings.hidden, settings.bias
        self.first = linear(narrow, wide, lora, "m", bias=bias)
        gated = settings.mlp != "gelu"
        self.second = linear(narrow, wide, lora, "m", bias=bias) if gated else None
        self.activation = nn.SiLU() if settings.mlp == "swiglu" else nn.GELU(approximate="tanh")
        self.proj = linear(wide, narrow, lora, "m", bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) of the same shape."""
        if self.second is None:
            out: Tensor = self.proj(self.activation(self.first(x)))
            return out
        first, second = self.first(x), self.second(x)
        gated: Tensor = self.proj(self.activation(first) * second)
        return gated


class Block(nn.Module):
    """Attention and MLP, one after the other or side by side."""

    def __init__(self, settings: Settings, lora: Lora | None) -> None:
        super().__init__()
        norm = nn.LayerNorm if settings.layer_norm else RmsNorm
        self.norm_1 = norm(settings.width)
        self.norm_2 = None if settings.shared_norm else norm(settings.width)
        self.attention, self.mlp = Attention(settings, lora), Mlp(settings, lora)
        self.parallel = settings.parallel

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(N, T, width) of the same shape."""
        first = self.norm_1(x)
        attended = self.attention(first, cos, sin)
        if self.parallel:
            second = first if self.norm_2 is None else self.norm_2(x)
            out: Tensor = self.mlp(second) + attended + x
            return out
        x = attended + x
        if self.norm_2 is None:
            raise ValueError("a shared norm wants attention and MLP side by side")
        after: Tensor = self.mlp(self.norm_2(x)) + x
        return after


class Decoder(nn.Module):
    """Tokens and targets to a loss; tokens alone to scores."""

    def __init__(self, settings: Settings, lora: Lora | None) -> None:
        super().__init__()
        head = settings.head or settings.width // settings.heads
        self.rotary = int(settings.rotary * head)
        self.embedding = nn.Embedding(settings.vocabulary, settings.width)
        self.blocks = nn.ModuleList(Block(settings, lora) for _ in range(settings.layers))
        self.norm = (nn.LayerNorm if settings.layer_norm else RmsNorm)(settings.width)
        self.head = linear(settings.width, settings.vocabulary, lora, "h", bias=settings.head_bias)
        self.chunked = lora is not None
        """Whether the head is applied by chunks, as in LoRA's script and not in the full one."""

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Any:
        """(N, T) -> (N, T, vocabulary), or the scores and their loss."""
        x = self.embedding(tokens)
        frequencies = 10000.0 ** (
            -torch.arange(0, self.rotary, 2, device=x.device).float() / self.rotary
        )
        angles = torch.outer(torch.arange(x.shape[1], device=x.device), frequencies).repeat(1, 2)
        cos, sin = angles.cos(), angles.sin()
        for block in self.blocks:
            x = block(x, cos, sin)
        x = self.norm(x)
        if targets is None:
            return self.head(x).float()
        parts = x.split(CHUNK, dim=1) if self.chunked else [x]
        scores = [self.head(one).float() for one in parts]
        scores[-1] = scores[-1][:, :-1]
        return {"loss": self._loss(scores, targets[:, 1:]), "scores": scores}

    def _loss(self, scores: list[Tensor], targets: Tensor) -> Tensor:
        if self.chunked:
            rows = [one.reshape(-1, one.shape[-1]) for one in scores]
            wanted = [one.reshape(-1) for one in targets.split(CHUNK, dim=1)]
        else:
            rows = list(scores[0].reshape(-1, scores[0].shape[-1]).split(CHUNK))
            wanted = list(targets.reshape(-1).split(CHUNK))
        losses = [
            fn.cross_entropy(one, want, reduction="none")
            for one, want in zip(rows, wanted, strict=True)
        ]
        return torch.cat(losses).mean()


def decoder(name: str, lora: dict[str, Any] | None = None) -> Decoder:
    """A model in bfloat16; with LoRA (fields of `Lora`) all but its updates is frozen."""
    model = Decoder(MODELS[name], None if lora is None else Lora(**lora)).to(torch.bfloat16)
    if lora is not None:
        for path, parameter in model.named_parameters():
            parameter.requires_grad = ".down." in path or ".up." in path
    return model


def trainable(model: nn.Module) -> int:
    """Parameters that are trained."""
    return sum(one.numel() for one in model.parameters() if one.requires_grad)


__all__ = ["MODELS", "Decoder", "Lora", "Settings", "decoder", "trainable"]
