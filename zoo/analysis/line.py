"""A run as a row of operators: what each piece costs, holds, and needs of the pieces before it.

A place is the number of an operator of the forward pass: what comes before it is on one side, it
and what follows on the other. The backward pass of an operator runs on the side of the operator.

What crosses a place forward are the tensors that operators before it made and operators after it
read, each once, however many read it. Only what is read counts: of a tensor of which a slice was
taken before the place, and the slice alone is read after it, the slice crosses. Parameters, buffers
and inputs do not cross: they are put where they are read, and on both sides where both read them.
What crosses backward are the gradients of those of these tensors to which a gradient flows.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from zoo.analysis.devicetime import Clock
    from zoo.analysis.records import OpCall, Storage, Trace, Value

UNFILLED = frozenset("empty empty_like empty_strided new_empty new_empty_strided".split())
"""Operators whose result has no content yet."""
FLOATS = ("float", "bfloat", "complex")
"""How dtypes begin that gradients have."""


@dataclass(frozen=True, slots=True)
class Held:
    """A parameter or buffer, with what is kept beside it."""

    name: str
    """Its first name."""
    nbytes: int
    """Its own bytes."""
    kept: int
    """Its bytes with those of its gradient and of the optimizer's state."""
    reads: tuple[int, ...]
    """Operators of the forward pass that read it, ascending; where its module runs if none did."""
    buffer: bool = False
    """Whether it is a buffer."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """What crosses each place."""

    nbytes: Sequence[int]
    """Bytes, by place."""
    tensors: Sequence[int]
    """How many tensors, by place."""


class Line:
    """A run that can be cut.

    Args:
        trace: A run, with a training step or without.
        clock: Times operators; None where nothing is timed.
    """

    def __init__(self, trace: Trace, clock: Clock | None = None) -> None:
        self.trace = trace
        self.clock = clock
        phases = [op.phase for op in trace.ops]
        self.length = phases.index("backward") if "backward" in phases else len(phases)
        if "optimizer" in phases:
            self.length = min(self.length, phases.index("optimizer"))
        """Operators of the forward pass, the loss among them."""

    # places

    @cached_property
    def spans(self) -> Mapping[int, tuple[int, int]]:
        """First operator of each module call, and the one after its last; inner calls count."""
        found: dict[int, tuple[int, int]] = {}
        for op in self.trace.ops[: self.length]:
            call: int | None = op.call
            while call is not None:
                begin, _ = found.get(call, (op.index, 0))
                found[call] = (begin, op.index + 1)
                call = self.trace.calls[call].parent
        return found

    @cached_property
    def ends(self) -> Mapping[int, int]:
        """The outermost call that ends at a place."""
        return self._outermost(1)

    @cached_property
    def begins(self) -> Mapping[int, int]:
        """The outermost call that begins at a place."""
        return self._outermost(0)

    def _outermost(self, which: int) -> Mapping[int, int]:
        found: dict[int, int] = {}
        for call in sorted(self.spans, key=lambda one: self.trace.calls[one].depth, reverse=True):
            if self.trace.calls[call].depth:
                found[self.spans[call][which]] = call
        return found

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Where a module call begins or ends, and something is on both sides."""
        found = {*self.ends, *self.begins}
        return tuple(sorted(place for place in found if 0 < place < self.length))

    # what runs where

    @cached_property
    def side_of(self) -> Sequence[int]:
        """For each operator the one of the forward pass on whose side it runs.

        A backward operator without an operator of its own runs where its module call did, and else
        where the one before it did.
        """
        last_in = {op.call: op.index for op in self.trace.ops[: self.length]}
        found: list[int] = []
        for op in self.trace.ops:
            if op.index < self.length:
                found.append(op.index)
            elif op.of is not None and op.of < self.length:
                found.append(op.of)
            else:
                before = found[-1] if len(found) > self.length else self.length - 1
                found.append(before if op.call == 0 else last_in.get(op.call, before))
        return found

    def _spread(self, figures: Iterable[tuple[OpCall, float]]) -> list[float]:
        """Sums of operators' figures up to each place, theirs with those of their gradients."""
        own = [0.0] * self.length
        for op, figure in figures:
            own[self.side_of[op.index]] += figure
        return list(accumulate(own, initial=0.0))

    @cached_property
    def macs(self) -> Sequence[float]:
        """MACs before each place, forward and backward."""
        ran = (op for op in self.trace.ops if op.cost is not None and op.phase != "optimizer")
        return self._spread((op, op.cost.macs if op.cost else 0) for op in ran)

    @cached_property
    def seconds(self) -> Sequence[float] | None:
        """Time before each place; None where nothing is timed, or a time is not known."""
        if self.clock is None:
            return None
        times: list[tuple[OpCall, float]] = []
        for op in self.trace.ops:
            time = self.clock.of(op)
            if time is None:
                return None
            times.append((op, time))
        spent = self._spread(one for one in times if one[0].phase != "optimizer")
        update = sum(time for op, time in times if op.phase == "optimizer")
        learned = [one for one in self.held if one.kept > one.nbytes]
        total = sum(one.nbytes for one in learned)
        own = [0.0] * (self.length + 1)
        for one in learned:
            own[one.reads[0] + 1] += update * one.nbytes / total if total else 0.0
        return [a + b for a, b in zip(spent, accumulate(own), strict=True)]

    # what is held

    @cached_property
    def _readers(self) -> Mapping[int, Sequence[int]]:
        """Operators of the forward pass that read each block, ascending."""
        found: dict[int, list[int]] = defaultdict(list)
        for op in self.trace.ops[: self.length]:
            for value in set(op.reads):
                if value >= 0:
                    block = self.trace.values[value].storage
                    if not found[block] or found[block][-1] != op.index:
                        found[block].append(op.index)
        return found

    @cached_property
    def held(self) -> Sequence[Held]:
        """Parameters and buffers."""
        beside: dict[str, int] = defaultdict(int)
        for one in self.trace.storages:
            if one.role in ("gradient", "optimizer"):
                beside[one.name] += one.nbytes
        starts = {self.trace.calls[call].module: span[0] for call, span in self.spans.items()}
        found = []
        for one in self.trace.storages:
            if one.role in ("parameter", "buffer"):
                reads = tuple(self._readers.get(one.id, ()))
                module = one.name.rpartition(".")[0]
                place = min(starts.get(module, 0), max(self.length - 1, 0))
                kept = one.nbytes + beside[one.name]
                buffer = one.role == "buffer"
                found.append(Held(one.name, one.nbytes, kept, reads or (place,), buffer))
        return found

    def shared(self, place: int) -> tuple[Held, ...]:
        """Parameters and buffers that both sides of a place read."""
        return tuple(one for one in self.held if one.reads[0] < place <= one.reads[-1])

    @cached_property
    def saved(self) -> Sequence[int]:
        """Bytes that the forward pass made before each place and keeps for the backward pass."""
        own = [0] * self.length
        for one in self.trace.storages:
            if one.role == "saved" and 0 <= one.born < self.length:
                own[one.born] += one.nbytes
        return list(accumulate(own, initial=0))

    def kept(self, begin: int, end: int) -> int:
        """Bytes of the parameters and buffers read between two places, with what is beside them."""
        return sum(one.kept for one in self.reads(begin, end))

    def reads(self, begin: int, end: int) -> Iterator[Held]:
        """Parameters and buffers that operators between two places read."""
        return (one for one in self.held if any(begin <= read < end for read in one.reads))

    # what crosses

    @cached_property
    def _reach(self) -> Sequence[tuple[Value, bool, int, int]]:
        """Tensors made by operators: whether a gradient flows, first place and last they cross."""
        last: dict[int, int] = {}
        first: dict[int, int] = {}
        dtypes: dict[int, str] = {}
        for op in self.trace.ops[: self.length]:
            for spec, read in zip(op.inputs, op.reads, strict=False):
                if read >= 0:
                    last[read] = op.index
                    first.setdefault(read, op.index)
                    dtypes[read] = spec.dtype
        flows = self._flows
        found = []
        for number, end in sorted(last.items()):
            value = self.trace.values[number]
            block = self.trace.storages[value.storage]
            born = max(value.born, block.born)
            if block.born < 0 or end <= born:
                continue
            begin = born + 1
            if self.trace.ops[born].op.split(".")[1] in UNFILLED:
                begin = first[number] + 1
            back = number in flows and dtypes[number].startswith(FLOATS)
            found.append((value, back, begin, end))
        return found

    @cached_property
    def _flows(self) -> frozenset[int]:
        """Values to which a gradient flows.

        Of a forward pass alone, all that depends on a parameter that is trained.
        """
        if self.trace.step is not None:
            return frozenset(number for number, one in enumerate(self.trace.values) if one.gradient)
        trained = {one.names[0] for one in self.trace.parameters if one.trainable}
        values, storages = self.trace.values, self.trace.storages
        blocks = {one.id for one in storages if one.role == "parameter" and one.name in trained}
        made: dict[int, list[int]] = defaultdict(list)
        for value in values:
            made[value.born].append(value.storage)
        for op in self.trace.ops[: self.length]:
            read = [values[one].storage for one in op.reads if one >= 0]
            if blocks.intersection(read):
                blocks.update(made[op.index] or read[:1])
        return frozenset(number for number, one in enumerate(values) if one.storage in blocks)

    @cached_property
    def forward(self) -> Crossing:
        """What crosses each place in the forward pass."""
        return self._crossing(back=False)

    @cached_property
    def backward(self) -> Crossing:
        """What crosses each place in the backward pass."""
        return self._crossing(back=True)

    def _crossing(self, *, back: bool) -> Crossing:
        """Sums over blocks, of each no more than the block has."""
        size = self.length + 2
        nbytes, tensors = [0] * size, [0] * size
        by_block: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for value, flows, begin, end in self._reach:
            if flows or not back:
                by_block[value.storage].append((begin, end + 1, value.nbytes))
        for block, parts in by_block.items():
            most = self.trace.storages[block].nbytes
            changes: dict[int, list[int]] = defaultdict(lambda: [0, 0])
            for begin, end, figure in parts:
                for place, sign in ((begin, 1), (end, -1)):
                    changes[place][0] += sign * figure
                    changes[place][1] += sign
            total = shown = 0
            for place in sorted(changes):
                total += changes[place][0]
                nbytes[place] += min(total, most) - shown
                tensors[place] += changes[place][1]
                shown = min(total, most)
        count = self.length + 1
        return Crossing(list(accumulate(nbytes))[:count], list(accumulate(tensors))[:count])

    def received(self, place: int) -> Iterable[Storage]:
        """Blocks of which something crosses a place."""
        blocks = {value.storage for value, _, begin, end in self._reach if begin <= place <= end}
        return (self.trace.storages[block] for block in sorted(blocks))

    def inputs_read(self, begin: int, end: int) -> int:
        """Bytes of the inputs that operators between two places read."""
        return sum(
            one.nbytes
            for one in self.trace.storages
            if one.role == "input" and any(begin <= read < end for read in self._reads(one))
        )

    def _reads(self, block: Storage) -> Sequence[int]:
        return self._readers.get(block.id, ())

    def peak(self, begin: int, end: int) -> int:
        """Most bytes that a part holds while one of its operators runs.

        Parameters and buffers with gradients and state are held all the time, and so are inputs;
        what was received, from its first operator on for as long as the whole run keeps it.

        Args:
            begin: The part's first operator of the forward pass.
            end: The one after its last.

        Returns:
            Bytes.
        """
        changes = [0] * (len(self.trace.ops) + 2)
        own = {one.id for one in self.received(begin)} if begin else set()
        for one in self.trace.storages:
            born = begin if one.id in own else one.born
            if one.role not in ("parameter", "buffer", "gradient", "optimizer", "input") and (
                one.id in own or (born >= 0 and begin <= self.side_of[born] < end)
            ):
                changes[born] += one.nbytes
                changes[(len(self.trace.ops) if one.died is None else one.died) + 1] -= one.nbytes
        levels = accumulate(changes)
        runs = (
            level for level, side in zip(levels, self.side_of, strict=False) if begin <= side < end
        )
        return self.kept(begin, end) + self.inputs_read(begin, end) + max(runs, default=0)
