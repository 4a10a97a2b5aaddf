"""The book's and torchvision's cards against what they describe."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision
from torch.utils._pytree import tree_leaves
from torchvision.models import get_model_builder, get_model_weights, list_models

import zoo
from zoo.analysis.inputs import parse_all
from zoo.analysis.skeleton import skeleton
from zoo.catalog import Catalog, Entry, resolve
from zoo.plugins import book
from zoo.plugins import torchvision as plugin
from zoo.plugins.checks import fault
from zoo.plugins.manager import manager

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]
PUBLISHED = plugin.published()
CARDS = {card.name: card for card in plugin.zoo_models()}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return manager(project=None).catalog()


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "torchvision_cards", ROOT / "tools" / "torchvision_cards.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows() -> list[dict[str, str]]:
    lines = (ROOT / "tests" / "oracles" / "torchvision_weights.csv").read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def test_there_is_a_card_for_each_builder() -> None:
    assert list(CARDS) == list_models()
    assert len(CARDS) == 121
    assert all(fault(card) is None for card in CARDS.values())


def test_the_file_is_what_the_tool_writes(tool: ModuleType) -> None:
    written = json.loads(tool.TARGET.read_text())
    assert written["source"] == f"torchvision {torchvision.__version__.partition('+')[0]}"
    assert written["models"] == [tool.model_of(name) for name in list_models()]


def test_every_set_of_weights_is_there_with_torchvision_s_figures() -> None:
    found = {
        (one.model, one.weights): (one.num_params, one.gmacs, one.is_default) for one in PUBLISHED
    }
    assert found == {
        (name, one.name): (one.meta["num_params"], one.meta["_ops"], one is weights.DEFAULT)
        for name in list_models()
        for weights in [get_model_weights(get_model_builder(name))]
        for one in weights
    }


@pytest.mark.parametrize(
    "row", rows(), ids=lambda row: f"{row['builder']}-{row['weights'].partition('.')[2]}"
)
def test_figures_that_were_gathered_elsewhere(row: dict[str, str]) -> None:
    weights = row["weights"].partition(".")[2]
    (one,) = [one for one in PUBLISHED if (one.model, one.weights) == (row["builder"], weights)]
    words = one.input if isinstance(one.input, str) else one.input[0]
    pair = row["ops_input"].startswith("2x(")
    dims = row["ops_input"].removeprefix("2x(").rstrip(")").replace("x", ",")
    assert (one.num_params, one.gmacs, one.family) == (
        int(row["num_params"]), float(row["gmacs"]), row["family"],
    )  # fmt: skip
    assert one.is_default == (row["is_default"] == "1")
    assert (words, isinstance(one.input, tuple)) == (dims, pair)
    assert one.acc1 == (float(row["acc1"]) if row["acc1"] not in ("", "nan") else None)


@pytest.mark.parametrize("one", PUBLISHED, ids=lambda one: f"{one.model}-{one.weights}")
def test_parameters_are_the_published_ones(one: plugin.Published, catalog: Catalog) -> None:
    resolved = resolve(f"torchvision/{one.model}", catalog, one.arguments)
    model = skeleton(resolved.build)
    assert sum(parameter.numel() for parameter in model.parameters()) == one.num_params


def test_a_card_is_of_the_default_weights() -> None:
    for one in PUBLISHED:
        if one.is_default:
            assert (CARDS[one.model].default_input, dict(CARDS[one.model].arguments)) == (
                one.input, one.arguments,
            )  # fmt: skip
            assert f"{one.num_params:,} parameters" in CARDS[one.model].summary
        assert one.weights in CARDS[one.model].summary


def test_nothing_is_downloaded(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    for name in CARDS:
        skeleton(resolve(f"torchvision/{name}", catalog).build)


def test_a_detector_takes_a_batch_as_a_list_of_images(catalog: Catalog) -> None:
    model = resolve("torchvision/ssdlite320_mobilenet_v3_large", catalog).build().eval()
    with torch.no_grad():
        (found,) = model(torch.rand(1, 3, 320, 320))
    assert set(found) == {"boxes", "scores", "labels"}


def test_frozen_norms_have_the_published_state() -> None:
    from torchvision.ops import FrozenBatchNorm2d

    from zoo.models.torchvision_detectors import freeze_norms

    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 1), torch.nn.Sequential(torch.nn.BatchNorm2d(2, eps=0.1))
    )
    with torch.no_grad():
        for tensor in (*net[1].parameters(), net[1][0].running_mean, net[1][0].running_var):
            tensor.uniform_(0.5, 2)
    x = torch.rand(2, 1, 3, 3)
    before = net.eval()(x)
    freeze_norms(net)
    assert isinstance(net[1][0], FrozenBatchNorm2d)
    assert len(list(net[1].parameters())) == 0
    torch.testing.assert_close(net(x), before)


def drawn(word: str) -> tuple[str | None, torch.Tensor]:
    """Name and values of an input, as a user would feed it."""
    (one,) = parse_all([word])
    if one.spec.dtype.startswith("int"):
        below = int(word.partition("@ints:")[2] or 2)
        return one.name, torch.randint(below, one.spec.shape)
    return one.name, torch.rand(one.spec.shape)


LARGE = ("vit_large_16", "vit_large_32", "vit_huge_14", "transformer_big")
LARGE += ("preresnet110", "preresnet1001", "resnet110_cifar", "resnet1202_cifar")
"""Of the same blocks as smaller ones, which run faster."""


@pytest.mark.parametrize(
    "entry",
    [Entry("book", card) for card in book.CARDS if card.name not in LARGE],
    ids=lambda entry: entry.name,
)
def test_the_book_s_models_run_on_real_values_of_their_default_input(
    entry: Entry, catalog: Catalog
) -> None:
    assert catalog.find(entry.name).card == entry.card  # bare names are the book's
    assert "book" in entry.card.tags
    torch.manual_seed(0)
    words = entry.card.default_input
    given = [drawn(word) for word in ((words,) if isinstance(words, str) else words or ())]
    model = resolve(entry.qualified, catalog).build()
    with torch.no_grad():
        out = model(
            *(value for name, value in given if name is None),
            **{name: value for name, value in given if name is not None},
        )
    found = [list(leaf.shape) for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
    assert found == [list(spec.shape) for spec in zoo.trace(entry.qualified).outputs]


def test_devices_come_by_the_hook_as_a_stranger_s_do() -> None:
    from zoo.analysis.devices import table
    from zoo.plugins import devices

    found = manager(entry_points=False, project=None, extra=[devices])
    assert tuple(found.devices()) == table() == devices.zoo_devices()
    (one,) = found.plugins()
    assert (one.name, one.devices, one.hooks, one.errors) == (
        "devices", len(table()), ("zoo_devices",), (),
    )  # fmt: skip
