"""Code that depends on values goes on, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from zoo.analysis.tracer.run import run

if TYPE_CHECKING:
    from zoo.analysis.records import Trace


class Asks(nn.Module):
    """Runs one function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def asked(function: Any, *shape: int, **hints: float) -> Trace:
    trace = run(Asks(function), [shape or (4, 6)], hints=hints)
    assert trace.failure is None, trace.failure
    return trace


def shape_of(trace: Trace) -> tuple[int, ...]:
    assert trace.outputs is not None
    return trace.outputs[0].shape


CASES = [
    ("nonzero", lambda x: x.nonzero(), (24, 2), (5, 2)),
    ("nonzero", lambda x: torch.where(x > 0)[0], (24,), (5,)),
    ("mask", lambda x: x[x > 0], (24,), (5,)),
    ("mask", lambda x: x[x[:, 0] > 0], (4, 6), (3, 6)),
    ("masked_select", lambda x: torch.masked_select(x, x > 0), (24,), (5,)),
    ("unique", torch.unique, (4,), (5,)),
    ("unique", lambda x: torch.unique(x, dim=0), (4, 6), (3, 6)),
    ("unique", torch.unique_consecutive, (4,), (5,)),
    ("bincount", lambda x: torch.bincount(x.flatten().long(), minlength=7), (7,), (9,)),
    (
        "repeat_interleave",
        lambda x: torch.repeat_interleave(x, x[:, 0].long(), dim=0),
        (4, 6),
        (9, 6),
    ),
]


@pytest.mark.parametrize(("code", "function", "default", "hinted"), CASES)
def test_sizes_that_depend_on_values(
    code: str, function: Any, default: tuple[int, ...], hinted: tuple[int, ...]
) -> None:
    trace = asked(function)
    assert shape_of(trace) == default
    (note,) = [note for note in trace.notes if note.code == "data-dependent"]
    assert note.text.startswith(f"{code} depends on values")
    assert note.where is not None
    assert "test_hints.py:" in note.where
    assert shape_of(asked(function, **{code: hinted[0]})) == hinted


def test_nms_keeps_all() -> None:
    import torchvision

    trace = asked(lambda x: torchvision.ops.nms(x, x[:, 0], 0.5), 7, 4)
    assert shape_of(trace) == (7,)


def test_values_are_ones_and_what_follows_from_ones() -> None:
    assert shape_of(asked(lambda x: torch.zeros(int(x.sum()) + 2), 40, 6)) == (3,)
    assert shape_of(asked(lambda x: torch.zeros(int(x.sum()) + 2), item=5)) == (7,)
    assert shape_of(asked(lambda x: x if x.sum() > 0 else x[0])) == (4, 6)
    assert shape_of(asked(lambda x: x if x.mean() > 2 else x[0])) == (6,)
    assert shape_of(asked(lambda x: torch.zeros(len(x[:, 0].tolist())))) == (4,)
    assert shape_of(asked(lambda x: torch.from_numpy(x.numpy()[:2]))) == (2, 6)


def test_small_tensors_stay_consistent() -> None:
    def crop(x: Tensor) -> Tensor:
        box = x[0, :4]
        low, high = max(box[0], 0), min(box[2] + 1, 6)
        return x[:, int(low) : int(high)]

    assert shape_of(asked(crop)) == (4, 1)


def test_a_loop_that_converges_ends() -> None:
    def halve(x: Tensor) -> Tensor:
        error = x.abs().max()
        while error > 0.1:
            error = error * 0.5
        return error

    assert sum(op.op == "aten.mul.Tensor" for op in asked(halve).ops) == 4


def test_an_endless_loop_is_a_failure_with_its_line() -> None:
    def spin(x: Tensor) -> Tensor:
        while x.sum() > 0:
            pass
        return x

    failure = run(Asks(spin), [(4, 6)]).failure
    assert failure is not None
    assert "does not end" in failure.message
    assert failure.source is not None
    assert "test_hints.py" in failure.source


def test_a_hint_by_line() -> None:
    def two(x: Tensor) -> Tensor:
        first = x[x > 0]
        second = x[x > 1]
        return torch.cat([first, second])

    line = two.__code__.co_firstlineno + 2
    trace = run(Asks(two), [(4, 6)], hints={f"test_hints.py:{line}": 2})
    assert shape_of(trace) == (26,)


def test_a_hint_that_meets_no_question_is_said() -> None:
    trace = asked(lambda x: x + 1, nonzero=3)
    assert [note.code for note in trace.notes] == ["unused-hint"]


def test_constants_are_computed_for_real() -> None:
    def constant(x: Tensor) -> Tensor:
        steps = torch.arange(10)
        assert int(steps[steps > 6].sum()) == 24
        assert torch.tensor([3.0, 4.0]).norm().item() == 5.0
        assert torch.linspace(0, 1, 5).tolist()[-1] == 1.0
        return x[:, : int(torch.unique(steps // 4).numel())]

    trace = asked(constant)
    assert shape_of(trace) == (4, 3)
    assert not trace.notes


def test_blank_values_spoil_a_constant_they_are_written_into() -> None:
    def spoil(x: Tensor) -> Tensor:
        out = torch.zeros(4)
        out[1] = x[0, 0]
        return x if out.sum() > 0 else x[0]

    trace = asked(spoil)
    assert [note.code for note in trace.notes] == ["data-dependent"]


@pytest.mark.parametrize(
    "name",
    [
        "fasterrcnn_resnet50_fpn",
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        "fcos_resnet50_fpn",
        "keypointrcnn_resnet50_fpn",
        "maskrcnn_resnet50_fpn",
        "maskrcnn_resnet50_fpn_v2",
        "retinanet_resnet50_fpn",
        "ssd300_vgg16",
        "ssdlite320_mobilenet_v3_large",
    ],
)
def test_detectors_run_to_their_end(name: str) -> None:
    import torchvision

    from zoo.analysis.skeleton import skeleton

    build = torchvision.models.get_model_builder(name)
    model = skeleton(lambda: build(weights=None, weights_backbone=None))
    trace = run(model, [(1, 3, 320, 320)])
    assert trace.failure is None
    assert trace.outputs
