"""A watched run says which functions were called, and is the same run."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.analysis.odd_models import MODELS, Shared, vit
from tests.fingerprint import fingerprint
from zoo.analysis.records import TensorSpec
from zoo.analysis.tracer.run import run
from zoo.analysis.tracer.watching import Watch, facts


class Spellings(nn.Module):
    """The same products and sums, written in several ways."""

    def forward(self, x: Tensor) -> Tensor:
        x = x @ x
        x = torch.matmul(x, x)
        x = x.matmul(x)
        x = x * 2 + x
        x = 2 * x.mul(x).add(x)
        x += x
        return F.relu(x)


def watched(model: nn.Module, *inputs: object) -> Watch:
    watch = Watch()
    trace = run(model, inputs, watch=watch)
    assert trace.failure is None
    return watch


def test_operators_are_told_from_methods_and_functions() -> None:
    found = watched(Spellings(), (4, 4)).functions
    assert [one.name for one in found] == [
        "torch.Tensor.__matmul__",
        "torch.matmul",
        "torch.Tensor.matmul",
        "torch.Tensor.__mul__",
        "torch.Tensor.__add__",
        "torch.Tensor.mul",
        "torch.Tensor.add",
        "torch.Tensor.__mul__",
        "torch.Tensor.add_",
        "torch.nn.functional.relu",
        "torch.relu",
    ]
    outer, inner = found[-2:]
    assert (outer.native, inner.native, inner.parent) == (False, True, outer.index)
    assert inner.outputs == (TensorSpec((4, 4)),)
    assert inner.after_op - inner.first_op == 1


def test_functions_hold_all_operators_of_a_run() -> None:
    watch, model = Watch(), vit()
    trace = run(model, [(1, 3, 16, 16)], watch=watch)
    inside = [
        op
        for one in watch.functions
        if one.parent is None
        for op in range(one.first_op, one.after_op)
    ]
    assert len(inside) == len(set(inside))
    costly = {op.index for op in trace.ops if op.cost is not None and op.cost.macs}
    assert costly <= set(inside)


def test_watching_changes_neither_run_nor_model() -> None:
    for name in ("raw", "transformer", "swin", "dicts"):
        make, inputs = MODELS[name]
        model = make()
        before = fingerprint(model)
        alone, seen = run(model, inputs), run(model, inputs, watch=Watch())
        assert [one.op for one in alone.ops] == [one.op for one in seen.ops]
        assert alone.calls == seen.calls
        assert fingerprint(model) == before


def test_parameters_among_the_arguments_are_told() -> None:
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU())
    layer = watched(model, (2, 8)).functions[0]
    assert layer.name == "torch.nn.functional.linear"
    assert layer.parameters == (TensorSpec((4, 8)), TensorSpec((4,)))
    assert layer.given == (TensorSpec((2, 8)), TensorSpec((4, 8)), TensorSpec((4,)))


def test_facts_of_modules() -> None:
    found = facts(Shared())
    layer = found["x.0"]
    assert list(found) == ["", "x", "x.0", "x.1", "y", "y.1"]
    assert (layer.visits, found["x.1"].visits) == (2, 1)
    assert found["y"].children == ("x.0", "y.1")
    assert (layer.kind, layer.own) == (
        "torch.nn.modules.linear.Linear",
        {"weight": 256, "bias": 16},
    )
    assert layer.settings == {"training": True, "in_features": 16, "out_features": 16}
    assert (found[""].elements, found[""].trainable) == (272, 272)
    encoder = facts(nn.TransformerEncoderLayer(8, 2, 16))[""]
    assert encoder.functions == ("torch.nn.functional.relu",)
