"""The user's module comes back exactly as it was, also when it raises."""

from __future__ import annotations

import gc
import random
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from tests.fingerprint import fingerprint
from zoo.analysis.tracer.run import run

if TYPE_CHECKING:
    from collections.abc import Callable


class Stateful(nn.Module):
    """Does to itself all that modules do in their forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.lstm = nn.LSTM(4, 4)
        self.moving = torch.zeros(4)
        self.seen: list[Any] = []
        self.cache: dict[str, Any] = {}
        self.calls = 0
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen.append(x)
        self.cache["last"] = x
        self.extra = nn.Linear(4, 2)
        self.moving = self.moving * 0.9 + x.mean(0)
        self.register_buffer("late", torch.zeros(2))
        random.random()
        y = self.norm(self.lin(x))
        self.lstm(y.unsqueeze(0))
        if self.fails:
            raise ValueError("on purpose")
        return self.extra(y)


def stateful() -> nn.Module:
    model = Stateful()
    model.lin.register_forward_hook(lambda *_: None)
    model.norm.eval()
    return model


def patched() -> nn.Module:
    model = stateful()
    inner = model.lin.forward
    model.lin.forward = lambda x: inner(x) * 2  # type: ignore[method-assign]
    return model


def frozen() -> nn.Module:
    model = stateful()
    model.lin.requires_grad_(requires_grad=False)
    return model.eval()


def tied() -> nn.Module:
    shared = nn.Linear(4, 4)
    return nn.Sequential(
        shared, nn.ReLU(), shared, nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    )


@pytest.mark.parametrize("build", [stateful, patched, frozen, tied])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_the_model_is_as_before(build: Callable[[], nn.Module], fails: bool, train: bool) -> None:
    model = build()
    if fails and isinstance(model, Stateful):
        model.fails = True
    before = fingerprint(model)
    state, generator = random.getstate(), torch.get_rng_state()
    shape = (3, 5) if fails and not isinstance(model, Stateful) else (3, 4)
    trace = run(model, [shape], training=train)
    assert (trace.failure is not None) == fails
    assert fingerprint(model) == before
    assert random.getstate() == state
    assert torch.equal(torch.get_rng_state(), generator)


def test_the_fingerprint_sees_a_change() -> None:
    model = stateful()
    before = fingerprint(model)
    model(torch.zeros(3, 4))
    assert fingerprint(model) != before


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_lazy_model_stays_lazy() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(10))
    before = fingerprint(model)
    trace = run(model, [(1, 2, 8, 8)])
    assert trace.outputs is not None
    assert [p.spec.shape for p in trace.parameters] == [(4, 2, 3, 3), (4,), (10, 144), (10,)]
    assert fingerprint(model) == before
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 10)


def test_no_global_hook_stays() -> None:
    registry = torch.nn.modules.module
    run(stateful(), [(3, 4)])
    assert not registry._global_forward_pre_hooks
    assert not registry._global_forward_hooks


def test_ctrl_c_gives_the_model_back() -> None:
    class Interrupted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            raise KeyboardInterrupt

    model = Interrupted()
    before = fingerprint(model)
    with pytest.raises(KeyboardInterrupt):
        run(model, [(1, 2)])
    assert fingerprint(model) == before


def test_weights_are_not_read() -> None:
    """NaN weights would show in stand-in values if they were read."""

    class Asks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.full((2,), float("nan")))

        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if self.weight.sum() > 0 else x

    trace = run(Asks(), [(1, 2)])
    assert [op.op for op in trace.ops][-1] == "aten.mul.Tensor"


@pytest.mark.parametrize("on", [True, False])
def test_garbage_collection_is_as_before(on: bool) -> None:
    before = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        run(stateful(), [(3, 4)])
        run(stateful(), [(3, 5)])
        assert gc.isenabled() == on
    finally:
        (gc.enable if before else gc.disable)()
