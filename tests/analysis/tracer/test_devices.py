"""The model's code sees the device that was asked for, and no driver is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from zoo.analysis.tracer.run import run
from zoo.errors import InputError

if TYPE_CHECKING:
    from zoo.analysis.records import Trace


class Sees(nn.Module):
    """Runs a function, and keeps what it returned besides."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(4, 4), function
        self.register_buffer("index", torch.arange(4))
        self.box: list[Any] = []

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def seen(function: Any, device: str = "cpu") -> Any:
    box: list[Any] = []

    def keep(model: Sees, x: Tensor) -> Tensor:
        box.append(function(model, x))
        return x

    trace = run(Sees(keep), [(2, 4)], device=device)
    assert trace.failure is None, trace.failure
    return box[0]


@pytest.mark.parametrize(
    ("device", "wanted"),
    [("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("mps", "mps:0"), ("meta", "cpu")],
)
def test_inputs_weights_and_results_say_the_device(device: str, wanted: str) -> None:
    def look(model: Sees, x: Tensor) -> list[str]:
        return [str(t.device) for t in (x, model.layer.weight, model.index, model.layer(x), x[0])]

    assert seen(look, device) == [wanted] * 5


def test_flags_and_branches() -> None:
    def look(_: Sees, x: Tensor) -> Any:
        branch = "gpu" if x.device.type == "cuda" else "host"
        return x.is_cuda, x.is_cpu, x.is_meta, x.get_device(), x.type(), branch

    assert seen(look, "cuda") == (True, False, False, 0, "torch.cuda.FloatTensor", "gpu")
    assert seen(look) == (False, True, False, -1, "torch.FloatTensor", "host")


def test_moves() -> None:
    def look(_: Sees, x: Tensor) -> list[str]:
        moved = [
            x.cuda(),
            x.cuda(1),
            x.to("cuda:1"),
            x.to(torch.device("cuda"), torch.float16),
            x.cuda().cpu(),
            x.to(x.cuda()),
            x.to(dtype=torch.float64),
            torch.zeros(3, device="cuda"),
            torch.zeros(3, device=x.device),
            torch.tensor([1, 2], device="cuda:1"),
            x.cuda() + 1,
            torch.zeros_like(x.cuda()),
        ]
        return [f"{t.device} {str(t.dtype)[6:]}" for t in moved]

    assert seen(look) == [
        "cuda:0 float32",
        "cuda:1 float32",
        "cuda:1 float32",
        "cuda:0 float16",
        "cpu float32",
        "cuda:0 float32",
        "cpu float64",
        "cuda:0 float32",
        "cpu float32",
        "cuda:1 int64",
        "cuda:0 float32",
        "cuda:0 float32",
    ]


def test_a_tensor_made_without_a_device_lies_on_the_cpu() -> None:
    assert seen(lambda _, x: str(torch.arange(3).device), "cuda") == "cpu"
    assert seen(lambda _, x: str((x + torch.ones(4)).device), "cuda") == "cuda:0"


def test_specs_carry_the_device() -> None:
    trace: Trace = run(Sees(lambda model, x: (model.layer(x), x.cpu())), [(2, 4)], device="cuda")
    assert trace.outputs is not None
    assert [spec.device for spec in trace.outputs] == ["cuda:0", "cpu"]
    assert {p.spec.device for p in trace.parameters} == {"cuda:0"}
    assert {b.spec.device for b in trace.buffers} == {"cuda:0"}
    assert trace.inputs[0].spec.device == "cuda:0"
    copies = [op for op in trace.ops if op.op == "aten._to_copy.default"]
    assert [(op.inputs[0].device, op.outputs[0].device) for op in copies] == [("cuda:0", "cpu")]


def test_values_that_leave_torch() -> None:
    def look(_: Sees, x: Tensor) -> Any:
        return x.tolist(), x.numpy().shape, f"{x.sum():.1f}", repr(x)

    values, shape, text, shown = seen(look)
    assert values == [[1.0] * 4] * 2
    assert shape == (2, 4)
    assert text == "8.0"
    assert shown == "tensor(..., size=(2, 4), device='cpu')"


@pytest.mark.parametrize("size", [4, 100_000])
def test_what_lies_outside_buffers_stays_behind(size: int) -> None:
    """The notes' batch norm keeps its moving averages so, and copies them in each forward pass."""

    class Outside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean = torch.zeros(size)

        def forward(self, x: Tensor) -> Tensor:
            if self.mean.device != x.device:
                self.mean = self.mean.to(x.device)
            return x - self.mean

    trace = run(Outside(), [(2, size)], device="cuda")
    (copy,) = [op for op in trace.ops if op.op == "aten._to_copy.default"]
    assert (copy.inputs[0].device, copy.outputs[0].device) == ("cpu", "cuda:0")
    assert copy.source is not None
    assert not [op for op in run(Outside(), [(2, size)]).ops if "copy" in op.op]


def test_an_unknown_device() -> None:
    with pytest.raises(InputError, match="torch knows no such device"):
        run(nn.Linear(4, 4), [(2, 4)], device="gpu")


@pytest.mark.parametrize("default", ["meta", "cpu"])
def test_torchs_default_device_changes_nothing(default: str) -> None:
    class Asks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            steps = torch.arange(4)
            return x[:, : int(x.sum() > 0) + int(steps.max())]

    plain = run(Asks(), [(2, 100)])
    torch.set_default_device(default)
    try:
        depth = torch._C._len_torch_function_stack()
        again = run(Asks(), [(2, 100)])
        attention = run(nn.MultiheadAttention(8, 2), [(5, 1, 8)] * 3)
        assert torch._C._len_torch_function_stack() == depth
    finally:
        torch.set_default_device(None)
    assert attention.failure is None
    assert again.outputs == plain.outputs
    assert [str(spec) for spec in again.outputs or ()] == ["f32[2,4]"]


@pytest.mark.parametrize("inside", [False, True])
def test_inference_mode_changes_nothing(inside: bool) -> None:
    class Asks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.inference_mode(inside):
                size = int(x.sum() > 0) + int(x.max().item()) + (1 if x.min() > 0 else 0)
            return x[:, :size]

    with torch.inference_mode(not inside):
        trace = run(Asks(), [(2, 100)])
    assert [str(spec) for spec in trace.outputs or ()] == ["f32[2,3]"]
