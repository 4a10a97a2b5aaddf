"""Blocks are born with an operator's result and die when nothing refers to them."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import zoo
from tests.strategies import WIDTH, learners, models, steps
from zoo.analysis.tracer.ledger import Ledger
from zoo.analysis.tracer.run import run

if TYPE_CHECKING:
    from zoo.analysis.records import Storage, Trace


def blank(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def lives(ledger: Ledger) -> list[tuple[int, int, int | None]]:
    return [(one.nbytes, one.born, one.died) for one in ledger.storages()]


def test_a_block_dies_with_the_last_that_refers_to_it() -> None:
    ledger = Ledger()
    x = blank(2, 3)
    ledger.now = 4
    ledger.add(x, "cpu", name="x", born=4)
    view = x.t()
    ledger.now = 6
    del x
    assert lives(ledger) == [(24, 4, None)]
    ledger.now = 7
    del view
    assert lives(ledger) == [(24, 4, 7)]


def test_views_share_a_block_of_the_whole_size() -> None:
    ledger = Ledger()
    x = blank(4, 3)
    ledger.add(x[0], "cpu")
    ledger.add(x, "cpu")
    ledger.add(x.view(12), "cpu")
    ledger.add(x.detach(), "cpu")
    assert lives(ledger) == [(48, -1, None)]


def test_what_autograd_keeps_is_alive() -> None:
    ledger = Ledger()
    w = torch.ones(3, requires_grad=True)
    y = w.exp()
    ledger.add(y, "cpu", born=0)
    z = y.sum()
    ledger.now = 1
    del y
    assert lives(ledger)[0][2] is None  # the node of exp keeps its result
    ledger.now = 2
    z.backward()
    assert lives(ledger)[0][2] == 2


def test_a_new_block_at_an_old_address_is_another() -> None:
    ledger = Ledger()
    for turn in range(20):
        ledger.now = turn
        x = blank(5)
        ledger.add(x, "cpu", born=turn)
        del x
    assert lives(ledger) == [(20, turn, turn) for turn in range(20)]
    assert [one.id for one in ledger.storages()] == list(range(20))


def test_roles_are_given_once_the_block_is_known() -> None:
    ledger = Ledger()
    x, y, z = blank(1), blank(2), blank(3)
    ledger.add(x, "cpu", "parameter", name="w")
    ledger.add(y, "cpu", name="op", born=0)
    ledger.mark(x, "output")  # a model that returns its weight: it stays a weight
    ledger.mark(y, "gradient", "w")
    ledger.mark(z, "output")  # unknown: nothing to say
    ledger.mark(y, "output", "other")
    assert [(one.role, one.name) for one in ledger.storages()] == [
        ("parameter", "w"),
        ("gradient", "w"),
    ]


def test_what_is_alive_when_the_forward_pass_is_over_was_saved() -> None:
    ledger = Ledger()
    x, y, z = blank(1), blank(2), blank(3)
    ledger.add(x, "cpu", "input")
    ledger.add(y, "cpu", born=0)
    ledger.add(z, "cpu", born=1)
    ledger.mark(z, "output")
    ledger.add(blank(4), "cpu", born=2)  # gone at once
    ledger.forward_is_over()
    assert [one.role for one in ledger.storages()] == ["input", "saved", "output", "temporary"]
    ledger.mark(y, "gradient", "w")  # a gradient may be what the forward pass saved
    assert ledger.storages()[1].role == "gradient"


def test_scratch_memory_lives_in_its_operator() -> None:
    ledger = Ledger()
    ledger.now = 3
    ledger.spend(100, "cpu", 2, "net.py:1", "aten.mm.default")
    (one,) = ledger.storages()
    assert (one.nbytes, one.born, one.died, one.role) == (100, 3, 3, "temporary")
    assert (one.call, one.source, one.name) == (2, "net.py:1", "aten.mm.default")


def test_tensors_without_a_block_of_their_own() -> None:
    ledger = Ledger()
    sparse = torch.eye(3).to_sparse()
    ledger.add(sparse, "cpu", "input")
    ledger.mark(sparse, "output")
    assert ledger.storages() == ()


def test_collecting_garbage_ends_nothing_that_is_held() -> None:
    ledger = Ledger()
    x = blank(3)
    ledger.add(x, "cpu", born=0)
    gc.collect()
    assert lives(ledger) == [(12, 0, None)]


# of whole runs


def check_blocks(trace: Trace) -> None:
    assert [one.id for one in trace.storages] == list(range(len(trace.storages)))
    for one in trace.storages:
        assert -1 <= one.born < len(trace.ops)
        assert one.died is None or one.born <= one.died < len(trace.ops)
        if one.born == -1:
            assert one.role in ("parameter", "buffer", "input", "gradient", "optimizer", "saved")
        if one.role in ("parameter", "buffer", "input"):
            # a target goes with the step, when all operators have run
            ends = (None, len(trace.ops) - 1) if one.name == "target" else (None,)
            assert one.born == -1
            assert one.died in ends
        if one.role == "saved":
            assert trace.ops[one.born].phase == "forward"
            assert one.died is None or trace.ops[one.died].phase != "forward"
        if one.born >= 0:
            ops = [trace.ops[one.born], trace.ops[one.born - 1]]  # a sum counts from the next on
            assert one.role == "gradient" or one.name in [op.op for op in ops]
            assert (one.call, one.source) in [(op.call, op.source) for op in ops]


def named(trace: Trace, role: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in trace.storages:
        if one.role == role:
            found[one.name] = found.get(one.name, 0) + one.nbytes
    return found


def parameter_bytes(trace: Trace) -> dict[str, int]:
    return {one.names[0]: one.spec.nbytes for one in trace.parameters}


@given(models, st.booleans())
def test_blocks_of_inference(model: nn.Module, training: bool) -> None:
    trace = run(model, [(3, WIDTH)], training=training, device="mps")
    check_blocks(trace)
    check_allocations(trace)
    assert named(trace, "parameter") == parameter_bytes(trace)
    assert named(trace, "buffer") == {one.names[0]: one.spec.nbytes for one in trace.buffers}
    assert named(trace, "input") == {one.name: one.spec.nbytes for one in trace.inputs}
    assert not any(one.role in ("gradient", "optimizer", "saved") for one in trace.storages)


@given(learners, steps)
def test_blocks_of_training(model: nn.Module, how: dict[str, Any]) -> None:
    trace = zoo.trace(model, (3, WIDTH), train=True, device="mps", **how)
    check_blocks(trace)
    check_allocations(trace)
    assert named(trace, "parameter") == parameter_bytes(trace)
    gradients = named(trace, "gradient")
    trained = {one.names[0]: one.spec.nbytes for one in trace.parameters if one.trainable}
    assert gradients.items() <= trained.items()
    words = {"sgd": 0, "sgd-momentum": 1, "adamw": 2}[how["optimizer"]]
    counter = 4 if how["optimizer"] == "adamw" else 0
    state = {name: words * nbytes + counter for name, nbytes in gradients.items() if words}
    assert named(trace, "optimizer") == state
    there = how["accumulate"] > 1 or not how["set_to_none"]
    born = {one.born == -1 for one in trace.storages if one.role == "gradient"}
    assert born == {there}


def check_allocations(trace: Trace) -> None:
    """What an operator allocated is what it says: of a device without known scratch memory.

    Autograd adds up gradients in place, where the first of two is not needed: the block of such a
    sum counts from the next operator on.
    """
    found = [0] * (len(trace.ops) + 1)
    for one in trace.storages:
        if one.born >= 0:
            found[one.born] += one.nbytes
    said = [op.new_bytes for op in trace.ops]
    for op in trace.ops:
        if op.phase == "backward" and op.op == "aten.add.Tensor" and not found[op.index]:
            found[op.index] += op.new_bytes
            found[op.index + 1] -= op.new_bytes
    assert found == [*said, 0]


class Grows(nn.Module):
    """Keeps a result of its own until the end, and lets others go."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept = x * self.scale
        gone = kept + 1
        gone = gone.relu_()
        view = kept.view(2, 2)
        return gone.sum(), view


def block_of(trace: Trace, op: str) -> list[Storage]:
    return [one for one in trace.storages if one.name == f"aten.{op}"]


def test_lives_in_a_forward_pass() -> None:
    trace = run(Grows(), [(4,)])
    ops = [op.op for op in trace.ops]
    assert ops == [
        "aten.mul.Tensor",
        "aten.add.Tensor",
        "aten.relu_.default",
        "aten.view.default",
        "aten.sum.default",
    ]
    (kept,), (gone,) = block_of(trace, "mul.Tensor"), block_of(trace, "add.Tensor")
    assert (kept.born, kept.role) == (0, "output")  # a view of it is returned
    assert (gone.born, gone.died, gone.role) == (1, 4, "temporary")
    assert not block_of(trace, "relu_.default")
    assert not block_of(trace, "view.default")
    assert [op.new_bytes for op in trace.ops] == [16, 16, 0, 0, 4]


def test_a_model_that_gives_back_its_input() -> None:
    class Same(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(-1)

    (one,) = run(Same(), [(2, 4)]).storages
    assert (one.role, one.name, one.nbytes) == ("input", "x", 32)


def test_first_and_last_reads() -> None:
    """Indices of the operators that take a block as an operand."""
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    trace = run(net, [(2, 4)])
    for one in trace.storages:
        if one.role == "parameter":
            assert one.first_read is not None
            assert one.first_read <= (one.last_read or 0)
    weights = {one.name: (one.first_read, one.last_read) for one in trace.storages}
    ops = [op.op for op in trace.ops]
    first, second = (n for n, name in enumerate(ops) if name == "aten.addmm.default")
    assert weights["0.weight"][1] == weights["0.bias"][0] == weights["0.bias"][1] == first
    assert weights["2.weight"][1] == second
    dead = run(Dead(), [(2, 4)])
    (unused,) = (one for one in dead.storages if one.name == "dead")
    assert unused.first_read is unused.last_read is None


class Dead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dead = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + 1


class Writes(nn.Module):
    """Writes what it is given into a tensor of its own, and then gives that up."""

    def forward(self, x: Tensor) -> Tensor:
        own = torch.zeros(64)
        own.add_(x)
        out: Tensor = own.exp()
        del own
        return out.exp().exp()


def test_a_block_that_was_written_into_lives_no_longer_than_others() -> None:
    """zeros 0, add 1, exp 2: it is given up before the next."""
    trace = run(Writes(), [(64,)])
    (own,) = (one for one in trace.storages if one.born == 0)
    assert (own.name, own.died) == ("aten.zeros.default", 2)
