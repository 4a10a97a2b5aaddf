"""A run that breaks keeps what ran, and says what broke it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from zoo.analysis.tracer.run import run

if TYPE_CHECKING:
    from zoo.analysis.records import Failure


def broken(model: nn.Module, *inputs: object) -> Failure:
    failure = run(model, inputs).failure
    assert failure is not None
    return failure


def test_what_ran_is_kept() -> None:
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()),
        nn.Flatten(),
        nn.Sequential(nn.ReLU(), nn.Linear(6400, 10)),
    )
    trace = run(net, [(1, 3, 32, 32)])
    assert [call.path for call in trace.calls] == ["", "0", "0.0", "0.1", "1", "2", "2.0", "2.1"]
    assert [call.outputs is None for call in trace.calls] == [True, *[False] * 4, True, False, True]
    failure = trace.failure
    assert failure is not None
    assert failure.call == 7
    assert failure.message == "2.1 (Linear) got f32[1,7200], its weight wants 6400 features"
    assert failure.hint is not None
    assert "Set in_features=7200" in failure.hint
    assert "a flattened f32[1,8,30,30]" in failure.hint


LAYERS = [
    (nn.Linear(4, 2), "1,3", "its weight wants 4 features"),
    (nn.Conv2d(3, 8, 3), "1,1,8,8", "its weight wants 3 channels"),
    (nn.Conv2d(3, 8, 5), "1,3,4,4", "its kernel covers 5, more than the 4 there are"),
    (nn.Conv2d(3, 8, 3), "3,8", r"it wants 4 dims \(batch, channels and 2 of space\)"),
    (nn.ConvTranspose1d(3, 8, 3), "1,2,8", "its weight wants 3 channels"),
    (nn.BatchNorm2d(3), "1,4,8,8", "it normalises 3 channels"),
    (nn.LayerNorm(4), "1,3", r"it normalises a last shape of \[4\]"),
    (nn.Embedding(10, 4), "1,3", "it wants token ids"),
    (nn.LSTM(4, 4), "5,1,3", "it wants 4 features"),
    (nn.Linear(4, 2), "1,4:f16", "its weight is float32"),
]


@pytest.mark.parametrize(("layer", "given", "wanted"), LAYERS)
def test_a_layer_says_what_it_wants(layer: nn.Module, given: str, wanted: str) -> None:
    failure = broken(nn.Sequential(nn.Identity(), layer), given)
    assert failure.message.startswith(f"1 ({type(layer).__name__}) got ")
    assert pytest.importorskip("re").search(wanted, failure.message)
    assert failure.hint


def test_the_users_line_is_named() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = torch.zeros(5)
            return x + y

    failure = broken(Net(), (1, 4))
    assert failure.op == "aten.add.Tensor"
    assert failure.source is not None
    assert failure.source.endswith(f"test_failure.py:{Net.forward.__code__.co_firstlineno + 2}")
    assert failure.message.startswith("Net got f32[1,4] and raised RuntimeError")


def test_an_exception_that_the_model_catches_is_no_failure() -> None:
    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wrong, self.right = nn.Linear(3, 1), nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.wrong(x)
            except RuntimeError:
                return self.right(x)

    trace = run(Tries(), [(1, 4)])
    assert trace.failure is None
    assert [(call.path, call.outputs is None, call.depth) for call in trace.calls] == [
        ("", False, 0),
        ("wrong", True, 1),
        ("right", False, 1),
    ]


def test_training_a_norm_on_one_value() -> None:
    failure = run(nn.BatchNorm1d(4), [(1, 4)], training=True).failure
    assert failure is not None
    assert "more than one value a channel" in failure.message


def test_a_stack_of_torch_s_own_is_left_out() -> None:
    failure = broken(nn.Unflatten(1, (-1, 0)), torch.empty(2, 0))
    assert failure.message.endswith("-1 can be any value and is ambiguous")
    assert "frame #" not in failure.message + failure.error
