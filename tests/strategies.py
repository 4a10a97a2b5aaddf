"""Random models whose inputs and outputs are (batch, 8)."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 8


class Residual(nn.Module):
    """Adds what its inner module gives."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class Twice(nn.Module):
    """Calls one module two times."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(F.relu(self.inner(x)))


class Borrows(nn.Module):
    """Reads a weight of a module that it does not call, and has one that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.lent = nn.Linear(WIDTH, WIDTH)
        self.dead = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.lent.weight)


class Mixes(nn.Module):
    """Convolution, attention and a recurrent layer over the features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 3, padding=1, groups=1)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.cells = nn.GRU(4, 1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x.unsqueeze(1)).transpose(1, 2)
        y, _ = self.attention(y, y, y)
        y, _ = self.cells(y)
        return y.squeeze(2)


def _frozen(module: nn.Module) -> nn.Module:
    return module.requires_grad_(requires_grad=False)


leaves = st.sampled_from(
    [
        lambda: nn.Linear(WIDTH, WIDTH),
        lambda: nn.Linear(WIDTH, WIDTH, bias=False),
        lambda: nn.Sequential(nn.Linear(WIDTH, 32), nn.GELU(), nn.Linear(32, WIDTH)),
        nn.ReLU,
        lambda: nn.LayerNorm(WIDTH),
        lambda: nn.BatchNorm1d(WIDTH),
        lambda: nn.Dropout(0.5),
        lambda: _frozen(nn.Linear(WIDTH, WIDTH)),
        Borrows,
        Mixes,
        lambda: nn.Softmax(dim=-1),
    ]
).map(lambda make: make())


def _wrapped(inner: st.SearchStrategy[nn.Module]) -> st.SearchStrategy[nn.Module]:
    return st.one_of(
        inner.map(Residual),
        inner.map(Twice),
        st.lists(inner, min_size=1, max_size=4).map(lambda parts: nn.Sequential(*parts)),
    )


models = st.recursive(leaves, _wrapped, max_leaves=8)
"""Modules from (batch, WIDTH) to (batch, WIDTH)."""

steps = st.fixed_dictionaries(
    {
        "optimizer": st.sampled_from(["sgd", "sgd-momentum", "adamw"]),
        "loss": st.sampled_from(["sum", "mse", "cross-entropy"]),
        "accumulate": st.sampled_from([1, 1, 3]),
        "set_to_none": st.booleans(),
    }
)
"""How a training step is made, as arguments of `zoo.trace`."""


def trainable(model: nn.Module) -> bool:
    """Whether a loss of the outputs reaches a parameter, as autograd says."""
    if not any(one.requires_grad for one in model.parameters()):
        return False
    return bool(model.train()(torch.zeros(3, WIDTH)).requires_grad)


class Scaled(nn.Module):
    """Multiplies by a parameter each, so that gradients reach all that comes after."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


learners = models.map(
    lambda model: model if trainable(model) else nn.Sequential(nn.Linear(WIDTH, WIDTH), model)
)
"""Modules from (batch, WIDTH) to (batch, WIDTH) with something to train."""
