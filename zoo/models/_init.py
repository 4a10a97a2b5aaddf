"""How do models that take any number of input channels get their first weights?

Weights of linear and convolutional layers are drawn from Xavier's uniform distribution (Glorot and
Bengio 2010, equation 16); biases keep torch's. A lazy layer has no weight until it sees an input,
so each layer here draws its own at that moment: after its first call, a model is initialised, and
nobody has to remember to. `apply_init` does the same on purpose, with any initialiser (Dive into
Deep Learning, 6.3 and 6.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


def xavier_uniform(module: nn.Module) -> None:
    """Draw the weight of a `Linear` or `Conv2d` anew; leave any other module as it is.

    Args:
        module: Its weight (O, I, ...) becomes uniform within sqrt(6 / (fan in + fan out)) of 0.
    """
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)


def draw_normal(module: nn.Module) -> None:
    """Draw the weight of a `Linear` or `Embedding` from N(0, 0.02), the bias 0; leave any other.

    Args:
        module: As Devlin et al. 2018 and Radford et al. 2018 begin.
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


class XavierLinear(nn.LazyLinear):
    """`nn.LazyLinear` with Xavier's weights. It becomes an `nn.Linear` when first called."""

    def reset_parameters(self) -> None:
        """Draw the weights, once the number of inputs is known."""
        super().reset_parameters()
        if self.in_features and not self.has_uninitialized_params():
            xavier_uniform(self)


class XavierConv2d(nn.LazyConv2d):
    """`nn.LazyConv2d` with Xavier's weights. It becomes an `nn.Conv2d` when first called."""

    def reset_parameters(self) -> None:
        """Draw the weights, once the number of input channels is known."""
        super().reset_parameters()
        if self.in_channels and not self.has_uninitialized_params():
            xavier_uniform(self)


def apply_init(
    model: nn.Module, *inputs: Tensor, init: Callable[[nn.Module], None] = xavier_uniform
) -> None:
    """Give lazy layers their shapes by one call on dummy inputs, then initialise every layer.

    The call runs in evaluation mode, so batch norms keep their statistics and one example is
    enough; each module's own mode is given back.

    Args:
        model: Changed in place.
        *inputs: What the model takes, batch first; the values do not matter.
        init: Called once on every module, innermost first.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        for module, training in modes:
            module.training = training
    model.apply(init)
