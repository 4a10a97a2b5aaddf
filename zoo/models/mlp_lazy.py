"""A perceptron that is not told how wide its input is.

Dive into Deep Learning, 6.4.

    linear 256, ReLU
    linear 10

A lazy layer has no weight until it is called, and takes its number of inputs from the first one.
Its weights are then drawn by torch's own rule: `zoo.apply_init` shows such a network an input and
draws them by another.
"""

from __future__ import annotations

from torch import nn


def mlp_lazy(num_outputs: int = 10, *, hidden: int = 256) -> nn.Sequential:
    """The book's lazy perceptron. (B, D) -> (B, outputs), for any D."""
    return nn.Sequential(
        nn.LazyLinear(hidden),  # (B, hidden)
        nn.ReLU(),
        nn.LazyLinear(num_outputs),  # (B, outputs)
    )
