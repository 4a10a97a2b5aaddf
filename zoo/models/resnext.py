"""ResNeXt: residual blocks whose 3x3 convolution is split into groups.

Xie, Girshick, Dollar, Tu and He, "Aggregated residual transformations for deep neural networks",
2016, table 1 and section 5.1. Dive into Deep Learning, 8.6.5. Stages:

    stage                         b2    b3    b4    b5    groups
    blocks of resnext50            3     4     6     3
    blocks of resnext101           3     4    23     3
    1x1 and 3x3 width of 32x4d   128   256   512  1024        32
                         64x4d   256   512  1024  2048        64
                         32x8d   256   512  1024  2048        32
    output channels              256   512  1024  2048

The block is the book's: its argument `groups` is the channels in ONE GROUP, so the 3x3 has width /
`groups` groups. Alone it has biases, as in the book. The network follows the paper and torchvision:
no biases, and the stride is in the 3x3. With three channels and 1,000 classes it has torchvision's
parameters in torchvision's order.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu

from zoo.models._init import XavierConv2d
from zoo.models.resnet import head, stem


class ResNeXtBlock(nn.Module):
    """Convolutions 1x1, grouped 3x3 and 1x1 added to their input (figure 3c).

    Args:
        num_channels: Channels of the output.
        groups: Channels in one group of the 3x3 (the name is the book's).
        bot_mul: Channels of the 3x3, as a share of the output's.
        use_1x1conv: Whether the shortcut is a 1x1 convolution and a batch norm; needed where
            shapes differ.
        strides: Step of the 3x3 and of the shortcut, in pixels.
        bias: Whether convolutions have one.

    Raises:
        ValueError: If the 3x3's channels are not a whole number of groups.
    """

    def __init__(
        self,
        num_channels: int,
        groups: int,
        bot_mul: float,
        *,
        use_1x1conv: bool = False,
        strides: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        width = round(num_channels * bot_mul)
        if min(width, groups) < 1 or width % groups:
            raise ValueError(f"{width} channels do not split into groups of {groups}")
        self.conv1 = XavierConv2d(width, kernel_size=1, bias=bias)
        self.bn1 = nn.LazyBatchNorm2d()
        self.conv2 = XavierConv2d(
            width, kernel_size=3, padding=1, stride=strides, groups=width // groups, bias=bias
        )
        self.bn2 = nn.LazyBatchNorm2d()
        self.conv3 = XavierConv2d(num_channels, kernel_size=1, bias=bias)
        self.bn3 = nn.LazyBatchNorm2d()
        self.shortcut: nn.Module = nn.Identity()
        if use_1x1conv:
            project = XavierConv2d(num_channels, kernel_size=1, stride=strides, bias=bias)
            self.shortcut = nn.Sequential(project, nn.LazyBatchNorm2d())

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """(B, C, H, W) -> (B, num_channels, H / strides, W / strides)."""
        y = relu(self.bn1(self.conv1(x)))  # (B, width, H, W)
        y = relu(self.bn2(self.conv2(y)))  # (B, width, H / s, W / s)
        y = self.bn3(self.conv3(y))  # (B, N, H / s, W / s)
        return relu(y + self.shortcut(x))  # (B, N, H / s, W / s)


class ResNeXt(nn.Sequential):
    """A stem, stages b2, b3 ... of ResNeXt blocks, and a head. (B, C, H, W) -> (B, classes).

    Args:
        arch: (blocks, output channels) of each stage.
        num_classes: Width of the output.
        cardinality: Groups of every 3x3.
        bot_mul: Channels of the 3x3, as a share of the output's.
    """

    def __init__(
        self,
        arch: tuple[tuple[int, int], ...],
        num_classes: int = 10,
        *,
        cardinality: int = 32,
        bot_mul: float = 0.5,
    ) -> None:
        super().__init__()
        self.b1 = stem(bias=False)  # (B, 64, H / 4, W / 4)
        for number, (num_blocks, num_channels) in enumerate(arch, 2):
            strides = 1 if number == 2 else 2
            group = round(num_channels * bot_mul) // cardinality
            stage = nn.Sequential()  # (B, 256, H / 4, W / 4) ... (B, 2048, H / 32, W / 32)
            for index in range(num_blocks):
                block = ResNeXtBlock(
                    num_channels,
                    group,
                    bot_mul,
                    use_1x1conv=index == 0,
                    strides=strides if index == 0 else 1,
                    bias=False,
                )
                stage.append(block)
            self.add_module(f"b{number}", stage)
        self.head = head(num_classes)


def resnext50_32x4d(num_classes: int = 10) -> ResNeXt:
    """50 layers, 32 groups of 4 channels in the first stage."""
    return ResNeXt(((3, 256), (4, 512), (6, 1024), (3, 2048)), num_classes)


def resnext101_32x4d(num_classes: int = 10) -> ResNeXt:
    """101 layers, 32 groups of 4 channels in the first stage."""
    return ResNeXt(((3, 256), (4, 512), (23, 1024), (3, 2048)), num_classes)


def resnext101_64x4d(num_classes: int = 10) -> ResNeXt:
    """101 layers, 64 groups of 4 channels in the first stage."""
    stages = ((3, 256), (4, 512), (23, 1024), (3, 2048))
    return ResNeXt(stages, num_classes, cardinality=64, bot_mul=1.0)


def resnext101_32x8d(num_classes: int = 10) -> ResNeXt:
    """101 layers, 32 groups of 8 channels in the first stage."""
    return ResNeXt(((3, 256), (4, 512), (23, 1024), (3, 2048)), num_classes, bot_mul=1.0)
