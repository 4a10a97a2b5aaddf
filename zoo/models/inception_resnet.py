"""Inception-ResNet v1 and v2: Inception blocks that add to their input.

Szegedy, Ioffe, Vanhoucke and Alemi, "Inception-v4, Inception-ResNet and the impact of residual
connections on learning", 2016, figures 10 to 19 and table 1. For (B, C, 299, 299):

                      v1                           v2
    stem              figure 14, 256, 35x35        of Inception v3 and one more block, 320, 35x35
    blocks A          5, of 96 channels            10, of 128 channels, scaled by .17
    reduction         896, 17x17                   1088, 17x17
    blocks B          10, of 256 channels          20, of 384 channels, scaled by .1
    reduction         1792, 8x8                    2080, 8x8
    blocks C          6, of 384 channels           10, of 448 channels, scaled by .2
    before the head   -                            conv 1536 1x1
    head              global average, dropout .2, linear

v2 is the network whose weights its authors published (55,843,464 parameters with three channels
and 1,000 classes); it is deeper than the paper's figures and has another stem. v1 is the paper's
with the same scales. The last block C of both has scale 1 and no ReLU; in v1, which the paper gives
five, it is a sixth, as in the face recognition networks that made v1 known: they also put an
embedding before the classes (`embedding`; 23,995,624 parameters with 512). Each convolution is
followed by batch norm and ReLU, but for those that bring a block's branches to its width: they have
a bias instead.
"""

from __future__ import annotations

from torch import nn

from zoo.models._init import XavierLinear
from zoo.models.blocks.inception import EPS, Branches, ConvNorm, ScaledResidual, classifier
from zoo.models.inception_v3 import block_a as block_of_v3
from zoo.models.inception_v3 import stem as stem_of_v3
from zoo.models.inception_v4 import reduction_a

SCALES = (0.17, 0.1, 0.2)
"""Share of what blocks A, B and C add (section 3.3: 0.1 to 0.3)."""


def stem_v1() -> nn.Sequential:
    """Figure 14: (B, C, 299, 299) -> (B, 256, 35, 35).

    Returns:
        Six convolutions and a pool.
    """
    *narrow, _ = stem_of_v3()  # all but its last pool: (B, 192, 71, 71)
    return nn.Sequential(*narrow, ConvNorm(256, 3, 2, valid=True))  # (B, 256, 35, 35)


def block_a(channels: int, middle: int, last: int) -> ScaledResidual:
    """Figures 10 and 16: (B, channels, 35, 35) -> the same.

    Args:
        channels: Channels of input and output.
        middle: Channels of the third branch between its 3x3 convolutions.
        last: Channels of the third branch.

    Returns:
        Three branches, added.
    """
    branches = Branches(
        [
            ConvNorm(32, 1),
            nn.Sequential(ConvNorm(32, 1), ConvNorm(32, 3)),
            nn.Sequential(ConvNorm(32, 1), ConvNorm(middle, 3), ConvNorm(last, 3)),
        ]
    )
    return ScaledResidual(channels, branches, SCALES[0])


def block_b(channels: int, ones: int, widths: tuple[int, int, int]) -> ScaledResidual:
    """Figures 11 and 17: (B, channels, 17, 17) -> the same.

    Args:
        channels: Channels of input and output.
        ones: Channels of the 1x1 branch.
        widths: Channels of the 1x1, the 1x7 and the 7x1 of the other.

    Returns:
        Two branches, added.
    """
    first, second, third = widths
    other = nn.Sequential(ConvNorm(first, 1), ConvNorm(second, (1, 7)), ConvNorm(third, (7, 1)))
    return ScaledResidual(channels, Branches([ConvNorm(ones, 1), other]), SCALES[1])


def reduction_b(single: int, second: int, long: tuple[int, int]) -> Branches:
    """Figures 12 and 18: (B, C, 17, 17) -> (B, C + single + second + long[1], 8, 8).

    Args:
        single: Channels of the 3x3 of the first branch.
        second: Channels of the 3x3 of the second.
        long: Channels of the two 3x3s of the third.

    Returns:
        Four branches, the last a max pool.
    """
    return Branches(
        [
            nn.Sequential(ConvNorm(256, 1), ConvNorm(single, 3, 2, valid=True)),
            nn.Sequential(ConvNorm(256, 1), ConvNorm(second, 3, 2, valid=True)),
            nn.Sequential(
                ConvNorm(256, 1), ConvNorm(long[0], 3), ConvNorm(long[1], 3, 2, valid=True)
            ),
            nn.MaxPool2d(3, stride=2),
        ]
    )


def blocks_c(number: int, channels: int, widths: tuple[int, int]) -> nn.Sequential:
    """Figures 13 and 19: (B, channels, 8, 8) -> the same.

    Args:
        number: How many; the last has scale 1 and no ReLU.
        channels: Channels of input and output.
        widths: Channels of the 1x3 and the 3x1 of the second branch.

    Returns:
        Blocks of two branches, added.
    """
    blocks = nn.Sequential()
    for index in range(number):
        other = nn.Sequential(
            ConvNorm(192, 1), ConvNorm(widths[0], (1, 3)), ConvNorm(widths[1], (3, 1))
        )
        last = index == number - 1
        scale = 1.0 if last else SCALES[2]
        branches = Branches([ConvNorm(192, 1), other])
        blocks.append(ScaledResidual(channels, branches, scale, act=not last))
    return blocks


class InceptionResNetV1(nn.Sequential):
    """Inception-ResNet-v1: (B, C, 299, 299) -> (B, classes); images of 75 pixels and more.

    Args:
        num_classes: Width of the output.
        embedding: Width of a linear layer and batch norm between the average and the classes.
        dropout: Probability with which a feature is left out in training.
    """

    def __init__(
        self, num_classes: int = 10, *, embedding: int | None = None, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.stem = stem_v1()  # (B, 256, 35, 35)
        self.a = nn.Sequential(*(block_a(256, 32, 32) for _ in range(5)))  # (B, 256, 35, 35)
        self.reduce_a = reduction_a(192, 192, 256, 384)  # (B, 896, 17, 17)
        self.b = nn.Sequential(*(block_b(896, 128, (128, 128, 128)) for _ in range(10)))
        self.reduce_b = reduction_b(384, 256, (256, 256))  # (B, 1792, 8, 8)
        self.c = blocks_c(6, 1792, (192, 192))  # (B, 1792, 8, 8)
        self.head = classifier(num_classes, dropout)  # (B, classes)
        if embedding is not None:
            linear = XavierLinear(embedding, bias=False)
            self.head.insert(3, nn.Sequential(linear, nn.BatchNorm1d(embedding, eps=EPS)))


class InceptionResNetV2(nn.Sequential):
    """Inception-ResNet-v2: (B, C, 299, 299) -> (B, classes); images of 75 pixels and more.

    Args:
        num_classes: Width of the output.
        dropout: Probability with which a feature is left out in training.
    """

    def __init__(self, num_classes: int = 10, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = nn.Sequential(*stem_of_v3(), block_of_v3(64, ones=96))  # (B, 320, 35, 35)
        self.a = nn.Sequential(*(block_a(320, 48, 64) for _ in range(10)))  # (B, 320, 35, 35)
        self.reduce_a = reduction_a(256, 256, 384, 384)  # (B, 1088, 17, 17)
        self.b = nn.Sequential(*(block_b(1088, 192, (128, 160, 192)) for _ in range(20)))
        self.reduce_b = reduction_b(384, 288, (288, 320))  # (B, 2080, 8, 8)
        self.c = blocks_c(10, 2080, (224, 256))  # (B, 2080, 8, 8)
        self.last = ConvNorm(1536, 1)  # (B, 1536, 8, 8)
        self.head = classifier(num_classes, dropout)  # (B, classes)


def inception_resnet_v1(
    num_classes: int = 10, *, embedding: int | None = None, dropout: float = 0.2
) -> InceptionResNetV1:
    """Inception-ResNet-v1, by choice with an embedding before the classes."""
    return InceptionResNetV1(num_classes, embedding=embedding, dropout=dropout)


def inception_resnet_v2(num_classes: int = 10, *, dropout: float = 0.2) -> InceptionResNetV2:
    """Inception-ResNet-v2, as its authors published it."""
    return InceptionResNetV2(num_classes, dropout=dropout)
