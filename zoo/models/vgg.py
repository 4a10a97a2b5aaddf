"""VGG: blocks of 3x3 convolutions that halve the image.

Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014,
table 1. Dive into Deep Learning, 8.2. Convolutions of each block, by column of the table:

    channels      64  128  256  512  512
    A   vgg11      1    1    2    2    2
    B   vgg13      2    2    2    2    2
    D   vgg16      2    2    3    3    3
    E   vgg19      2    2    4    4    4

Each convolution is followed by ReLU and each block by max pool 2; then linear 4096, ReLU, dropout,
twice, and linear 10. Three channels and 1,000 classes give the paper's counts (133 to 144 million).
"""

from __future__ import annotations

from torch import nn

from zoo.models._init import XavierConv2d, XavierLinear

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of each block of the paper's table."""


def vgg_block(num_convs: int, num_channels: int) -> nn.Sequential:
    """3x3 convolutions with ReLU, then max pool: (B, C, H, W) -> (B, num_channels, H / 2, W / 2).

    Args:
        num_convs: Convolutions in the block.
        num_channels: Channels of each.

    Returns:
        The convolutions, each with its ReLU, and a 2x2 max pool.
    """
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [XavierConv2d(num_channels, kernel_size=3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))


class VGG(nn.Sequential):
    """VGG blocks and three linear layers. Shapes are for (B, C, 224, 224).

    Args:
        arch: (convolutions, channels) of each block.
        num_classes: Width of the output.
        dropout: Share of the hidden linear units that a training step leaves out.
    """

    def __init__(
        self, arch: tuple[tuple[int, int], ...], num_classes: int = 10, *, dropout: float = 0.5
    ) -> None:
        super().__init__()
        for number, (num_convs, num_channels) in enumerate(arch, 1):
            self.add_module(f"b{number}", vgg_block(num_convs, num_channels))  # 112, 56, 28, 14, 7
        self.flatten = nn.Flatten()  # (B, 25088)
        self.fc1 = XavierLinear(4096)  # (B, 4096)
        self.relu1 = nn.ReLU()
        self.drop1 = nn.Dropout(dropout)
        self.fc2 = XavierLinear(4096)  # (B, 4096)
        self.relu2 = nn.ReLU()
        self.drop2 = nn.Dropout(dropout)
        self.fc3 = XavierLinear(num_classes)  # (B, classes)


def vgg11(num_classes: int = 10, *, dropout: float = 0.5) -> VGG:
    """Column A."""
    return VGG(tuple(zip((1, 1, 2, 2, 2), WIDTHS, strict=True)), num_classes, dropout=dropout)


def vgg13(num_classes: int = 10, *, dropout: float = 0.5) -> VGG:
    """Column B."""
    return VGG(tuple(zip((2, 2, 2, 2, 2), WIDTHS, strict=True)), num_classes, dropout=dropout)


def vgg16(num_classes: int = 10, *, dropout: float = 0.5) -> VGG:
    """Column D."""
    return VGG(tuple(zip((2, 2, 3, 3, 3), WIDTHS, strict=True)), num_classes, dropout=dropout)


def vgg19(num_classes: int = 10, *, dropout: float = 0.5) -> VGG:
    """Column E."""
    return VGG(tuple(zip((2, 2, 4, 4, 4), WIDTHS, strict=True)), num_classes, dropout=dropout)
