"""Where is a model best divided between devices, and what crosses there?

Model parallelism: each device has a piece of the model, and passes on what later pieces read. A cut
lies between two operators in the order in which they ran, where a module call begins or ends. The
backward pass runs each operator's gradient where the operator ran.

Of all divisions into at most K parts, two are named, both exact:

- by compute: the slowest part is as fast as can be. A part's time is that of its operators, and of
  receiving what crosses into it: forward from the part before, backward from the part after. Where
  no device is named there are no times, and the largest share of MACs is as small as can be.
- by memory: the part that holds most holds as little as can be. What is held are parameters and
  buffers with gradients and the optimizer's state, what the forward pass keeps for the backward
  pass, and what was received.

Devices stand in a row: what a part reads of one that is not its neighbour passes through those in
between. A parameter that several parts read is held by each of them. One batch goes through the
parts one after another; that the slowest part alone counts needs several on their way.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from zoo.analysis.line import Line
from zoo.analysis.links import between
from zoo.analysis.partition import divide
from zoo.analysis.records import Column, Note, Report, Trace
from zoo.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zoo.analysis.devices import Device
    from zoo.analysis.devicetime import Clock
    from zoo.analysis.links import Reach

FIGURES = (
    Column("after", "", "The module call that ends here, with its number where there are several."),
    Column("before", "", "The module call that begins here."),
    Column("op", "1", "Number of the first operator of the later side."),
    Column("forward_bytes", "B", "What the later side reads of what the earlier one made."),
    Column("tensors", "1", "How many tensors that is."),
    Column("backward_bytes", "B", "Gradients that go back."),
    Column("macs_before", "MAC", "MACs of the earlier side, with those of its gradients."),
    Column("macs_after", "MAC", "MACs of the later side."),
    Column("parameter_bytes_before", "B", "Parameters that the earlier side reads."),
    Column("parameter_bytes_after", "B", "Parameters that the later side reads."),
    Column("saved_bytes_before", "B", "What the earlier side keeps for the backward pass."),
    Column("saved_bytes_after", "B", "What the later side keeps for it, without what it received."),
    Column("held_bytes_before", "B", "What the earlier side holds, activations of a step but not."),
    Column("held_bytes_after", "B", "What the later side holds, with what it received."),
    Column("input_bytes_after", "B", "Inputs that the later side reads, from the host."),
    Column("shared", "", "Parameters and buffers that both sides read."),
)
TIMES = (
    Column("seconds_before", "s", "Estimated time of the earlier side."),
    Column("seconds_after", "s", "Estimated time of the later side."),
    Column("forward_seconds", "s", "Time of what crosses forward."),
    Column("backward_seconds", "s", "Time of what crosses backward."),
    Column("slowest_seconds", "s", "Time of the slower side, with what it receives."),
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a divided run."""

    begin: int
    """Its first operator of the forward pass."""
    end: int
    """The one after its last."""


class Cuts:
    """The places of a run, and what parts between them cost.

    Args:
        trace: A run.
        clock: Times operators; None where nothing is timed.
        link: Between the devices; None where it is not known.
    """

    def __init__(self, trace: Trace, clock: Clock | None = None, link: Reach | None = None) -> None:
        self.line = Line(trace, clock)
        self.link = link
        self.places = (0, *self.line.places, self.line.length)
        """Of parts' begins and ends; the first and the last are no cuts."""
        self._fixed: dict[int, list[int]] = {}
        self._made: dict[int, tuple[Part, ...]] = {}
        self._pieces: list[list[tuple[int, int]]] | None = None

    # time, by numbers of operators

    @property
    def timed(self) -> bool:
        """Whether operators have times."""
        return self.line.seconds is not None

    def transfer(self, place: int, *, back: bool = False) -> float:
        """Seconds of what crosses a place one way.

        Nothing crosses at both ends, nor back where there is no training step; where no link is
        known, it costs nothing.
        """
        if self.link is None or not 0 < place < self.line.length:
            return 0.0
        if back and self.line.trace.step is None:
            return 0.0
        crossing = self.line.backward if back else self.line.forward
        found = self.link.seconds(crossing.nbytes[place], crossing.tensors[place])
        return found or 0.0

    def work(self, begin: int, end: int) -> float:
        """Time of the operators between two places; their MACs where nothing is timed."""
        figures = self.line.seconds or self.line.macs
        return max(figures[end] - figures[begin], 0.0)

    def time(self, begin: int, end: int) -> float:
        """As `work`, with the time of what is received where there are times."""
        own = self.work(begin, end)
        if not self.timed:
            return own
        return own + self.transfer(begin) + self.transfer(end, back=True)

    # memory, by numbers of operators

    def held(self, begin: int, end: int) -> int:
        """Bytes that a part holds."""
        line = self.line
        saved = line.saved[end] - line.saved[begin]
        return line.kept(begin, end) + saved + line.forward.nbytes[begin]

    # the same, by numbers of places

    def _read_again(self) -> list[list[tuple[int, int]]]:
        """For each stretch between places: bytes read in it, and which stretch reads them next."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.places[1:]]
        stretch_of = [0] * (self.line.length + 1)
        for number, (begin, end) in enumerate(pairwise(self.places)):
            stretch_of[begin:end] = [number] * (end - begin)
        for one in self.line.held:
            stretches = sorted({stretch_of[read] for read in one.reads})
            for number, following in pairwise((*stretches, len(found))):
                found[number].append((one.kept, following))
        return found

    def fixed(self, begin: int, end: int) -> int:
        """Bytes held between two places by their numbers, but for what is received."""
        if self._pieces is None:
            self._pieces = self._read_again()
        known = self._fixed.setdefault(end, [0])
        while len(known) <= end - begin:
            stretch = end - len(known)
            own = sum(nbytes for nbytes, following in self._pieces[stretch] if following >= end)
            known.append(known[-1] + own)
        saved = self.line.saved
        return known[end - begin] + saved[self.places[end]] - saved[self.places[begin]]

    def by_compute(self, parts: int) -> tuple[Part, ...]:
        """The division whose slowest part is fastest."""
        if parts in self._made:
            return self._made[parts]
        figures = self.line.seconds or self.line.macs
        before = [figures[place] for place in self.places]
        into = [self.transfer(place) if self.timed else 0.0 for place in self.places]
        back = [self.transfer(place, back=True) if self.timed else 0.0 for place in self.places]
        cuts = divide(
            len(before) - 1,
            parts,
            lambda begin, end: before[end] - before[begin] + into[begin] + back[end],
            lambda begin, end: before[end] - before[begin],
            [self.line.forward.nbytes[place] for place in self.places],
        )
        self._made[parts] = self._parts(cuts)
        return self._made[parts]

    def by_memory(self, parts: int) -> tuple[Part, ...]:
        """The division whose largest part is smallest."""
        at, crossing = self.places, self.line.forward.nbytes
        cuts = divide(
            len(at) - 1,
            parts,
            lambda begin, end: self.fixed(begin, end) + crossing[at[begin]],
            self.fixed,
            [crossing[place] for place in at],
        )
        return self._parts(cuts)

    def _parts(self, cuts: Sequence[int]) -> tuple[Part, ...]:
        ends = (0, *(self.places[cut] for cut in cuts), self.line.length)
        return tuple(Part(begin, end) for begin, end in pairwise(ends))

    # places worth showing

    def worth_showing(self) -> tuple[int, ...]:
        """Places at which less crosses than at those around, and the best for each balance."""
        crossing = self.line.forward.nbytes
        places = self.places[1:-1]
        lowest = _lowest([crossing[place] for place in places])
        front: set[int] = set()
        least: float | None = None
        for number in sorted(
            range(len(places)), key=lambda one: (self._slower(places[one]), crossing[places[one]])
        ):
            if least is None or crossing[places[number]] < least:
                least = crossing[places[number]]
                front.add(number)
        return tuple(places[number] for number in sorted(front | lowest))

    def _slower(self, place: int) -> float:
        return max(self.work(0, place), self.work(place, self.line.length))


def _lowest(figures: Sequence[int]) -> set[int]:
    """Where a figure is lower than those before and after it; the last of several equal ones."""
    found, start = set(), 0
    for number, figure in enumerate(figures):
        if number + 1 < len(figures) and figures[number + 1] == figure:
            continue
        lower = start == 0 or figures[start - 1] > figure
        if lower and (number + 1 == len(figures) or figures[number + 1] > figure):
            found.add(number)
        start = number + 1
    return found


def check(parts: int | None) -> None:
    """Find out before a run whether it can be divided so.

    Args:
        parts: How many parts are asked for; None for what there is no need to check.

    Raises:
        OptionError: Less than one.
    """
    if parts is not None and parts < 1:
        raise OptionError(f"parts {parts}", "a model has one part at least", "Say --parts 2.")


def cuts(trace: Trace, place: Device | None = None, *, parts: int | None = None) -> Report:
    """Where a run can be divided, what crosses, and the best division into parts.

    Args:
        trace: A run, with a training step or without.
        place: The device that each part runs on; None where times do not matter.
        parts: How many devices there are; None for two, or for one where there is no place to cut.

    Returns:
        The report.

    Raises:
        OptionError: There are fewer places than `parts` needs.
    """
    from zoo.analysis.devicetime import Clock

    check(parts)
    link = None if place is None else between(place)
    found = Cuts(trace, None if place is None else Clock(place), link)
    most = len(found.places) - 1
    if parts is not None and parts > most and trace.failure is None:
        reason = f"the run has {most - 1} places to cut at, where module calls begin or end"
        raise OptionError(f"parts {parts}", reason, f"Ask for {most} parts at most.")
    columns = FIGURES + (TIMES if found.timed else ())
    count = min(2 if parts is None else parts, most)
    divided = found.line.length > 0
    shown = found.worth_showing() if divided else ()
    return Report(
        report="transfer",
        model=trace.model,
        inputs=trace.inputs,
        columns=columns,
        rows=tuple(_row(found, one) for one in shown),
        totals=_totals(found, count, place) if divided else {"parts": None},
        notes=(*_notes(found, place, count), *trace.notes),
        failure=trace.failure,
    )


def _row(found: Cuts, place: int) -> Mapping[str, Any]:
    line = found.line
    end, saved = line.length, line.saved
    shared = line.shared(place)
    row: dict[str, Any] = {
        "after": call_name(found, line.ends.get(place)),
        "before": call_name(found, line.begins.get(place)),
        "op": place,
        "forward_bytes": line.forward.nbytes[place],
        "tensors": line.forward.tensors[place],
        "backward_bytes": line.backward.nbytes[place],
        "macs_before": round(line.macs[place]),
        "macs_after": round(line.macs[end] - line.macs[place]),
        "parameter_bytes_before": parameter_bytes(line, 0, place),
        "parameter_bytes_after": parameter_bytes(line, place, end),
        "saved_bytes_before": saved[place],
        "saved_bytes_after": saved[end] - saved[place],
        "held_bytes_before": found.held(0, place),
        "held_bytes_after": found.held(place, end),
        "input_bytes_after": line.inputs_read(place, end),
        "shared": [one.name for one in shared],
    }
    if found.timed:
        row |= {
            "seconds_before": found.work(0, place),
            "seconds_after": found.work(place, end),
            "forward_seconds": _crossing_time(found, place, back=False),
            "backward_seconds": _crossing_time(found, place, back=True),
            "slowest_seconds": max(found.time(0, place), found.time(place, end)),
        }
    return row


def _crossing_time(found: Cuts, place: int, *, back: bool) -> float | None:
    if found.link is None or (back and found.line.trace.step is None):
        return None
    return found.transfer(place, back=back)


def parameter_bytes(line: Line, begin: int, end: int) -> int:
    """Bytes of the parameters that operators between two places read.

    Args:
        line: The run.
        begin: First operator.
        end: The one after the last.

    Returns:
        Bytes, each parameter's once.
    """
    return sum(one.nbytes for one in line.reads(begin, end) if not one.buffer)


def call_name(found: Cuts, call: int | None) -> str | None:
    """A module call by its path, with its number where the path was called several times."""
    if call is None:
        return None
    calls = found.line.trace.calls
    path = calls[call].path
    same = [one.index for one in calls if one.path == path]
    if len(same) == 1:
        return path
    return f"{path} (call {same.index(call) + 1} of {len(same)})"


def cut_name(found: Cuts, place: int) -> str:
    """A place in words: the call that ends there, else the one that begins."""
    ends = call_name(found, found.line.ends.get(place))
    return ends or f"before {call_name(found, found.line.begins.get(place))}"


def _totals(found: Cuts, parts: int, place: Device | None) -> Mapping[str, Any]:
    line = found.line
    totals: dict[str, Any] = {
        "parts": parts,
        "places": len(found.places) - 2,
        "macs": round(line.macs[line.length]),
        "parameter_bytes": sum(one.nbytes for one in line.held if not one.buffer),
        "held_bytes": found.held(0, line.length),
    }
    if place is not None:
        totals["device"] = place.name
        totals["link"] = found.link.link.name if found.link is not None else None
    if found.timed:
        totals["seconds"] = found.work(0, line.length)
    for name, made in (("compute", found.by_compute(parts)), ("memory", found.by_memory(parts))):
        totals |= {f"{name}_{what}": figure for what, figure in _division(found, made).items()}
    return totals


def _division(found: Cuts, made: Sequence[Part]) -> Mapping[str, Any]:
    line = found.line
    macs, crossing = line.macs, line.forward.nbytes
    figures: dict[str, Any] = {
        "cut": [cut_name(found, part.begin) for part in made[1:]],
        "macs": [round(macs[part.end] - macs[part.begin]) for part in made],
        "parameter_bytes": [parameter_bytes(line, part.begin, part.end) for part in made],
        "held_bytes": [found.held(part.begin, part.end) for part in made],
        "peak_bytes": [line.peak(part.begin, part.end) for part in made],
        "forward_bytes": [crossing[part.begin] for part in made[1:]],
        "backward_bytes": [line.backward.nbytes[part.begin] for part in made[1:]],
    }
    if found.timed:
        figures["seconds"] = [found.time(part.begin, part.end) for part in made]
    return figures


def _notes(found: Cuts, place: Device | None, parts: int) -> Iterable[Note]:
    line = found.line
    if line.trace.step is None:
        text = (
            "this is a forward pass: backward_bytes are those of all that depends on trained "
            "parameters, and nothing is kept for a backward pass. Say --train for a step."
        )
        yield Note("info", "forward-only", text)
    tied = [one.name for one in line.held if one.reads[0] != one.reads[-1] and not one.buffer]
    split = {one.name for cut in found.places[1:-1] for one in line.shared(cut)}
    for name in tied:
        if name in split:
            text = f"{name} is read more than once: parts that both read it hold a copy each."
            yield Note("info", "shared-parameter", text, name)
    if len(found.places) == 2:
        text = "no module call begins or ends between two operators: there is no place to cut at."
        yield Note("info", "no-place", text)
    if place is None:
        yield Note(
            "info",
            "no-device",
            "no device was named: parts are balanced by MACs, and what crosses costs nothing.",
        )
        return
    if place.assumption is not None:
        yield Note("info", "assumption", f"{place.assumption}.")
    if found.timed:
        yield Note(
            "info",
            "estimated-time",
            f"times of operators on {place.name} are a roofline's, from published throughput of "
            "other models; those of a link are what others measured.",
        )
    else:
        yield Note("warning", "no-time", f"rates of {place.name} are not known: MACs are balanced.")
    if found.link is None:
        text = f"no link from {place.name} to another is known: what crosses costs nothing here."
        yield Note("warning", "unknown-link", text)
    else:
        text = f"{found.link.link.name} ({found.link.confidence}): {found.link.source}."
        yield Note("info", "link-source", text)
    if found.timed and line.length and len(found.by_compute(parts)) < parts:
        text = f"fewer than {parts} parts are faster: what crosses takes longer than it saves."
        yield Note("info", "fewer-parts", text)
