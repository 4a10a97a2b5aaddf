"""ResNet: blocks that learn what to add to their input.

He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015, table 1. Dive into
Deep Learning, 8.6. Blocks of each stage:

    stage       b2    b3    b4    b5    block
    channels    64   128   256   512
    resnet18     2     2     2     2    3x3, 3x3
    resnet34     3     4     6     3    3x3, 3x3
    resnet50     3     4     6     3    1x1, 3x3, 1x1 (output 4 times as wide)
    resnet101    3     4    23     3    1x1, 3x3, 1x1 (output 4 times as wide)
    resnet152    3     8    36     3    1x1, 3x3, 1x1 (output 4 times as wide)

Before them conv 64 7x7 stride 2 and max pool 3 stride 2; after them global average and linear 10.
Stages b3 to b5 halve the image in their first block. A shortcut is a 1x1 convolution where shapes
differ.

18 and 34 are the book's: convolutions keep their bias, and the shortcut has one and no batch norm.
50, 101 and 152 follow the paper and torchvision: no biases, a batch norm after the shortcut, and
the stride is in the 3x3 convolution ("v1.5"), where the paper has it in the first 1x1 (`v1`: fewer
MACs, the same parameters). With three channels and 1,000 classes they have torchvision's parameters
in torchvision's order.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import relu

from zoo.models._init import XavierConv2d, XavierLinear

WIDTHS = (64, 128, 256, 512)
"""Channels of each stage of the paper's table."""


class Residual(nn.Module):
    """Two 3x3 convolutions added to their input (figure 5, left), as the book has it.

    Args:
        num_channels: Channels of both, and of the output.
        use_1x1conv: Whether the shortcut is a 1x1 convolution; needed where shapes differ.
        strides: Step of the first convolution and of the shortcut, in pixels.
    """

    expansion: ClassVar[int] = 1
    """Output channels per `num_channels`."""
    stem_bias: ClassVar[bool] = True
    """Whether the first convolution of a network of these has a bias."""

    def __init__(self, num_channels: int, *, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = XavierConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.bn1 = nn.LazyBatchNorm2d()
        self.conv2 = XavierConv2d(num_channels, kernel_size=3, padding=1)
        self.bn2 = nn.LazyBatchNorm2d()
        self.shortcut: nn.Module = nn.Identity()
        if use_1x1conv:
            self.shortcut = XavierConv2d(num_channels, kernel_size=1, stride=strides)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """(B, C, H, W) -> (B, num_channels, H / strides, W / strides)."""
        y = relu(self.bn1(self.conv1(x)))  # (B, N, H / s, W / s)
        y = self.bn2(self.conv2(y))  # (B, N, H / s, W / s)
        return relu(y + self.shortcut(x))  # (B, N, H / s, W / s)


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3 and 1x1 added to their input (figure 5, right), without biases.

    Args:
        num_channels: Channels of the 3x3; the output has four times as many.
        use_1x1conv: Whether the shortcut is a 1x1 convolution and a batch norm; needed where
            shapes differ.
        strides: Step of the 3x3 (in `BottleneckV1` of the first 1x1) and of the shortcut, in
            pixels.
    """

    expansion: ClassVar[int] = 4
    """Output channels per `num_channels`."""
    stem_bias: ClassVar[bool] = False
    """Whether the first convolution of a network of these has a bias."""
    halves_first: ClassVar[bool] = False
    """Whether the stride is in the first 1x1, as in the paper, and not in the 3x3."""

    def __init__(self, num_channels: int, *, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        wide = num_channels * self.expansion
        first, second = (strides, 1) if self.halves_first else (1, strides)
        self.conv1 = XavierConv2d(num_channels, kernel_size=1, stride=first, bias=False)
        self.bn1 = nn.LazyBatchNorm2d()
        self.conv2 = XavierConv2d(num_channels, kernel_size=3, padding=1, stride=second, bias=False)
        self.bn2 = nn.LazyBatchNorm2d()
        self.conv3 = XavierConv2d(wide, kernel_size=1, bias=False)
        self.bn3 = nn.LazyBatchNorm2d()
        self.shortcut: nn.Module = nn.Identity()
        if use_1x1conv:
            project = XavierConv2d(wide, kernel_size=1, stride=strides, bias=False)
            self.shortcut = nn.Sequential(project, nn.LazyBatchNorm2d())

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """(B, C, H, W) -> (B, 4 * num_channels, H / strides, W / strides)."""
        y = relu(self.bn1(self.conv1(x)))  # (B, N, H, W)
        y = relu(self.bn2(self.conv2(y)))  # (B, N, H / s, W / s)
        y = self.bn3(self.conv3(y))  # (B, 4N, H / s, W / s)
        return relu(y + self.shortcut(x))  # (B, 4N, H / s, W / s)


class BottleneckV1(Bottleneck):
    """The bottleneck of the paper, whose first 1x1 halves the image."""

    halves_first = True


def stem(*, bias: bool, channels: int = 64) -> nn.Sequential:
    """What is before the first stage: (B, C, H, W) -> (B, channels, H / 4, W / 4).

    Args:
        bias: Whether the convolution has one.
        channels: Channels of the output.

    Returns:
        A 7x7 convolution, norm, ReLU and a 3x3 max pool.
    """
    return nn.Sequential(
        XavierConv2d(
            channels, kernel_size=7, stride=2, padding=3, bias=bias
        ),  # (B, N, H / 2, W / 2)
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),  # (B, N, H / 4, W / 4)
    )


def head(num_classes: int) -> nn.Sequential:
    """What is after the last stage: (B, C, H, W) -> (B, classes).

    Args:
        num_classes: Width of the output.

    Returns:
        A global average pool and a linear layer.
    """
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), XavierLinear(num_classes))


class ResNet(nn.Sequential):
    """A stem, stages b2, b3 ... of residual blocks, and a head. (B, C, H, W) -> (B, classes).

    The paper's four stages give (B, 64e, H / 4, W / 4) to (B, 512e, H / 32, W / 32), where e is the
    block's expansion.

    Args:
        arch: (blocks, channels) of each stage.
        num_classes: Width of the output.
        block: What a stage is made of.
    """

    def __init__(
        self,
        arch: tuple[tuple[int, int], ...],
        num_classes: int = 10,
        *,
        block: type[Residual] | type[Bottleneck] = Residual,
    ) -> None:
        super().__init__()
        self.b1 = stem(bias=block.stem_bias)
        width = 64
        for number, (num_blocks, num_channels) in enumerate(arch, 2):
            strides = 1 if number == 2 else 2
            differs = strides != 1 or width != num_channels * block.expansion
            first = block(num_channels, use_1x1conv=differs, strides=strides)
            others = [block(num_channels) for _ in range(num_blocks - 1)]
            self.add_module(f"b{number}", nn.Sequential(first, *others))
            width = num_channels * block.expansion
        self.head = head(num_classes)


def resnet18(num_classes: int = 10) -> ResNet:
    """18 layers, of the book."""
    return ResNet(tuple(zip((2, 2, 2, 2), WIDTHS, strict=True)), num_classes)


def resnet34(num_classes: int = 10) -> ResNet:
    """34 layers, in the book's style."""
    return ResNet(tuple(zip((3, 4, 6, 3), WIDTHS, strict=True)), num_classes)


def resnet50(num_classes: int = 10, *, v1: bool = False) -> ResNet:
    """50 layers, of bottlenecks."""
    return _deep((3, 4, 6, 3), num_classes, v1=v1)


def resnet101(num_classes: int = 10, *, v1: bool = False) -> ResNet:
    """101 layers, of bottlenecks."""
    return _deep((3, 4, 23, 3), num_classes, v1=v1)


def resnet152(num_classes: int = 10, *, v1: bool = False) -> ResNet:
    """152 layers, of bottlenecks."""
    return _deep((3, 8, 36, 3), num_classes, v1=v1)


def _deep(blocks: tuple[int, ...], num_classes: int, *, v1: bool) -> ResNet:
    block = BottleneckV1 if v1 else Bottleneck
    return ResNet(tuple(zip(blocks, WIDTHS, strict=True)), num_classes, block=block)
