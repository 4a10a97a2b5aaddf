"""TinySSD: a detector that looks at five scales in one pass.

Liu, Anguelov, Erhan, Szegedy, Reed, Fu and Berg, "SSD: single shot multibox detector", 2015,
section 2.1 and figure 2; the small form of Dive into Deep Learning, 14.7. On (B, 3, 256, 256),
with 4 anchors at each pixel:

    block   made of                                  features       anchors   sizes
    0       down-sampling blocks to 16, 32 and 64    64, 32, 32        4096   0.2,  0.272
    1       down-sampling block to 128               128, 16, 16       1024   0.37, 0.447
    2       down-sampling block to 128               128, 8, 8          256   0.54, 0.619
    3       down-sampling block to 128               128, 4, 4           64   0.71, 0.79
    4       global max pool                          128, 1, 1            4   0.88, 0.961
                                                                       5444

At every scale two 3x3 convolutions read the features: one says a class for each anchor (background
first), one says four offsets for each. The second size of a scale is the geometric mean of its
first and the next scale's; ratios are 1, 2 and 1/2. Anchors are computed, not learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.models._init import XavierConv2d
from zoo.models.blocks.anchors import multibox_prior

if TYPE_CHECKING:
    from collections.abc import Iterable

Shapes = tuple[tuple[float, ...], ...]
"""Sizes, or ratios, of the anchors of each scale."""

SIZES: Shapes = ((0.2, 0.272), (0.37, 0.447), (0.54, 0.619), (0.71, 0.79), (0.88, 0.961))
RATIOS: Shapes = ((1.0, 2.0, 0.5),) * 5


def class_predictor(num_anchors: int, num_classes: int) -> nn.Module:
    """Scores of each anchor's classes: (B, C, H, W) -> (B, num_anchors * (classes + 1), H, W)."""
    return XavierConv2d(num_anchors * (num_classes + 1), kernel_size=3, padding=1)


def box_predictor(num_anchors: int) -> nn.Module:
    """Offsets of each anchor: (B, C, H, W) -> (B, num_anchors * 4, H, W)."""
    return XavierConv2d(num_anchors * 4, kernel_size=3, padding=1)


def join_predictions(predictions: Iterable[Tensor]) -> Tensor:
    """Predictions of several scales in one row each: (B, Ci, Hi, Wi) ... -> (B, sum Hi Wi Ci).

    Channels come last, so that what is said of one pixel's anchors stays together.
    """
    rows = [scale.permute(0, 2, 3, 1).flatten(1) for scale in predictions]  # (B, Hi * Wi * Ci)
    return torch.cat(rows, dim=1)


def down_sample_block(num_channels: int) -> nn.Sequential:
    """Two 3x3 convolutions and a pool that halves: (B, C, H, W) -> (B, channels, H / 2, W / 2)."""
    return nn.Sequential(
        XavierConv2d(num_channels, kernel_size=3, padding=1),  # (B, N, H, W)
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        XavierConv2d(num_channels, kernel_size=3, padding=1),  # (B, N, H, W)
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (B, N, H / 2, W / 2)
    )


def base_network(channels: tuple[int, ...] = (16, 32, 64)) -> nn.Sequential:
    """What is before the first predictor: (B, C, H, W) -> (B, 64, H / 8, W / 8)."""
    return nn.Sequential(*(down_sample_block(width) for width in channels))


class TinySSD(nn.Module):
    """A base network, blocks that halve, a global pool; class and offsets of anchors at each scale.

    Args:
        num_classes: Kinds of objects, background not among them.
        sizes: Sizes of each scale's anchors; as many scales as there are tuples, at least 2.
        ratios: Ratios of each scale's anchors.
        base: Channels of the base network's blocks.
        width: Channels of the blocks after it.

    Raises:
        ValueError: `sizes` and `ratios` are not for the same number of scales, or for less than 2,
            or there is no class.
    """

    def __init__(
        self,
        num_classes: int = 1,
        sizes: Shapes = SIZES,
        ratios: Shapes = RATIOS,
        *,
        base: tuple[int, ...] = (16, 32, 64),
        width: int = 128,
    ) -> None:
        super().__init__()
        if len(sizes) != len(ratios) or len(sizes) < 2:
            raise ValueError(
                f"sizes for {len(sizes)} scales and ratios for {len(ratios)}: "
                "give both for the same number of scales, 2 or more"
            )
        if num_classes < 1:
            raise ValueError(f"{num_classes} classes beside background: give 1 or more")
        self.num_classes, self.sizes, self.ratios = num_classes, sizes, ratios
        per_pixel = [len(s) + len(r) - 1 for s, r in zip(sizes, ratios, strict=True)]
        halving = [down_sample_block(width) for _ in sizes[2:]]
        self.blocks = nn.ModuleList([base_network(base), *halving, nn.AdaptiveMaxPool2d(1)])
        self.classes = nn.ModuleList(class_predictor(n, num_classes) for n in per_pixel)
        self.boxes = nn.ModuleList(box_predictor(n) for n in per_pixel)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (B, C, H, W)
        """Image -> anchors (1, A, 4), class scores (B, A, classes + 1), offsets (B, 4 A)."""
        anchors, scores, offsets = [], [], []
        scales = zip(self.blocks, self.classes, self.boxes, self.sizes, self.ratios, strict=True)
        for block, classes, boxes, sizes, ratios in scales:
            x = block(x)  # (B, Ci, Hi, Wi)
            anchors.append(multibox_prior(x, sizes, ratios))  # (1, Hi * Wi * Ni, 4)
            scores.append(classes(x))  # (B, Ni * (classes + 1), Hi, Wi)
            offsets.append(boxes(x))  # (B, Ni * 4, Hi, Wi)
        cls_preds = join_predictions(scores).unflatten(1, (-1, self.num_classes + 1))
        return torch.cat(anchors, dim=1), cls_preds, join_predictions(offsets)


def tiny_ssd(
    num_classes: int = 1,
    sizes: Shapes = SIZES,
    ratios: Shapes = RATIOS,
    *,
    base: tuple[int, ...] = (16, 32, 64),
    width: int = 128,
) -> TinySSD:
    """The book's detector, for one kind of object."""
    return TinySSD(num_classes, sizes, ratios, base=base, width=width)
