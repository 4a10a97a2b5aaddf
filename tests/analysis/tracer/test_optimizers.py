"""Optimizers: state and operators are those that torch's own have on real weights."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.real_step import real_step
from zoo.analysis.tracer.optimizers import NAMES, RATE, made, settled
from zoo.errors import StepError

if TYPE_CHECKING:
    from zoo.analysis.records import Trace


class Some(nn.Module):
    """Parameters of no, one, two and four dims, one frozen, one that no loss reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.ones(()))
        self.frozen, self.head = nn.Linear(4, 5), nn.Linear(5, 2, bias=False)
        self.frozen.requires_grad_(requires_grad=False)
        self.dead = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x)).mean((2, 3)) * self.scale
        found: Tensor = self.head(torch.relu(self.frozen(y)))
        return found


SHAPE = (2, 3, 6, 6)
TRAINED = {"conv.weight", "conv.bias", "norm.weight", "norm.bias", "scale", "head.weight"}


def real_optimizer(name: str) -> Any:
    kind, settings = NAMES[name]
    return partial(getattr(torch.optim, kind), lr=RATE, **settings)


def state_of(trace: Trace) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for one in trace.storages:
        if one.role == "optimizer":
            found[one.name] += one.nbytes
    return dict(found)


def step_of(**how: Any) -> Trace:
    trace = zoo.trace(Some(), SHAPE, train=True, **how)
    assert trace.failure is None, trace.failure
    return trace


def ran(trace: Trace) -> list[str]:
    return [op.op for op in trace.ops if op.phase == "optimizer"]


@pytest.mark.parametrize("name", NAMES)
def test_state_and_operators_are_those_of_a_real_step(name: str) -> None:
    """Bytes by parameter, and the operators of a step that stands for all later ones."""
    before = settled(name)
    real = real_step(Some(), [torch.ones(SHAPE)], real_optimizer(name), before=before)
    later = real_step(Some(), [torch.ones(SHAPE)], real_optimizer(name), before=before + 3)
    assert without_fills(name, [one.op for one in later.optimizer]) == without_fills(
        name, [one.op for one in real.optimizer]
    )
    trace = step_of(optimizer=name)
    wanted = {key: nbytes for key, nbytes in real.state.items() if nbytes}
    assert state_of(trace) == wanted
    everything = {key for key, _ in Some().named_parameters()}
    assert set(wanted) in (set(), everything if name == "adagrad" else TRAINED)
    assert without_fills(name, ran(trace)) == without_fills(
        name, [one.op for one in real.optimizer]
    )


FILLS = {
    f"aten.{name}"
    for name in "scalar_tensor.default lift_fresh.default copy_.default fill_.Scalar "
    "index_put_.default "
    "zeros.default empty.memory_format".split()
}
"""Rprop writes numbers through a mask: `sign[sign.gt(0)] = 1.2`. How torch makes a tensor of the
number depends on where `sign` lies, in memory or on the meta device."""


def without_fills(name: str, ops: list[str]) -> list[str]:
    return [op for op in ops if op not in FILLS] if name == "rprop" else ops


@pytest.mark.parametrize("name", NAMES)
def test_state_is_there_before_the_step(name: str) -> None:
    state = [one for one in step_of(optimizer=name).storages if one.role == "optimizer"]
    assert all(one.born == -1 for one in state)
    assert all(one.call is None for one in state)


@pytest.mark.parametrize("name", NAMES)
def test_names_differ_by_what_they_keep_or_compute(name: str) -> None:
    """No two names are one optimizer."""
    mine = (state_of(step_of(optimizer=name)), Counter(ran(step_of(optimizer=name))))
    for other in NAMES:
        if other != name and NAMES[other][0] == NAMES[name][0]:
            theirs = step_of(optimizer=other)
            assert (state_of(theirs), Counter(ran(theirs))) != mine


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sgd", 0),
        ("sgd-momentum", 1),
        ("adamw", 2),
        ("adamw-amsgrad", 3),
        ("rmsprop", 1),
        ("rmsprop-momentum", 2),
        ("adadelta", 2),
    ],
)
def test_words_of_state_for_each_parameter(name: str, words: int) -> None:
    """4 bytes each in float32; beside them, some keep a counter of 4 bytes a parameter."""
    net = nn.Linear(7, 5)
    trace = zoo.trace(net, (2, 7), train=True, optimizer=name)
    sizes = sorted(one.nbytes for one in trace.storages if one.role == "optimizer")
    assert [size for size in sizes if size > 4] == sorted(words * [4 * 5] + words * [4 * 35])
    assert len([size for size in sizes if size == 4]) in (0, 2)


def test_state_has_the_dtype_of_the_weights() -> None:
    half = zoo.trace(
        nn.Linear(8, 8), (2, 8), train=True, optimizer="sgd-momentum", dtype="bfloat16"
    )
    assert state_of(half) == {"weight": 128, "bias": 16}


def test_a_factory_gets_all_parameters() -> None:
    seen: list[list[tuple[int, ...]]] = []

    def factory(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        seen.append([tuple(one.shape) for one in parameters])
        return torch.optim.SGD(parameters, lr=0.1, momentum=0.5)

    trace = step_of(optimizer=factory)
    assert seen == [[tuple(one.shape) for one in Some().parameters()]]
    assert state_of(trace) == state_of(step_of(optimizer="sgd-momentum"))
    assert trace.step is not None
    assert trace.step.optimizer.endswith("factory")


def test_a_class_is_a_factory() -> None:
    trace = step_of(optimizer=torch.optim.Adam)
    assert trace.step is not None
    assert trace.step.optimizer == "Adam"
    assert state_of(trace) == state_of(step_of(optimizer="adam"))


def test_groups_of_parameters_and_a_part_of_them() -> None:
    def two(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        groups = [{"params": parameters[1:2], "momentum": 0.9}, {"params": parameters[2:4]}]
        return torch.optim.SGD(groups, lr=0.1)

    assert state_of(step_of(optimizer=two)) == {"conv.weight": 4 * 4 * 27}


def test_an_optimizer_on_lists_of_parameters() -> None:
    """As torch takes on accelerators: the operators of a real step on lists."""
    make = partial(torch.optim.AdamW, foreach=True)
    real = real_step(Some(), [torch.ones(SHAPE)], make)
    trace = step_of(optimizer=make)
    assert state_of(trace) == {key: nbytes for key, nbytes in real.state.items() if nbytes}
    assert ran(trace) == [one.op for one in real.optimizer]
    assert "aten._foreach_addcdiv_.ScalarList" in ran(trace)


class OwnOptimizer(torch.optim.Optimizer):
    """Keeps a sum of the gradients."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {})

    def step(self, closure: Any = None) -> None:
        for parameter in self.param_groups[0]["params"]:
            if parameter.grad is not None:
                held = self.state[parameter].setdefault("sum", torch.zeros_like(parameter))
                held += parameter.grad
                with torch.no_grad():
                    parameter.sub_(held, alpha=0.1)


def test_the_users_own_optimizer() -> None:
    sizes = {name: 4 * one.numel() for name, one in Some().named_parameters() if name in TRAINED}
    assert state_of(step_of(optimizer=OwnOptimizer)) == sizes


@pytest.mark.parametrize(
    ("optimizer", "says"),
    [
        ("adam-w", r"^optimizer 'adam-w': no optimizer is called so\. Did you mean adamw"),
        ("lion", r"no optimizer is called so\. .*(Did you mean|Known: sgd)"),
        (lambda _: None, r"made a NoneType, not a torch\.optim\.Optimizer\. Give a function"),
        (lambda _: nn.ReLU(), r"made a ReLU, not a torch\.optim\.Optimizer"),
        (lambda _: 1 / 0, r"raised ZeroDivisionError: division by zero\. It is called with"),
        (lambda: None, r"raised TypeError: .*takes 0 positional arguments"),
        (partial(torch.optim.SGD, lr=-1.0), r"raised ValueError: Invalid learning rate: -1\.0"),
        (torch.optim.LBFGS, r"optimizer LBFGS: it evaluates the loss several times a step"),
    ],
    ids=["misspelt", "unknown", "none", "module", "raises", "arity", "settings", "LBFGS"],
)
def test_optimizers_that_do_not_work(optimizer: Any, says: str) -> None:
    with pytest.raises(StepError, match=says) as raised:
        zoo.trace(nn.Linear(4, 4), (2, 4), train=True, optimizer=optimizer)
    assert "\n" not in str(raised.value)


def test_a_step_that_raises_is_a_failure() -> None:
    trace = zoo.trace(nn.Linear(4, 4), (2, 4), train=True, optimizer=torch.optim.SparseAdam)
    assert trace.failure is not None
    assert "does not support dense gradients" in trace.failure.error
    assert {op.phase for op in trace.ops} >= {"forward", "backward"}


def test_a_name_is_checked_before_anything_runs() -> None:
    ran: list[int] = []
    net = nn.Linear(4, 4)
    net.register_forward_hook(lambda *_: ran.append(1))
    with pytest.raises(StepError):
        zoo.trace(net, (2, 4), train=True, optimizer="nope")
    assert ran == []


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_made_by_name_is_torchs(name: str) -> None:
    parameters = [nn.Parameter(torch.ones(2, 3))]
    found = made(name, parameters)
    kind, settings = NAMES[name]
    assert isinstance(found, getattr(torch.optim, kind))
    assert all(found.defaults[key] == value for key, value in settings.items())
    real = real_optimizer(name)(parameters)
    assert found.defaults == real.defaults


@pytest.mark.parametrize("name", ["sgd-momentum", "adam", "adafactor"])
def test_state_outlives_the_step(name: str) -> None:
    assert all(
        one.died is None for one in step_of(optimizer=name).storages if one.role == "optimizer"
    )
