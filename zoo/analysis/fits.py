"""Does a job fit into a memory, which batch does at most, and which one change buys most?

Nothing is extrapolated: the largest batch is traced, and so is the next, which does not fit. What
is compared with the memory is what the driver shows where a device is named, and the bytes of
tensors where only a size is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.analysis.freezing import Model, Plan
from zoo.analysis.memory import peak
from zoo.analysis.on_device import usage
from zoo.analysis.records import Column, Note, Trace
from zoo.errors import InputError

if TYPE_CHECKING:
    from zoo.analysis.devices import Device

Run = Callable[..., Trace]
"""Traces the job; takes `batch` and the settings of a change."""

MOST = 1 << 20
"""Largest batch that is looked for."""
COLUMNS = (
    Column("change", "", "The one thing that is changed."),
    Column("peak_bytes", "B", "Bytes of tensors at the peak."),
    Column("bytes", "B", "What is compared with the memory: on a device, what the driver shows."),
    Column("saves", "B", "How much less that is than without the change."),
    Column("fits", "", "Whether it fits at the batch that was asked for."),
    Column("largest_batch", "1", "Largest batch that fits; the next was traced and does not."),
)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is changed."""

    name: str
    """In words."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `zoo.trace` that it sets."""


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


def changes(look: Trace, step: Trace, settings: Mapping[str, Any]) -> tuple[Change, ...]:
    """Changes that can be made to a job, one at a time.

    Args:
        look: A forward pass of the model.
        step: The job itself.
        settings: Arguments of `zoo.trace` that the job sets.

    Returns:
        The changes; the first changes nothing.
    """
    found = [Change("as it is")]
    if step.step is None:
        if not settings.get("dtype"):
            found.append(Change("weights and inputs in bfloat16", {"dtype": "bfloat16"}))
        return tuple(found)
    if not step.step.autocast and not settings.get("dtype"):
        found.append(Change("autocast to bfloat16", {"autocast": "bfloat16"}))
    if step.step.optimizer != "sgd":
        found.append(Change("optimizer sgd", {"optimizer": "sgd"}))
    model = Model(look)
    if not step.step.checkpoint:
        found += [
            Change(f"checkpoint {name}", {"checkpoint": paths})
            for name, paths in segments(look, model.stages())
        ]
    depths = model.depths()
    chosen: dict[str, Plan] = {}
    if depths:
        chosen = {plan.name: plan for plan in (depths[len(depths) // 2], depths[-1])}
    found += [Change(f"freeze {name}", {"freeze": plan}) for name, plan in chosen.items()]
    return tuple(found)


def segments(look: Trace, stages: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Ways to cut a model into pieces that are checkpointed: its stages, and its repeated blocks.

    Args:
        look: A forward pass.
        stages: Paths of the modules that the model is a chain of.

    Returns:
        Names and paths; only modules that call others, since a single layer's input is kept anyway.
    """
    inside = {call.parent for call in look.calls}
    called = {call.path: call for call in look.calls if call.index in inside and call.path}
    ways: dict[tuple[str, ...], str] = {}
    chain = tuple(path for path in stages if path in called)
    if chain:
        ways[chain] = f"{len(chain)} stages"
    kinds: dict[str, list[str]] = {}
    for path, call in called.items():
        kinds.setdefault(call.type, []).append(path)
    blocks = [
        (kind, tuple(paths))
        for kind, paths in kinds.items()
        if len(paths) > 2 and kind not in ("Sequential", "ModuleList")
    ]
    if blocks:
        kind, paths = max(blocks, key=lambda one: _held(look, one[1]))
        ways.setdefault(paths, f"{len(paths)} {kind}")
    return [(name, paths) for paths, name in ways.items()]


def _held(look: Trace, paths: Sequence[str]) -> int:
    """Bytes that operators inside some modules allocate."""
    prefixes = tuple(f"{path}." for path in paths)
    inside = {
        call.index for call in look.calls if call.path in paths or call.path.startswith(prefixes)
    }
    return sum(op.new_bytes for op in look.ops if op.call in inside)


def rows(job: Job, options: Sequence[Change]) -> tuple[Mapping[str, Any], ...]:
    """A row for each change.

    Args:
        job: What is asked about.
        options: Changes, the first of which changes nothing.

    Returns:
        The rows, in the order of the changes; one that breaks the run has no figures.
    """
    found: list[dict[str, Any]] = []
    for change in options:
        trace = job.run(batch=job.batch, **change.settings)
        if trace.failure is not None:
            found.append({"change": change.name, **dict.fromkeys(_FIGURES)})
            continue
        nbytes = job.held(trace)
        base = found[0]["bytes"] if found else nbytes
        found.append(
            {
                "change": change.name,
                "peak_bytes": peak(trace).nbytes,
                "bytes": nbytes,
                "saves": None if base is None else base - nbytes,
                "fits": nbytes <= job.limit,
                "largest_batch": largest(job, change, nbytes),
            }
        )
    return tuple(found)


_FIGURES = ("peak_bytes", "bytes", "saves", "fits", "largest_batch")


def best(found: Sequence[Mapping[str, Any]]) -> Note | None:
    """Which change buys most; None where none buys anything."""
    known = [row for row in found[1:] if row["saves"]]
    if not known:
        return None
    row = max(known, key=lambda one: (one["largest_batch"], one["saves"]))
    if row["saves"] <= 0:
        return None
    text = (
        f"of single changes, {row['change']} buys most: {row['saves']:,} B less, and a batch of "
        f"{row['largest_batch']:,} in place of {found[0]['largest_batch']:,}."
    )
    return Note("info", "largest-saving", text)


def largest(job: Job, change: Change, nbytes: int) -> int:
    """The largest batch that fits, by tracing it and the next.

    Args:
        job: What is asked about.
        change: What is changed in it.
        nbytes: What it holds at its own batch.

    Returns:
        The batch; 0 where none fits, `MOST` where that fits too.
    """
    known = {job.batch: nbytes}

    def held(batch: int) -> int | None:
        """Bytes at a batch; None where no such batch can be run."""
        if batch not in known:
            try:
                trace = job.run(batch=batch, **change.settings)
            except InputError:  # more elements than a tensor can have
                return None
            if trace.failure is not None:
                return None
            known[batch] = job.held(trace)
        return known[batch]

    fitting, failing = 0, MOST + 1
    guess = job.batch
    slope: float | None = None
    while failing - fitting > 1:
        if not fitting < guess < failing:
            guess = (fitting + failing) // 2 if failing <= MOST else min(2 * max(fitting, 1), MOST)
        now = held(guess)
        if now is not None and now <= job.limit:
            fitting = guess
        else:
            failing = guess
        if now is None:
            guess = fitting + (failing - fitting) // 2
            continue
        slope = _slope(known, guess) or slope
        if slope is None:
            guess = 2 * guess if now <= job.limit else guess // 2
            continue
        step = int((job.limit - now) // slope)
        guess += step or (1 if now <= job.limit else -1)
    return fitting


def _slope(known: Mapping[int, int], batch: int) -> float | None:
    """Bytes for one more input, from the nearest other batch; None where that says nothing."""
    others = [one for one in known if one != batch]
    if not others:
        return None
    near = min(others, key=lambda one: abs(one - batch))
    slope = (known[batch] - known[near]) / (batch - near)
    return slope if slope > 0 else None
