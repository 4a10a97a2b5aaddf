"""Inside torch's own Python functions the function mode is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.overrides import TorchFunctionMode

from zoo.analysis.tracer.bodies import Bodies
from zoo.analysis.tracer.devices import DeviceMode
from zoo.analysis.tracer.modes import BlankMode
from zoo.analysis.tracer.run import run

if TYPE_CHECKING:
    from collections.abc import Callable


class Listens(DeviceMode):
    """Notes the functions that reach the mode."""

    def __init__(self, blank: BlankMode) -> None:
        super().__init__(blank)
        self.heard: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.heard.append(getattr(func, "__name__", str(func)))
        return super().__torch_function__(func, types, args, kwargs)


def heard(function: Callable[[Tensor], Any]) -> tuple[list[str], Any]:
    blank = BlankMode()
    with blank, (mode := Listens(blank)):
        out = function(torch.empty(4, 6, device="meta"))
        assert torch._C._len_torch_function_stack() == 1
    return mode.heard, out


CALLS: list[tuple[Callable[[Tensor], Any], list[str]]] = [
    (lambda x: fn.dropout(x, 0.5), ["dropout", "dropout"]),
    (lambda x: fn.layer_norm(x, (6,)), ["layer_norm", "layer_norm"]),
    (lambda x: 1 - x, ["__rsub__", "rsub"]),  # wrapped twice
    (lambda x: 2**x, ["__rpow__", "pow"]),
    (lambda x: fn.max_pool2d(x[None], 2), ["max_pool2d"]),  # chooses between two functions
    (lambda x: torch.einsum("ij,kj->ik", x, x), ["einsum", "einsum"]),
    (torch.norm, ["norm"]),
    (lambda x: x.split(2), ["split"]),
    (lambda x: torch.meshgrid(x[0], x[1], indexing="ij"), ["meshgrid"]),  # asks further in
    (lambda x: fn.multi_head_attention_forward(
        x[:, None], x[:, None], x[:, None], 6, 2, x.new_empty(18, 6), None, None, None,
        False, 0.5, x.new_empty(6, 6), None, need_weights=False,
    ), ["multi_head_attention_forward", "linear", "scaled_dot_product_attention"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "names"), CALLS)
def test_what_a_function_calls_is_heard(call: Callable[[Tensor], Any], names: list[str]) -> None:
    found, _ = heard(call)
    left = iter(found)
    assert all(name in left for name in names), found


def results(out: Any) -> list[Tensor]:
    return [out] if isinstance(out, Tensor) else list(out)


@pytest.mark.parametrize("call", [call for call, _ in CALLS[:-1]])
def test_results_are_those_of_the_function_itself(call: Callable[[Tensor], Any]) -> None:
    _, out = heard(call)
    with torch.no_grad():
        real = call(torch.rand(4, 6))
    assert [t.shape for t in results(out)] == [t.shape for t in results(real)]


def test_a_twin_has_the_functions_defaults_and_changes_nothing() -> None:
    bodies = Bodies()
    before = dict(fn.interpolate.__globals__)
    twin = bodies.of(fn.interpolate)
    assert twin is bodies.of(fn.interpolate)
    assert twin.__defaults__ == fn.interpolate.__defaults__
    assert twin(torch.ones(1, 1, 2, 2), scale_factor=2.0).shape == (1, 1, 4, 4)
    assert fn.interpolate.__globals__ == before
    rsub = torch.Tensor.__rsub__
    assert torch.equal(bodies.of(rsub)(torch.ones(2), 3), torch.full((2,), 2.0))
    assert bodies.of(rsub)(torch.ones(2), "3") is NotImplemented


def test_errors_name_the_function() -> None:
    def wrong(x: Tensor) -> Any:
        return fn.multi_head_attention_forward(
            x, x, x, 7, 2, None, None, None, None, False, 0.0, x, None
        )

    with pytest.raises(AssertionError, match="embedding dimension of 7"):
        heard(lambda x: wrong(x[:, None]))


class Counts(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(getattr(func, "__name__", str(func)))
        return func(*args, **(kwargs or {}))


class Drops(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return fn.layer_norm(x, (4,))


def test_a_mode_of_the_users_sees_the_calls_that_the_model_makes() -> None:
    with Counts() as alone:
        Drops()(torch.ones(2, 4))
    with Counts() as around:
        trace = run(Drops(), [(2, 4)])
    assert trace.failure is None
    assert alone.seen.count("layer_norm") == around.seen.count("layer_norm") == 1
    assert torch._C._len_torch_function_stack() == 0


def test_a_default_device_hides_nothing() -> None:
    model = nn.MultiheadAttention(8, 2, batch_first=True)
    plain = run(model, [(1, 5, 8)] * 3, kwargs={"need_weights": False})
    torch.set_default_device("cpu")
    try:
        again = run(model, [(1, 5, 8)] * 3, kwargs={"need_weights": False})
    finally:
        torch.set_default_device(None)
    assert plain.failure is None
    assert "aten._scaled_dot_product_flash_attention_for_cpu.default" in [op.op for op in again.ops]
    assert [op.op for op in again.ops] == [op.op for op in plain.ops]
