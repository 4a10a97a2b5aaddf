"""How do models that take any number of input channels get their first weights?

Weights of linear and convolutional layers are drawn from Xavier's uniform distribution (Glorot and
Bengio 2010, equation 16); biases keep torch's. A lazy layer has no weight until it sees an input,
so each layer here draws its own at that moment: after its first call, a model is initialised, and
nobody has to remember to. Other first weights are drawn by `zoo.init` (Dive into Deep Learning, 6.3
and 6.4).
"""

from __future__ import annotations

from typing import Any

from torch import nn


def xavier_uniform(module: nn.Module) -> None:
    """Draw the weight of a `Linear` or `Conv2d` anew; leave any other module as it is.

    Args:
        module: Its weight (O, I, ...) becomes uniform within sqrt(6 / (fan in + fan out)) of 0.
    """
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)


def xavier_embedding(words: int, width: int) -> nn.Embedding:
    """A table of vectors with Xavier's weights, as the book draws those of word2vec (15.4).

    torch's own, of variance 1, begin with products that it takes long to unlearn.

    Args:
        words: Rows V.
        width: Numbers N of a vector.

    Returns:
        An embedding of (V, N), uniform within sqrt(6 / (V + N)) of 0.
    """
    table = nn.Embedding(words, width)
    nn.init.xavier_uniform_(table.weight)
    return table


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
    """`nn.LazyLinear` with Xavier's weights. It becomes an `nn.Linear` when first called.

    Args:
        out_features: Width of the output.
        *args: As torch's.
        **kwargs: As torch's.

    Raises:
        ValueError: If there is no output.
    """

    def __init__(self, out_features: int, *args: Any, **kwargs: Any) -> None:
        if out_features < 1:
            raise ValueError(f"a linear layer has 1 output or more; got {out_features}")
        super().__init__(out_features, *args, **kwargs)

    def reset_parameters(self) -> None:
        """Draw the weights, once the number of inputs is known."""
        super().reset_parameters()
        if self.in_features and not self.has_uninitialized_params():
            xavier_uniform(self)


class XavierConv2d(nn.LazyConv2d):
    """`nn.LazyConv2d` with Xavier's weights. It becomes an `nn.Conv2d` when first called.

    Args:
        out_channels: Channels of the output.
        *args: As torch's.
        **kwargs: As torch's.

    Raises:
        ValueError: If there is no output.
    """

    def __init__(self, out_channels: int, *args: Any, **kwargs: Any) -> None:
        if out_channels < 1:
            raise ValueError(f"a convolution has 1 output channel or more; got {out_channels}")
        super().__init__(out_channels, *args, **kwargs)

    def reset_parameters(self) -> None:
        """Draw the weights, once the number of input channels is known."""
        super().reset_parameters()
        if self.in_channels and not self.has_uninitialized_params():
            xavier_uniform(self)
