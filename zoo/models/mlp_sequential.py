"""A container of one's own that runs layers in a row.

Dive into Deep Learning, 6.1.2, filled with the perceptron of 6.1:

    linear 256, ReLU
    linear 10

Modules that are given with `add_module` are known to `nn.Module`: their parameters are found, moved
and saved with those of the container. `children` gives them back in order, each once.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.models._init import XavierLinear


class MySequential(nn.Module):
    """Layers in a row, named by their number, as those of `nn.Sequential`.

    Args:
        *layers: First to last; no layer twice, since `children` would give it once.

    Raises:
        ValueError: Two of them are one module.
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        for number, layer in enumerate(layers):
            for name, other in self.named_children():
                if other is layer:
                    raise ValueError(
                        f"layers {name} and {number} are one module, which would run once; "
                        "nn.Sequential takes a module twice"
                    )
            self.add_module(str(number), layer)

    def forward(self, x: Tensor) -> Tensor:  # (B, ...)
        """What the last layer makes of what those before it made."""
        for layer in self.children():
            x = layer(x)
        return x


def mlp_sequential(num_outputs: int = 10, *, hidden: int = 256) -> MySequential:
    """The book's perceptron, in a container of one's own. (B, D) -> (B, outputs)."""
    return MySequential(
        XavierLinear(hidden),  # (B, hidden)
        nn.ReLU(),
        XavierLinear(num_outputs),  # (B, outputs)
    )
