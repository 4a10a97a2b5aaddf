"""In what order a program asks for memory and gives it back, from a trace.

- What is there before the run (`born` -1) comes first, in the order of ids. The optimizer's state
  is made where torch makes it: in the optimizer's first step, after the first backward pass.
- At an operator its births come first, in the order of ids, then the deaths after it.
- The step is repeated, since a training loop repeats it: parameters, buffers, state and inputs
  stay, gradients that outlive a step are freed before the next (`zero_grad` in its default form),
  and what else outlives a step (the loss, an output) when the next step has made its successor, as
  a variable does that is assigned again. What one step leaves decides where the next finds room.
- A cuBLAS workspace is asked for before the results of the first operator that needs it, once in
  the user's thread and once in autograd's.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

from zoo.analysis.allocator.fixed import CUBLAS_OPS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from zoo.analysis.records import OpCall, Storage, Trace

Event = tuple[Literal["alloc"], int, int] | tuple[Literal["free"], int]
"""`("alloc", id, nbytes)` or `("free", id)`."""


def trace_events(
    trace: Trace, *, device: str | None = None, workspace: int = 0, repeat: int = 2
) -> tuple[Event, ...]:
    """Events of a recorded run.

    Args:
        trace: The run.
        device: Storages elsewhere are left out; None for those on the model's own device, which is
            that of most bytes.
        workspace: Bytes of a cuBLAS workspace; 0 for none.
        repeat: How many times the step runs.

    Returns:
        What `simulate` takes.
    """
    where = device if device is not None else busiest_device(trace.storages)
    storages = [storage for storage in trace.storages if storage.device == where]
    return step_events(storages, trace.ops, workspace=workspace, repeat=repeat)


def busiest_device(storages: Collection[Storage]) -> str | None:
    """The device of most bytes; None where there is no storage."""
    held: dict[str, int] = defaultdict(int)
    for storage in storages:
        held[storage.device] += storage.nbytes
    return max(held, key=lambda name: held[name], default=None)


def step_events(
    storages: Collection[Storage],
    ops: Sequence[OpCall] = (),
    *,
    workspace: int = 0,
    repeat: int = 2,
) -> tuple[Event, ...]:
    """Events of some storages; see `trace_events`.

    Args:
        storages: Blocks of one device, in any order.
        ops: Operators of the run, which say where the optimizer begins and what needs cuBLAS.
        workspace: Bytes of a cuBLAS workspace; 0 for none.
        repeat: How many times the step runs.

    Returns:
        What `simulate` takes.
    """
    plan = _Plan(storages, ops, workspace)
    return tuple(event for turn in range(repeat) for event in plan.turn(turn))


class _Plan:
    """Who comes and goes when, in one step."""

    def __init__(
        self, storages: Collection[Storage], ops: Sequence[OpCall], workspace: int
    ) -> None:
        kept = sorted((one for one in storages if one.nbytes), key=lambda one: one.id)
        self.stride = max((one.id for one in kept), default=-1) + 1
        self.workspace = workspace
        self.late = next((op.index for op in ops if op.phase == "optimizer"), None)
        self.needs = _first_products(ops) if workspace else ()
        self.before = [one for one in kept if one.born < 0]
        self.births: dict[int, list[Storage]] = defaultdict(list)
        self.deaths: dict[int, list[Storage]] = defaultdict(list)
        for one in kept:
            if one.born >= 0:
                self.births[one.born].append(one)
            if one.died is not None:
                self.deaths[one.died].append(one)
        moments = {*self.births, *self.deaths, *self.needs}
        if self.late is not None:
            moments.add(self.late)
        self.moments = sorted(moments)

    def turn(self, turn: int) -> Iterator[Event]:
        """The events of one repetition, 0 for the first."""
        state = [one for one in self.before if one.role == "optimizer" and one.died is None]
        if self.late is None:
            state = []
        yield from self._begin(turn, {one.id for one in state})
        for moment in self.moments:
            if turn == 0 and moment in self.needs:
                yield "alloc", -1 - self.needs.index(moment), self.workspace
            if turn == 0 and moment == self.late:
                yield from (("alloc", one.id, one.nbytes) for one in state)
            for one in self.births[moment]:
                yield "alloc", self._name(one, turn), one.nbytes
                if turn and one.died is None and one.role != "gradient":
                    yield "free", self._name(one, turn - 1)
            yield from (("free", self._name(one, turn)) for one in self.deaths[moment])

    def _begin(self, turn: int, later: Collection[int]) -> Iterator[Event]:
        """What happens between two steps, or before the first."""
        if turn:
            for moment in self.moments:
                for one in self.births[moment]:
                    if one.died is None and one.role == "gradient":
                        yield "free", self._name(one, turn - 1)
        for one in self.before:
            if one.id not in later and (turn == 0 or one.died is not None):
                yield "alloc", self._name(one, turn), one.nbytes

    def _name(self, one: Storage, turn: int) -> int:
        """A name for the block of a repetition; what persists keeps its own."""
        if one.born < 0 and one.died is None:
            return one.id
        return one.id + turn * self.stride


def _first_products(ops: Sequence[OpCall]) -> tuple[int, ...]:
    """Where each thread first needs cuBLAS: the user's, then autograd's."""
    found: dict[bool, int] = {}
    for op in ops:
        if op.op.rpartition(".")[0] in CUBLAS_OPS:
            found.setdefault(op.phase == "backward", op.index)
    return tuple(found.values())
