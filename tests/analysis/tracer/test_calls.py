"""What a trace says of module calls, operators, parameters and lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.analysis.records import TensorSpec
from zoo.analysis.tracer.run import run
from zoo.errors import InputError


def paths(model: nn.Module, *inputs: object) -> list[str]:
    return [call.path for call in run(model, inputs).calls]


def test_a_shared_module_has_a_call_for_each_time() -> None:
    shared = nn.Linear(8, 8)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), shared, nn.ReLU(), shared, nn.Linear(8, 1))
    trace = run(net, [(2, 4)])
    assert [call.path for call in trace.calls] == ["", "0", "1", "2", "3", "4", "5"]
    assert [call.module for call in trace.calls][3:6] == ["2", "3", "2"]
    tied = trace.parameters[2]
    assert tied.names == ("2.weight", "4.weight")
    assert tied.module == "2"
    assert len(trace.parameters) == 6


def test_tied_weights_without_sharing_the_module() -> None:
    net = nn.Sequential(nn.Linear(64, 64, bias=False), nn.Linear(64, 64, bias=False))
    net[1].weight = net[0].weight
    trace = run(net, [(1, 64)])
    assert sum(parameter.spec.numel for parameter in trace.parameters) == 4_096


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.second, self.first = nn.Linear(4, 4), nn.Linear(4, 4)
        self.dead = nn.Linear(3, 3)
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        x = self.first(x)
        x = F.linear(x, self.second.weight)
        x = nn.ReLU()(x)
        for block in reversed(self.blocks):
            x = block(x) * scale
        return x


def test_calls_come_in_the_order_in_which_they_ran() -> None:
    assert paths(Functional(), (1, 4)) == ["", "first", "(ReLU)", "blocks.1", "blocks.0"]


def test_functional_use_of_a_weight_counts_as_use() -> None:
    trace = run(Functional(), [(1, 4)])
    used = {parameter.names[0]: parameter.used for parameter in trace.parameters}
    assert used["second.weight"]
    assert not used["second.bias"]
    assert not used["dead.weight"]


def test_an_operator_knows_its_module_and_line() -> None:
    trace = run(Functional(), [(1, 4)])
    lines = Path(__file__).read_text().splitlines()
    places = {op.op: op.source for op in trace.ops if op.source}
    file, _, number = places["aten.mul.Tensor"].rpartition(":")
    assert file.endswith("test_calls.py")
    assert lines[int(number) - 1].strip() == "x = block(x) * scale"
    relu = next(op for op in trace.ops if op.op == "aten.relu.default")
    assert trace.calls[relu.call].type == "ReLU"


@dataclass
class Output:
    logits: Tensor
    hidden: list[Tensor]


class Nested(nn.Module):
    def forward(self, batch: dict[str, Tensor], *, pair: tuple[Tensor, Tensor]) -> Output:
        return Output(batch["x"] + pair[0], [pair[1], batch["mask"]])


def test_nested_inputs_and_dataclass_outputs() -> None:
    trace = run(
        Nested(),
        [{"x": (2, 3), "mask": "bool[2,3]"}],
        kwargs={"pair": ((2, 3), torch.zeros(5, dtype=torch.int64))},
    )
    assert [one.name for one in trace.inputs] == ["batch.x", "batch.mask", "pair[0]", "pair[1]"]
    assert trace.outputs == (
        TensorSpec((2, 3)),
        TensorSpec((5,), "int64"),
        TensorSpec((2, 3), "bool"),
    )


@pytest.mark.parametrize(
    ("given", "kwargs", "match"),
    [
        ([], {}, r"none was given, forward wants \(x, \[scale\]\)"),
        ([(1, 4), (1, 4), (1, 4)], {}, r"3 given, forward wants \(x, \[scale\]\)"),
        ([(1, 4)], {"depth": (1,)}, r"input depth: Functional.forward takes no such input"),
        (["y=1,4"], {}, r"input y: Functional.forward takes no such input"),
        ([(1, 0)], {}, r"dim 0 is not positive"),
        ([(1, -4)], {}, r"dim -4 is not positive"),
    ],
)
def test_inputs_that_do_not_fit(given: list[object], kwargs: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        run(Functional(), given, kwargs=kwargs)


def test_a_real_tensor_keeps_its_dtype_and_a_shape_takes_the_models() -> None:
    net = nn.Linear(4, 4).to(torch.bfloat16)
    assert str(run(net, [(1, 4)]).inputs[0].spec) == "bf16[1,4]"
    failed = run(net, [torch.zeros(1, 4)]).failure
    assert failed is not None
    assert "its weight is bfloat16" in failed.message


def test_real_whole_numbers_steer_the_run() -> None:
    class Steered(nn.Module):
        def forward(self, x: Tensor, steps: Tensor) -> Tensor:
            for _ in range(int(steps)):
                x = x + 1
            return x

    trace = run(Steered(), [(1, 4), torch.tensor(3)])
    assert sum(op.op == "aten.add.Tensor" for op in trace.ops) == 3
    assert not trace.notes


def test_dtype_casts_weights_and_inputs() -> None:
    trace = run(nn.Linear(4, 4), [(1, 4)], dtype="bf16")
    assert {parameter.spec.dtype for parameter in trace.parameters} == {"bfloat16"}
    assert trace.outputs == (TensorSpec((1, 4), "bfloat16"),)


def test_training_mode_keeps_what_the_user_froze() -> None:
    net = nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm1d(4))
    net[1].eval()
    assert [call.training for call in run(net, [(2, 4)], training=True).calls] == [
        True,
        True,
        False,
    ]
    assert not any(call.training for call in run(net, [(2, 4)]).calls)


def test_a_compiled_model_is_unwrapped() -> None:
    net = nn.Sequential(nn.Linear(4, 4))
    assert [call.path for call in run(torch.compile(net), [(1, 4)]).calls] == ["", "0"]
