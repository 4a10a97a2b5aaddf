"""What holds for every model."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.fingerprint import fingerprint
from tests.strategies import WIDTH, Scaled, learners, models, steps, trainable
from zoo.analysis.jsonform import dumps, loads
from zoo.analysis.records import Trace
from zoo.analysis.summary import summary
from zoo.analysis.tracer.run import run
from zoo.analysis.tracer.step import Training
from zoo.errors import NothingToTrain

FIGURES = ("macs", "flops", "pointwise_flops", "activation_bytes", "bytes_read", "bytes_written")
batches = st.integers(2, 5)


@given(models, batches)
def test_rows_add_up(model: nn.Module, batch: int) -> None:
    trace = run(model, [(batch, WIDTH)])
    report = summary(trace)
    rows = {row["call"]: row for row in report.rows if row["call"] is not None}
    assert sorted(rows) == list(range(len(trace.calls)))
    for call in trace.calls:
        own: Counter[str] = Counter()
        for op in trace.ops:
            if op.call == call.index and op.cost is not None:
                own["macs"] += op.cost.macs
                own["pointwise_flops"] += op.cost.flops
        inside = [rows[inner.index] for inner in trace.calls if inner.parent == call.index]
        for figure in ("macs", "pointwise_flops"):
            total = own[figure] + sum(row[figure] for row in inside)
            assert rows[call.index][figure] == total
    for figure in (*FIGURES, "parameters", "trainable_parameters", "parameter_bytes"):
        assert rows[0][figure] == report.totals[figure]


@given(models)
def test_parameters_are_those_of_the_model(model: nn.Module) -> None:
    report = summary(run(model, [(2, WIDTH)]))
    parameters = list(model.parameters())
    assert report.totals["parameters"] == sum(p.numel() for p in parameters)
    assert report.totals["trainable_parameters"] == sum(
        p.numel() for p in parameters if p.requires_grad
    )
    assert report.totals["buffers"] == sum(b.numel() for b in model.buffers())


@given(models, batches)
def test_shapes_are_those_of_a_real_run(model: nn.Module, batch: int) -> None:
    shapes: list[Any] = []
    handles = [
        module.register_forward_hook(
            lambda _, __, out: shapes.append(
                [
                    tuple(t.shape)
                    for t in (out if isinstance(out, tuple) else (out,))
                    if t is not None
                ]
            )
        )
        for module in model.modules()
    ]
    model.eval()
    with torch.no_grad():
        model(torch.randn(batch, WIDTH))
    for handle in handles:
        handle.remove()
    trace = run(model, [(batch, WIDTH)])
    traced = [[spec.shape for spec in call.outputs or ()] for call in trace.calls]
    assert sorted(map(str, traced)) == sorted(map(str, shapes))
    assert traced[0] == shapes[-1]


@given(models)
def test_doubling_the_batch_doubles_the_macs(model: nn.Module) -> None:
    one, two = (summary(run(model, [(n, WIDTH)])).totals["macs"] for n in (3, 6))
    assert two == 2 * one


@given(models)
def test_wrapping_adds_a_row_and_no_cost(model: nn.Module) -> None:
    bare, wrapped = (summary(run(m, [(2, WIDTH)])) for m in (model, nn.Sequential(model)))
    assert len(wrapped.rows) == len(bare.rows) + 1
    assert wrapped.totals == {**bare.totals, "module_calls": bare.totals["module_calls"] + 1}


@given(models)
def test_the_device_changes_no_shape_parameter_or_mac(model: nn.Module) -> None:
    """Kernels differ, and with them pointwise FLOPs and what is allocated."""
    here, there = (summary(run(model, [(2, WIDTH)], device=d)) for d in ("cpu", "cuda"))
    same = ("path", "type", "input_shape", "output_shape", "parameters", "macs", "uncounted")
    for one, other in zip(here.rows, there.rows, strict=True):
        assert {name: one[name] for name in same} == {name: other[name] for name in same}


@given(models)
def test_analysing_twice_is_the_same_and_json_loses_nothing(model: nn.Module) -> None:
    trace = run(model, [(2, WIDTH)])
    assert run(model, [(2, WIDTH)]) == trace
    again = loads(dumps(trace), Trace)
    assert again == trace
    assert summary(again) == summary(trace)


@given(models, st.booleans(), st.sampled_from([WIDTH, WIDTH + 1]))
def test_the_model_is_untouched(model: nn.Module, train: bool, width: int) -> None:
    """Also where the width does not fit and the run breaks."""
    before = fingerprint(model)
    run(model, [(2, width)], training=train)
    assert fingerprint(model) == before


@given(models)
def test_every_operator_has_a_formula(model: nn.Module) -> None:
    report = summary(run(model, [(2, WIDTH)]))
    assert report.totals["uncounted"] == []
    assert report.totals["coverage"] == 1.0


def test_an_operator_without_a_formula_is_named() -> None:
    @torch.library.custom_op("zoo_tests::mystery", mutates_args=())
    def mystery(x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return mystery(x) + 1

    report = summary(run(Net(), [(2, WIDTH)]))
    assert report.totals["uncounted"] == ["zoo_tests.mystery.default"]
    assert report.totals["coverage"] == 0.5
    assert {note.code for note in report.notes} == {"uncounted-op", "ran-on-zeros"}
    counted = run(Net(), [(2, WIDTH)], formulas={"zoo_tests.mystery": lambda inputs, _: 7})
    assert summary(counted).totals["macs"] == 7
    assert summary(counted).totals["uncounted"] == []


@pytest.mark.parametrize(
    ("model", "inputs", "macs"),
    [
        (nn.LSTM(64, 64), [(10, 1, 64)], 327_680),
        (nn.Linear(64, 64), [(1, 100, 64)], 409_600),
        (
            nn.MultiheadAttention(64, 4, batch_first=True),
            [(1, 128, 64)] * 3,
            4 * 128 * 64 * 64 + 2 * 128 * 128 * 64,
        ),
    ],
)
def test_closed_forms(model: nn.Module, inputs: list[Any], macs: int) -> None:
    assert summary(run(model, inputs)).totals["macs"] == macs


def test_scaled_dot_product_attention() -> None:
    class Attention(nn.Module):
        def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return nn.functional.scaled_dot_product_attention(q, k, v)

    trace = run(Attention(), [(1, 4, 128, 64)] * 3)
    assert summary(trace).totals["macs"] == 8_388_608


# of training


def step_of(model: nn.Module, batch: int, **how: Any) -> Trace:
    trace = run(model, [(batch, WIDTH)], training=True, step=Training(**how))
    assert trace.failure is None, trace.failure
    return trace


def macs_of(trace: Trace, phase: str) -> int:
    return sum(op.cost.macs for op in trace.ops if op.cost and op.phase == phase)


def first_states(trace: Trace, batch: int) -> int:
    """MACs of gradients that nobody asks for: of the zeros that a GRU of one unit begins with."""
    cells = sum(call.type == "GRU" for call in trace.calls)
    return cells * batch * 3


@given(models, batches)
def test_backward_is_two_products_for_each_of_the_forward_pass(
    model: nn.Module, batch: int
) -> None:
    """One for the weight, one for the input, where all is trained and something lies below."""
    whole = nn.Sequential(Scaled(), model).requires_grad_()
    trace = step_of(whole, batch)
    forward = macs_of(trace, "forward")
    assert macs_of(trace, "backward") == 2 * forward - first_states(trace, batch)
    assert macs_of(trace, "optimizer") == 0


@given(models, batches)
def test_the_first_layer_has_no_gradient_of_its_input(model: nn.Module, batch: int) -> None:
    whole = nn.Sequential(nn.Linear(WIDTH, WIDTH), model).requires_grad_()
    trace = step_of(whole, batch)
    forward, first = macs_of(trace, "forward"), batch * WIDTH * WIDTH
    assert macs_of(trace, "backward") == 2 * forward - first - first_states(trace, batch)


@given(learners, st.data(), batches)
def test_freezing_never_adds_a_mac(model: nn.Module, data: st.DataObject, batch: int) -> None:
    """Nor a byte at the peak of what is kept; the forward pass is the same."""
    before = step_of(model, batch, optimizer="sgd-momentum")
    trained = [one for one in model.parameters() if one.requires_grad]
    frozen = data.draw(st.lists(st.sampled_from(range(len(trained))), unique=True), "frozen")
    for index in frozen:
        trained[index].requires_grad = False
    if not trainable(model):
        with pytest.raises(NothingToTrain):
            step_of(model, batch)
        return
    after = step_of(model, batch, optimizer="sgd-momentum")
    assert macs_of(after, "forward") == macs_of(before, "forward")
    assert macs_of(after, "backward") <= macs_of(before, "backward")
    for role in ("gradient", "optimizer", "saved"):
        sizes = [
            sum(one.nbytes for one in trace.storages if one.role == role)
            for trace in (before, after)
        ]
        assert sizes[1] <= sizes[0]


@given(learners, steps)
def test_what_is_trained_is_what_autograd_trains(model: nn.Module, how: dict[str, Any]) -> None:
    trace = step_of(model, 3, **how)
    found = {one.name for one in trace.storages if one.role == "gradient"}
    model(torch.ones(3, WIDTH)).sum().backward()
    wanted = {name for name, one in model.named_parameters() if one.grad is not None}
    assert found == wanted


@given(learners, steps)
def test_a_step_leaves_the_model_untouched_and_is_a_value(
    model: nn.Module, how: dict[str, Any]
) -> None:
    before = fingerprint(model)
    trace = step_of(model, 3, **how)
    assert fingerprint(model) == before
    assert step_of(model, 3, **how) == trace
    assert loads(dumps(trace), Trace) == trace


@given(learners)
def test_every_operator_of_a_step_has_a_formula(model: nn.Module) -> None:
    trace = step_of(model, 3, optimizer="adamw")
    assert {op.op for op in trace.ops if op.cost is None} == set()


@given(learners)
def test_operators_of_a_step_belong_to_the_modules_that_ran(model: nn.Module) -> None:
    """A module has products in the backward pass only where it had some in the forward pass."""
    trace = step_of(nn.Sequential(model), 3)
    multiplied = {op.call for op in trace.ops if op.cost and op.cost.macs and op.phase == "forward"}
    gradients = {op.call for op in trace.ops if op.cost and op.cost.macs and op.phase == "backward"}
    assert gradients <= multiplied
