"""A perceptron in which one layer runs twice: tied parameters.

Dive into Deep Learning, 6.2.2.

    linear 8, ReLU
    linear 8, ReLU    shared
    linear 8, ReLU    the same layer again
    linear 1

The shared layer is one module under two names, `2` and `4`: its parameters count once, and its
gradient is the sum of what both calls give.
"""

from __future__ import annotations

from torch import nn

from zoo.models._init import XavierLinear


def mlp_tied(num_outputs: int = 1, *, hidden: int = 8) -> nn.Sequential:
    """The book's network with a shared layer. (B, D) -> (B, outputs)."""
    shared = XavierLinear(hidden)
    return nn.Sequential(
        XavierLinear(hidden),  # (B, hidden)
        nn.ReLU(),
        shared,  # (B, hidden)
        nn.ReLU(),
        shared,  # (B, hidden)
        nn.ReLU(),
        XavierLinear(num_outputs),  # (B, outputs)
    )
