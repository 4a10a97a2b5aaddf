"""Rows of a summary: whose parameters, which marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.analysis.summary import summary
from zoo.analysis.tracer.run import run

if TYPE_CHECKING:
    from zoo.analysis.records import Report


class Net(nn.Module):
    """One of each: frozen, shared, tied, lent, dead, and a module that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, (3, 5)), nn.BatchNorm2d(8)).requires_grad_(
            requires_grad=False
        )
        self.shared = nn.Linear(8, 8)
        self.tied = nn.Linear(8, 8, bias=False)
        self.tied.weight = self.shared.weight
        self.lent = nn.Linear(8, 8, bias=False)
        self.blocks = nn.ModuleList([nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU())])
        self.quiet = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).mean((2, 3))
        x = self.shared(self.shared(x).relu())
        x = F.linear(self.tied(x), self.lent.weight)
        self.quiet(x.detach())
        return self.blocks[0](x)


def report() -> Report:
    return summary(run(Net(), [(2, 3, 8, 8)]))


def row(report: Report, path: str) -> Any:
    return next(row for row in report.rows if row["path"] == path)


def test_marks() -> None:
    marks = {(row["path"], row["call"]): row["marks"] for row in report().rows}
    assert marks == {
        ("", 0): ["partly frozen"],
        ("stem", 1): ["frozen"],
        ("stem.0", 2): ["frozen"],
        ("stem.1", 3): ["frozen"],
        ("shared", 4): [],
        ("shared", 5): ["recursive"],
        ("tied", 6): ["tied"],
        ("quiet", 7): [],
        ("blocks.0", 8): [],
        ("blocks.1", None): ["not called"],
    }


def test_a_parameter_is_counted_once_and_rows_add_up() -> None:
    found = report()
    assert row(found, "shared")["parameters"] == 72
    assert row(found, "tied")["parameters"] == 0
    assert row(found, "blocks.1")["parameters"] == 72
    lent = 64
    top = sum(one["parameters"] for one in found.rows if one["depth"] == 1)
    assert found.rows[0]["parameters"] == top + lent == found.totals["parameters"]
    assert found.totals["parameters"] == sum(p.numel() for p in Net().parameters())


def test_what_nothing_read_is_said() -> None:
    (note,) = report().notes
    assert note.code == "unused-parameter"
    assert "blocks.1.0.weight, blocks.1.0.bias" in note.text


def test_kernel_sizes() -> None:
    found = report()
    assert row(found, "stem.0")["kernel_size"] == [3, 5]
    assert row(found, "shared")["kernel_size"] is None


def test_several_outputs_and_none() -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return {"a": x, "b": [x[0], None]}

    found = summary(run(nn.Sequential(Pair()), [(2, 3)])).rows
    assert found[0]["output_shape"] == [[2, 3], [3]]
    assert found[0]["input_shape"] == [2, 3]


def test_training_mode_is_shown() -> None:
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4))
    found = summary(run(net, [(2, 4)], training=True))
    assert [one["training"] for one in found.rows] == [True, True, True]
    assert torch.is_grad_enabled()
