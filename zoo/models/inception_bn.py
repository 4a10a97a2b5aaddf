"""Inception with batch normalization (BN-Inception, Inception v2).

Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal
covariate shift", 2015, figure 5. Dive into Deep Learning names it in 8.4 and 8.5. Channels of the
blocks for (B, C, 224, 224), in the figure's order; the 5x5 of GoogLeNet is two 3x3s:

           size   1x1   3x3: reduce, out   double 3x3: reduce, out, out   pool, 1x1       sum
    3a    28x28    64          64    64             64    96    96        average   32     256
    3b    28x28    64          64    96             64    96    96        average   64     320
    3c    14x14     -         128   160             64    96    96        max             576
    4a    14x14   224          64    96             96   128   128        average  128     576
    4b    14x14   192          96   128             96   128   128        average  128     576
    4c    14x14   160         128   160            128   160   160        average  128     608
    4d    14x14    96         128   192            160   192   192        average  128     608
    4e      7x7     -         128   192            192   256   256        max            1056
    5a      7x7   352         192   320            160   224   224        average  128    1024
    5b      7x7   352         192   320            192   224   224        max      128    1024

3c and 4e halve the image: the convolution that ends each branch has stride 2, and the pooled input
is passed through. Sums are those of the branches, as in the published weights. Every convolution is
followed by batch norm, which takes its bias away (section 3.2), so that there are none; published
weights carry them all the same (`bias`; 11,295,240 parameters with three channels and 1,000
classes).
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import nn

from zoo.models.blocks.inception import Branches, ConvNorm, classifier


class InceptionBN(nn.Sequential):
    """BN-Inception without auxiliary classifiers: (B, C, 224, 224) -> (B, classes).

    Args:
        num_classes: Width of the output.
        bias: Whether convolutions have one.
        dropout: Probability with which a feature is left out in training; the paper needs none.
    """

    def __init__(self, num_classes: int = 10, *, bias: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        conv = partial(ConvNorm, bias=bias)
        block, halve = partial(same_size, bias=bias), partial(half_size, bias=bias)
        self.stem = nn.Sequential(
            conv(64, 7, 2),  # (B, 64, 112, 112)
            nn.MaxPool2d(3, stride=2, padding=1),  # (B, 64, 56, 56)
            conv(64, 1),  # (B, 64, 56, 56)
            conv(192, 3),  # (B, 192, 56, 56)
            nn.MaxPool2d(3, stride=2, padding=1),  # (B, 192, 28, 28)
        )
        self.b3 = nn.Sequential(
            block(64, (64, 64), (64, 96), 32),  # (B, 256, 28, 28)
            block(64, (64, 96), (64, 96), 64),  # (B, 320, 28, 28)
            halve((128, 160), (64, 96)),  # (B, 576, 14, 14)
        )
        self.b4 = nn.Sequential(
            block(224, (64, 96), (96, 128), 128),  # (B, 576, 14, 14)
            block(192, (96, 128), (96, 128), 128),  # (B, 576, 14, 14)
            block(160, (128, 160), (128, 160), 128),  # (B, 608, 14, 14)
            block(96, (128, 192), (160, 192), 128),  # (B, 608, 14, 14)
            halve((128, 192), (192, 256)),  # (B, 1056, 7, 7)
        )
        self.b5 = nn.Sequential(
            block(352, (192, 320), (160, 224), 128),  # (B, 1024, 7, 7)
            block(352, (192, 320), (192, 224), 128, pool="max"),  # (B, 1024, 7, 7)
        )
        self.head = classifier(num_classes, dropout)  # (B, classes)


def same_size(
    ones: int,
    threes: tuple[int, int],
    double: tuple[int, int],
    pooled: int,
    *,
    pool: Literal["average", "max"] = "average",
    bias: bool = False,
) -> Branches:
    """A block that keeps height and width: (B, C, H, W) -> (B, sum of channels, H, W).

    Args:
        ones: Channels of the 1x1 branch.
        threes: Channels of the 3x3 branch: its 1x1 reduction, its output.
        double: Channels of the branch of two 3x3s: its 1x1 reduction, each 3x3.
        pooled: Channels of the 1x1 convolution that follows the pool.
        pool: What is taken of each 3x3 window.
        bias: Whether convolutions have one.

    Returns:
        Four branches.
    """
    conv = partial(ConvNorm, bias=bias)
    kind = nn.AvgPool2d if pool == "average" else nn.MaxPool2d
    return Branches(
        [
            conv(ones, 1),
            nn.Sequential(conv(threes[0], 1), conv(threes[1], 3)),
            nn.Sequential(conv(double[0], 1), conv(double[1], 3), conv(double[1], 3)),
            nn.Sequential(kind(3, stride=1, padding=1), conv(pooled, 1)),
        ]
    )


def half_size(threes: tuple[int, int], double: tuple[int, int], *, bias: bool = False) -> Branches:
    """A block that halves height and width: (B, C, H, W) -> (B, C + channels, H / 2, W / 2).

    Args:
        threes: Channels of the 3x3 branch: its 1x1 reduction, its output.
        double: Channels of the branch of two 3x3s: its 1x1 reduction, each 3x3.
        bias: Whether convolutions have one.

    Returns:
        Three branches, the last a max pool.
    """
    conv = partial(ConvNorm, bias=bias)
    return Branches(
        [
            nn.Sequential(conv(threes[0], 1), conv(threes[1], 3, 2)),
            nn.Sequential(conv(double[0], 1), conv(double[1], 3), conv(double[1], 3, 2)),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
    )


def inception_bn(num_classes: int = 10, *, bias: bool = False, dropout: float = 0.0) -> InceptionBN:
    """BN-Inception, which is also called Inception v2."""
    return InceptionBN(num_classes, bias=bias, dropout=dropout)
