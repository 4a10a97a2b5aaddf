"""Which parameters there are, what they are for, and that every grouping adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import torchvision
from hypothesis import given
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from tests.fingerprint import fingerprint
from tests.strategies import WIDTH, models
from zoo.analysis.held import held
from zoo.analysis.params import GROUPINGS, ROLES, params
from zoo.analysis.tracer.run import run

if TYPE_CHECKING:
    from zoo.analysis.records import Report

SUMS = (
    "tensors",
    "parameters",
    "parameter_bytes",
    "trainable_parameters",
    "frozen_parameters",
    "tied_parameters",
    "unused_parameters",
)


def by_name(report: Report) -> dict[str, Any]:
    return {row["name"]: row for row in report.rows}


@pytest.mark.parametrize("by", ["module", "role", "dtype"])
@given(model=models)
def test_rows_add_up(by: str, model: nn.Module) -> None:
    report = params(run(model, [(2, WIDTH)]), by=by)
    for figure in SUMS:
        rows = report.rows[:1] if by == "module" else report.rows
        assert sum(row[figure] for row in rows) == report.totals[figure]


@given(model=models)
def test_parameters_add_up(model: nn.Module) -> None:
    report = params(run(model, [(2, WIDTH)]))
    totals, rows = report.totals, report.rows
    assert [row["name"] for row in rows] == [name for name, _ in model.named_parameters()]
    assert sum(row["parameters"] for row in rows) == totals["parameters"]
    assert sum(row["parameter_bytes"] for row in rows) == totals["parameter_bytes"]
    trained = sum(row["parameters"] for row in rows if row["trainable"])
    assert trained == totals["trainable_parameters"]
    assert totals["frozen_parameters"] == totals["parameters"] - trained
    assert sum(row["parameters"] for row in rows if row["unused"]) == totals["unused_parameters"]
    assert sum(row["parameters"] for row in rows if row["tied"]) == totals["tied_parameters"]


@given(model=models)
def test_modules_have_their_own_and_those_inside(model: nn.Module) -> None:
    for row in params(run(model, [(2, WIDTH)]), by="module").rows:
        inside = model.get_submodule(row["path"])
        held_here = {id(p): p.numel() for p in inside.parameters()}
        assert row["parameters"] <= sum(held_here.values())
        assert row["depth"] == len([part for part in row["path"].split(".") if part])
        assert row["parameters"] > 0 or row["path"] == ""


@given(model=models)
def test_without_a_run_only_what_is_unused_is_missing(model: nn.Module) -> None:
    before = fingerprint(model)
    ran, looked = (params(t).totals for t in (run(model, [(2, WIDTH)]), held(model)))
    assert fingerprint(model) == before
    assert looked == {**ran, "unused_parameters": None}
    assert all(row["unused"] is None for row in params(held(model)).rows)


def test_the_parameter_access_of_the_notes() -> None:
    """A linear layer of 8, a ReLU and one of 1 on inputs of width 4; both layers are lazy."""
    net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))
    rows = zoo.params(net, (2, 4)).rows
    assert [(row["name"], row["shape"]) for row in rows] == [
        ("0.weight", [8, 4]),
        ("0.bias", [8]),
        ("2.weight", [1, 8]),
        ("2.bias", [1]),
    ]
    real = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    found = by_name(zoo.params(real, (2, 4), values=True))
    for name, parameter in real.named_parameters():
        assert found[name]["mean"] == pytest.approx(parameter.mean().item(), rel=1e-5)
        assert found[name]["norm"] == pytest.approx(parameter.norm().item(), rel=1e-5)


def test_tied_layers_of_the_notes_are_one_parameter() -> None:
    shared = nn.Linear(8, 8)
    net = nn.Sequential(
        nn.Linear(4, 8), nn.ReLU(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(8, 1)
    )
    report = zoo.params(net, (2, 4))
    found = by_name(report)
    assert found["2.weight"]["tied"] == ["4.weight"]
    assert found["2.weight"]["marks"] == ["tied"]
    assert "4.weight" not in found
    assert report.totals["tied_parameters"] == 72
    assert report.totals["parameters"] == sum(p.numel() for p in net.parameters())
    modules = {row["path"]: row["parameters"] for row in zoo.params(net, (2, 4), by="module").rows}
    assert modules == {"": 121, "0": 40, "2": 72, "6": 9}


class Net(nn.Module):
    """Every role once or more; a frozen norm, a layer that nothing reads, a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(10, 8)
        self.pos_embedding = nn.Parameter(torch.zeros(1, 5, 8))
        self.class_token = nn.Parameter(torch.zeros(1, 1, 8))
        self.norm = nn.LayerNorm(8).requires_grad_(requires_grad=False)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.scale = nn.Parameter(torch.ones(8, 1, 1))
        self.dead = nn.Linear(8, 8)
        self.register_buffer("mask", torch.zeros(7))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.pos_embedding + self.class_token
        x = self.norm(x)
        x, _ = self.attention(x, x, x)
        return x * self.scale.flatten()


def test_roles() -> None:
    roles = {name: row["role"] for name, row in by_name(params(held(Net()))).items()}
    assert roles == {
        "tokens.weight": "embedding",
        "pos_embedding": "embedding",
        "class_token": "other",
        "norm.weight": "norm",
        "norm.bias": "norm",
        "attention.in_proj_weight": "weight",
        "attention.in_proj_bias": "bias",
        "attention.out_proj.weight": "weight",
        "attention.out_proj.bias": "bias",
        "scale": "other",
        "dead.weight": "weight",
        "dead.bias": "bias",
    }


@pytest.mark.parametrize(
    ("module", "roles"),
    [
        (nn.BatchNorm2d(4), ["norm", "norm"]),
        (nn.LSTM(4, 4), ["weight", "weight", "bias", "bias"]),
        (nn.Bilinear(2, 3, 4), ["weight", "bias"]),
        (nn.PReLU(3), ["weight"]),
        (nn.EmbeddingBag(4, 3), ["embedding"]),
        (nn.MultiheadAttention(4, 2, add_bias_kv=True), ["weight", "bias", "bias", "bias"]),
        (torchvision.ops.misc.Conv2dNormActivation(3, 4), ["weight", "norm", "norm"]),
        (nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), ["bias", "weight", "weight"]),
        (nn.utils.parametrizations.spectral_norm(nn.LayerNorm((4, 3))), ["norm", "norm"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_roles_of_torchs_modules(module: nn.Module, roles: list[str]) -> None:
    found = [row["role"] for row in params(held(module)).rows]
    assert found[: len(roles)] == roles
    assert set(found) <= set(ROLES)


def test_roles_of_a_vision_transformer_have_no_rest_but_the_class_token() -> None:
    report = zoo.params("torchvision/vit_b_16")
    rest = [row["name"] for row in report.rows if row["role"] == "other"]
    assert rest == ["class_token"]
    embeddings = [row["name"] for row in report.rows if row["role"] == "embedding"]
    assert embeddings == ["encoder.pos_embedding"]


def test_frozen_unused_and_buffers() -> None:
    report = zoo.params(Net(), "2,5:int64")
    found = by_name(report)
    assert found["norm.weight"]["marks"] == ["frozen"]
    assert found["dead.weight"]["marks"] == ["unused"]
    assert report.totals["frozen_parameters"] == 16
    assert report.totals["unused_parameters"] == 72
    assert report.totals["buffers"] == 7
    marks = {row["path"]: row["marks"] for row in zoo.params(Net(), "2,5:int64", by="module").rows}
    assert marks == {
        "": ["partly frozen"],
        "tokens": [],
        "norm": ["frozen"],
        "attention": [],
        "attention.out_proj": [],
        "dead": ["unused"],
    }


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "swin_t", "mobilenet_v3_small"])
def test_parameters_are_torchvisions(name: str) -> None:
    model = torchvision.models.get_model(name)
    report = zoo.params(f"torchvision/{name}")
    rows = {row["name"]: (tuple(row["shape"]), row["parameters"]) for row in report.rows}
    assert rows == {n: (tuple(p.shape), p.numel()) for n, p in model.named_parameters()}
    assert report.totals["buffers"] == sum(b.numel() for b in model.buffers())


def test_dtypes() -> None:
    net = nn.Sequential(nn.Linear(2, 3).half(), nn.Linear(2, 3))
    rows = zoo.params(net, by="dtype").rows
    assert {row["dtype"]: row["parameter_bytes"] for row in rows} == {"float16": 18, "float32": 36}
    (cast,) = zoo.params(net, by="dtype", dtype="bfloat16").rows
    assert (cast["dtype"], cast["parameter_bytes"]) == ("bfloat16", 36)


def test_a_model_without_a_known_input_is_not_run() -> None:
    class Never(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(2, 3)

        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError

    report = zoo.params(Never())
    assert report.totals["parameters"] == 9
    assert report.totals["unused_parameters"] is None
    assert [note.code for note in report.notes] == ["not-run"]
    with pytest.raises(TypeError, match="colour"):
        zoo.params(Never(), colour=1)


def test_a_run_that_breaks_still_lists_all_and_knows_less() -> None:
    net = nn.Sequential(nn.Linear(8, 4), nn.Linear(5, 2))
    report = zoo.params(net, (3, 8))
    assert report.failure is not None
    assert report.totals["parameters"] == 48
    assert report.totals["unused_parameters"] is None


def test_lazy_parameters_without_a_run_are_said() -> None:
    net = nn.Sequential(nn.LazyLinear(8), nn.Linear(8, 2))
    report = zoo.params(net)
    assert [row["name"] for row in report.rows] == ["1.weight", "1.bias"]
    assert {note.code for note in report.notes} == {"lazy-parameter", "not-run"}
    assert zoo.params(net, (1, 4)).totals["parameters"] == 40 + 18


def test_lazy_modules_go_by_the_class_that_they_become() -> None:
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d())
    rows = zoo.params(net, (1, 3, 8, 8), by="module").rows
    assert [row["type"] for row in rows] == ["Sequential", "Conv2d", "BatchNorm2d"]


@pytest.mark.parametrize("by", GROUPINGS)
def test_a_model_without_parameters(by: str) -> None:
    report = zoo.params(nn.ReLU(), (2, 3), by=by)
    assert report.totals["parameters"] == report.totals["tensors"] == 0
    assert len(report.rows) == (by == "module")
    assert "parameters" in str(report)


def test_a_parameter_that_is_read_without_its_module_is_used() -> None:
    class Borrows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lent = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.lent.weight)

    found = by_name(zoo.params(Borrows(), (1, 8)))
    assert (found["lent.weight"]["unused"], found["lent.bias"]["unused"]) == (False, True)


def test_words_that_are_not_known() -> None:
    with pytest.raises(zoo.ZooError, match=r"by 'rolle': no such grouping. Did you mean role\?"):
        zoo.params("lenet", by="rolle")
