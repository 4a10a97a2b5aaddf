"""TinySSD: its shapes, what zoo says of it, and whether it finds digits pasted on photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from sklearn.datasets import load_digits, load_sample_images
from torch import Tensor, nn
from torch.nn.functional import interpolate

import zoo
from tests.models.learning import fit
from zoo.models.blocks.anchors import multibox_prior
from zoo.models.blocks.boxes import box_iou, centers_to_corners
from zoo.models.blocks.detection import (
    Targets,
    hard_loss,
    multibox_detection,
    multibox_target,
    plain_loss,
)
from zoo.models.tiny_ssd import RATIOS, SIZES, TinySSD, tiny_ssd

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 64


@pytest.mark.parametrize(
    ("shape", "classes", "anchors"),
    [
        ((1, 3, 256, 256), 1, 5444),
        ((2, 1, 128, 128), 20, 4 * (16**2 + 8**2 + 4**2 + 2**2 + 1)),
        ((2, 3, 300, 300), 2, 4 * (37**2 + 18**2 + 9**2 + 4**2 + 1)),
        ((1, 3, 128, 256), 1, 4 * (16 * 32 + 8 * 16 + 4 * 8 + 2 * 4 + 1)),
    ],
)
def test_shapes(shape: tuple[int, ...], classes: int, anchors: int) -> None:
    with torch.device("meta"):
        priors, scores, offsets = tiny_ssd(classes)(torch.empty(shape))
    assert priors.shape == (1, anchors, 4)
    assert scores.shape == (shape[0], anchors, classes + 1)
    assert offsets.shape == (shape[0], 4 * anchors)


def test_parameters_by_closed_form() -> None:
    def conv(wide: int, out: int) -> int:
        return 9 * wide * out + out

    def block(wide: int, out: int) -> int:
        return conv(wide, out) + conv(out, out) + 4 * out

    backbone = block(3, 16) + block(16, 32) + block(32, 64) + block(64, 128) + 2 * block(128, 128)
    heads = sum(conv(wide, 4 * 2) + conv(wide, 4 * 4) for wide in (64, 128, 128, 128, 128))
    assert zoo.params("tiny_ssd").totals["parameters"] == backbone + heads


def test_predictions_of_an_anchor_are_those_of_its_pixel() -> None:
    """Changing the weights of one anchor at one scale changes what is said of it alone."""
    torch.manual_seed(0)
    net = TinySSD(2, SIZES, RATIOS, base=(4, 4, 4), width=8).eval()
    x = torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        anchors, scores, offsets = net(x)
        net.get_parameter("classes.1.bias")[3:6] += 1  # second anchor of a pixel, three classes
        net.get_parameter("boxes.1.bias")[4:8] += 1
        _, scores_after, offsets_after = net(x)
    changed = (scores_after != scores).all(-1)[0]
    first = 4 * 8 * 8  # anchors of the first scale
    own = torch.zeros(anchors.shape[1], dtype=torch.bool)
    own[first : first + 4 * 4 * 4].reshape(16, 4)[:, 1] = True
    assert torch.equal(changed, own)
    assert torch.equal((offsets_after != offsets).reshape(-1, 4).all(-1), own)
    second = multibox_prior(torch.empty(1, 1, 4, 4), SIZES[1], RATIOS[1])
    assert torch.equal(anchors[0, first : first + 64], second[0])


def test_scales_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="sizes for 5 scales and ratios for 4"):
        tiny_ssd(ratios=RATIOS[:4])
    with pytest.raises(ValueError, match="sizes for 1 scales and ratios for 1"):
        tiny_ssd(sizes=SIZES[:1], ratios=RATIOS[:1])


def test_no_class_is_refused() -> None:
    with pytest.raises(ValueError, match="0 classes beside background: give 1 or more"):
        tiny_ssd(0)


def test_another_number_of_scales() -> None:
    net = tiny_ssd(sizes=SIZES[:3], ratios=((1.0,), (1.0, 2.0), (1.0, 2.0, 3.0)))
    anchors, scores, _ = net(torch.rand(1, 3, 32, 32))
    assert anchors.shape[1] == scores.shape[1] == 2 * 16 + 3 * 4 + 4


def test_anchors_are_no_parameters_and_take_an_open_height() -> None:
    report = zoo.formula("tiny_ssd", "1,3,H,256")
    assert [note.code for note in report.notes if note.code == "fitted-dim"] == []
    assert "H^2" not in report.totals["macs"]


# learning


def pasted(number: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Photos with a tile on them that shows a digit: images and labels (number, 1, 5)."""
    photos = [torch.tensor(p).permute(2, 0, 1) / 255 for p in load_sample_images().images]
    digits = torch.tensor(load_digits().images, dtype=torch.float32) / 16

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    images, labels = [], []
    for _ in range(number):
        photo = photos[draw(0, 2)]
        y, x = (draw(0, length - 2 * SIDE) for length in photo.shape[1:])
        image = photo[:, y : y + 2 * SIDE : 2, x : x + 2 * SIDE : 2].clone()
        side = draw(14, 40)
        top, left = draw(0, SIDE - side), draw(0, SIDE - side)
        digit = digits[draw(0, len(digits))][None, None]
        tile = 1 - interpolate(digit, (side, side), mode="bilinear")[0]
        image[:, top : top + side, left : left + side] = tile
        images.append(image)
        labels.append([0.0, left, top, left + side, top + side])
    return torch.stack(images), torch.tensor(labels)[:, None] / SIDE


def best_fixed_box(labels: Tensor) -> float:
    """Mean overlap of the best box in the middle, which needs no image."""
    sides = torch.arange(0.05, 1.01, 0.05)
    middle = torch.tensor([0.5, 0.5]).expand(len(sides), 2)
    fixed = centers_to_corners(torch.cat((middle, sides[:, None].expand(-1, 2)), dim=1))
    return box_iou(fixed, labels[:, 0, 1:]).mean(dim=1).max().item()


def found(net: nn.Module, images: Tensor) -> Tensor:
    """The most certain box of each image, (B, 1, 4)."""
    net.eval()
    with torch.no_grad():
        anchors, scores, offsets = net(images)
    probs = scores.softmax(-1).transpose(1, 2)
    return multibox_detection(probs, offsets, anchors)[:, :1, 2:]


def test_it_finds_digits_on_photos() -> None:
    generator = torch.Generator().manual_seed(0)
    images, labels = pasted(400, generator)
    others, there = pasted(48, generator)
    torch.manual_seed(0)
    net = TinySSD(1, base=(8, 16, 32), width=32)
    net(images[:2])

    def loss() -> Tensor:
        chosen = torch.randint(len(images), (16,), generator=generator)
        anchors, scores, offsets = net(images[chosen])
        return plain_loss(scores, offsets, multibox_target(anchors, labels[chosen])).mean()

    losses = fit(net, loss, steps=52, rate=5e-3)
    assert sum(losses[-8:]) < 0.3 * sum(losses[:8])
    overlap = box_iou(found(net, others), there[..., 1:]).mean().item()
    assert overlap > best_fixed_box(there) + 0.15


@pytest.mark.parametrize("losses", [plain_loss, hard_loss])
def test_gradients_reach_every_parameter(
    losses: Callable[[Tensor, Tensor, Targets], Tensor],
) -> None:
    images, labels = pasted(4, torch.Generator().manual_seed(0))
    net = TinySSD(1, base=(8, 8, 8), width=8)
    anchors, scores, offsets = net(images)
    targets = multibox_target(anchors, labels, iou_threshold=0.2)
    losses(scores, offsets, targets).mean().backward()
    still = [name for name, p in net.named_parameters() if p.grad is None]
    assert still == []
