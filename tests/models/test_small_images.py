"""ResNets, pre-activation ResNets and DenseNets for small images: sizes, and what shortcuts do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import zoo
from tests.models.learning import one_thread
from zoo.models.densenet_cifar import densenet_cifar
from zoo.models.preresnet import PreBasic, PreBottleneck, preresnet
from zoo.models.resnet_cifar import BasicBlock, ZeroPad, resnet_cifar
from zoo.plugins.book.deeper import CARDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT = {"project": True}
BOTTLENECK = {"bottleneck": True}
BC = {"bottleneck": True, "compression": 0.5}
# Published numbers of parameters: 3 channels, 10 classes, exact to the unit.
EXACT: list[tuple[str, Mapping[str, Any], int]] = [
    ("resnet20_cifar", PROJECT, 272474),
    ("resnet56_cifar", PROJECT, 855770),
    ("resnet110_cifar", PROJECT, 1730714),
    ("resnet56_cifar", {"residual": False}, 853018),
    ("preresnet20", {}, 272282),
    ("preresnet56", {}, 855578),
    ("preresnet110", {}, 1730522),
    ("preresnet164", {}, 1703258),
    ("preresnet164", {"depth": 272}, 2816090),
    ("densenet_bc_cifar", {}, 769162),
    ("densenet_bc_cifar", {"depth": 40}, 176122),
]
# The same in millions, as the papers' tables print them.
ROUNDED: list[tuple[str, Mapping[str, Any], str]] = [
    ("resnet20_cifar", {}, "0.27"),
    ("resnet32_cifar", {}, "0.46"),
    ("resnet44_cifar", {}, "0.66"),
    ("resnet56_cifar", {}, "0.85"),
    ("resnet110_cifar", {}, "1.7"),
    ("densenet_cifar", {}, "1.0"),
    ("densenet_cifar", {"depth": 100}, "7.0"),
    ("densenet_cifar", {"depth": 100, "growth_rate": 24}, "27.2"),
    ("densenet_bc_cifar", {"depth": 40, "growth_rate": 36}, "1.5"),
    ("densenet_bc_cifar", {"depth": 40, "growth_rate": 48}, "2.7"),
    ("densenet_bc_cifar", {"depth": 40, "growth_rate": 60}, "4.3"),
]


def parameters(name: str, arguments: Mapping[str, Any]) -> int:
    entry = {card.name: card for card in CARDS}[name]
    build = {
        "resnet_cifar": resnet_cifar,
        "preresnet": preresnet,
        "densenet_cifar": densenet_cifar,
    }[entry.factory.partition(":")[2]]
    with torch.device("meta"):
        model = build(**{**entry.arguments, **arguments}).eval()
        assert model(torch.empty(2, 3, 32, 32)).shape == (2, 10)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("name", "arguments", "published"), EXACT)
def test_published_parameters(name: str, arguments: Mapping[str, Any], published: int) -> None:
    assert parameters(name, arguments) == published


@pytest.mark.parametrize(("name", "arguments", "printed"), ROUNDED)
def test_parameters_of_the_papers_tables(
    name: str, arguments: Mapping[str, Any], printed: str
) -> None:
    digits = len(printed.partition(".")[2])
    assert f"{parameters(name, arguments) / 1e6:.{digits}f}" == printed


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("resnet20_cifar", (16, 32, 64)),
        ("preresnet20", (16, 32, 64)),
        ("preresnet164", (64, 128, 256)),
    ],
)
def test_shapes_of_the_stages(name: str, stages: tuple[int, ...]) -> None:
    shapes = {row["path"]: row["output_shape"] for row in zoo.summary(f"book/{name}").rows}
    found = [tuple(shapes[path]) for path in ("b2", "b3", "b4")]
    assert found == [(1, wide, side, side) for wide, side in zip(stages, (32, 16, 8), strict=True)]


def test_another_size_of_image_and_one_channel() -> None:
    for model in (resnet_cifar(7), preresnet(7), densenet_cifar(7, depth=10)):
        assert model.eval()(torch.rand(2, 1, 20, 28)).shape == (2, 7)


@pytest.mark.parametrize(
    ("build", "arguments", "line"),
    [
        (resnet_cifar, {"depth": 21}, r"depth is 6n \+ 2, as 20, 32 or 110; got 21"),
        (resnet_cifar, {"depth": 2}, r"depth is 6n \+ 2"),
        (preresnet, {"depth": 165}, r"depth is 6n \+ 2, .* bottleneck=False; got 165"),
        (preresnet, {"depth": 21, **BOTTLENECK}, r"depth is 9n \+ 2, .* got 21"),
        (densenet_cifar, {"depth": 41}, r"depth is 3n \+ 4, .* got 41"),
        (densenet_cifar, {"depth": 43, **BC}, r"depth is 6n \+ 4, .* got 43"),
        (densenet_cifar, {"compression": 0.0}, "compression is above 0 and at most 1; got 0.0"),
    ],
)
def test_depths_that_no_blocks_give(build: Any, arguments: Mapping[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        build(**arguments)


def test_a_shortcut_without_parameters_keeps_every_second_pixel() -> None:
    x = torch.rand(2, 3, 4, 6)
    y = ZeroPad(7, 2)(x)
    assert torch.equal(y[:, 2:5], x[:, :, ::2, ::2])
    assert not y[:, :2].any()
    assert not y[:, 5:].any()


def test_blocks_whose_last_layer_is_zero_pass_their_input_on() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 8, 5, 5)
    after = BasicBlock(8, 1, nn.Identity())
    after(x)
    nn.init.zeros_(after.bn2.weight)
    assert torch.equal(after(x), x)
    for before in (PreBasic(8), PreBottleneck(2)):
        before(x - 0.5)
        last = before.conv3 if isinstance(before, PreBottleneck) else before.conv2
        nn.init.zeros_(last.weight)
        assert torch.equal(before(x - 0.5), x - 0.5)  # nothing is cut off: no ReLU on the way


def test_the_first_shortcut_begins_behind_norm_and_relu() -> None:
    """Section 4 of the paper: the first activation stands before the two paths part."""
    torch.manual_seed(0)
    model = preresnet(depth=8)
    model(torch.rand(2, 1, 8, 8))
    firsts = [model.get_submodule(f"b{number}.0") for number in (2, 3, 4)]
    x = torch.randn(2, 16, 8, 8)
    for block in firsts:
        nn.init.zeros_(block.get_submodule("conv2").weight)
    ready = firsts[0].get_submodule("bn1")(x).relu()
    assert torch.equal(firsts[0](x), ready)
    assert firsts[1](x).min() < 0


@pytest.fixture
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    return torch.tensor(data.images, dtype=torch.float32)[:, None] / 16, torch.tensor(data.target)


def gradient_ratio(*, depth: int, residual: bool) -> float:
    """Size of the gradient at the first block, by that at the last."""
    torch.manual_seed(0)
    model = preresnet(depth=depth, width=2, residual=residual, bottleneck=True)
    images, labels = digits()
    cross_entropy(model(images[:16]), labels[:16]).backward()
    weights = [layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    sizes = [weight.grad.norm().item() for weight in weights if weight.grad is not None]
    return sizes[2] / sizes[-1]


@pytest.mark.usefixtures("_one_thread")
def test_shortcuts_carry_gradients_through_a_thousand_layers() -> None:
    assert 1e-3 < gradient_ratio(depth=1001, residual=True) < 1e6
    assert not gradient_ratio(depth=1001, residual=False) < 1e20  # it grows beyond float32


def accuracy(*, residual: bool) -> float:
    """Of 110 narrow layers after fifty steps, on images that they did not see."""
    torch.manual_seed(0)
    images, labels = digits()
    model = preresnet(depth=110, width=4, residual=residual)
    model(images[:2])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(50):
        batch = torch.randint(0, 1400, (32,))
        optimizer.zero_grad()
        cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    with torch.no_grad():  # with the batch's statistics: averages need more steps than these
        return (model(images[1400:]).argmax(1) == labels[1400:]).float().mean().item()


@pytest.mark.usefixtures("_one_thread")
def test_deep_networks_learn_with_shortcuts_and_not_without() -> None:
    _, labels = digits()
    majority = labels[1400:].bincount().max().item() / len(labels[1400:])
    assert accuracy(residual=True) > 4 * majority
    assert accuracy(residual=False) < 1.5 * majority


def test_a_thousand_layers_are_summarised_in_seconds() -> None:
    report = zoo.summary("book/preresnet1001")
    assert report.totals["coverage"] == 1.0
    assert report.totals["parameters"] == 10327706  # published
    assert math.isclose(report.totals["macs"], 1536.18e6, rel_tol=0.05)
