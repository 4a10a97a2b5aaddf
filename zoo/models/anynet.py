"""AnyNet: the space of networks in which RegNet was found, and RegNetX-32 of the book.

Radosavovic, Kosaraju, Girshick, He and Dollar, "Designing network design spaces", 2020, section 3.1
and figure 3. Dive into Deep Learning, 8.8. For (B, C, H, W):

    stem      conv 3x3 stride 2, norm, ReLU        (B, stem channels, H / 2, W / 2)
    stages    of ResNeXt blocks; the first block   (B, channels of the stage, H / 4, W / 4), then
              of each halves the image             H / 8 ...
    head      global average, linear

A stage is chosen by its depth, its channels, the channels in one group of its 3x3 convolutions and
the share of the channels that these have: with four stages and the stem 17 numbers. The book's
blocks have biases (zoo.models.regnet builds the paper's networks, without).

                  stem    depths         channels             in a group    share
    anynet          32    1, 2, 7, 12    32, 64, 160, 384     16            1
    regnetx32       32    4, 6           32, 80               16            1
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from torch import nn

from zoo.models._init import XavierConv2d
from zoo.models.resnet import head
from zoo.models.resnext import ResNeXtBlock

T = TypeVar("T", int, float)


class Stage(NamedTuple):
    """What is chosen of a stage."""

    depth: int
    """Blocks."""
    channels: int
    """Channels of its output."""
    groups: int
    """Channels in one group of each 3x3 (the name is the book's)."""
    bot_mul: float
    """Channels of each 3x3, as a share of the output's."""


class AnyNet(nn.Sequential):
    """A stem, stages of ResNeXt blocks and a head: (B, C, H, W) -> (B, classes).

    Args:
        stem_channels: Channels of the stem.
        stages: The stages, each of which halves height and width.
        num_classes: Width of the output.

    Raises:
        ValueError: If a stage has no block.
    """

    def __init__(self, stem_channels: int, stages: Sequence[Stage], num_classes: int = 10) -> None:
        super().__init__()
        depths = [stage.depth for stage in stages]
        if min(depths, default=0) < 1:
            raise ValueError(f"depths are of one stage or more, 1 block or more each; got {depths}")
        self.stem = nn.Sequential(
            XavierConv2d(stem_channels, kernel_size=3, stride=2, padding=1),  # (B, S, H / 2, W / 2)
            nn.BatchNorm2d(stem_channels),
            nn.ReLU(),
        )
        for number, (depth, channels, groups, bot_mul) in enumerate(stages, 1):
            first = ResNeXtBlock(channels, groups, bot_mul, use_1x1conv=True, strides=2)
            others = [ResNeXtBlock(channels, groups, bot_mul) for _ in range(depth - 1)]
            self.add_module(f"stage{number}", nn.Sequential(first, *others))
        self.head = head(num_classes)


def anynet(
    num_classes: int = 10,
    *,
    stem_channels: int = 32,
    depths: Sequence[int] = (1, 2, 7, 12),
    channels: Sequence[int] = (32, 64, 160, 384),
    groups: int | Sequence[int] = 16,
    bot_mul: float | Sequence[float] = 1.0,
) -> AnyNet:
    """An AnyNet; `groups` and `bot_mul` are of all stages, or one for each."""
    shares = _of_each(bot_mul, len(depths))
    widths = _of_each(groups, len(depths))
    for name, values in (("channels", channels), ("groups", widths), ("bot_mul", shares)):
        if len(values) != len(depths):
            raise ValueError(f"depths are of {len(depths)} stages, {name} of {len(values)}")
    stages = tuple(map(Stage, depths, channels, widths, shares))
    return AnyNet(stem_channels, stages, num_classes)


def regnetx32(num_classes: int = 10) -> AnyNet:
    """RegNetX-32 of the book: two stages."""
    return anynet(num_classes, depths=(4, 6), channels=(32, 80))


def _of_each(value: T | Sequence[T], number: int) -> Sequence[T]:
    return value if isinstance(value, Sequence) else [value] * number
