"""Region of interest pooling: features of one size, from regions of any size.

Girshick, "Fast R-CNN", 2015, section 2.1; Dive into Deep Learning, 14.8. A region is cut into a
grid of almost equal parts, and the largest value of each part is kept. What a part covers depends
on the regions' values, so that this runs region by region.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def nearest(place: float) -> int:
    """The nearest whole number; a half goes away from 0, and not to the even number.

    >>> [nearest(place) for place in (0.5, 2.5, 2.4, -2.5)]
    [1, 3, 2, -3]
    """
    return int(math.copysign(math.floor(abs(place) + 0.5), place))


def parts(start: float, end: float, number: int, length: int) -> list[slice]:
    """What each part of a region covers along one side of the features.

    Args:
        start: First pixel of the region, in pixels of the features; halves go away from 0.
        end: Its last pixel, which belongs to it; rounded likewise.
        number: Parts.
        length: Pixels that there are.

    Returns:
        A slice for each part; neighbours overlap where the division is not even.
    """
    first, last = nearest(start), nearest(end)
    whole = max(last - first + 1, 1)
    edges = [
        (first + n * whole // number, first - (n + 1) * whole // -number) for n in range(number)
    ]
    return [slice(min(max(a, 0), length), min(max(b, 0), length)) for a, b in edges]


def roi_pool(
    features: Tensor, regions: Tensor, size: tuple[int, int], scale: float = 1.0
) -> Tensor:
    """Pool each region of an image's features to the same height and width.

    Args:
        features: (B, C, H, W).
        regions: (R, 5): index of an image, then left, top, right, bottom in the image's pixels.
        size: Height h and width w of the result.
        scale: Pixels of the features to a pixel of the image.

    Returns:
        (R, C, h, w); 0 where a part lies outside of the image.
    """
    pooled = features.new_zeros(len(regions), features.shape[1], *size)
    for number, (image, left, top, right, bottom) in enumerate(regions.tolist()):
        rows = parts(top * scale, bottom * scale, size[0], features.shape[2])
        columns = parts(left * scale, right * scale, size[1], features.shape[3])
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                part = features[int(image), :, row, column]  # (C, rows, columns)
                if part.numel():
                    pooled[number, :, i, j] = torch.amax(part, dim=(1, 2))  # (C,)
    return pooled
