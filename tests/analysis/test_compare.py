"""Side by side: how trees are aligned, what differs, and laws that hold for any two models."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from torch import nn

import zoo
from tests.strategies import WIDTH, models
from zoo.analysis.compare import columns
from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.analysis.records import Trace

FIGURES = ("parameters", "macs", "pointwise_flops", "activation_bytes")


@lru_cache
def trace(name: str) -> Trace:
    return zoo.trace(name)


def block(width: int = 8) -> nn.Module:
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 8))


def compare(a: nn.Module, b: nn.Module, *shape: int, **options: Any) -> zoo.Report:
    return zoo.compare(a, b, inputs=[shape or (2, 8)], **options)


def changes(report: zoo.Report) -> dict[str, str]:
    """Names in both models, and whether they differ."""
    return {row["name"]: row["change"] for row in report.rows if row["depth"]}


# how trees are aligned


def test_an_inserted_layer_stands_alone() -> None:
    """In a Sequential all names after it shift, and nothing else."""
    a = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU())
    b = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU()
    )
    found = changes(compare(a, b, 1, 3, 8, 8))
    assert found == {
        "0": "same",
        "1": "only in b",
        "1 / 2": "same",
        "2 / 3": "same",
        "3 / 4": "same",
    }
    back = changes(compare(b, a, 1, 3, 8, 8))
    assert [change for change in back.values() if change != "same"] == ["only in a"]


def test_a_layer_of_another_type_in_the_same_place_is_changed() -> None:
    a = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    b = nn.Sequential(nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 8))
    (row,) = [row for row in compare(a, b).rows if row["depth"] and row["change"] != "same"]
    assert (row["path"], row["type"], row["change"]) == ("1", "ReLU / SiLU", "changed")
    assert "type" in row["differs"]


def test_names_win_over_places() -> None:
    class Net(nn.Module):
        def __init__(self, *order: str) -> None:
            super().__init__()
            self.order = order
            self.left, self.right = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for name in self.order:
                x = getattr(self, name)(x)
            return x

    report = compare(Net("left", "right"), Net("right", "left"))
    assert {row["path"]: (row["a_path"], row["b_path"]) for row in report.rows[1:]} == {
        "left": ("left", "left"),
        "right": ("right", "right"),
    }


def test_a_wrapped_layer_keeps_its_name() -> None:
    a = nn.ModuleDict({"conv": nn.Linear(8, 8)})
    b = nn.ModuleDict({"conv": nn.Sequential(nn.Linear(8, 8), nn.Dropout())})

    class Net(nn.Module):
        def __init__(self, parts: nn.ModuleDict) -> None:
            super().__init__()
            self.conv = parts["conv"]

        def forward(self, x: torch.Tensor) -> Any:
            return self.conv(x)

    rows = compare(Net(a), Net(b)).rows
    assert [(row["name"], row["type"], row["change"]) for row in rows[1:]] == [
        ("conv", "Linear / Sequential", "changed"),
        ("0", "Linear", "only in b"),
        ("1", "Dropout", "only in b"),
    ]


def test_a_module_that_is_called_in_a_loop() -> None:
    """Calls of one module are paired one by one; those left over stand alone."""

    class Loop(nn.Module):
        def __init__(self, steps: int) -> None:
            super().__init__()
            self.steps, self.cell = steps, nn.GRUCell(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = x
            for _ in range(self.steps):
                h = self.cell(x, h)
            return h

    found = [row["change"] for row in compare(Loop(3), Loop(300)).rows[1:]]
    assert (found.count("same"), found.count("only in b")) == (3, 297)


def test_resnets_of_two_depths() -> None:
    """resnet34 is resnet18 with 1, 2, 4 and 1 more blocks in its stages."""
    report = zoo.compare(trace("torchvision/resnet18"), trace("torchvision/resnet34"), changed=True)
    new = [row["path"] for row in report.rows if row["change"] == "only in b"]
    assert new == [
        *("layer1.2", "layer2.2", "layer2.3"),
        *("layer3.2", "layer3.3", "layer3.4", "layer3.5", "layer4.2"),
    ]
    changed = {row["path"] for row in report.rows if row["change"] == "changed"}
    assert changed == {"", "layer1", "layer2", "layer3", "layer4"}
    assert report.totals["b_minus_a_parameters"] == 21_797_672 - 11_689_512  # torchvision's own
    every = zoo.compare(trace("torchvision/resnet18"), trace("torchvision/resnet34"))
    assert every.totals == report.totals
    assert len(every.rows) > len(report.rows)


def test_three_models() -> None:
    report = zoo.compare(trace("lenet"), trace("lenet_bn"), trace("alexnet"))
    found = changes(report)
    assert found["bn1"] == "only in b"
    assert found["act1"] == "only in a and b"
    assert found["conv3"] == "only in c"
    assert [report.totals[f"{one}_parameters"] for one in "abc"] == [
        zoo.params(trace(name)).totals["parameters"] for name in ("lenet", "lenet_bn", "alexnet")
    ]


# laws


@settings(max_examples=12)
@given(models, models)
def test_rows_hold_what_summaries_hold(a: nn.Module, b: nn.Module) -> None:
    """Each call of each model is in one row, with its own figures, in its own order."""
    traces = [zoo.trace(one, (2, WIDTH)) for one in (a, b)]
    report = zoo.compare(*traces)
    for letter, one in zip("ab", traces, strict=True):
        wanted = sorted(
            (row["path"], row["type"], *(row[name] for name in FIGURES))
            for row in zoo.summary(one).rows
        )
        got = sorted(
            tuple(row[f"{letter}_{name}"] for name in ("path", "type", *FIGURES))
            for row in report.rows
            if row[f"{letter}_type"] is not None
        )
        assert got == wanted


@settings(max_examples=12)
@given(models, models)
def test_what_is_swapped_is_the_other_way_round(a: nn.Module, b: nn.Module) -> None:
    there, back = (zoo.compare(*pair, inputs=[(2, WIDTH)]).totals for pair in ((a, b), (b, a)))
    for name in (*FIGURES, "peak_bytes"):
        assert there[f"b_minus_a_{name}"] == -back[f"b_minus_a_{name}"]
        assert there[f"b_{name}"] == back[f"a_{name}"]


@settings(max_examples=12)
@given(models)
def test_a_model_is_the_same_as_itself(model: nn.Module) -> None:
    report = zoo.compare(model, model, inputs=[(2, WIDTH)])
    assert {row["change"] for row in report.rows} == {"same"}
    assert len(zoo.compare(model, model, inputs=[(2, WIDTH)], changed=True).rows) == 1


@settings(max_examples=12)
@given(models, models)
def test_left_out_rows_leave_a_tree(a: nn.Module, b: nn.Module) -> None:
    """Every row that is shown has the row around it before it."""
    every, some = (zoo.compare(a, b, inputs=[(2, WIDTH)], changed=one) for one in (False, True))
    depths = [row["depth"] for row in some.rows]
    assert all(now <= before + 1 for before, now in pairwise(depths))
    shown = [row["path"] for row in some.rows]
    assert {row["path"] for row in every.rows if row["change"] == "changed"} <= set(shown)


# what differs


def test_differences_of_rows_add_up() -> None:
    rows = zoo.compare(trace("lenet"), trace("lenet_bn")).rows
    for name in FIGURES:
        inner = sum(row[f"b_minus_a_{name}"] for row in rows if row["depth"] == 1)
        assert inner <= rows[0][f"b_minus_a_{name}"]
    assert rows[0]["b_minus_a_parameters"] == sum(
        row["b_minus_a_parameters"] for row in rows if row["depth"] == 1
    )


def test_what_a_model_does_not_have_is_not_zero() -> None:
    rows = {row["name"]: row for row in zoo.compare(trace("lenet"), trace("lenet_bn")).rows}
    assert rows["bn1"]["a_parameters"] is None
    assert rows["bn1"]["b_over_a_parameters"] is None
    assert rows["bn1"]["b_minus_a_parameters"] == rows["bn1"]["b_parameters"] == 12


def test_a_training_step_counts_all_its_passes() -> None:
    report = compare(block(), block(16), train=True)
    steps = [zoo.flops(block(width), (2, 8), train=True).totals for width in (8, 16)]
    assert [report.totals[f"{one}_macs"] for one in "ab"] == [step["macs"] for step in steps]
    assert [report.rows[0][f"{one}_macs"] for one in "ab"] == [step["macs"] for step in steps]


def test_a_model_that_breaks() -> None:
    report = compare(block(), nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(9, 8)))
    assert report.failure is not None
    assert report.failure.message.startswith("b, in 2: ")
    assert report.totals["b_macs"] is None
    assert report.totals["b_minus_a_macs"] is None
    assert report.totals["b_parameters"] == 9 * 8 + 8 + 8 * 8 + 8
    assert report.rows[-1]["b_macs"] is None


def test_arguments_of_one_model() -> None:
    report = zoo.compare("lenet", "lenet", arguments=[{}, {"num_classes": 100}])
    assert report.totals["b_model"] == "book/lenet (num_classes=100)"
    assert [row["path"] for row in report.rows if row["change"] == "changed"] == ["", "fc3"]


def test_models_on_inputs_of_their_own() -> None:
    report = zoo.compare(trace("lenet"), trace("alexnet"))
    (note,) = [note for note in report.notes if note.code == "other-inputs"]
    assert "a on input: f32[1,1,28,28] on cpu; b on input: f32[1,1,224,224] on cpu" in note.text
    assert report.inputs == ()


def test_columns_are_what_rows_hold() -> None:
    for many in (2, 3):
        report = zoo.compare(*[trace("lenet")] * many)
        assert report.columns == columns(many)
        assert {one.name for one in report.columns} <= set(report.rows[0])


@pytest.mark.parametrize("many", [0, 1, 27])
def test_so_many_cannot_be_compared(many: int) -> None:
    with pytest.raises(ZooError, match=r"two models or more|too many"):
        zoo.compare(*[trace("lenet")] * many)


def test_arguments_for_another_number_of_models() -> None:
    with pytest.raises(ZooError, match="1 are given for 2 models"):
        zoo.compare("lenet", "lenet", arguments=[{}])


def test_the_device_by_which_inputs_differ_is_said() -> None:
    report = zoo.compare(zoo.trace("lenet"), zoo.trace("lenet", device="cuda"))
    (note,) = (one for one in report.notes if one.code == "other-inputs")
    assert "a on input: f32[1,1,28,28] on cpu; b on input: f32[1,1,28,28] on cuda:0" in note.text
