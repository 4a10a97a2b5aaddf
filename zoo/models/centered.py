"""A layer of one's own that has no parameters: it subtracts the mean.

Dive into Deep Learning, 6.5.1, which puts it behind a linear layer:

    linear 128
    minus the mean of all elements
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.models._init import XavierLinear


class Centered(nn.Module):
    """Subtracts the mean over all elements of the batch. Any shape, which stays."""

    def forward(self, x: Tensor) -> Tensor:
        """(...) -> (...), with mean 0."""
        return x - x.mean()


def centered(num_outputs: int = 128) -> nn.Sequential:
    """The book's linear layer whose outputs have mean 0. (B, D) -> (B, outputs)."""
    return nn.Sequential(
        XavierLinear(num_outputs),  # (B, outputs)
        Centered(),  # (B, outputs)
    )
