"""DenseNet: every layer reads the outputs of all before it.

Huang, Liu, van der Maaten and Weinberger, "Densely connected convolutional networks", 2016, table
1. Dive into Deep Learning, 8.7. Convolutions of each dense block:

    block          1     2     3     4    growth    a layer
    densenet       4     4     4     4      32      norm, ReLU, 3x3 (the book's)
    densenet121    6    12    24    16      32      norm, ReLU, 1x1, norm, ReLU, 3x3
    densenet169    6    12    32    32      32      norm, ReLU, 1x1, norm, ReLU, 3x3
    densenet201    6    12    48    32      32      norm, ReLU, 1x1, norm, ReLU, 3x3
    densenet161    6    12    36    24      48      norm, ReLU, 1x1, norm, ReLU, 3x3

Before them conv 64 (161: 96) 7x7 stride 2, norm, ReLU, max pool 3 stride 2; between them a
transition that halves channels, height and width; after them norm, ReLU, global average, linear 10.
A bottleneck's 1x1 has four times the growth. The book's convolutions keep their bias; 121 to 201
have none, and with three channels and 1,000 classes they have torchvision's parameters in
torchvision's order.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from zoo.models._init import XavierConv2d
from zoo.models.resnet import head, stem


def conv_block(num_channels: int, *, bias: bool = True) -> nn.Sequential:
    """A layer of the book's: (B, C, H, W) -> (B, num_channels, H, W).

    Args:
        num_channels: Channels it adds.
        bias: Whether the convolution has one.

    Returns:
        Norm, ReLU and a 3x3 convolution.
    """
    return nn.Sequential(
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        XavierConv2d(num_channels, kernel_size=3, padding=1, bias=bias),
    )


def bottleneck_block(num_channels: int) -> nn.Sequential:
    """A layer of the paper's DenseNet-B: (B, C, H, W) -> (B, num_channels, H, W).

    Args:
        num_channels: Channels it adds; the 1x1 has four times as many.

    Returns:
        Norm, ReLU and a 1x1 convolution, then norm, ReLU and a 3x3.
    """
    return nn.Sequential(
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        XavierConv2d(4 * num_channels, kernel_size=1, bias=False),  # (B, 4N, H, W)
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        XavierConv2d(num_channels, kernel_size=3, padding=1, bias=False),  # (B, N, H, W)
    )


class DenseBlock(nn.Module):
    """Layers that each read the input and all layers before them (figure 1).

    Args:
        num_convs: Layers in the block.
        num_channels: Channels each adds, the growth rate.
        bottleneck: Whether a 1x1 convolution narrows what a layer reads. Then none has a bias.
        bias: Whether convolutions have one.
    """

    def __init__(
        self, num_convs: int, num_channels: int, *, bottleneck: bool = False, bias: bool = True
    ) -> None:
        super().__init__()
        layer = bottleneck_block if bottleneck else partial(conv_block, bias=bias)
        self.layers = nn.ModuleList(layer(num_channels) for _ in range(num_convs))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """(B, C, H, W) -> (B, C + num_convs * num_channels, H, W)."""
        for layer in self.layers:
            x = torch.cat((x, layer(x)), dim=1)  # (B, C + N, H, W), then (B, C + 2N, H, W) ...
        return x


def transition_block(num_channels: int, *, bias: bool = True) -> nn.Sequential:
    """Fewer channels, half the height and width: (B, C, H, W) -> (B, num_channels, H / 2, W / 2).

    Args:
        num_channels: Channels of the output.
        bias: Whether the convolution has one.

    Returns:
        Norm, ReLU, a 1x1 convolution and a 2x2 average pool.
    """
    return nn.Sequential(
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        XavierConv2d(num_channels, kernel_size=1, bias=bias),  # (B, N, H, W)
        nn.AvgPool2d(kernel_size=2, stride=2),  # (B, N, H / 2, W / 2)
    )


class DenseNet(nn.Sequential):
    """A stem, dense blocks with transitions between them, and a head. (B, C, H, W) -> (B, classes).

    Args:
        arch: Layers of each dense block.
        num_classes: Width of the output.
        growth_rate: Channels that each layer adds.
        bottleneck: Whether layers are the paper's bottlenecks, and no convolution has a bias.
    """

    def __init__(
        self,
        arch: tuple[int, ...] = (4, 4, 4, 4),
        num_classes: int = 10,
        *,
        growth_rate: int = 32,
        bottleneck: bool = False,
    ) -> None:
        super().__init__()
        width = 2 * growth_rate if bottleneck else 64
        self.b1 = stem(bias=not bottleneck, channels=width)  # (B, width, H / 4, W / 4)
        for number, num_convs in enumerate(arch, 1):
            block = DenseBlock(num_convs, growth_rate, bottleneck=bottleneck)
            self.add_module(f"dense{number}", block)
            width += num_convs * growth_rate
            if number < len(arch):
                width //= 2
                self.add_module(f"transition{number}", transition_block(width, bias=not bottleneck))
        self.head = nn.Sequential(nn.LazyBatchNorm2d(), nn.ReLU(), *head(num_classes))


def densenet(num_classes: int = 10, *, growth_rate: int = 32) -> DenseNet:
    """The book's: four blocks of four 3x3 convolutions."""
    return DenseNet((4, 4, 4, 4), num_classes, growth_rate=growth_rate)


def densenet121(num_classes: int = 10, *, growth_rate: int = 32) -> DenseNet:
    """121 layers, of bottlenecks."""
    return DenseNet((6, 12, 24, 16), num_classes, growth_rate=growth_rate, bottleneck=True)


def densenet169(num_classes: int = 10, *, growth_rate: int = 32) -> DenseNet:
    """169 layers, of bottlenecks."""
    return DenseNet((6, 12, 32, 32), num_classes, growth_rate=growth_rate, bottleneck=True)


def densenet201(num_classes: int = 10, *, growth_rate: int = 32) -> DenseNet:
    """201 layers, of bottlenecks."""
    return DenseNet((6, 12, 48, 32), num_classes, growth_rate=growth_rate, bottleneck=True)


def densenet161(num_classes: int = 10, *, growth_rate: int = 48) -> DenseNet:
    """161 layers, of bottlenecks, wider."""
    return DenseNet((6, 12, 36, 24), num_classes, growth_rate=growth_rate, bottleneck=True)
