"""Steps of real optimizers: fused or of lists, the arithmetic is the same."""

from __future__ import annotations

import pytest
import torch

from zoo.analysis.costs import DEFAULT, cost_of
from zoo.analysis.costs.base import Inputs
from zoo.analysis.records import Cost, TensorSpec

optim = torch.optim
FUSED = {
    "sgd": lambda p, **kw: optim.SGD(p, 0.1, **kw),
    "sgd decayed": lambda p, **kw: optim.SGD(p, 0.1, weight_decay=0.1, **kw),
    "sgd momentum": lambda p, **kw: optim.SGD(p, 0.1, momentum=0.9, **kw),
    "sgd nesterov": lambda p, **kw: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, **kw),
    "sgd maximize": lambda p, **kw: optim.SGD(p, 0.1, momentum=0.9, maximize=True, **kw),
    "adam": optim.Adam,
    "adam decayed": lambda p, **kw: optim.Adam(p, weight_decay=0.1, **kw),
    "adam amsgrad": lambda p, **kw: optim.Adam(p, amsgrad=True, maximize=True, **kw),
    "adamw": optim.AdamW,
    "adagrad": optim.Adagrad,
    "adagrad decayed": lambda p, **kw: optim.Adagrad(p, weight_decay=0.1, **kw),
}
FLOPS = {
    "sgd": 1,
    "sgd decayed": 2,
    "sgd momentum": 3,
    "sgd nesterov": 4,
    "sgd maximize": 4,
    "adam": 7,
    "adam decayed": 8,
    "adam amsgrad": 9,
    "adamw": 8,
    "adagrad": 4,
    "adagrad decayed": 5,
}
SHAPES = ((3, 4), (5,), (2, 3, 4))
ELEMENTS = 12 + 5 + 24


def parameters():
    made = [torch.ones(shape, requires_grad=True) for shape in SHAPES]
    for one in made:
        one.grad = torch.ones_like(one)
    return made


def steady_step(make, observe, **form):
    """The operators of the second step that work on more than scalars."""
    optimizer = make(parameters(), **form)
    optimizer.step()
    seen = observe(optimizer.step)
    assert {s.op for s in seen if s.cost is None} == set()
    return [s for s in seen if any(spec.shape for spec in s.inputs)]


@pytest.mark.parametrize("name", FUSED)
def test_a_fused_step_counts_the_operators_it_replaces(name, observe):
    (fused,) = steady_step(FUSED[name], observe, fused=True)
    lists = steady_step(FUSED[name], observe, foreach=True)
    loops = steady_step(FUSED[name], observe, foreach=False)
    assert fused.op.startswith("aten._fused_")
    assert len(lists) > 0
    assert fused.cost.flops == FLOPS[name] * ELEMENTS
    more = ELEMENTS * name.startswith("adagrad")  # its lists scale the gradient apart
    assert fused.cost.flops == sum(s.cost.flops for s in lists) - more
    assert fused.cost.flops == sum(s.cost.flops for s in loops)
    assert {s.cost.macs for s in (fused, *lists, *loops)} == {0}


@pytest.mark.parametrize(("name", "states"), [("sgd", 0), ("sgd momentum", 1), ("adamw", 2)])
def test_a_fused_step_reads_all_and_writes_all_but_gradients(name, states, observe):
    (fused,) = steady_step(FUSED[name], observe, fused=True)
    steps = 4 * len(SHAPES) if name == "adamw" else 0
    assert fused.cost.bytes_read == 4 * ELEMENTS * (2 + states) + steps
    assert fused.cost.bytes_written == 4 * ELEMENTS * (1 + states)


def test_a_first_step_has_no_momentum_to_scale(observe):
    optimizer = FUSED["sgd momentum"](parameters(), fused=True)
    (first,) = [s for s in observe(optimizer.step) if "_fused_" in s.op]
    assert first.cost.flops == ELEMENTS


def test_a_scaled_loss_is_unscaled_in_the_step():
    p, s = TensorSpec((4,)), TensorSpec(())
    call = {"self": [p], "grads": [p], "exp_avgs": [p], "exp_avg_sqs": [p]}
    plain = DEFAULT["aten._fused_adam_"](Inputs((p,) * 4, call), ())
    scaled = Inputs((p, p, p, p, s, s), call | {"grad_scale": s, "found_inf": s})
    assert DEFAULT["aten._fused_adam_"](scaled, ()) == Cost(
        0, plain.flops + 4, plain.bytes_read + 8, plain.bytes_written + 16
    )


def test_without_its_arguments_a_step_is_no_guess():
    p = TensorSpec((4,))
    assert cost_of("aten._fused_adam_.default", (p, p, p, p), (), DEFAULT) is None


def test_a_scaler_tests_and_scales(observe):
    grads = [torch.ones(3, 4), torch.ones(5)]
    flag, factor = torch.zeros(()), torch.ones(())
    unscale = torch._amp_foreach_non_finite_check_and_unscale_
    (seen,) = observe(lambda: unscale(grads, flag, factor))
    assert seen.cost == Cost(0, 2 * 17, 4 * 17 + 8, 4 * 17 + 4)
    steady = torch.zeros((), dtype=torch.int32)
    (seen,) = observe(lambda: torch._amp_update_scale_(factor, steady, flag, 2.0, 0.5, 100))
    assert seen.cost == Cost(0, 1, 12, 8)


NAMES = "ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax NAdam RAdam RMSprop Rprop SGD".split()


@pytest.mark.parametrize("name", [*NAMES, "LBFGS", "Muon"])
@pytest.mark.parametrize("foreach", [True, False], ids=["lists", "loop"])
def test_no_operator_of_an_optimizer_is_unknown(name, foreach, observe):
    weights = [torch.ones(4, 6, requires_grad=True), torch.ones(3, 4, requires_grad=True)]
    for one in weights:
        one.grad = torch.ones_like(one)
    form = {"foreach": foreach} if name in NAMES else {}
    optimizer = getattr(optim, name)(weights, lr=0.01, **form)
    closure = weights[0].sum if name == "LBFGS" else None
    optimizer.step(closure)
    seen = observe(lambda: optimizer.step(closure))
    assert seen
    assert {s.op for s in seen if s.cost is None} == set()


@pytest.mark.parametrize("none", [True, False])
def test_gradients_are_dropped_or_zeroed(none, observe):
    optimizer = FUSED["sgd"](parameters(), foreach=True)
    seen = observe(lambda: optimizer.zero_grad(set_to_none=none))
    assert sum(s.cost.bytes_written for s in seen) == (0 if none else 4 * ELEMENTS)


def test_a_norm_that_is_clipped(observe):
    made = parameters()
    seen = observe(lambda: torch.nn.utils.clip_grad_norm_(made, 1.0, foreach=True))
    assert {s.op for s in seen if s.cost is None} == set()
    assert sum(s.cost.flops for s in seen) > 2 * ELEMENTS
