"""Inception v3: 5x5 convolutions become 3x3s, 7x7 ones become 1x7 and 7x1.

Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception architecture for computer
vision", 2015, table 1 and figures 5 to 7. Dive into Deep Learning names it in 8.4. Sizes that the
paper leaves open are those of its authors' published weights. For (B, C, 299, 299):

    stem       conv 32 3x3 stride 2, 32 3x3, 64 3x3 padded; max pool; 80 1x1, 192 3x3; max pool
    3 blocks   35x35, figure 5: 5x5 as two 3x3s; output 256, 288, 288
    reduction  17x17, 768
    4 blocks   17x17, figure 6: 7x7 as 1x7 and 7x1, of 128, 160, 160, 192 channels; output 768
    reduction  8x8, 1280
    2 blocks   8x8, figure 7: the ends of two branches split into 1x3 and 3x1; output 2048
    head       global average, dropout .5, linear

Each convolution is followed by batch norm and ReLU. The auxiliary head (section 4) reads the last
17x17 block and helps in training only. With three channels and 1,000 classes the network has
torchvision's parameters in torchvision's order: 27,161,264, or 23,834,568 without that head.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.models._init import xavier_uniform
from zoo.models.blocks.inception import EPS, Branches, ConvNorm, average_branch, classifier


def stem() -> nn.Sequential:
    """Five convolutions and two pools: (B, C, 299, 299) -> (B, 192, 35, 35).

    Returns:
        The stem, which Inception-ResNet-v2 shares.
    """
    return nn.Sequential(
        ConvNorm(32, 3, 2, valid=True),  # (B, 32, 149, 149)
        ConvNorm(32, 3, valid=True),  # (B, 32, 147, 147)
        ConvNorm(64, 3),  # (B, 64, 147, 147)
        nn.MaxPool2d(3, stride=2),  # (B, 64, 73, 73)
        ConvNorm(80, 1),  # (B, 80, 73, 73)
        ConvNorm(192, 3, valid=True),  # (B, 192, 71, 71)
        nn.MaxPool2d(3, stride=2),  # (B, 192, 35, 35)
    )


def block_a(pooled: int, ones: int = 64) -> Branches:
    """Figure 5: (B, C, 35, 35) -> (B, ones + 160 + pooled, 35, 35).

    Args:
        pooled: Channels of the branch that begins with a pool.
        ones: Channels of the 1x1 branch.

    Returns:
        Four branches.
    """
    return Branches(
        [
            ConvNorm(ones, 1),
            nn.Sequential(ConvNorm(48, 1), ConvNorm(64, 5)),
            nn.Sequential(ConvNorm(64, 1), ConvNorm(96, 3), ConvNorm(96, 3)),
            average_branch(pooled),
        ]
    )


def reduction_a() -> Branches:
    """Half the size, section 5: (B, 288, 35, 35) -> (B, 768, 17, 17).

    Returns:
        Three branches, the last a max pool.
    """
    return Branches(
        [
            ConvNorm(384, 3, 2, valid=True),
            nn.Sequential(ConvNorm(64, 1), ConvNorm(96, 3), ConvNorm(96, 3, 2, valid=True)),
            nn.MaxPool2d(3, stride=2),
        ]
    )


def block_b(width: int) -> Branches:
    """Figure 6 with n = 7: (B, 768, 17, 17) -> (B, 768, 17, 17).

    Args:
        width: Channels between the 1x7 and 7x1 convolutions.

    Returns:
        Four branches of 192 channels.
    """
    return Branches(
        [
            ConvNorm(192, 1),
            nn.Sequential(ConvNorm(width, 1), ConvNorm(width, (1, 7)), ConvNorm(192, (7, 1))),
            nn.Sequential(
                ConvNorm(width, 1),
                ConvNorm(width, (7, 1)),
                ConvNorm(width, (1, 7)),
                ConvNorm(width, (7, 1)),
                ConvNorm(192, (1, 7)),
            ),
            average_branch(192),
        ]
    )


def reduction_b() -> Branches:
    """Half the size: (B, 768, 17, 17) -> (B, 1280, 8, 8).

    Returns:
        Three branches, the last a max pool.
    """
    return Branches(
        [
            nn.Sequential(ConvNorm(192, 1), ConvNorm(320, 3, 2, valid=True)),
            nn.Sequential(
                ConvNorm(192, 1),
                ConvNorm(192, (1, 7)),
                ConvNorm(192, (7, 1)),
                ConvNorm(192, 3, 2, valid=True),
            ),
            nn.MaxPool2d(3, stride=2),
        ]
    )


def split(channels: int) -> Branches:
    """A 3x3 convolution as its row and its column: (B, C, H, W) -> (B, 2 * channels, H, W).

    Args:
        channels: Channels of each.

    Returns:
        The two, side by side.
    """
    return Branches([ConvNorm(channels, (1, 3)), ConvNorm(channels, (3, 1))])


def block_c() -> Branches:
    """Figure 7: (B, C, 8, 8) -> (B, 2048, 8, 8).

    Returns:
        Four branches, two of which split.
    """
    return Branches(
        [
            ConvNorm(320, 1),
            nn.Sequential(ConvNorm(384, 1), split(384)),
            nn.Sequential(ConvNorm(448, 1), ConvNorm(384, 3), split(384)),
            average_branch(192),
        ]
    )


class AuxiliaryHead(nn.Sequential):
    """A classifier on features of the middle: (B, channels, 17, 17) -> (B, classes).

    It does not run in evaluation, so that its layers get their shapes here and not at a call.

    Args:
        channels: Channels of the input.
        num_classes: Width of the output.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(5, stride=3)  # (B, C, 5, 5)
        self.conv1 = nn.Conv2d(channels, 128, 1, bias=False)  # (B, 128, 5, 5)
        self.norm1 = nn.BatchNorm2d(128, eps=EPS)
        self.act1 = nn.ReLU()
        self.conv2 = nn.Conv2d(128, 768, 5, bias=False)  # (B, 768, 1, 1)
        self.norm2 = nn.BatchNorm2d(768, eps=EPS)
        self.act2 = nn.ReLU()
        self.mean = nn.AdaptiveAvgPool2d(1)  # (B, 768, 1, 1)
        self.flatten = nn.Flatten()  # (B, 768)
        self.linear = nn.Linear(768, num_classes)  # (B, classes)
        self.apply(xavier_uniform)


class InceptionV3(nn.Module):
    """Inception v3: (B, C, 299, 299) -> (B, classes); images of 75 pixels and more.

    Args:
        num_classes: Width of the output.
        aux_logits: Whether there is an auxiliary head. In training `forward` then gives two
            results, the second from that head; in evaluation it does not run.
        dropout: Probability with which a feature is left out in training.
    """

    def __init__(
        self, num_classes: int = 10, *, aux_logits: bool = False, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.stem = stem()
        self.a = nn.Sequential(block_a(32), block_a(64), block_a(64))
        self.reduce_a = reduction_a()
        self.b = nn.Sequential(block_b(128), block_b(160), block_b(160), block_b(192))
        self.aux = AuxiliaryHead(768, num_classes) if aux_logits else None
        self.reduce_b = reduction_b()
        self.c = nn.Sequential(block_c(), block_c())
        self.head = classifier(num_classes, dropout)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:  # (B, C, 299, 299)
        """(B, C, 299, 299) -> (B, classes), in training with an auxiliary head two of them."""
        x = self.a(self.stem(x))  # (B, 192, 35, 35), then (B, 288, 35, 35)
        x = self.b(self.reduce_a(x))  # (B, 768, 17, 17)
        y: Tensor = self.head(self.c(self.reduce_b(x)))  # (B, 2048, 8, 8), then (B, classes)
        if self.aux is not None and self.training:
            return y, self.aux(x)  # twice (B, classes)
        return y


def inception_v3(
    num_classes: int = 10, *, aux_logits: bool = False, dropout: float = 0.5
) -> InceptionV3:
    """Inception v3, by choice with its auxiliary head."""
    return InceptionV3(num_classes, aux_logits=aux_logits, dropout=dropout)
