"""Network in network: a small perceptron at every pixel, and no linear layer.

Lin, Chen and Yan, "Network in network", 2013, section 3 and figure 2. Dive into Deep Learning, 8.3,
with the sizes of AlexNet's convolutions.

    NiN block 96 11x11 stride 4, max pool 3 stride 2
    NiN block 256 5x5 pad 2, max pool 3 stride 2
    NiN block 384 3x3 pad 1, max pool 3 stride 2, dropout
    NiN block 10 3x3 pad 1, global average, flatten
"""

from __future__ import annotations

from torch import nn

from zoo.models._init import XavierConv2d


def nin_block(
    num_channels: int, kernel_size: int, *, strides: int = 1, padding: int = 0
) -> nn.Sequential:
    """A convolution and two 1x1, ReLU after each: (B, C, H, W) -> (B, num_channels, H', W').

    Args:
        num_channels: Channels of all three.
        kernel_size: Side of the first kernel, in pixels.
        strides: Step of the first kernel, in pixels.
        padding: Zeros around the image before the first, in pixels.

    Returns:
        The three convolutions, each with its ReLU.
    """
    return nn.Sequential(
        XavierConv2d(num_channels, kernel_size=kernel_size, stride=strides, padding=padding),
        nn.ReLU(),
        XavierConv2d(num_channels, kernel_size=1),
        nn.ReLU(),
        XavierConv2d(num_channels, kernel_size=1),
        nn.ReLU(),
    )


class NiN(nn.Sequential):
    """Four NiN blocks; the last has a channel for each class. Shapes are for (B, C, 224, 224).

    Args:
        num_classes: Width of the output.
        dropout: Share of the values before the last block that a training step leaves out.
    """

    def __init__(self, num_classes: int = 10, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.b1 = nin_block(96, kernel_size=11, strides=4)  # (B, 96, 54, 54)
        self.pool1 = nn.MaxPool2d(kernel_size=3, stride=2)  # (B, 96, 26, 26)
        self.b2 = nin_block(256, kernel_size=5, padding=2)  # (B, 256, 26, 26)
        self.pool2 = nn.MaxPool2d(kernel_size=3, stride=2)  # (B, 256, 12, 12)
        self.b3 = nin_block(384, kernel_size=3, padding=1)  # (B, 384, 12, 12)
        self.pool3 = nn.MaxPool2d(kernel_size=3, stride=2)  # (B, 384, 5, 5)
        self.drop = nn.Dropout(dropout)
        self.b4 = nin_block(num_classes, kernel_size=3, padding=1)  # (B, classes, 5, 5)
        self.average = nn.AdaptiveAvgPool2d(1)  # (B, classes, 1, 1)
        self.flatten = nn.Flatten()  # (B, classes)


def nin(num_classes: int = 10, *, dropout: float = 0.5) -> NiN:
    """Network in network, of the book."""
    return NiN(num_classes, dropout=dropout)
