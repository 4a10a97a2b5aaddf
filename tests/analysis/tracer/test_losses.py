"""Losses by name and by function: which output they take, and which targets they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as fn

import zoo
from zoo.analysis.tracer.losses import NAMES, loss_of, name_of
from zoo.errors import NothingToTrain, StepError

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.analysis.records import Trace


class Targets:
    """Makes targets, real ones, and remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, ...], torch.dtype]] = []

    def __call__(self, shape: Any, dtype: torch.dtype) -> Tensor:
        self.asked.append((tuple(shape), dtype))
        return torch.zeros(tuple(shape), dtype=dtype)


def grown(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape, dtype=torch.float32).to(dtype).requires_grad_()


class Pair(NamedTuple):
    loss: Any
    scores: Tensor


class Holder:
    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


# the sum


@pytest.mark.parametrize(
    "wrap",
    [
        lambda a, b: (a, b),
        lambda a, b: {"a": [a], "b": {"c": b}},
        lambda a, b: Holder(a=a, b=b),
        lambda a, b: (a, b, a, b.detach(), 3, None, torch.ones(2)),
    ],
    ids=["tuple", "nest", "object", "twice"],
)
def test_the_sum_takes_each_output_once(wrap: Callable[[Tensor, Tensor], Any]) -> None:
    a, b = grown(2, 3), grown(4)
    value = loss_of("sum", wrap(a, b), Targets())
    assert value.item() == pytest.approx((a.sum() + b.sum()).item())
    value.backward()
    assert torch.equal(a.grad, torch.ones(2, 3))
    assert torch.equal(b.grad, torch.ones(4))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda a, b: {"loss": a, "scores": b},
        Pair,
        lambda a, b: Holder(loss=a, scores=b),
    ],
    ids=["dict", "named tuple", "object"],
)
def test_the_models_own_loss_comes_first(wrap: Callable[[Tensor, Tensor], Any]) -> None:
    a, b = grown(3), grown(4)
    loss_of("sum", wrap(a, b), Targets()).backward()
    assert a.grad is not None
    assert b.grad is None


@pytest.mark.parametrize("own", [None, 3.0, torch.ones(())], ids=["none", "number", "constant"])
def test_a_loss_that_trains_nothing_is_no_loss(own: Any) -> None:
    b = grown(4)
    loss_of("sum", {"loss": own, "scores": b}, Targets()).backward()
    assert b.grad is not None


def test_complex_outputs_are_summed_by_their_size() -> None:
    z = torch.ones(3, dtype=torch.complex64, requires_grad=True)
    assert not loss_of("sum", z, Targets()).is_complex()


@pytest.mark.parametrize("loss", NAMES)
@pytest.mark.parametrize("output", [None, 3, (), torch.ones(2, 3), {"loss": torch.ones(())}])
def test_no_output_that_gradients_reach(loss: str, output: Any) -> None:
    with pytest.raises(NothingToTrain, match="no output depends on a trainable parameter"):
        loss_of(loss, output, Targets())


# targets


@pytest.mark.parametrize(
    ("shape", "target"),
    [
        ((5,), ()),
        ((4, 5), (4,)),
        ((4, 7, 5), (28,)),
        ((4, 5, 6, 7), (4, 6, 7)),
        ((2, 5, 3, 4, 6), (2, 3, 4, 6)),
    ],
)
def test_targets_of_cross_entropy(shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    targets, scores = Targets(), grown(*shape)
    value = loss_of("cross-entropy", scores, targets)
    assert targets.asked == [(target, torch.int64)]
    assert value.dim() == 0
    value.backward()
    assert scores.grad is not None


@given(st.lists(st.integers(1, 4), max_size=4))
def test_targets_of_the_squared_error(shape: list[int]) -> None:
    targets, values = Targets(), grown(*shape)
    loss_of("mse", (torch.ones(9), values), targets)  # the first one that gradients reach
    assert targets.asked == [(tuple(shape), torch.float32)]


def test_one_number_has_no_classes() -> None:
    with pytest.raises(StepError, match=r"loss cross-entropy: the output is one number\. Try"):
        loss_of("cross-entropy", grown(), Targets())


# functions, names


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (lambda o: o, r"loss <lambda>: it made \(2, 3\)\. Make a tensor of one element"),
        (lambda _: 3.0, r"loss <lambda>: it made float\. Make a tensor"),
        (lambda _: None, r"it made NoneType"),
        ("nll", r"^loss 'nll': no loss is called so\. Known: sum, cross-entropy, mse, none"),
        ("mean", r"no loss is called so\. Did you mean|Known"),
        ("cross_entropy", r"no loss is called so\. Did you mean cross-entropy\?"),
    ],
    ids=["shape", "number", "nothing", "unknown", "near", "misspelt"],
)
def test_losses_that_do_not_work(loss: Any, says: str) -> None:
    with pytest.raises(StepError, match=says) as raised:
        zoo.trace(nn.Linear(4, 3), (2, 4), train=True, loss=loss)
    assert "\n" not in str(raised.value)


def test_a_function_may_drop_all_gradients() -> None:
    with pytest.raises(NothingToTrain):
        zoo.trace(nn.Linear(4, 3), (2, 4), train=True, loss=lambda o: o.detach().sum())


def test_a_function_that_raises_is_a_failure() -> None:
    trace = zoo.trace(nn.Linear(4, 3), (2, 4), train=True, loss=lambda _: 1 / 0)
    assert trace.failure is not None
    assert "division by zero" in trace.failure.error
    assert {op.phase for op in trace.ops} == {"forward"}


def distance(output: Tensor) -> Tensor:
    return fn.l1_loss(output, torch.zeros_like(output)).reshape(1)


class Distance(nn.Module):
    def forward(self, output: Tensor) -> Tensor:
        return output.square().mean()


def test_what_a_loss_is_called() -> None:
    assert name_of(distance) == "distance"
    assert name_of(Distance()) == "Distance"
    assert name_of("mse") == "mse"


@pytest.mark.parametrize("loss", [distance, Distance()])
def test_a_function_or_module_as_loss(loss: Any) -> None:
    trace = zoo.trace(nn.Linear(4, 3), (2, 4), train=True, loss=loss)
    assert trace.failure is None
    assert trace.step is not None
    assert trace.step.loss == name_of(loss)
    gradients = {one.name for one in trace.storages if one.role == "gradient"}
    assert gradients == {"weight", "bias"}


# in a step


def inputs_of(trace: Trace) -> dict[str, int]:
    return {one.name: one.nbytes for one in trace.storages if one.role == "input"}


@pytest.mark.parametrize(
    ("loss", "target"), [("sum", None), ("mse", 2 * 3 * 4), ("cross-entropy", 2 * 8)]
)
@pytest.mark.parametrize("accumulate", [1, 3])
def test_targets_are_inputs_of_the_step(loss: str, target: int | None, accumulate: int) -> None:
    trace = zoo.trace(nn.Linear(4, 3), (2, 4), train=True, loss=loss, accumulate=accumulate)
    assert inputs_of(trace) == {"input": 32} | ({} if target is None else {"target": target})


def test_the_losss_operators_belong_to_the_model() -> None:
    trace = zoo.trace(nn.Sequential(nn.Linear(4, 3)), (2, 4), train=True, loss="cross-entropy")
    names = {"aten._log_softmax.default", "aten.nll_loss_forward.default"}
    owners = {op.op: (op.call, op.phase) for op in trace.ops if op.op in names}
    assert owners == dict.fromkeys(names, (0, "forward"))
    last = next(op for op in trace.ops if op.op == "aten._log_softmax_backward_data.default")
    assert (last.call, last.phase) == (0, "backward")


def test_without_a_loss_only_the_forward_pass_runs() -> None:
    trace = zoo.trace(nn.Dropout(), (2, 4), train=True, loss="none")
    assert [op.phase for op in trace.ops] == ["forward"] * len(trace.ops) != []
    assert trace.step is None
    assert not any(one.role == "saved" for one in trace.storages)


def test_a_half_precision_model_has_a_half_precision_target() -> None:
    trace = zoo.trace(nn.Linear(4, 3), (2, 4), train=True, loss="mse", dtype="bfloat16")
    assert inputs_of(trace) == {"input": 16, "target": 12}
