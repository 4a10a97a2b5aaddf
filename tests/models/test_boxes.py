"""Boxes, anchors and what a detector is told: against torchvision, brute force and the book."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss
from torchvision import ops
from torchvision.models.detection._utils import BoxCoder

from zoo.models.blocks.anchors import multibox_prior
from zoo.models.blocks.boxes import (
    box_iou,
    centers_to_corners,
    corners_to_centers,
    nms,
    offset_boxes,
    offset_inverse,
)
from zoo.models.blocks.detection import (
    Targets,
    assign_anchors,
    hard_loss,
    multibox_detection,
    multibox_target,
    plain_loss,
)
from zoo.models.blocks.roi import roi_pool

SEEDS = range(20)

BOXES = torch.tensor([[0.1, 0.08, 0.52, 0.92], [0.55, 0.2, 0.9, 0.88]])
ANCHORS = torch.tensor(
    [
        [0, 0.1, 0.2, 0.3],
        [0.15, 0.2, 0.4, 0.4],
        [0.63, 0.05, 0.88, 0.98],
        [0.66, 0.45, 0.8, 0.8],
        [0.57, 0.3, 0.92, 0.9],
    ]
)
"""The book's five anchors and two boxes: a dog, of class 0, and a cat, of class 1."""


def boxes(number: int, seed: int) -> Tensor:
    """Boxes of any place and size, (number, 4)."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.rand(number, 2, generator=generator) * 0.4 + 0.05
    place = torch.rand(number, 2, generator=generator) * (1 - size)
    return torch.cat((place, place + size), dim=1)


# boxes


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_are_torchvisions(seed: int) -> None:
    left, right = boxes(9, seed), boxes(7, seed + 100)
    torch.testing.assert_close(box_iou(left, right), ops.box_iou(left, right))
    centers = ops.box_convert(left, "xyxy", "cxcywh")
    torch.testing.assert_close(corners_to_centers(left), centers)
    torch.testing.assert_close(centers_to_corners(centers), left)


def test_overlap_of_several_images_at_once() -> None:
    left, right = boxes(12, 0).reshape(3, 4, 4), boxes(6, 1).reshape(3, 2, 4)
    each = [ops.box_iou(a, b) for a, b in zip(left, right, strict=True)]
    torch.testing.assert_close(box_iou(left, right), torch.stack(each))


@pytest.mark.parametrize("seed", SEEDS)
def test_offsets_are_torchvisions(seed: int) -> None:
    anchors, there = boxes(9, seed), boxes(9, seed + 100)
    offsets = offset_boxes(anchors, there)
    coder = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
    torch.testing.assert_close(
        offsets, coder.encode_single(there, anchors), atol=1e-3, rtol=1e-4
    )  # ours adds a millionth to ratios of sizes
    torch.testing.assert_close(offset_inverse(anchors, offsets), there, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
def test_suppression_is_torchvisions(seed: int, threshold: float) -> None:
    many = boxes(40, seed)
    scores = torch.rand(40, generator=torch.Generator().manual_seed(seed)).round(decimals=1)
    assert torch.equal(nms(many, scores, threshold), ops.nms(many, scores, threshold))


def test_nothing_is_suppressed_of_nothing() -> None:
    assert nms(torch.empty(0, 4), torch.empty(0), 0.5).tolist() == []


# anchors


def test_an_anchor_that_the_book_prints() -> None:
    anchors = multibox_prior(torch.empty(1, 3, 561, 728), [0.75, 0.5, 0.25], [1, 2, 0.5])
    here = anchors.reshape(561, 728, 5, 4)[250, 250, 0]
    assert here.tolist() == pytest.approx([0.06, 0.07, 0.63, 0.82], abs=0.005)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (2, 2), (1, 1), (3, 5)])
def test_anchors_have_the_size_and_ratio_asked_for(height: int, width: int) -> None:
    sizes, ratios = (0.4, 0.2), (1.0, 2.0, 0.5)
    anchors = multibox_prior(torch.empty(1, 8, height, width), sizes, ratios)
    assert anchors.shape == (1, height * width * 4, 4)
    x, y, wide, high = corners_to_centers(anchors.reshape(height, width, 4, 4)).unbind(-1)
    in_pixels = wide * width / (high * height)
    asked = torch.tensor([1.0, 1.0, 2.0, 0.5]).expand(height, width, 4)
    torch.testing.assert_close(in_pixels, asked)
    side = (wide * width * high * height).sqrt() / height
    torch.testing.assert_close(side, torch.tensor([0.4, 0.2, 0.4, 0.4]).expand(height, width, 4))
    torch.testing.assert_close(x[0, :, 0], (torch.arange(width) + 0.5) / width)
    torch.testing.assert_close(y[:, 0, 0], (torch.arange(height) + 0.5) / height)


@pytest.mark.parametrize(("sizes", "ratios"), [((), (1,)), ((0.5,), ()), ((0.5,), (0,))])
def test_anchors_without_size_are_refused(sizes: Any, ratios: Any) -> None:
    with pytest.raises(ValueError, match="anchors need sizes and ratios above 0, got sizes"):
        multibox_prior(torch.empty(1, 1, 2, 2), sizes, ratios)


# what anchors are told


def test_the_books_example_of_targets() -> None:
    labels = torch.cat((torch.tensor([[0.0], [1.0]]), BOXES), dim=1)[None]
    targets = multibox_target(ANCHORS[None], labels)
    assert targets.classes.tolist() == [[0, 1, 2, 0, 2]]
    assert targets.mask.tolist() == [[0] * 4 + [1] * 8 + [0] * 4 + [1] * 4]
    printed = [1.40, 10.0, 2.59, 7.18, -1.20, 0.269, 1.68, -1.57]
    assert targets.offsets[0, 4:12].tolist() == pytest.approx(printed, abs=0.006)
    assert targets.offsets[0, 16:].tolist() == pytest.approx([-0.571, -1, 0, 0.626], abs=0.0006)
    assert targets.offsets[0, :4].abs().sum() == 0


def by_hand(overlap: Tensor, threshold: float) -> list[int]:
    """The assignment of the paper, pair by pair."""
    table = overlap.tolist()
    anchors, there = len(table), len(table[0])
    answer = [
        max(range(there), key=row.__getitem__) if max(row) >= threshold else -1 for row in table
    ]
    free_anchors, free_boxes = set(range(anchors)), set(range(there))
    while free_boxes and free_anchors:
        _, anchor, box = max((table[a][b], a, b) for a in free_anchors for b in free_boxes)
        answer[anchor] = box
        free_anchors.remove(anchor)
        free_boxes.remove(box)
    return answer


@pytest.mark.parametrize("seed", SEEDS)
def test_assignment_pair_by_pair(seed: int) -> None:
    overlap = torch.rand(2, 9, 4, generator=torch.Generator().manual_seed(seed))
    assert assign_anchors(overlap, 0.9).tolist() == [by_hand(one, 0.9) for one in overlap]


def test_more_boxes_than_anchors() -> None:
    overlap = torch.rand(1, 2, 5, generator=torch.Generator().manual_seed(0))
    assert assign_anchors(overlap, 0.5).tolist() == [by_hand(overlap[0], 0.5)]


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_that_fill_up_change_nothing(seed: int) -> None:
    labels = torch.cat((torch.tensor([[0.0], [1.0]]), boxes(2, seed)), dim=1)[None]
    filled = torch.cat((labels, torch.full((1, 3, 5), -1.0)), dim=1)
    anchors = boxes(30, seed + 100)[None]
    for alone, beside in zip(
        multibox_target(anchors, labels), multibox_target(anchors, filled), strict=True
    ):
        assert torch.equal(alone, beside)


def test_an_image_without_boxes_is_background() -> None:
    targets = multibox_target(ANCHORS[None], torch.full((2, 3, 5), -1.0))
    assert targets.classes.tolist() == [[0] * 5] * 2
    assert targets.mask.sum() == 0
    assert targets.offsets.abs().sum() == 0


# losses


def example(seed: int) -> tuple[Tensor, Tensor, Targets]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat((torch.tensor([[0.0], [1.0]]), BOXES), dim=1).expand(2, -1, -1)
    scores = torch.randn(2, 5, 3, generator=generator)
    return scores, torch.randn(2, 20, generator=generator), multibox_target(ANCHORS[None], labels)


def test_the_plain_loss_by_hand() -> None:
    scores, offsets, targets = example(0)
    for n, loss in enumerate(plain_loss(scores, offsets, targets)):
        wanted = targets.classes[n]
        entropy = cross_entropy(scores[n], wanted)
        apart = (offsets[n] - targets.offsets[n])[targets.mask[n] > 0].abs().sum() / 20
        torch.testing.assert_close(loss, entropy + apart)


@pytest.mark.parametrize(("negatives", "kept"), [(3.0, 2), (0.34, 2), (0.3, 1), (0.0, 0)])
def test_the_hard_loss_counts_the_hardest_backgrounds(negatives: float, kept: int) -> None:
    scores, offsets, targets = example(1)
    for n, loss in enumerate(hard_loss(scores, offsets, targets, negatives)):
        wanted = targets.classes[n]
        entropy = cross_entropy(scores[n], wanted, reduction="none")
        hardest = entropy[wanted == 0].sort(descending=True).values[:kept]
        where = targets.mask[n] > 0
        apart = smooth_l1_loss(offsets[n][where], targets.offsets[n][where], reduction="sum")
        torch.testing.assert_close(loss, (entropy[wanted > 0].sum() + hardest.sum() + apart) / 3)


def test_the_hard_loss_of_an_image_without_boxes_is_0() -> None:
    targets = multibox_target(ANCHORS[None], torch.full((1, 1, 5), -1.0))
    assert hard_loss(torch.randn(1, 5, 3), torch.randn(1, 20), targets).tolist() == [0.0]


# what was found


def test_the_books_example_of_detection() -> None:
    anchors = torch.tensor(
        [
            [0.1, 0.08, 0.52, 0.92],
            [0.08, 0.2, 0.56, 0.95],
            [0.15, 0.3, 0.62, 0.91],
            [0.55, 0.2, 0.9, 0.88],
        ]
    )
    probs = torch.tensor([[0.0] * 4, [0.9, 0.8, 0.7, 0.1], [0.1, 0.2, 0.3, 0.9]])
    found = multibox_detection(probs[None], torch.zeros(1, 16), anchors[None], 0.5)
    assert found.shape == (1, 4, 6)
    assert found[0, :, 0].tolist() == [0, 1, -1, -1]
    assert found[0, :, 1].tolist() == pytest.approx([0.9, 0.9, 0.8, 0.7])
    torch.testing.assert_close(found[0, :, 2:], anchors[[0, 3, 1, 2]])


def test_what_is_not_sure_is_background() -> None:
    probs = torch.tensor([[[0.995, 0.2], [0.005, 0.8]]])
    anchors = torch.tensor([[[0, 0, 0.4, 0.4], [0.5, 0.5, 1, 1]]])
    found = multibox_detection(probs, torch.zeros(1, 8), anchors)
    assert found[0, :, 0].tolist() == [0, -1]
    assert found[0, :, 1].tolist() == pytest.approx([0.8, 0.995])


@pytest.mark.parametrize("seed", SEEDS)
def test_targets_given_back_are_detected(seed: int) -> None:
    labels = torch.tensor([[0.0, 0.1, 0.1, 0.35, 0.4], [1.0, 0.6, 0.5, 0.95, 0.9]])
    anchors = torch.cat((boxes(50, seed), labels[:, 1:]))[None]
    targets = multibox_target(anchors, labels[None])
    probs = torch.nn.functional.one_hot(targets.classes, 3).float().transpose(1, 2)
    found = multibox_detection(probs, targets.offsets, anchors)[0]
    found = found[found[:, 0] >= 0]
    assert found[:, 0].sort().values.tolist() == [0, 1]
    torch.testing.assert_close(found[found[:, 0].argsort(), 2:], labels[:, 1:])


# regions of interest


def test_the_books_example_of_regions() -> None:
    features = torch.arange(16.0).reshape(1, 1, 4, 4)
    regions = torch.tensor([[0, 0, 0, 20, 20], [0, 0, 10, 30, 30]])
    pooled = roi_pool(features, regions, (2, 2), 0.1)
    assert pooled.tolist() == [[[[5, 6], [9, 10]]], [[[9, 11], [13, 15]]]]


@pytest.mark.parametrize("seed", SEEDS)
def test_regions_are_torchvisions(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand(2, 3, 9, 11, generator=generator)
    place = torch.rand(6, 2, generator=generator) * 60 - 5  # some outside of the image
    size = torch.rand(6, 2, generator=generator) * 60
    image = torch.randint(2, (6, 1), generator=generator)
    regions = torch.cat((image, place, place + size), dim=1)
    ours = roi_pool(features, regions, (3, 4), 0.173)
    assert torch.equal(ours, ops.roi_pool(features, regions, (3, 4), 0.173))


@pytest.mark.parametrize("seed", SEEDS)
def test_halves_of_a_pixel_are_rounded_as_torchvision_does(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand(1, 2, 9, 11, generator=generator)
    place = torch.randint(-4, 15, (20, 2), generator=generator)
    size = torch.randint(0, 9, (20, 2), generator=generator)
    regions = torch.cat((torch.zeros(20, 1), place, place + size), dim=1)
    assert torch.equal(
        roi_pool(features, regions, (2, 3), 0.5), ops.roi_pool(features, regions, (2, 3), 0.5)
    )
