"""A network around an operator of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.library.custom_op("zoo_example::decaying_sum", mutates_args=())
def decaying_sum(x: Tensor, decay: float) -> Tensor:
    """y[t] = x[t] + decay * y[t - 1], along the second axis."""
    y = torch.empty_like(x)
    state = torch.zeros_like(x[:, 0])
    for step in range(x.shape[1]):
        state = x[:, step] + decay * state
        y[:, step] = state
    return y


@decaying_sum.register_fake
def _(x: Tensor, decay: float) -> Tensor:  # noqa: ARG001
    return torch.empty_like(x)


class DecayNet(nn.Module):
    """Linear, decaying sum over time, linear.

    Args:
        features: Width of the input and of the output.
        hidden: Width between.
        decay: Share of the past that each step keeps.
    """

    def __init__(self, features: int, *, hidden: int = 32, decay: float = 0.9) -> None:
        super().__init__()
        self.decay = decay
        self.first = nn.Linear(features, hidden)
        self.last = nn.Linear(hidden, features)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, features)
        """(B, T, features) -> (B, T, features)."""
        x = self.first(x)  # (B, T, hidden)
        x = decaying_sum(x, self.decay)  # (B, T, hidden)
        return self.last(x)  # (B, T, features)
