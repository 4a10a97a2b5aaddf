"""Does a job fit into a memory, which batch does at most, and which one change buys most?

What is compared with the memory is what the driver shows of the process where a device is named,
and the bytes of tensors alone where only a size is. A batch is the first dim of the inputs.

Nothing is extrapolated: the largest batch is traced, and so is the next, which does not fit. Where
to look is predicted: blocks are taken to grow with the batch as they did between two traces, and
the allocator is run on these. A prediction that misses costs a trace and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoo.analysis.changes import Change, changes
from zoo.analysis.memory import peak, place_of
from zoo.analysis.on_device import usage
from zoo.analysis.records import Column, Note, Report, Storage, Trace
from zoo.errors import InputError, ZooError

if TYPE_CHECKING:
    from zoo.analysis.devices import Device

Run = Callable[..., Trace]
"""Traces the job; takes `batch` and the settings of a change."""

MOST = 1 << 20
"""Largest batch that is looked for."""
FIXED = frozenset({"parameter", "buffer", "gradient", "optimizer"})
"""Roles of blocks that do not grow with the batch."""
COLUMNS = (
    Column("change", "", "The one thing that is changed."),
    Column("peak_bytes", "B", "Bytes of tensors at the peak."),
    Column("bytes", "B", "What is compared with the memory: on a device, what the driver shows."),
    Column("saves", "B", "How much less that is than without the change."),
    Column("fits", "", "Whether it fits at the batch that was asked for."),
    Column("largest_batch", "1", "Largest batch that fits; the next was traced and does not."),
    Column("macs_ratio", "1", "MACs of a step, by those without the change."),
)
TOTALS = ("limit_bytes", "fits", "largest_batch")
"""What `zoo memory --fits` adds to the totals."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked about.

    The trace function is called with `batch` and the settings of a change.
    """

    run: Run
    """Traces it."""
    limit: int
    """Bytes that there are."""
    device: Device | None
    """Where; None where only a size was named."""
    batch: int
    """First dim of its inputs."""

    def held(self, trace: Trace) -> int:
        """What is compared with the memory."""
        return peak(trace).nbytes if self.device is None else usage(trace, self.device).device_bytes

    def micro(self, change: Change, batch: int) -> int:
        """The micro-batches of a batch; the larger, where they differ by one."""
        return -(-batch // change.parts)


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest batch that fits."""

    batch: int
    """0 where none does, `MOST` where that does too."""
    broke: str | None = None
    """Why the next batch does not run; None where it does not fit."""


def fitted(
    report: Report, job: Job, trace: Trace, look: Trace, settings: Mapping[str, Any]
) -> Report:
    """A memory report with the changes that can be made as rows.

    Args:
        report: The job's.
        job: What is asked about.
        trace: The job's own run.
        look: A forward pass of the model.
        settings: Arguments of `zoo.trace` that the job sets.

    Returns:
        The report; its first row, and the totals, are the job's as it is.
    """
    made, said = rows(job, changes(look, trace, settings, job.device), trace)
    top = best(made)
    return replace(
        report,
        columns=COLUMNS,
        rows=made,
        totals={
            **report.totals,
            "limit_bytes": job.limit,
            "fits": made[0]["fits"],
            "largest_batch": made[0]["largest_batch"],
        },
        notes=(*report.notes, *((top,) if top else ()), *said, _compared(job, trace)),
    )


def told(report: Report, trace: Trace, limit: int, device: Device | None) -> Report:
    """A memory report that says whether the run fits, of a trace that cannot run again.

    Args:
        report: The trace's.
        trace: The run.
        limit: Bytes that there are.
        device: Where; None where only a size was named.

    Returns:
        The report with `fits`; its largest batch is not known.
    """
    job = Job(_not_again, limit, device, 0)
    text = "the largest batch, and what a change buys, need the model: a trace does not run again."
    return replace(
        report,
        totals={
            **report.totals,
            "limit_bytes": limit,
            "fits": job.held(trace) <= limit,
            "largest_batch": None,
        },
        notes=(*report.notes, Note("info", "largest-unknown", text), _compared(job, trace)),
    )


def _not_again(**_: Any) -> Trace:
    raise TypeError("a trace does not run again")


def _compared(job: Job, trace: Trace) -> Note:
    """What the memory is compared with."""
    if job.device is not None:
        text = f"{job.limit:,} B are compared with device_bytes of {job.device.name}."
        return Note("info", "compared", text)
    text = (
        f"{job.limit:,} B are compared with the bytes of tensors alone, run with the kernels of "
        f"{place_of(trace).partition(':')[0]}. Name the device (--on rtx4090) for those of its "
        "kernels, allocator and driver."
    )
    return Note("info", "compared", text)


def rows(
    job: Job, options: Sequence[Change], first: Trace
) -> tuple[tuple[Mapping[str, Any], ...], tuple[Note, ...]]:
    """A row for each change.

    Args:
        job: What is asked about.
        options: Changes, the first of which changes nothing.
        first: The job's own run.

    Returns:
        The rows, in the order of the changes; and notes on changes that broke the run, which have
        no figures, and on batches that are not bounded by memory.
    """
    base, note = _row(job, options[0], first, first)
    found, notes = [base], [note]
    for change in options[1:]:
        try:
            trace = job.run(batch=job.micro(change, job.batch), **change.settings)
            why = trace.failure.message if trace.failure is not None else None
        except ZooError as error:  # such as a plan by which nothing is trained
            why = str(error)
        if why is not None:
            nothing = dict.fromkeys(base)
            found.append({**nothing, "change": change.name, "option": change.option})
            notes.append(Note("info", "change-broke", f"{change.name} breaks the run: {why}"))
            continue
        row, note = _row(job, change, trace, first)
        found.append({**row, "saves": base["bytes"] - row["bytes"]})
        notes.append(note)
    return tuple(found), tuple(note for note in notes if note is not None)


def _row(
    job: Job, change: Change, trace: Trace, first: Trace
) -> tuple[dict[str, Any], Note | None]:
    """A change's figures, and what there is to say of its largest batch."""
    nbytes, macs = job.held(trace), _macs(first)
    most = largest(job, change, trace, nbytes)
    row = {
        "change": change.name,
        "peak_bytes": peak(trace).nbytes,
        "bytes": nbytes,
        "saves": 0,
        "fits": nbytes <= job.limit,
        "largest_batch": most.batch,
        "macs_ratio": change.parts * _macs(trace) / macs if macs else None,
        "option": change.option,
    }
    if most.broke is not None:
        text = f"{change.name}: the batch after {most.batch:,} does not run: {most.broke}"
        return row, Note("info", "batch-breaks", text)
    if most.batch + change.parts > MOST:
        return row, Note("info", "batch-cap", f"{change.name}: larger batches were not looked for.")
    return row, None


def _macs(trace: Trace) -> int:
    return sum(op.cost.macs for op in trace.ops if op.cost is not None)


def best(found: Sequence[Mapping[str, Any]]) -> Note | None:
    """Which change buys most, and which of those that train as much as before.

    Args:
        found: Rows, the first of which changes nothing.

    Returns:
        A note; None where no change saves anything.
    """
    helps = [row for row in found[1:] if row["saves"] is not None and row["saves"] > 0]
    top = max(helps, key=_gain, default=None)
    if top is None:
        return None
    base = found[0]["largest_batch"]
    text = f"of single changes, {top['change']} buys most: {_bought(top, base)}"
    if _freezes(top):
        other = max((row for row in helps if not _freezes(row)), key=_gain, default=None)
        if other is not None:
            text += f"; of those that freeze nothing, {other['change']}: {_bought(other, base)}"
    return Note("info", "largest-saving", f"{text}.")


def _gain(row: Mapping[str, Any]) -> tuple[int, int]:
    return row["largest_batch"], row["saves"]


def _freezes(row: Mapping[str, Any]) -> bool:
    return bool(row["change"].startswith("freeze "))


def _bought(row: Mapping[str, Any], base: int) -> str:
    return f"{row['saves']:,} B less, and a batch of {row['largest_batch']:,} in place of {base:,}"


# the largest batch


def largest(job: Job, change: Change, first: Trace, nbytes: int) -> Largest:
    """The largest batch that fits, by tracing it and the next.

    Args:
        job: What is asked about.
        change: What is changed in it.
        first: Its run at the job's own batch.
        nbytes: What that holds.

    Returns:
        The batch, and what bounds it.
    """
    search = _Search(job, change)
    search.note(search.begin, first, nbytes)
    while search.high - search.low > 1:
        search.look(search.guess())
    return Largest(search.low * change.parts if search.fits else 0, search.broke)


class _Search:
    """What is known of the batches that fit; of several micro-batches, of one.

    Args:
        job: What is asked about.
        change: What is changed in it.
    """

    def __init__(self, job: Job, change: Change) -> None:
        self.job, self.change = job, change
        self.begin = job.micro(change, job.batch)
        self.low, self.high = 0, MOST // change.parts + 1
        self.fits = False
        self.broke: str | None = None
        self.side, self.turns = 0, 0
        """On which side of the answer the last traces were, and how many in a row."""
        self.sure = 0
        """What two traces predicted."""
        self.known: list[tuple[int, Trace]] = []
        """The last two runs."""

    def look(self, batch: int) -> None:
        """Trace a batch."""
        try:
            trace = self.job.run(batch=batch, **self.change.settings)
        except InputError as error:  # no input has a first dim, or a tensor would be too large
            self._ends(batch, str(error))
            return
        if trace.failure is None:
            self.note(batch, trace, self.job.held(trace))
        elif batch < self.begin:  # as one of 1, of which a norm has no statistics
            self._begins(batch)
        else:
            self._ends(batch, trace.failure.message)

    def note(self, batch: int, trace: Trace, nbytes: int) -> None:
        """Take in a run that reached its end."""
        self.known = [*self.known[-1:], (batch, trace)]
        if nbytes <= self.job.limit:
            self.fits = True
            self._begins(batch)
        else:
            self._ends(batch)

    def _begins(self, low: int) -> None:
        self.low, self.turns, self.side = low, self.turns + 1 if self.side < 0 else 1, -1

    def _ends(self, high: int, broke: str | None = None) -> None:
        self.high, self.turns, self.side = high, self.turns + 1 if self.side > 0 else 1, 1
        self.broke = broke

    def guess(self) -> int:
        """A batch between those that fit and those that do not."""
        if self.low and self.low == self.sure:
            return self.low + 1
        found = self._predicted()
        self.sure = found if len(self.known) > 1 else 0
        push = 1 << max(self.turns - 2, 0)
        found = max(found, self.low + push) if self.side < 0 else min(found, self.high - push)
        return min(max(found, self.low + 1), self.high - 1)

    def _predicted(self) -> int:
        """The largest batch that is to fit, if blocks grow as they did between known batches."""
        batch, trace = self.known[-1]
        grows = _slopes(self.known)

        def held(other: int) -> int:
            storages = tuple(
                replace(one, nbytes=max(one.nbytes + (other - batch) * up // by, 0))
                for one, (up, by) in zip(trace.storages, grows, strict=True)
            )
            return self.job.held(replace(trace, storages=storages))

        return crossing(held, self.job.limit, MOST)


def _slopes(known: Sequence[tuple[int, Trace]]) -> list[tuple[int, int]]:
    """By how much each block of the last trace grows, over how much more batch."""
    (batch, trace), earlier = known[-1], known[:-1]
    for other, before in earlier:
        if other != batch and _lives(before.storages) == _lives(trace.storages):
            pairs = zip(trace.storages, before.storages, strict=True)
            return [(one.nbytes - two.nbytes, batch - other) for one, two in pairs]
    return [(0 if one.role in FIXED else one.nbytes, batch) for one in trace.storages]


def _lives(storages: Iterable[Storage]) -> list[tuple[Any, ...]]:
    return [(one.role, one.device, one.born, one.died) for one in storages]


def crossing(held: Callable[[int], int], limit: int, most: int) -> int:
    """Where a function that grows, roughly, passes a limit.

    Args:
        held: The function.
        limit: What it may be at most.
        most: Largest argument that is looked at.

    Returns:
        An argument at which it is within the limit and after which it is not; 0 where it is not
        at 0, `most` where it is there.

    >>> crossing(lambda n: 7 + 3 * n, 100, 1000)
    31
    """
    low, high = 0, most
    at_low, at_high = held(low), held(high)
    if at_low > limit or at_high <= limit:
        return low if at_low > limit else high
    push, side = 1, 0
    while high - low > 1:
        between = low + (limit - at_low) * (high - low) // (at_high - at_low)
        between = max(between, low + push) if side < 0 else min(between, high - push)
        between = min(max(between, low + 1), high - 1)
        now = held(between)
        here = -1 if now <= limit else 1
        push = 2 * push if here == side else 1
        side = here
        if now <= limit:
            low, at_low = between, now
        else:
            high, at_high = between, now
    return low
