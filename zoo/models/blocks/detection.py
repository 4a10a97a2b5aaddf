"""From labels to what a detector is trained on, and from what it says to boxes.

Liu et al., "SSD: single shot multibox detector", 2015, sections 2.2 and 2.3; Dive into Deep
Learning, 14.4 and 14.7. Of an image with A anchors and G labelled boxes:

    assign      each box gets the anchor that overlaps it most, the best pair first; an anchor that
                is left gets the box that it overlaps most, where that is by a half or more
    train       class 0 is background; offsets count for assigned anchors only
    detect      anchors moved by their offsets, and of those that overlap, the most certain

Labels are (class, left, top, right, bottom); class -1 fills up images with fewer boxes than others.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot, smooth_l1_loss

from zoo.models.blocks.boxes import box_iou, nms, offset_boxes, offset_inverse

NOTHING = -1
"""Class of a label that fills up, of a suppressed detection, and box of an anchor that has none."""


class Targets(NamedTuple):
    """What a detector should say of each anchor."""

    offsets: Tensor
    """Of the assigned box from its anchor, (B, 4 A); 0 where there is none."""
    mask: Tensor
    """1 where an anchor has a box, else 0; (B, 4 A), like `offsets`."""
    classes: Tensor
    """0 for background, else the box's class + 1; int64 (B, A)."""


def assign_anchors(overlap: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """Which box each anchor is responsible for.

    Args:
        overlap: Intersection over union of anchors and boxes, (B, A, G); negative in the columns of
            boxes that are none.
        iou_threshold: Overlap from which on an anchor gets a box that has a better anchor.

    Returns:
        Index of a box, -1 for none; int64 (B, A).
    """
    anchors, boxes = overlap.shape[1:]
    best, box = overlap.max(dim=-1)  # (B, A) each
    assigned = torch.where(best >= iou_threshold, box, NOTHING)  # (B, A)
    left = overlap
    for _ in range(boxes):
        most, pair = left.flatten(1).max(dim=-1)  # (B,) each
        row = one_hot(pair // boxes, anchors).bool()  # (B, A)
        column = one_hot(pair % boxes, boxes).bool()  # (B, G)
        real = (most >= 0)[:, None]  # (B, 1)
        assigned = torch.where(row & real, (pair % boxes)[:, None], assigned)  # (B, A)
        left = left.masked_fill(row[:, :, None] | column[:, None, :], NOTHING)  # (B, A, G)
    return assigned


def multibox_target(anchors: Tensor, labels: Tensor, iou_threshold: float = 0.5) -> Targets:
    """What the anchors of each image should be told, from its labelled boxes.

    Args:
        anchors: Corners, (1, A, 4).
        labels: (B, G, 5), G at least 1: class, then corners; class -1 where there is no box.
        iou_threshold: Overlap from which on an anchor gets a box that has a better anchor.

    Returns:
        Offsets, mask and classes.
    """
    boxes, kinds = labels[..., 1:], labels[..., 0].long()  # (B, G, 4), (B, G)
    overlap = box_iou(anchors, boxes)  # (B, A, G)
    overlap = overlap.masked_fill((kinds < 0)[:, None, :], NOTHING)  # (B, A, G)
    assigned = assign_anchors(overlap, iou_threshold)  # (B, A)
    found = assigned >= 0  # (B, A)
    index = assigned.clamp(min=0)  # (B, A)
    classes = torch.where(found, kinds.gather(1, index) + 1, 0)  # (B, A)
    theirs = boxes.gather(1, index[..., None].expand(-1, -1, 4))  # (B, A, 4)
    offsets = torch.where(found[..., None], offset_boxes(anchors, theirs), 0.0)  # (B, A, 4)
    mask = found[..., None].expand(-1, -1, 4).to(offsets.dtype)  # (B, A, 4)
    return Targets(offsets.flatten(1), mask.flatten(1), classes)


def plain_loss(cls_preds: Tensor, bbox_preds: Tensor, targets: Targets) -> Tensor:
    """The book's loss: cross entropy of every anchor, L1 of the offsets of those with a box.

    Args:
        cls_preds: Scores, (B, A, classes + 1).
        bbox_preds: Offsets, (B, 4 A).
        targets: What they should be.

    Returns:
        Each image's loss, (B,).
    """
    entropy = cross_entropy(cls_preds.transpose(1, 2), targets.classes, reduction="none")  # (B, A)
    distance = ((bbox_preds - targets.offsets) * targets.mask).abs()  # (B, 4 A)
    return entropy.mean(dim=1) + distance.mean(dim=1)  # (B,)


def hard_loss(
    cls_preds: Tensor, bbox_preds: Tensor, targets: Targets, negatives: float = 3.0
) -> Tensor:
    """The paper's loss: nearly all anchors are background, so only the hardest of these count.

    Args:
        cls_preds: Scores, (B, A, classes + 1).
        bbox_preds: Offsets, (B, 4 A).
        targets: What they should be.
        negatives: Most anchors of background that count, for each anchor with a box.

    Returns:
        Each image's loss by its anchors with a box, (B,): cross entropy and smooth L1.
    """
    entropy = cross_entropy(cls_preds.transpose(1, 2), targets.classes, reduction="none")  # (B, A)
    found = targets.classes > 0  # (B, A)
    number = found.sum(dim=1, keepdim=True)  # (B, 1)
    hardness = entropy.detach().masked_fill(found, -1.0)  # (B, A)
    rank = hardness.argsort(dim=1, descending=True).argsort(dim=1)  # (B, A)
    counts = found | (rank < negatives * number)  # (B, A)
    distance = smooth_l1_loss(bbox_preds, targets.offsets, reduction="none")  # (B, 4 A)
    loss = (entropy * counts).sum(dim=1) + (distance * targets.mask).sum(dim=1)  # (B,)
    return loss / number[:, 0].clamp(min=1)  # (B,)


def multibox_detection(
    cls_probs: Tensor,
    bbox_preds: Tensor,
    anchors: Tensor,
    nms_threshold: float = 0.5,
    pos_threshold: float = 0.01,
) -> Tensor:
    """What a detector found, most certain first.

    Args:
        cls_probs: Probabilities, background first; (B, classes + 1, A).
        bbox_preds: Offsets, (B, 4 A).
        anchors: Corners, (1, A, 4).
        nms_threshold: A box that overlaps a more certain one by more is suppressed.
        pos_threshold: A box that is less certain is taken for background.

    Returns:
        (B, A, 6): class, certainty, corners. Kept boxes come first; class is -1 for suppressed ones
        and background, and the certainty of background is 1 less that of its best class.
    """
    rows: list[Tensor] = []
    for probs, offsets in zip(cls_probs, bbox_preds.reshape(len(bbox_preds), -1, 4), strict=True):
        certainty, kind = probs[1:].max(dim=0)  # (A,) each
        boxes = offset_inverse(anchors[0], offsets)  # (A, 4)
        kept = nms(boxes, certainty, nms_threshold)  # (K,)
        suppressed = torch.ones_like(kind, dtype=torch.bool).index_fill(
            0, kept, value=False
        )  # (A,)
        unsure = certainty < pos_threshold  # (A,)
        kind = torch.where(suppressed | unsure, NOTHING, kind)  # (A,)
        certainty = torch.where(unsure, 1 - certainty, certainty)  # (A,)
        found = torch.cat((kind[:, None], certainty[:, None], boxes), dim=1)  # (A, 6)
        rows.append(found[torch.cat((kept, suppressed.nonzero()[:, 0]))])  # (A, 6)
    return torch.stack(rows)  # (B, A, 6)
