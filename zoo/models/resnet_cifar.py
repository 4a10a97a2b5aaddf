"""ResNets for small images, twenty layers deep to more than a thousand.

He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015, section 4.2 and table
6. For (B, C, 32, 32), with n blocks in each stage:

    stem     conv 16 3x3, norm, ReLU     (B, 16, 32, 32)
    stage    n blocks of 16 channels     (B, 16, 32, 32)
    stage    n blocks of 32 channels     (B, 32, 16, 16)
    stage    n blocks of 64 channels     (B, 64, 8, 8)
    head     global average, linear

    layers    20    32    44    56   110    1202    6n + 2
    n          3     5     7     9    18     200

A block is two 3x3 convolutions without biases, each with a batch norm. Where shapes differ, the
shortcut takes every second pixel and fills the new channels with zeros (the paper's option A, which
has no parameters), or is a 1x1 convolution and a batch norm (option B, `project`), as in most
published versions. Without shortcuts it is the paper's plain network, which does not train when it
is deep.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import pad, relu

from zoo.models._init import XavierConv2d
from zoo.models.resnet import head

WIDTHS = (16, 32, 64)
"""Channels of the three stages."""


class ZeroPad(nn.Module):
    """A shortcut without parameters: (B, C, H, W) -> (B, channels, H / strides, W / strides).

    Args:
        channels: Channels of the output; those that the input lacks are zero.
        strides: Every how many pixels one is taken.
    """

    def __init__(self, channels: int, strides: int) -> None:
        super().__init__()
        self.channels = channels
        self.strides = strides

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """Half of the new channels come before those of the input, half after."""
        x = x[:, :, :: self.strides, :: self.strides]  # (B, C, H / s, W / s)
        new = self.channels - x.shape[1]
        return pad(x, (0, 0, 0, 0, new // 2, new - new // 2))  # (B, channels, H / s, W / s)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions added to their input.

    Args:
        channels: Channels of both, and of the output.
        strides: Step of the first, in pixels.
        shortcut: What the input passes through before it is added; None where it is not added.
    """

    def __init__(self, channels: int, strides: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = XavierConv2d(channels, kernel_size=3, padding=1, stride=strides, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = XavierConv2d(channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """(B, C, H, W) -> (B, channels, H / strides, W / strides)."""
        y = relu(self.bn1(self.conv1(x)))  # (B, N, H / s, W / s)
        y = self.bn2(self.conv2(y))  # (B, N, H / s, W / s)
        return relu(y if self.shortcut is None else y + self.shortcut(x))  # (B, N, H / s, W / s)


class CifarResNet(nn.Sequential):
    """A stem, three stages of blocks and a head: (B, C, H, W) -> (B, classes).

    Args:
        depth: Layers with weights, 6n + 2.
        num_classes: Width of the output.
        width: Channels of the first stage; the others have two and four times as many.
        project: Whether shortcuts between stages are convolutions.
        residual: Whether there are shortcuts at all.

    Raises:
        ValueError: If no whole number of blocks gives the depth.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 10,
        *,
        width: int = 16,
        project: bool = False,
        residual: bool = True,
    ) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth is 6n + 2, as 20, 32 or 110; got {depth}")
        self.b1 = nn.Sequential(
            XavierConv2d(width, kernel_size=3, padding=1, bias=False),  # (B, W, H, W)
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        for stage in range(3):
            channels = width * 2**stage
            layers = nn.Sequential()
            for index in range(blocks):
                strides = 2 if stage and not index else 1
                shortcut = shortcut_of(channels, strides, project=project) if residual else None
                layers.append(BasicBlock(channels, strides, shortcut))
            self.add_module(f"b{stage + 2}", layers)
        self.head = head(num_classes)


def shortcut_of(channels: int, strides: int, *, project: bool) -> nn.Module:
    """What a block's input passes through before it is added.

    Args:
        channels: Channels of the block's output.
        strides: Step of the block, in pixels; shapes differ where it is not 1.
        project: Whether it is a convolution there.

    Returns:
        Nothing to do where shapes are equal.
    """
    if strides == 1:
        return nn.Identity()
    if not project:
        return ZeroPad(channels, strides)
    convolution = XavierConv2d(channels, kernel_size=1, stride=strides, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels))


def resnet_cifar(
    num_classes: int = 10,
    *,
    depth: int = 20,
    width: int = 16,
    project: bool = False,
    residual: bool = True,
) -> CifarResNet:
    """A ResNet for small images, of 6n + 2 layers."""
    return CifarResNet(depth, num_classes, width=width, project=project, residual=residual)
