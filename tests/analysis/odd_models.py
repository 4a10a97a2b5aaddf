"""Models on which tools that count go different ways, each small enough to run for real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import SwinTransformer, VisionTransformer

if TYPE_CHECKING:
    from collections.abc import Callable


class Tied(nn.Module):
    """Two layers with one weight, and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64, bias=False)
        self.second = nn.Linear(64, 64, bias=False)
        self.second.weight = self.first.weight
        self.norm = nn.LayerNorm(64)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.second(self.first(x)))


class Shared(nn.Module):
    """One layer that two modules hold, called three times."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.Linear(16, 16)
        self.x = nn.Sequential(layer, nn.ReLU())
        self.y = nn.Sequential(layer, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.y(self.x(self.x(x)))


class Attention(nn.Module):
    """No weights, and nothing but a fused attention."""

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x)


class Raw(nn.Module):
    """Weights of its own, in functions, methods and operators, and a module that is not called."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(8, 8))
        self.b = nn.Parameter(torch.zeros(8))
        self.unused = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        wide = torch.addmm(self.b, x, self.w) + x @ self.w * 2 + x.mul(x).add(1)
        return wide + F.linear(x, self.w.t(), self.b) + torch.einsum("ij,jk->ik", x, self.w)


class Dicts(nn.Module):
    """Takes a dict and gives one."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"y": self.layer(given["x"]), "z": given["mask"].sum()}


class Recurrent(nn.Module):
    """A recurrent layer and a head."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(layer.hidden_size * (1 + layer.bidirectional), 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0])


class Cells(nn.Module):
    """Three cells in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTMCell(8, 16)
        self.gru = nn.GRUCell(16, 16)
        self.rnn = nn.RNNCell(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(self.gru(self.lstm(x)[0]))


class Decoder(nn.Module):
    """Transposed convolution in groups, upsampling of both kinds, and norms."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Sequential(
            nn.ConvTranspose2d(8, 4, 3, stride=2, groups=2),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.PReLU(),
            nn.Softmax(1),
            nn.GroupNorm(2, 4),
            nn.InstanceNorm2d(4, affine=True),
            nn.AvgPool2d(2),
            nn.AdaptiveAvgPool2d(4),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.steps(x), scale_factor=2)


class Pyramid(nn.Module):
    """Two lists of modules that are called in turn, on a list of pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleList(nn.Sequential(nn.Conv2d(3, 4, 1)) for _ in range(3))
        self.outer = nn.ModuleList(nn.Sequential(nn.Conv2d(4, 4, 3)) for _ in range(3))
        self.spare = nn.ModuleList([nn.Linear(2, 2)])

    def forward(self, pictures: list[Tensor]) -> Tensor:
        x = torch.stack(pictures)
        steps = zip(self.inner, self.outer, strict=True)
        return torch.stack([outer(inner(x)) for inner, outer in steps])


class Normed(nn.Module):
    """A weight that is computed from parameters, and a padding in words."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
        self.conv = nn.Conv1d(8, 8, 4, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.layer(x).transpose(1, 2))


def frozen() -> nn.Module:
    """An embedding that is not trained, and a layer that is."""
    made = nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, 4))
    made[0].weight.requires_grad_(requires_grad=False)
    return made


def vit() -> nn.Module:
    """A small Vision Transformer."""
    return VisionTransformer(16, 4, 2, 4, 32, 64, num_classes=5)


def swin() -> nn.Module:
    """A small Swin Transformer."""
    return SwinTransformer([2, 2], 16, [2, 2], [2, 4], [4, 4], num_classes=5)


def lstm() -> nn.Module:
    """Two layers in two directions."""
    return Recurrent(nn.LSTM(32, 48, 2, batch_first=True, bidirectional=True))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[Any, ...]]] = {
    "tied": (Tied, ((2, 64),)),
    "shared": (Shared, ((3, 16),)),
    "attention": (Attention, ((1, 4, 128, 64),)),
    "raw": (Raw, ((4, 8),)),
    "dicts": (Dicts, ({"x": (2, 8), "mask": (2, 2)},)),
    "lstm": (lstm, ((2, 7, 32),)),
    "gru": (lambda: Recurrent(nn.GRU(32, 48, 2, batch_first=True)), ((2, 7, 32),)),
    "cells": (Cells, ((2, 8),)),
    "decoder": (Decoder, ((2, 8, 5, 5),)),
    "normed": (Normed, ((2, 6, 8),)),
    "pyramid": (Pyramid, ([(3, 9, 9), (3, 9, 9)],)),
    "frozen": (frozen, ("2,5:int64",)),
    "linear": (lambda: nn.Linear(64, 64), ((2, 100, 64),)),
    "transformer": (lambda: nn.Transformer(32, 4, 1, 1, 64, batch_first=True), ((2, 9, 32),) * 2),
    "vit": (vit, ((1, 3, 16, 16),)),
    "swin": (swin, ((1, 3, 32, 32),)),
}
"""Each with what it is run on."""
