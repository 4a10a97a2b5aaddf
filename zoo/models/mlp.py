"""Multilayer perceptron, any number of hidden layers.

Rosenblatt, "The perceptron: a probabilistic model for information storage and organization in the
brain", 1958; trained by the method of Rumelhart, Hinton and Williams 1986. Dive into Deep Learning,
5.1 and 6.1.

    flatten
    linear 256, ReLU    once per hidden layer
    linear 10
"""

from __future__ import annotations

from torch import nn

from zoo.models._init import XavierLinear


class MLP(nn.Sequential):
    """Flatten, then linear layers with ReLU between them.

    Args:
        hidden: Width of each hidden layer, first to last.
        num_classes: Width of the output.
    """

    def __init__(self, hidden: tuple[int, ...] = (256,), num_classes: int = 10) -> None:
        super().__init__()
        self.flatten = nn.Flatten()  # (B, D)
        for number, width in enumerate(hidden, 1):
            self.add_module(f"hidden{number}", XavierLinear(width))  # (B, width)
            self.add_module(f"relu{number}", nn.ReLU())
        self.output = XavierLinear(num_classes)  # (B, classes)


def mlp(num_classes: int = 10, *, hidden: tuple[int, ...] = (256,)) -> MLP:
    """The book's perceptron: 256 hidden units."""
    return MLP(hidden, num_classes)
