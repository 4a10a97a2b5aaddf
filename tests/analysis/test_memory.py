"""Peaks by hand, by brute force and by what holds them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import zoo
from tests.strategies import WIDTH, learners, models, steps
from zoo.analysis.memory import GROUPINGS, ROLES, levels, memory, peak
from zoo.analysis.records import (
    Cost,
    InputSpec,
    ModelInfo,
    ModuleCall,
    OpCall,
    Storage,
    Submodule,
    TensorSpec,
    Trace,
)
from zoo.analysis.tracer.run import run
from zoo.errors import InputError

if TYPE_CHECKING:
    from zoo.analysis.records import Phase, Role

FLOAT = 4
SUMMED = [one for one in GROUPINGS if one != "time"]


def by_hand(trace: Trace) -> list[int]:
    """Bytes before the first operator and in each, by looking at every block every time."""
    return [
        sum(
            one.nbytes
            for one in trace.storages
            if one.born <= op and (one.died is None or one.died >= op)
        )
        for op in range(-1, len(trace.ops))
    ]


# laws


def check_report(trace: Trace) -> None:
    most = by_hand(trace)
    assert levels(trace) == most
    found = peak(trace)
    assert found.nbytes == max(most)
    assert found.op == most.index(max(most)) - 1
    assert sum(one.nbytes for one in found.live) == found.nbytes
    for by in SUMMED:
        report = memory(trace, by)
        totals = report.totals
        assert totals["peak_bytes"] == found.nbytes
        assert sum(totals[f"{role}_bytes"] for role in ROLES) == found.nbytes
        rows = report.rows[:1] if by == "module" else report.rows
        assert sum(row["bytes"] for row in rows) == found.nbytes
        assert sum(row["share"] for row in rows) == pytest.approx(100 if found.nbytes else 0)
    check_modules(trace)
    check_time(trace)


def check_modules(trace: Trace) -> None:
    """A row holds what the rows below it hold, and perhaps more."""
    rows = {row["path"]: row for row in memory(trace, "module").rows}
    assert list(rows)[: len(trace.modules)] == [one.path for one in trace.modules]
    inside: Counter[str] = Counter()
    for path, row in rows.items():
        assert sum(row[f"{role}_bytes"] for role in ROLES) == row["bytes"]
        if path:
            inside[path.rpartition(".")[0]] += row["bytes"]
    assert all(rows[path]["bytes"] >= nbytes for path, nbytes in inside.items())


def check_time(trace: Trace) -> None:
    report = memory(trace, "time")
    most, rows = levels(trace), report.rows
    firsts = [row["first_op"] for row in rows]
    lasts = [row["last_op"] for row in rows]
    assert firsts == [0, *(last + 1 for last in lasts[:-1])][: len(rows)]
    assert not rows or lasts[-1] == len(trace.ops) - 1
    for row in rows:
        stretch = most[row["first_op"] + 1 : row["last_op"] + 2]
        assert (row["most_bytes"], row["last_bytes"]) == (max(stretch), stretch[-1])
    if peak(trace).op >= 0:
        assert max(row["most_bytes"] for row in rows) == report.totals["peak_bytes"]


@given(models, st.integers(1, 4))
def test_inference(model: nn.Module, batch: int) -> None:
    check_report(run(model, [(batch, WIDTH)]))


@given(learners, steps)
def test_training(model: nn.Module, how: dict[str, Any]) -> None:
    check_report(zoo.trace(model, (3, WIDTH), train=True, **how))


@given(learners)
def test_training_holds_no_less_than_inference(model: nn.Module) -> None:
    alone = zoo.trace(model, (3, WIDTH), train=True, loss="none")
    trained = zoo.trace(model, (3, WIDTH), train=True)
    assert peak(trained).nbytes >= peak(alone).nbytes


# chains of linear layers, by hand


def sizes(widths: list[int], batch: int) -> tuple[list[int], list[int], list[int]]:
    """Bytes of activations (the input first), of weights and of biases."""
    activations = [FLOAT * batch * width for width in widths]
    weights = [FLOAT * a * b for a, b in pairwise(widths)]
    return activations, weights, [FLOAT * width for width in widths[1:]]


def chain(widths: list[int]) -> nn.Module:
    return nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(widths)))


def inference_peak(widths: list[int], batch: int) -> int:
    """Parameters and the input stay; of the activations, a layer's input and output."""
    activations, weights, biases = sizes(widths, batch)
    pairs = [activations[1], *(a + b for a, b in pairwise(activations[1:]))]
    return sum(weights) + sum(biases) + activations[0] + max(pairs)


def training_peak(widths: list[int], batch: int, states: int = 0) -> int:
    """Of a step of SGD with `states` words kept for each parameter, under the sum of the outputs.

    In the backward pass of layer l these are alive: all inputs of layers up to l, the output and
    the loss (which the caller holds), gradients of parameters above, the gradient that comes in
    and, one after the other, those of the input, the weight and the bias. The first gradient is
    one number for all; the products with it copy it out first.
    """
    activations, weights, biases = sizes(widths, batch)
    count = len(weights)
    held = (1 + states) * (sum(weights) + sum(biases)) + activations[0] + activations[-1] + FLOAT
    found = [held + sum(activations[1:-1])]  # the end of the forward pass
    for layer in range(count, 0, -1):
        last = layer == count
        alive = held + FLOAT + sum(activations[1:layer])
        alive += sum(weights[layer:]) + sum(biases[layer:])
        alive += 0 if last else activations[layer]
        copied = activations[layer] if last else 0
        if layer > 1:
            alive += activations[layer - 1]
            found.append(alive + copied)
        found += [
            alive + weights[layer - 1] + copied,
            alive + weights[layer - 1] + biases[layer - 1],
        ]
    found.append(held + sum(weights) + sum(biases))
    return max(found)


WIDTHS = st.lists(st.integers(1, 12), min_size=3, max_size=5)


@given(WIDTHS, st.integers(1, 20))
def test_inference_of_a_chain_to_the_byte(widths: list[int], batch: int) -> None:
    found = zoo.memory(chain(widths), (batch, widths[0]))
    assert found.totals["peak_bytes"] == inference_peak(widths, batch)


@given(WIDTHS, st.integers(2, 20), st.sampled_from([("sgd", 0), ("sgd-momentum", 1)]))
def test_training_of_a_chain_to_the_byte(
    widths: list[int], batch: int, optimizer: tuple[str, int]
) -> None:
    name, states = optimizer
    found = zoo.memory(chain(widths), (batch, widths[0]), train=True, optimizer=name)
    assert found.totals["peak_bytes"] == training_peak(widths, batch, states)


def test_a_step_of_adamw_to_the_byte() -> None:
    """Peak in the optimizer: two words of state, a counter a parameter, and two temporaries."""
    widths, batch = [16, 32, 8], 1
    activations, weights, biases = sizes(widths, batch)
    parameters = sum(weights) + sum(biases)
    found = zoo.memory(chain(widths), (batch, 16), train=True, optimizer="adamw").totals
    assert found["optimizer_bytes"] == 2 * parameters + 4 * FLOAT
    assert found["temporary_bytes"] == 2 * max(weights)
    assert found["input_bytes"] == activations[0]
    assert found["output_bytes"] == activations[-1] + FLOAT
    assert found["saved_bytes"] == found["buffer_bytes"] == 0
    assert found["peak_phase"] == "optimizer"
    held = activations[0] + activations[-1] + FLOAT
    assert found["peak_bytes"] == 4 * parameters + 4 * FLOAT + 2 * max(weights) + held


def test_what_is_frozen_has_neither_gradient_nor_state() -> None:
    net = chain([8, 6, 5, 4])
    net[0].requires_grad_(requires_grad=False)
    net[1].requires_grad_(requires_grad=False)
    trace = zoo.trace(net, (3, 8), train=True, optimizer="sgd-momentum")
    last = FLOAT * (5 * 4 + 4)
    assert sum(one.nbytes for one in trace.storages if one.role == "gradient") == last
    assert sum(one.nbytes for one in trace.storages if one.role == "optimizer") == last
    saved = [one.nbytes for one in trace.storages if one.role == "saved"]
    assert saved == [FLOAT * 3 * 5]  # the last layer's input; nothing below is kept


def test_a_tied_weight_is_held_once() -> None:
    net = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    net[1].weight = net[0].weight
    report = zoo.memory(net, (1, 8), by="block")
    assert [row["block"] for row in report.rows if row["role"] == "parameter"] == ["0.weight"]
    assert report.totals["parameter_bytes"] == FLOAT * 64


# a run that is made by hand

SPEC = TensorSpec((1,))


def op(index: int, call: int = 0, phase: Phase = "forward") -> OpCall:
    return OpCall(index, f"aten.op{index}.default", call, phase, (), (SPEC,), Cost(), None)


def call(index: int, path: str, parent: int | None) -> ModuleCall:
    depth = 0 if parent is None else 1
    return ModuleCall(index, path, "Net", depth, parent, (), (SPEC,), training=True, module=path)


def block(
    number: int, nbytes: int, role: Role, born: int, died: int | None, **more: Any
) -> Storage:
    return Storage(number, nbytes, more.pop("device", "cpu"), role, born, died, **more)


def made(*storages: Storage) -> Trace:
    return Trace(
        model=ModelInfo("net"),
        inputs=(InputSpec("x", SPEC),),
        modules=(Submodule("", "Net", ("",)), Submodule("a", "Net", ("a", "b"))),
        calls=(call(0, "", None), call(1, "a", 0)),
        ops=(op(0), op(1, 1), op(2, 1), op(3, phase="backward")),
        parameters=(),
        buffers=(),
        storages=storages,
    )


def test_a_block_lives_in_the_operator_that_makes_it_and_in_the_last_before_its_end() -> None:
    trace = made(
        block(0, 100, "parameter", -1, None),
        block(1, 10, "temporary", 0, 1),
        block(2, 7, "temporary", 1, 1),
        block(3, 1_000, "input", -1, 0),
    )
    assert levels(trace) == by_hand(trace) == [1_100, 1_110, 117, 100, 100]
    found = peak(trace)
    assert (found.nbytes, found.op, [one.id for one in found.live]) == (1_110, 0, [0, 1, 3])
    assert (found.of("input"), found.of("temporary"), found.of("saved")) == (1_000, 10, 0)


def test_the_first_of_equal_moments_is_the_peak() -> None:
    trace = made(block(0, 5, "temporary", 1, 1), block(1, 5, "temporary", 3, 3))
    assert peak(trace).op == 1
    totals = memory(trace).totals
    assert totals["peak_operator"] == "aten.op1.default"
    assert (totals["peak_phase"], totals["peak_module"]) == ("forward", "a")
    assert (totals["forward_peak_bytes"], totals["backward_peak_bytes"]) == (5, 5)


def test_blocks_elsewhere_are_not_counted() -> None:
    trace = made(
        block(0, 5, "parameter", -1, None), block(1, 900, "optimizer", -1, None, device="cuda:0")
    )
    assert peak(trace).nbytes == 5
    assert memory(trace).totals["optimizer_bytes"] == 0


def test_who_holds_a_block() -> None:
    trace = made(
        block(0, 1, "parameter", -1, None, name="b.weight"),  # its module's first path is a
        block(1, 2, "optimizer", -1, None, name="a.weight"),
        block(2, 4, "input", -1, None, name="x"),
        block(3, 8, "temporary", 1, 1, call=1, name="aten.op1.default", source="net.py:3"),
        block(4, 16, "output", 1, None, call=1, name="aten.op1.default"),
        block(5, 32, "gradient", -1, None, name="scale"),
        block(6, 64, "temporary", 1, 1, call=0, name="aten.op1.default", source="net.py:3"),
    )
    rows = {row["path"]: row for row in memory(trace, "module").rows}
    assert (rows[""]["bytes"], rows["a"]["bytes"]) == (127, 1 + 2 + 8)
    assert (rows["a"]["parameter_bytes"], rows["a"]["optimizer_bytes"]) == (1, 2)
    assert rows[""]["output_bytes"] == 16
    lines = {row["source"]: row["bytes"] for row in memory(trace, "source").rows}
    assert lines["net.py:3"] == 72
    assert lines["(parameter)"] == 1
    assert sum(lines.values()) == 127
    blocks = [row["bytes"] for row in memory(trace, "block").rows]
    assert blocks == [64, 32, 16, 8, 4, 2, 1]
    roles = {row["role"]: (row["bytes"], row["blocks"]) for row in memory(trace).rows}
    assert roles["temporary"] == (72, 2)
    assert roles["saved"] == (0, 0)


def test_stretches_of_time_end_where_module_or_phase_does() -> None:
    rows = memory(made(block(0, 5, "temporary", 2, 2)), "time").rows
    assert [(row["first_op"], row["last_op"], row["phase"], row["module"]) for row in rows] == [
        (0, 0, "forward", ""),
        (1, 2, "forward", "a"),
        (3, 3, "backward", ""),
    ]
    assert [(row["most_bytes"], row["last_bytes"]) for row in rows] == [(0, 0), (5, 5), (0, 0)]
    assert [row["share"] for row in rows] == [0, 100, 0]


# what can go wrong


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("by", ["rol", "layer", ""])
def test_words_that_are_not_known(by: str, train: bool) -> None:
    ran: list[int] = []
    net = nn.Linear(4, 4)
    net.register_forward_hook(lambda *_: ran.append(1))
    with pytest.raises(
        InputError, match=r"rows cannot be made so\. (Did you mean role|Known: role)"
    ):
        zoo.memory(net, (2, 4), by=by, train=train)
    assert ran == []
    with pytest.raises(InputError, match="rows cannot be made so"):
        memory(run(net, [(2, 4)]), by)


class Nothing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize("by", GROUPINGS)
def test_a_model_that_does_nothing(by: str) -> None:
    report = zoo.memory(Nothing(), (2, 4), by=by)
    assert report.totals["peak_bytes"] == report.totals["input_bytes"] == 2 * 4 * FLOAT
    assert report.totals["peak_operator"] is report.totals["peak_phase"] is None
    assert str(report)


class Breaks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 6), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.two(torch.relu(self.one(x)))
        return y


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("by", GROUPINGS)
def test_a_run_that_breaks_has_the_peak_of_what_ran(by: str, train: bool) -> None:
    report = zoo.memory(Breaks(), (2, 4), by=by, train=train)
    assert report.failure is not None
    assert report.totals["peak_bytes"] == FLOAT * (30 + 12 + 8 + 12 + 12)
    assert str(report)


def test_a_run_that_breaks_at_once() -> None:
    report = zoo.memory(nn.Linear(4, 4), (2, 3))
    assert report.failure is not None
    assert report.totals["peak_bytes"] == FLOAT * (20 + 6)


# arguments, and what is said


def test_the_batch_is_the_first_dim_of_the_input() -> None:
    net = chain([6, 5, 4])
    assert zoo.memory(net, (1, 6), batch=9).totals == zoo.memory(net, (9, 6)).totals
    one, two = (zoo.memory(net, (1, 6), batch=n, train=True).totals for n in (10, 20))
    assert two["input_bytes"] == 2 * one["input_bytes"]
    assert two["parameter_bytes"] == one["parameter_bytes"]


def test_a_trace_is_taken_as_it_is() -> None:
    trace = zoo.trace(chain([6, 5, 4]), (2, 6), train=True)
    assert zoo.memory(trace).rows == memory(trace).rows
    assert zoo.memory(trace, by="module").totals == memory(trace, "module").totals


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({}, "forward pass"),
        ({"train": True, "loss": "none"}, "forward pass"),
        ({"train": True}, "training step with sgd, loss sum"),
        (
            {"train": True, "optimizer": "adamw", "accumulate": 4},
            "training step with adamw, loss sum, 1 of 4 micro-batches",
        ),
        (
            {"train": True, "set_to_none": False, "checkpoint": "*", "loss": "mse"},
            "training step with sgd, loss mse, gradients kept, 2 modules checkpointed",
        ),
    ],
)
def test_the_report_says_what_ran(how: dict[str, Any], says: str) -> None:
    assert zoo.memory(chain([6, 5, 4]), (2, 6), **how).totals["step"] == says


def test_buffers_are_held() -> None:
    report = zoo.memory(nn.BatchNorm1d(7), (3, 7))
    assert report.totals["buffer_bytes"] == 2 * 7 * FLOAT + 8
    names = [row["block"] for row in zoo.memory(nn.BatchNorm1d(7), (3, 7), by="block").rows]
    assert "running_mean" in names


def test_the_same_on_an_accelerator() -> None:
    """Rows are those of the device; nothing of it lies elsewhere."""
    here, there = (zoo.memory(chain([6, 5, 4]), (2, 6), device=one) for one in ("cpu", "mps"))
    assert there.totals["peak_bytes"] == here.totals["peak_bytes"]


def test_half_precision_halves_what_floats_hold() -> None:
    net = chain([6, 5, 4])
    full, half = (zoo.memory(net, (2, 6), dtype=one).totals for one in (None, "bfloat16"))
    for role in ("parameter", "input", "output"):
        assert 2 * half[f"{role}_bytes"] == full[f"{role}_bytes"]
    assert 2 * half["peak_bytes"] == full["peak_bytes"]
