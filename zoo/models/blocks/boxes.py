"""Boxes: how they are written, how much two overlap, and which of many to keep.

Dive into Deep Learning, 14.3 and 14.4. A box is (left, top, right, bottom), in shares of the
image's width and height: 0 to 1. Its offset from an anchor (Girshick et al., "Rich feature
hierarchies for accurate object detection and semantic segmentation", 2013, appendix C) is scaled
as in the book, so that typical offsets are near 1:

    dx = 10 (x - xa) / wa      dw = 5 log(w / wa)      x, y: the centre
    dy = 10 (y - ya) / ha      dh = 5 log(h / ha)
"""

from __future__ import annotations

import torch
from torch import Tensor

CENTER, SIZE = 10.0, 5.0
"""Scales of the offsets of a centre and of a size: 1 / 0.1 and 1 / 0.2."""

EPS = 1e-6
"""Added to a ratio of sizes before its logarithm, so that an empty box has a finite offset."""


def corners_to_centers(boxes: Tensor) -> Tensor:  # (..., 4)
    """(left, top, right, bottom) -> (x, y, width, height), where x, y is the centre."""
    low, high = boxes[..., :2], boxes[..., 2:]  # (..., 2)
    return torch.cat(((low + high) / 2, high - low), dim=-1)  # (..., 4)


def centers_to_corners(boxes: Tensor) -> Tensor:  # (..., 4)
    """(x, y, width, height) -> (left, top, right, bottom)."""
    center, half = boxes[..., :2], boxes[..., 2:] / 2  # (..., 2)
    return torch.cat((center - half, center + half), dim=-1)  # (..., 4)


def box_area(boxes: Tensor) -> Tensor:  # (..., 4)
    """Width by height of each box: (..., 4) -> (...)."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Intersection over union of each box with each: 0 where they are apart, 1 where equal.

    Args:
        boxes1: (..., N, 4).
        boxes2: (..., M, 4).

    Returns:
        (..., N, M).

    Example:
        >>> box_iou(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[0.0, 0.0, 0.5, 0.5]]))
        tensor([[0.2500]])
    """
    low = torch.maximum(boxes1[..., :, None, :2], boxes2[..., None, :, :2])  # (..., N, M, 2)
    high = torch.minimum(boxes1[..., :, None, 2:], boxes2[..., None, :, 2:])  # (..., N, M, 2)
    side = (high - low).clamp(min=0)  # (..., N, M, 2)
    shared = side[..., 0] * side[..., 1]  # (..., N, M)
    union = box_area(boxes1)[..., :, None] + box_area(boxes2)[..., None, :] - shared
    return shared / union  # (..., N, M)


def offset_boxes(anchors: Tensor, boxes: Tensor) -> Tensor:
    """How far each box is from its anchor, in the anchor's own measures.

    Args:
        anchors: (..., A, 4), corners.
        boxes: (..., A, 4), corners; the box of each anchor.

    Returns:
        Offsets, (..., A, 4).
    """
    anchor, box = corners_to_centers(anchors), corners_to_centers(boxes)  # (..., A, 4)
    center = CENTER * (box[..., :2] - anchor[..., :2]) / anchor[..., 2:]  # (..., A, 2)
    size = SIZE * torch.log(EPS + box[..., 2:] / anchor[..., 2:])  # (..., A, 2)
    return torch.cat((center, size), dim=-1)  # (..., A, 4)


def offset_inverse(anchors: Tensor, offsets: Tensor) -> Tensor:
    """The boxes that lie by these offsets from the anchors; `offset_boxes` undone.

    Args:
        anchors: (..., A, 4), corners.
        offsets: (..., A, 4).

    Returns:
        Corners, (..., A, 4).
    """
    anchor = corners_to_centers(anchors)  # (..., A, 4)
    center = offsets[..., :2] * anchor[..., 2:] / CENTER + anchor[..., :2]  # (..., A, 2)
    size = torch.exp(offsets[..., 2:] / SIZE) * anchor[..., 2:]  # (..., A, 2)
    return centers_to_corners(torch.cat((center, size), dim=-1))  # (..., A, 4)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression: the best box, the best of those that are not too near it, and so on.

    Args:
        boxes: (A, 4), corners.
        scores: (A,).
        iou_threshold: A box that overlaps a kept one by more is left out.

    Returns:
        Indices of the kept boxes, best first; int64 (K,).
    """
    waiting = scores.argsort(descending=True, stable=True)  # (A,)
    kept: list[Tensor] = []
    while waiting.numel():
        best, waiting = waiting[:1], waiting[1:]
        kept.append(best)
        overlap = box_iou(boxes[best], boxes[waiting])[0]  # (A left,)
        waiting = waiting[overlap <= iou_threshold]
    return torch.cat(kept) if kept else waiting
