"""Inception v4: one uniform, deeper Inception without shortcuts.

Szegedy, Ioffe, Vanhoucke and Alemi, "Inception-v4, Inception-ResNet and the impact of residual
connections on learning", 2016, figures 3 to 9 and table 1. For (B, C, 299, 299):

    stem         figure 3      35x35    384
    4 blocks A   figure 4      35x35    384
    reduction    figure 7      17x17   1024    k, l, m, n = 192, 224, 256, 384
    7 blocks B   figure 5      17x17   1024
    reduction    figure 8       8x8    1536
    3 blocks C   figure 6       8x8    1536
    head         global average, dropout .2, linear

Each convolution is followed by batch norm and ReLU.
"""

from __future__ import annotations

from torch import nn

from zoo.models.blocks.inception import Branches, ConvNorm, average_branch, classifier


def stem() -> nn.Sequential:
    """Figure 3, in which convolutions and pools halve the image side by side.

    Returns:
        (B, C, 299, 299) -> (B, 384, 35, 35).
    """
    straight = nn.Sequential(ConvNorm(64, 1), ConvNorm(96, 3, valid=True))
    long = nn.Sequential(
        ConvNorm(64, 1), ConvNorm(64, (1, 7)), ConvNorm(64, (7, 1)), ConvNorm(96, 3, valid=True)
    )
    return nn.Sequential(
        ConvNorm(32, 3, 2, valid=True),  # (B, 32, 149, 149)
        ConvNorm(32, 3, valid=True),  # (B, 32, 147, 147)
        ConvNorm(64, 3),  # (B, 64, 147, 147)
        Branches([nn.MaxPool2d(3, stride=2), ConvNorm(96, 3, 2, valid=True)]),  # (B, 160, 73, 73)
        Branches([straight, long]),  # (B, 192, 71, 71)
        Branches([ConvNorm(192, 3, 2, valid=True), nn.MaxPool2d(3, stride=2)]),  # (B, 384, 35, 35)
    )


def block_a() -> Branches:
    """Figure 4: (B, 384, 35, 35) -> (B, 384, 35, 35).

    Returns:
        Four branches of 96 channels.
    """
    return Branches(
        [
            ConvNorm(96, 1),
            nn.Sequential(ConvNorm(64, 1), ConvNorm(96, 3)),
            nn.Sequential(ConvNorm(64, 1), ConvNorm(96, 3), ConvNorm(96, 3)),
            average_branch(96),
        ]
    )


def reduction_a(k: int, l: int, m: int, n: int) -> Branches:  # noqa: E741 (the paper's letters)
    """Figure 7, which all three networks share: (B, C, 35, 35) -> (B, C + m + n, 17, 17).

    Args:
        k: Channels of the 1x1 of the long branch (table 1).
        l: Channels of its first 3x3.
        m: Channels of its last 3x3.
        n: Channels of the single 3x3.

    Returns:
        Three branches, the last a max pool.
    """
    return Branches(
        [
            ConvNorm(n, 3, 2, valid=True),
            nn.Sequential(ConvNorm(k, 1), ConvNorm(l, 3), ConvNorm(m, 3, 2, valid=True)),
            nn.MaxPool2d(3, stride=2),
        ]
    )


def block_b() -> Branches:
    """Figure 5: (B, 1024, 17, 17) -> (B, 1024, 17, 17).

    Returns:
        Four branches, of 384, 256, 256 and 128 channels.
    """
    return Branches(
        [
            ConvNorm(384, 1),
            nn.Sequential(ConvNorm(192, 1), ConvNorm(224, (1, 7)), ConvNorm(256, (7, 1))),
            nn.Sequential(
                ConvNorm(192, 1),
                ConvNorm(192, (7, 1)),
                ConvNorm(224, (1, 7)),
                ConvNorm(224, (7, 1)),
                ConvNorm(256, (1, 7)),
            ),
            average_branch(128),
        ]
    )


def reduction_b() -> Branches:
    """Figure 8: (B, 1024, 17, 17) -> (B, 1536, 8, 8).

    Returns:
        Three branches, the last a max pool.
    """
    return Branches(
        [
            nn.Sequential(ConvNorm(192, 1), ConvNorm(192, 3, 2, valid=True)),
            nn.Sequential(
                ConvNorm(256, 1),
                ConvNorm(256, (1, 7)),
                ConvNorm(320, (7, 1)),
                ConvNorm(320, 3, 2, valid=True),
            ),
            nn.MaxPool2d(3, stride=2),
        ]
    )


def block_c() -> Branches:
    """Figure 6: (B, 1536, 8, 8) -> (B, 1536, 8, 8).

    Returns:
        Four branches, of 256, 512, 512 and 256 channels.
    """
    return Branches(
        [
            ConvNorm(256, 1),
            nn.Sequential(
                ConvNorm(384, 1), Branches([ConvNorm(256, (1, 3)), ConvNorm(256, (3, 1))])
            ),
            nn.Sequential(
                ConvNorm(384, 1),
                ConvNorm(448, (3, 1)),
                ConvNorm(512, (1, 3)),
                Branches([ConvNorm(256, (1, 3)), ConvNorm(256, (3, 1))]),
            ),
            average_branch(256),
        ]
    )


class InceptionV4(nn.Sequential):
    """Inception v4: (B, C, 299, 299) -> (B, classes); images of 75 pixels and more.

    Args:
        num_classes: Width of the output.
        dropout: Probability with which a feature is left out in training.
    """

    def __init__(self, num_classes: int = 10, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = stem()  # (B, 384, 35, 35)
        self.a = nn.Sequential(*(block_a() for _ in range(4)))  # (B, 384, 35, 35)
        self.reduce_a = reduction_a(192, 224, 256, 384)  # (B, 1024, 17, 17)
        self.b = nn.Sequential(*(block_b() for _ in range(7)))  # (B, 1024, 17, 17)
        self.reduce_b = reduction_b()  # (B, 1536, 8, 8)
        self.c = nn.Sequential(*(block_c() for _ in range(3)))  # (B, 1536, 8, 8)
        self.head = classifier(num_classes, dropout)  # (B, classes)


def inception_v4(num_classes: int = 10, *, dropout: float = 0.2) -> InceptionV4:
    """Inception v4."""
    return InceptionV4(num_classes, dropout=dropout)
