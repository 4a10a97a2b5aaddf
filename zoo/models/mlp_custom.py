"""A linear layer of one's own, with a ReLU in it, and a network of such layers.

Dive into Deep Learning, 6.5.2.

    linear 8, ReLU
    linear 1, ReLU

The weight is stored (outputs, inputs), as torch stores its own (the book's is the other way round),
so that initialisers read fan in and fan out from it. Weights are Xavier's and not the book's
`torch.randn`, from which 64 inputs would give outputs of standard deviation 8.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu


class MyLinear(nn.Module):
    """A linear layer and a ReLU, with parameters of its own.

    Args:
        num_inputs: Width of the input.
        num_outputs: Width of the output.
    """

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_outputs, num_inputs))
        self.bias = nn.Parameter(torch.zeros(num_outputs))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:  # (..., I)
        """(..., I) -> (..., O), none below 0."""
        return relu(x @ self.weight.T + self.bias)  # (..., O)


def mlp_custom(num_inputs: int = 64, num_outputs: int = 1, *, hidden: int = 8) -> nn.Sequential:
    """The book's network of custom layers. (B, inputs) -> (B, outputs)."""
    return nn.Sequential(
        MyLinear(num_inputs, hidden),  # (B, hidden)
        MyLinear(hidden, num_outputs),  # (B, outputs)
    )
