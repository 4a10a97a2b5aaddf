"""Anchor boxes: what a detector looks for at each place, from the shape of a feature map alone.

Liu et al., "SSD: single shot multibox detector", 2015, section 2.2; Dive into Deep Learning, 14.4.
Every pixel of an H x W map is the centre of S + R - 1 boxes, of S sizes and R ratios: each size
with the first ratio, then the first size with each other ratio. Of size s and ratio r, in shares
of the image:

    width s sqrt(r) H / W        height s / sqrt(r)

So a box of ratio 1 is a square of pixels, on wide and high images too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence


def multibox_prior(features: Tensor, sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """The anchors of a feature map. Its values do not matter, its height and width do.

    Args:
        features: (B, C, H, W).
        sizes: S sides of a square anchor, in shares of the image's height.
        ratios: R ratios of width to height.

    Returns:
        Corners, (1, H * W * (S + R - 1), 4): row by row, all anchors of a pixel together.

    Raises:
        ValueError: There are no sizes or no ratios, or one is not above 0.
    """
    if not sizes or not ratios or min(*sizes, *ratios) <= 0:
        raise ValueError(
            f"anchors need sizes and ratios above 0, got sizes {tuple(sizes)}, "
            f"ratios {tuple(ratios)}"
        )
    height, width = features.shape[-2:]
    device = features.device
    shapes = [(size, ratios[0]) for size in sizes] + [(sizes[0], ratio) for ratio in ratios[1:]]
    # half a height in shares of the height, half a width in those of the height, too
    half_h = torch.tensor([size / ratio**0.5 / 2 for size, ratio in shapes], device=device)  # (N,)
    half_w = torch.tensor([size * ratio**0.5 / 2 for size, ratio in shapes], device=device)  # (N,)
    half_w = half_w * height / width  # (N,)
    y = ((torch.arange(height, device=device) + 0.5) / height)[:, None, None]  # (H, 1, 1)
    x = ((torch.arange(width, device=device) + 0.5) / width)[None, :, None]  # (1, W, 1)
    sides = torch.broadcast_tensors(x - half_w, y - half_h, x + half_w, y + half_h)  # (H, W, N) x 4
    return torch.stack(sides, dim=-1).reshape(1, -1, 4)  # (1, H * W * N, 4)
