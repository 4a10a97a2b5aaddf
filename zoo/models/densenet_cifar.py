"""DenseNets for small images.

Huang, Liu, van der Maaten and Weinberger, "Densely connected convolutional networks", 2016, section
4.2 and table 2. For (B, C, 32, 32), with L layers and growth k:

    stem          conv 3x3, of 16 channels (2k in a DenseNet-BC)
    dense block   (L - 4) / 3 layers of k channels     (B, ..., 32, 32)
    transition    norm, ReLU, 1x1, average pool 2      (B, ..., 16, 16)
    dense block
    transition                                         (B, ..., 8, 8)
    dense block
    head          norm, ReLU, global average, linear

    L     k     parameters (table 2)
    40    12     1.0 M
    100   12     7.0 M
    100   24    27.2 M
    100   12      .8 M    BC: bottlenecks of two convolutions, half as many of them in a block,
    250   24    15.3 M    and transitions that halve the channels
    190   40    25.6 M

No convolution has a bias.
"""

from __future__ import annotations

from torch import nn

from zoo.models._init import XavierConv2d
from zoo.models.densenet import DenseBlock, transition_block
from zoo.models.resnet import head


class CifarDenseNet(nn.Sequential):
    """A stem, three dense blocks with transitions between, a head: (B, C, H, W) -> (B, classes).

    Args:
        depth: Layers with weights, 3n + 4, or 6n + 4 of bottlenecks.
        growth_rate: Channels that each layer adds.
        num_classes: Width of the output.
        bottleneck: Whether a 1x1 convolution narrows what a layer reads (DenseNet-B).
        compression: Share of the channels that a transition keeps (DenseNet-C).

    Raises:
        ValueError: If no whole number of layers gives the depth, or a transition keeps no channel
            or more than there are.
    """

    def __init__(
        self,
        depth: int,
        growth_rate: int,
        num_classes: int = 10,
        *,
        bottleneck: bool = False,
        compression: float = 1.0,
    ) -> None:
        super().__init__()
        layers, rest = divmod(depth - 4, 6 if bottleneck else 3)
        if rest or layers < 1:
            form = "6n + 4, as 100 or 250," if bottleneck else "3n + 4, as 40 or 100,"
            raise ValueError(f"depth is {form} with bottleneck={bottleneck}; got {depth}")
        if not 0 < compression <= 1:
            raise ValueError(f"compression is above 0 and at most 1; got {compression}")
        width = 2 * growth_rate if bottleneck else 16
        self.b1 = XavierConv2d(width, kernel_size=3, padding=1, bias=False)  # (B, W, H, W)
        for number in (1, 2, 3):
            block = DenseBlock(layers, growth_rate, bottleneck=bottleneck, bias=False)
            self.add_module(f"dense{number}", block)
            width += layers * growth_rate
            if number < 3:
                width = int(width * compression)
                self.add_module(f"transition{number}", transition_block(width, bias=False))
        self.head = nn.Sequential(nn.LazyBatchNorm2d(), nn.ReLU(), *head(num_classes))


def densenet_cifar(
    num_classes: int = 10,
    *,
    depth: int = 40,
    growth_rate: int = 12,
    bottleneck: bool = False,
    compression: float = 1.0,
) -> CifarDenseNet:
    """A DenseNet for small images; with `bottleneck` and `compression` .5 a DenseNet-BC."""
    return CifarDenseNet(
        depth, growth_rate, num_classes, bottleneck=bottleneck, compression=compression
    )
