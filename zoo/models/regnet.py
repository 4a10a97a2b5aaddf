"""RegNet: depths and widths of a network's stages from four numbers.

Radosavovic, Kosaraju, Girshick, He and Dollar, "Designing network design spaces", 2020, equations 2
to 4, figures 15 and 16. Dive into Deep Learning, 8.8. Block j of d is w0 + wa * j channels wide,
rounded to w0 * wm^k for a whole k and then to a multiple of 8; blocks of one width are a stage,
whose width is made a multiple of the group. `X` and `Y` below are the paper's models by MACs.

    stem      conv 32 3x3 stride 2, norm, ReLU                    (B, 32, H / 2, W / 2)
    stages    blocks of conv 1x1, grouped 3x3 and 1x1, each       (B, w, H / 4, W / 4), then H / 8,
              with norm and ReLU; the first halves the image      H / 16 and H / 32
    head      global average, linear

Y adds squeeze and excitation after the 3x3, a quarter as wide as the block's input. No convolution
has a bias but those of squeeze and excitation.
"""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn
from torch.nn.functional import relu

from zoo.models._init import XavierConv2d
from zoo.models._sizes import at_least_one
from zoo.models.resnet import head

if TYPE_CHECKING:
    from collections.abc import Iterator


class Settings(NamedTuple):
    """What a RegNet is made from."""

    w0: int
    """Width of the first block, in channels, before rounding."""
    wa: float
    """Channels by which each block is wider than the one before it."""
    wm: float
    """Ratio between the widths of neighbouring stages."""
    depth: int
    """Blocks."""
    group_width: int
    """Channels in one group of the 3x3 convolutions."""


X = {
    "200mf": Settings(24, 36.44, 2.49, 13, 8),
    "400mf": Settings(24, 24.48, 2.54, 22, 16),
    "600mf": Settings(48, 36.97, 2.24, 16, 24),
    "800mf": Settings(56, 35.73, 2.28, 16, 16),
    "1.6gf": Settings(80, 34.01, 2.25, 18, 24),
    "3.2gf": Settings(88, 26.31, 2.25, 25, 48),
    "4.0gf": Settings(96, 38.65, 2.43, 23, 40),
    "6.4gf": Settings(184, 60.83, 2.07, 17, 56),
    "8.0gf": Settings(80, 49.56, 2.88, 23, 120),
    "12gf": Settings(168, 73.36, 2.37, 19, 112),
    "16gf": Settings(216, 55.59, 2.1, 22, 128),
    "32gf": Settings(320, 69.86, 2.0, 23, 168),
}
"""RegNetX by size (figure 15)."""
Y = {
    "200mf": Settings(24, 36.44, 2.49, 13, 8),
    "400mf": Settings(48, 27.89, 2.09, 16, 8),
    "600mf": Settings(48, 32.54, 2.32, 15, 16),
    "800mf": Settings(56, 38.84, 2.4, 14, 16),
    "1.6gf": Settings(48, 20.71, 2.65, 27, 24),
    "3.2gf": Settings(80, 42.63, 2.66, 21, 24),
    "4.0gf": Settings(96, 31.41, 2.24, 22, 64),
    "6.4gf": Settings(112, 33.22, 2.27, 25, 72),
    "8.0gf": Settings(192, 76.82, 2.19, 17, 56),
    "12gf": Settings(168, 73.36, 2.37, 19, 112),
    "16gf": Settings(200, 106.23, 2.48, 18, 112),
    "32gf": Settings(232, 115.89, 2.53, 20, 232),
}
"""RegNetY by size (figure 16)."""


def stages_of(settings: Settings) -> Iterator[tuple[int, int, int]]:
    """Blocks, channels and channels in a group of each stage.

    Args:
        settings: What they are computed from.

    Yields:
        tuple[int, int, int]: The stages, first to last.

    Example:
        >>> list(stages_of(X["400mf"]))
        [(1, 32, 16), (2, 64, 16), (7, 160, 16), (12, 384, 16)]
    """
    w0, wa, wm, depth, group_width = settings
    widths = []
    for index in range(depth):
        power = round(math.log((w0 + wa * index) / w0) / math.log(wm))
        widths.append(round(w0 * wm**power / 8) * 8)
    for width, blocks in groupby(widths):
        group = min(group_width, width)
        yield len(list(blocks)), round(width / group) * group, group


class SqueezeExcite(nn.Module):
    """Weighs the channels by what the whole image has of them: (B, C, H, W) -> (B, C, H, W).

    Args:
        channels: Channels of the input.
        width: Channels in between.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = XavierConv2d(width, kernel_size=1)
        self.excite = XavierConv2d(channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """(B, C, H, W) -> (B, C, H, W)."""
        weight = relu(self.squeeze(self.pool(x)))  # (B, width, 1, 1)
        y: Tensor = x * self.excite(weight).sigmoid()  # (B, C, H, W)
        return y


class RegNetBlock(nn.Module):
    """Convolutions 1x1, grouped 3x3 and 1x1 added to their input, all of one width.

    Args:
        channels: Channels of the output.
        group_width: Channels in one group of the 3x3.
        strides: Step of the 3x3 and of the shortcut, in pixels.
        project: Whether the shortcut is a 1x1 convolution; needed where shapes differ.
        squeeze: Channels between squeeze and excitation; 0 for none of it.
    """

    def __init__(
        self, channels: int, group_width: int, *, strides: int, project: bool, squeeze: int
    ) -> None:
        super().__init__()
        groups = channels // group_width
        self.conv1 = XavierConv2d(channels, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = XavierConv2d(
            channels, kernel_size=3, padding=1, stride=strides, groups=groups, bias=False
        )
        self.bn2 = nn.BatchNorm2d(channels)
        self.weigh: nn.Module = SqueezeExcite(channels, squeeze) if squeeze else nn.Identity()
        self.conv3 = XavierConv2d(channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if project:
            convolution = XavierConv2d(channels, kernel_size=1, stride=strides, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """(B, C, H, W) -> (B, channels, H / strides, W / strides)."""
        y = relu(self.bn1(self.conv1(x)))  # (B, N, H, W)
        y = self.weigh(relu(self.bn2(self.conv2(y))))  # (B, N, H / s, W / s)
        y = self.bn3(self.conv3(y))  # (B, N, H / s, W / s)
        return relu(y + self.shortcut(x))  # (B, N, H / s, W / s)


class RegNet(nn.Sequential):
    """A stem, stages of equally wide blocks and a head: (B, C, H, W) -> (B, classes).

    Args:
        settings: What the stages are computed from.
        num_classes: Width of the output.
        squeeze: Channels of squeeze and excitation, as a share of the block's input, 1 at least;
            0 for none.

    Raises:
        ValueError: If the settings give no network.
    """

    def __init__(self, settings: Settings, num_classes: int = 10, *, squeeze: float = 0.0) -> None:
        super().__init__()
        at_least_one(depth=settings.depth, group_width=settings.group_width)
        if settings.wa < 0 or settings.wm <= 1:
            raise ValueError(f"wa is 0 or more and wm above 1; got {settings}")
        if settings.w0 < 5:
            raise ValueError(f"w0 is 5 or more, which rounds to 8 channels; got {settings.w0}")
        if squeeze < 0:
            raise ValueError(f"squeeze is 0 or more; got {squeeze}")
        self.stem = nn.Sequential(
            XavierConv2d(32, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )  # (B, 32, H / 2, W / 2)
        width = 32
        for number, (depth, channels, group) in enumerate(stages_of(settings), 1):
            stage = nn.Sequential()  # (B, channels, H / 2^(number + 1), W / 2^(number + 1))
            for index in range(depth):
                block = RegNetBlock(
                    channels,
                    group,
                    strides=1 if index else 2,
                    project=index == 0,
                    squeeze=max(1, round(width * squeeze)) if squeeze else 0,
                )
                stage.append(block)
                width = channels
            self.add_module(f"stage{number}", stage)
        self.head = head(num_classes)


def regnet(
    num_classes: int = 10,
    *,
    w0: int = 24,
    wa: float = 24.48,
    wm: float = 2.54,
    depth: int = 22,
    group_width: int = 16,
    squeeze: float = 0.0,
) -> RegNet:
    """A RegNet of one's own; its defaults are RegNetX-400MF."""
    return RegNet(Settings(w0, wa, wm, depth, group_width), num_classes, squeeze=squeeze)


def regnetx(num_classes: int = 10, *, size: str = "400mf") -> RegNet:
    """RegNetX of the paper, by size."""
    return RegNet(_of(X, size), num_classes)


def regnety(num_classes: int = 10, *, size: str = "400mf") -> RegNet:
    """RegNetY of the paper, by size: with squeeze and excitation."""
    return RegNet(_of(Y, size), num_classes, squeeze=0.25)


def _of(sizes: dict[str, Settings], size: str) -> Settings:
    if size not in sizes:
        raise ValueError(f"size is one of {', '.join(sizes)}; got {size}")
    return sizes[size]
