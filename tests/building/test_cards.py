"""Are the networks of the builder's guide what the book says, and do they learn?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, relu

import zoo
from tests.models.learning import fit
from zoo import init
from zoo.models.centered import Centered
from zoo.models.mlp_custom import MyLinear, mlp_custom
from zoo.models.mlp_lazy import mlp_lazy
from zoo.models.mlp_sequential import MySequential, mlp_sequential
from zoo.models.mlp_tied import mlp_tied

ORACLE = Path(__file__).parents[1] / "oracles" / "d2l.json"
ITEMS: dict[str, dict[str, Any]] = {
    item["id"]: item for item in json.loads(ORACLE.read_text())["items"]
}
D2L_ITEMS = ("builders-mlp-256", "builders-mlp-8", "builders-tied", "builders-lazy")
BUILT = {
    "builders-mlp-256": mlp_sequential,
    "builders-mlp-8": lambda: mlp_sequential(1, hidden=8),
    "builders-tied": mlp_tied,
    "builders-lazy": mlp_lazy,
}
NAMES = ("mlp_sequential", "mlp_tied", "mlp_lazy", "centered", "mlp_custom")
PARAMETERS = {
    "mlp_sequential": 20 * 256 + 256 + 256 * 10 + 10,
    "mlp_tied": (4 * 8 + 8) + (8 * 8 + 8) + (8 + 1),
    "mlp_lazy": 20 * 256 + 256 + 256 * 10 + 10,
    "centered": 8 * 128 + 128,
    "mlp_custom": 64 * 8 + 8 + 8 * 1 + 1,
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("item", D2L_ITEMS)
def test_the_book_s_networks(item: str) -> None:
    model, said = BUILT[item](), ITEMS[item]
    outputs = dict(said["outputs"])
    y = model(torch.rand(said["inputs"]["X"]))
    assert list(y.shape) == outputs.pop("Y", [2, 10])
    assert {name: list(model.get_parameter(name).shape) for name in outputs} == outputs
    if "derived_params" in said:
        assert sum(p.numel() for p in model.parameters()) == said["derived_params"]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_shapes(name: str) -> None:
    trace = zoo.trace(name)
    report = zoo.summary(trace)
    assert report.totals["parameters"] == PARAMETERS[name]
    assert report.totals["uncounted"] == []
    assert [note.code for note in report.notes] == []
    (given,) = trace.inputs
    (batch, width), (_, outputs) = given.spec.shape, trace.outputs[0].shape
    assert trace.outputs == (zoo.TensorSpec((batch, outputs)),)
    assert zoo.trace(name, (5, width)).outputs == (zoo.TensorSpec((5, outputs)),)
    model = zoo.create(name)
    assert model(torch.randn(5, width)).shape == (5, outputs)


@pytest.mark.parametrize("name", ["mlp_sequential", "mlp_tied", "mlp_lazy", "centered"])
def test_any_width_of_the_input(name: str) -> None:
    assert zoo.trace(name, (2, 33)).failure is None


# a container of one's own


def test_it_does_what_torch_s_sequential_does() -> None:
    layers = [nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10)]
    own, theirs = MySequential(*layers), nn.Sequential(*layers)
    x = torch.rand(2, 20)
    assert torch.equal(own(x), theirs(x))
    assert list(own.state_dict()) == list(theirs.state_dict())
    assert MySequential(own, MySequential())(x).shape == (2, 10)


def test_a_layer_that_would_run_once_is_refused() -> None:
    shared = nn.Linear(8, 8)
    with pytest.raises(ValueError, match="layers 0 and 2 are one module, which would run once"):
        MySequential(shared, nn.ReLU(), shared)


# tied parameters


def test_a_tied_layer_counts_once_and_both_names_are_shown() -> None:
    rows = {row["name"]: row for row in zoo.params("mlp_tied").rows}
    assert list(rows) == [f"{layer}.{kind}" for layer in (0, 2, 6) for kind in ("weight", "bias")]
    assert rows["2.weight"]["tied"] == ["4.weight"]
    assert rows["2.bias"]["tied"] == ["4.bias"]
    assert zoo.params("mlp_tied").totals["tied_parameters"] == 72


def test_changing_one_changes_the_other() -> None:
    model = zoo.create("mlp_tied")
    with torch.no_grad():
        model.get_parameter("2.weight")[0, 0] = 100
    assert model.get_parameter("4.weight")[0, 0] == 100


def test_its_gradient_is_the_sum_over_both_calls() -> None:
    model = zoo.create("mlp_tied")
    x = torch.rand(16, 4)
    with torch.no_grad():  # so that no ReLU is shut
        for parameter in model.parameters():
            parameter.abs_()
    first, shared, again, last = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 1)
    untied = nn.Sequential(first, nn.ReLU(), shared, nn.ReLU(), again, nn.ReLU(), last)
    untied.load_state_dict(model.state_dict())
    model(x).sum().backward()
    untied(x).sum().backward()
    for kind in ("weight", "bias"):
        both = sum(_gradient(untied, f"{number}.{kind}") for number in (2, 4))
        torch.testing.assert_close(_gradient(model, f"2.{kind}"), both)


def _gradient(model: nn.Module, name: str) -> Tensor:
    gradient = model.get_parameter(name).grad
    assert gradient is not None
    return gradient


# lazy layers


def test_a_lazy_network_knows_its_width_after_its_first_input() -> None:
    model = mlp_lazy()
    assert "uninitialized" in repr(model.get_parameter("0.weight")).lower()
    zoo.apply_init(model, (2, 20), init.normal(0.02))
    assert model.get_parameter("0.weight").shape == (256, 20)
    assert model.get_parameter("0.weight").std().item() == pytest.approx(0.02, rel=0.05)


# layers of one's own


def test_the_mean_is_gone() -> None:
    assert Centered()(torch.tensor([1.0, 2, 3, 4, 5])).tolist() == [-2, -1, 0, 1, 2]
    assert list(Centered().parameters()) == []
    y = zoo.create("centered")(torch.rand(4, 8))
    assert y.shape == (4, 128)
    assert y.mean().abs() < 1e-7 < y.abs().max()


def test_a_linear_layer_of_ones_own_is_torch_s_with_a_relu() -> None:
    layer = MyLinear(5, 3)
    nn.init.normal_(layer.bias)
    x = torch.randn(4, 2, 5)
    torch.testing.assert_close(layer(x), relu(linear(x, layer.weight, layer.bias)))
    assert [tuple(p.shape) for p in layer.parameters()] == [(3, 5), (3,)]


def test_it_learns_digits() -> None:
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16
    y = torch.tensor(digits.target)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    train, held_out = order[:1400], order[1400:]
    model = mlp_custom(64, 10, hidden=64)
    init.apply(model, init.kaiming(generator=torch.Generator().manual_seed(0)))
    nn.init.constant_(model.get_parameter("1.bias"), 3)  # an output that is always 0 learns nothing

    def accuracy() -> float:
        with torch.no_grad():
            return (model(x[held_out]).argmax(1) == y[held_out]).float().mean().item()

    majority = y[held_out].bincount().max().item() / len(held_out)
    assert accuracy() < majority + 0.15
    fit(model, lambda: cross_entropy(model(x[train]), y[train]), steps=80, rate=0.01)
    assert accuracy() > max(0.92, majority)
