"""When does it pay to train a model on several devices at once?

Synchronous data parallelism: each device has the whole model and a batch of its own, and after the
backward pass all sum their gradients. In a ring each of n devices sends and receives the gradients
2 (n - 1) / n times, in 2 (n - 1) steps:

    2 (n - 1) / n x bytes / bandwidth + 2 (n - 1) x latency of a step

The bytes do not depend on the batch and the operators do, so that communication weighs less the
larger the batch is: the compute-to-communication ratio is the time of the operators by that of the
exchange, FLOPs to model size in seconds. Without overlap a step takes both. With overlap, as
torch's DistributedDataParallel does it, gradients are exchanged in buckets as soon as they are
there, while the backward pass goes on: the buckets are played through, in the order in which this
run made them.

Efficiency is the time of a step on one device by that on n with the same batch each; n times that
is the speed-up. It pays from the smallest batch per device on at which the efficiency reaches a
mark, and n devices are faster than one where it is above 1 / n.

Times of operators are a roofline's (`devicetime.py`), and no less than the host takes to ask for
them. A batch that was not traced has figures of
each operator on a straight line through two batches that were. Not counted: reading data, what
differs between devices (each waits for the slowest), norms and buffers that devices exchange.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoo.analysis.devicetime import LAUNCH, Clock
from zoo.analysis.links import Reach, between, network
from zoo.analysis.quantities import quantity
from zoo.analysis.records import Column, Cost, Note, Report, Trace
from zoo.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zoo.analysis.devices import Device
    from zoo.analysis.records import OpCall

BUCKET = 25 * 2**20
"""Bytes of gradients that DistributedDataParallel exchanges together; the first has `FIRST`."""
FIRST = 2**20
"""Bytes of its first bucket, so that the exchange begins early."""
MARKS = (0.5, 0.8, 0.9)
"""Efficiencies that are asked for."""
MOST = 2**16
"""Largest batch per device that is looked at."""
BATCHES = (1, 4, 16)
"""Rows have the batch that was asked for, times these."""
COLUMNS = (
    Column("replicas", "1", "Devices."),
    Column("batch", "1", "Batch of each device."),
    Column("compute_seconds", "s", "Estimated time of a step on one device."),
    Column("exchange_seconds", "s", "Time of a ring all-reduce of the gradients."),
    Column("ratio", "1", "Compute-to-communication ratio: the one by the other."),
    Column("exposed_seconds", "s", "What of the exchange the backward pass does not hide."),
    Column("step_seconds", "s", "Time of a step, with overlap."),
    Column("speedup", "1", "Inputs a second by those of one device, with overlap."),
    Column("efficiency", "1", "Speed-up by devices, with overlap."),
    Column("serial_efficiency", "1", "The same without overlap."),
)


def check(replicas: int) -> None:
    """Find out before a run whether there are several devices.

    Args:
        replicas: How many.

    Raises:
        OptionError: Less than two.
    """
    if replicas < 2:
        raise OptionError(f"replicas {replicas}", "that is no parallelism", "Say --replicas 2.")


def speed_of(word: str | float) -> float:
    """A network's speed as people write it.

    Args:
        word: `100Gbit`, `100Gbit/s`, `12.5GB/s`, or B/s as a number.

    Returns:
        B/s in one direction.

    Raises:
        OptionError: It cannot be read.

    Example:
        >>> speed_of("100Gbit"), speed_of("12.5GB/s")
        (12500000000.0, 12500000000.0)
    """
    hint = "Write 100Gbit or 12.5GB/s."
    said = word.strip().lower() if isinstance(word, str) else "b/s"
    if "bit" not in said and not said.endswith("b/s"):
        raise OptionError(f"network {word!r}", "it has no unit of a speed", hint)
    try:
        if "bit" in said:
            return quantity(word, ("bit/s", "bit"), "100Gbit") / 8
        return quantity(word, ("b/s",), "100Gbit or 12.5GB/s")
    except ValueError as error:
        raise OptionError(f"network {word!r}", str(error), hint) from None


def link_of(place: Device, speed: float | None) -> Reach:
    """What devices exchange gradients over.

    Args:
        place: The device.
        speed: B/s of a network; None for the device's own link.

    Returns:
        The network, the link to other devices, or else the one to the host.

    Raises:
        OptionError: There is none that leads to another device.
    """
    if speed is not None:
        return network(speed)
    found = between(place)
    if found is None or found.ring_bandwidth is None or found.step is None:
        reason = "no link to another one is known"
        raise OptionError(f"on {place.name!r}", reason, "Name a network: --network 100Gbit.")
    return found


def exchange(nbytes: int, devices: int, link: Reach) -> float:
    """Seconds of a ring all-reduce.

    Args:
        nbytes: What each device has.
        devices: How many there are.
        link: Between neighbours.

    Returns:
        The time of both halves, in which parts are summed and handed on.

    Example:
        >>> round(exchange(10**9, 2, network(12.5e9)), 4)
        0.0834
    """
    if devices < 2 or not nbytes:
        return 0.0
    rate, step = link.ring_bandwidth or 0.0, link.step or 0.0
    return 2 * (devices - 1) * (nbytes / devices / rate + step)


@dataclass(frozen=True, slots=True)
class Timed:
    """A training step of one device, in seconds."""

    forward: float
    """Until the backward pass begins."""
    backward: float
    """Of the backward pass."""
    update: float
    """Of the optimizer."""
    ready: tuple[tuple[float, int], ...]
    """When each gradient is there, after the backward pass began, and its bytes."""
    micro: int = 1
    """Forward and backward passes for each update."""

    @property
    def seconds(self) -> float:
        """Of the step on one device."""
        return self.micro * (self.forward + self.backward) + self.update

    def exposed(self, devices: int, link: Reach) -> float:
        """Seconds that the optimizer waits for gradients after the last backward pass.

        Args:
            devices: How many exchange them.
            link: Between neighbours.

        Returns:
            Seconds; buckets are exchanged one after another, each when it is full.
        """
        free, held = 0.0, 0
        limit = FIRST
        last = len(self.ready) - 1
        for number, (time, nbytes) in enumerate(self.ready):
            held += nbytes
            if held >= limit or number == last:
                free = max(free, time) + exchange(held, devices, link)
                held, limit = 0, BUCKET
        return max(free - self.backward, 0.0)


def timed(trace: Trace, clock: Clock, ops: Sequence[OpCall] | None = None) -> Timed | None:
    """What a training step takes on a device.

    Args:
        trace: The step.
        clock: Of the device.
        ops: Its operators with other figures.

    Returns:
        The times; None where one of them is not known.
    """
    spent = {"forward": 0.0, "backward": 0.0, "optimizer": 0.0}
    asked = dict.fromkeys(spent, 0.0)
    ends: list[float] = []
    for op in trace.ops if ops is None else ops:
        time = clock.of(op)
        if time is None:
            return None
        spent[op.phase] += time
        asked[op.phase] += LAUNCH if time else 0.0
        ends.append(max(spent["backward"], asked["backward"]))
    spent = {phase: max(time, asked[phase]) for phase, time in spent.items()}
    ready = []
    for one in trace.storages:
        if one.role == "gradient":
            born = one.born if one.born >= 0 else _last_in(trace, one.name.rpartition(".")[0])
            ready.append((ends[born] if 0 <= born < len(ends) else spent["backward"], one.nbytes))
    micro = trace.step.accumulate if trace.step is not None else 1
    return Timed(
        spent["forward"], spent["backward"], spent["optimizer"], tuple(sorted(ready)), micro
    )


def _last_in(trace: Trace, module: str) -> int:
    """The last operator of a module's backward pass, which changes gradients that are kept."""
    calls = {one.index for one in trace.calls if one.module == module}
    ran = (op.index for op in trace.ops if op.phase == "backward" and op.call in calls)
    return max(ran, default=-1)


class Steps:
    """Training steps of any batch, from those that were traced.

    Args:
        traces: By batch; one, or two that the others lie on a line with.
        clock: Of the device.
    """

    def __init__(self, traces: Mapping[int, Trace], clock: Clock) -> None:
        self.batches = sorted(traces)
        self.traces = traces
        self.clock = clock
        self._known: dict[int, Timed | None] = {}

    @property
    def scales(self) -> bool:
        """Whether other batches than those traced have times."""
        if len(self.batches) < 2:
            return False
        low, high = (self.traces[batch].ops for batch in self.batches[:2])
        return [op.op for op in low] == [op.op for op in high]

    def at(self, batch: int) -> Timed | None:
        """The step of a batch; None where a time is not known."""
        if batch not in self._known:
            ops = None
            low = self.batches[0]
            if batch not in self.traces:
                high = self.batches[1]
                part = (batch - low) / (high - low)
                pairs = zip(self.traces[low].ops, self.traces[high].ops, strict=True)
                ops = [_between(one, other, part) for one, other in pairs]
            self._known[batch] = timed(self.traces.get(batch, self.traces[low]), self.clock, ops)
        return self._known[batch]

    def smallest(self, mark: float, devices: int, link: Reach) -> int | None:
        """The smallest batch whose efficiency reaches a mark; None where none up to `MOST` does.

        Args:
            mark: The efficiency.
            devices: How many there are.
            link: Between them.

        Returns:
            The batch of each device.
        """
        if not self.scales or self.at(1) is None:
            return None

        def reaches(batch: int) -> bool:
            step = self.at(batch)
            return step is not None and efficiency(step, devices, link) >= mark

        high = 1
        while not reaches(high):
            high *= 2
            if high > MOST:
                return None
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if reaches(middle) else (middle, high)
        return high


def _between(one: OpCall, other: OpCall, part: float) -> OpCall:
    """An operator on the line through two of its calls."""
    if one.cost is None or other.cost is None or one.cost == other.cost:
        return one

    def line(name: str) -> int:
        begin: int = getattr(one.cost, name)
        end: int = getattr(other.cost, name)
        return max(round(begin + part * (end - begin)), 0)

    return replace(one, cost=Cost(*map(line, ("macs", "flops", "bytes_read", "bytes_written"))))


def efficiency(step: Timed, devices: int, link: Reach) -> float:
    """Time of a step on one device by that on several, with overlap."""
    whole = step.seconds + step.exposed(devices, link)
    return step.seconds / whole if whole else 1.0


def counts(replicas: int) -> list[int]:
    """Numbers of devices that have a row: powers of two, and the one that was asked for.

    >>> counts(6), counts(8)
    ([2, 4, 6], [2, 4, 8])
    """
    powers = [2**power for power in range(1, replicas.bit_length()) if 2**power < replicas]
    return [*powers, replicas]


def replicas(
    traces: Mapping[int, Trace],
    place: Device,
    *,
    devices: int = 8,
    speed: float | None = None,
) -> Report:
    """What data parallelism gains on several devices, and from which batch on it pays.

    Args:
        traces: A training step, by the batch of a device; a second batch lets others be estimated.
        place: Each device.
        devices: How many there are at most.
        speed: B/s of a network between them; None for the device's own link.

    Returns:
        The report; its first trace is the one that was asked for.

    Raises:
        OptionError: Fewer than two devices, or no link between them is known.
    """
    check(devices)
    link = link_of(place, speed)
    steps = Steps(traces, Clock(place))
    batch, trace = next(iter(traces.items()))
    batches = [batch * many for many in BATCHES] if steps.scales else list(traces)
    rows = [
        _row(steps, one, count, link)
        for one in batches
        for count in counts(devices)
        if trace.failure is None
    ]
    return Report(
        report="transfer",
        model=trace.model,
        inputs=trace.inputs,
        columns=COLUMNS,
        rows=tuple(rows),
        totals=_totals(steps, trace, link, devices, place),
        notes=(*_notes(steps, place, link, devices), *trace.notes),
        failure=trace.failure,
    )


def gradient_bytes(trace: Trace) -> int:
    """Bytes of the gradients of a step."""
    return sum(one.nbytes for one in trace.storages if one.role == "gradient")


def _row(steps: Steps, batch: int, count: int, link: Reach) -> Mapping[str, Any]:
    nbytes = gradient_bytes(next(iter(steps.traces.values())))
    whole = exchange(nbytes, count, link)
    row: dict[str, Any] = {**dict.fromkeys(one.name for one in COLUMNS)}
    row |= {"replicas": count, "batch": batch, "exchange_seconds": whole}
    step = steps.at(batch)
    if step is not None:
        exposed = step.exposed(count, link)
        share = efficiency(step, count, link)
        serial = step.seconds + whole
        row |= {
            "compute_seconds": step.seconds,
            "ratio": step.seconds / whole if whole else None,
            "exposed_seconds": exposed,
            "step_seconds": step.seconds + exposed,
            "speedup": count * share,
            "efficiency": share,
            "serial_efficiency": step.seconds / serial if serial else None,
        }
    return row


def _totals(
    steps: Steps, trace: Trace, link: Reach, devices: int, place: Device
) -> Mapping[str, Any]:
    nbytes = gradient_bytes(trace) if trace.failure is None else None
    micro = trace.step.accumulate if trace.step is not None else 1
    macs = micro * sum(op.cost.macs for op in trace.ops if op.cost is not None)
    marks = {
        f"batch_for_{round(100 * mark)}_percent": steps.smallest(mark, devices, link)
        for mark in MARKS
    }
    return {
        "replicas": devices,
        "gradient_bytes": nbytes,
        "parameter_bytes": sum(one.spec.nbytes for one in trace.parameters),
        "macs": macs,
        "flops": 2 * macs,
        "flops_per_gradient_byte": 2 * macs / nbytes if nbytes else None,
        "device": place.name,
        "link": link.link.name,
        "link_bytes_per_second": link.ring_bandwidth,
        "faster_from_batch": steps.smallest(1.0000001 / devices, devices, link),
        **marks,
    }


def _notes(steps: Steps, place: Device, link: Reach, devices: int) -> Iterable[Note]:
    if place.assumption is not None:
        yield Note("info", "assumption", f"{place.assumption}.")
    yield Note(
        "info",
        "estimated-time",
        f"times of operators on {place.name} are a roofline's, from published throughput of other "
        "models.",
    )
    said = f"; {link.note}" if link.note else ""
    yield Note("info", "link-source", f"{link.link.name} ({link.confidence}): {link.source}{said}.")
    if steps.scales:
        low, high = steps.batches[:2]
        text = (
            f"batches of {low} and {high} were traced; operators of others are on a line through "
            f"these. batch_for_N_percent: smallest batch of each of {devices} devices whose "
            f"efficiency, with overlap, reaches N %; none up to {MOST:,} where it is not known."
        )
        yield Note("info", "batches", text)
    else:
        text = (
            "one batch was traced, or batches run different operators: from which batch on it pays "
            "is not known. Give the model itself, with an input that has a batch."
        )
        yield Note("info", "one-batch", text)
