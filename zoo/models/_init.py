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

from zoo.models._sizes import at_least_one


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
    at_least_one(vocab_size=words, embedding_dim=width)
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
        **options: `bias`, `device` and `dtype`, as of `nn.LazyLinear`.

    Raises:
        ValueError: The output is not at least one wide.
    """

    def __init__(self, out_features: int, **options: Any) -> None:
        at_least_one(out_features=out_features)
        super().__init__(out_features, **options)

    def reset_parameters(self) -> None:
        """Draw the weights, once the number of inputs is known."""
        super().reset_parameters()
        if self.in_features and not self.has_uninitialized_params():
            xavier_uniform(self)


class XavierConv2d(nn.LazyConv2d):
    """`nn.LazyConv2d` with Xavier's weights. It becomes an `nn.Conv2d` when first called.

    Args:
        out_channels: Channels of the output.
        **options: `kernel_size`, `stride` and the others, as of `nn.LazyConv2d`.

    Raises:
        ValueError: The output has not at least one channel.
    """

    def __init__(self, out_channels: int, **options: Any) -> None:
        at_least_one(out_channels=out_channels)
        super().__init__(out_channels, **options)

    def reset_parameters(self) -> None:
        """Draw the weights, once the number of input channels is known."""
        super().reset_parameters()
        if self.in_channels and not self.has_uninitialized_params():
            xavier_uniform(self)
