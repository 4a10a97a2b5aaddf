"""Models whose shapes depend on their inputs in ways that formulas must follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

if TYPE_CHECKING:
    from collections.abc import Mapping


class Block(nn.Module):
    """Attention and a multilayer perceptron, each with its residual."""

    def __init__(self, width: int, heads: int, *, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, steps, width = x.shape
        parts = self.qkv(self.before(x)).split(width, dim=-1)
        q, k, v = (t.view(batch, steps, self.heads, -1).transpose(1, 2) for t in parts)
        if self.fused:
            y = fn.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(-2, -1) / k.size(-1) ** 0.5
            scores = scores.masked_fill(mask[:, :, :steps, :steps] == 0, float("-inf"))
            y = scores.softmax(-1) @ v
        x = x + self.out(y.transpose(1, 2).contiguous().view(batch, steps, width))
        return x + self.mlp(self.after(x))


class GPT(nn.Module):
    """A decoder whose output layer is its embedding."""

    mask: Tensor

    def __init__(self, *, fused: bool = False, longest: int = 256) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(100, 64), nn.Embedding(longest, 64)
        self.blocks = nn.ModuleList([Block(64, 4, fused=fused) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 100, bias=False)
        self.head.weight = self.words.weight
        self.register_buffer("mask", torch.ones(longest, longest).tril()[None, None])

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x, self.mask)
        out: Tensor = self.head(self.norm(x))
        return out


class Branch(nn.Module):
    """Goes another way for long sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Any:
        return self.second(self.first(x)) if x.shape[1] > 64 else self.first(x)


class Flat(nn.Module):
    """A linear layer of all pixels: one size only."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4 * 28 * 28, 10)

    def forward(self, x: Tensor) -> Any:
        return self.out(self.conv(x).view(x.shape[0], -1))


class Named(nn.Module):
    """A mapping as input, and one layer called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(8, 8)

    def forward(self, x: Mapping[str, Tensor]) -> Any:
        return self.shared(x["a"]) + self.shared(x["b"]).mean(1, keepdim=True)


class UpDown(nn.Module):
    """Strides, a transposed convolution, upsampling by a factor, and adaptive pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 8, 3, 2, 1), nn.ConvTranspose2d(8, 4, 4, 2, 1)

    def forward(self, x: Tensor) -> Any:
        y = self.up(self.down(x).relu())
        y = fn.interpolate(y, scale_factor=2, mode="bilinear")
        return y + fn.adaptive_max_pool2d(y, (5, 3)).mean()


class Pools(nn.Sequential):
    """Pooling that rounds up, channels made of pixels, norms of groups and instances."""

    def __init__(self) -> None:
        super().__init__(
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.AvgPool2d(2),
            nn.Upsample(scale_factor=2),
            nn.PixelShuffle(2),
            nn.GroupNorm(1, 1),
            nn.InstanceNorm2d(1),
        )


class Bag(nn.Module):
    """Sums of embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.bag, self.out = nn.EmbeddingBag(100, 16), nn.Linear(16, 3)

    def forward(self, ids: Tensor) -> Any:
        return self.out(self.bag(ids))


class OneHot(nn.Module):
    """One-hot vectors of tokens, and none for tokens behind a length."""

    def forward(self, ids: Tensor, lengths: Tensor) -> Any:
        given = fn.one_hot(ids.T, 7).to(torch.float32)
        steps = torch.arange(ids.shape[1], device=ids.device)
        return given.masked_fill((steps[:, None] >= lengths)[:, :, None], 0)


class Recurrent(nn.Module):
    """A recurrent layer and the last step's output."""

    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.layer = kind(8, 16, batch_first=True, **options)
        self.out = nn.Linear(32 if options.get("bidirectional") else 16, 4)

    def forward(self, x: Tensor) -> Any:
        return self.out(self.layer(x)[0][:, -1])


class Steps(nn.Module):
    """A loop of the user's own over the steps of a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(8, 16)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(x.shape[0], 16)
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        return state


def encoder() -> nn.Module:
    """torch's own encoder."""
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
