"""Does a model keep within what was set for it?

A limit is kept where what was found is known and is not above it (`min-coverage`: not below it).
What a broken run did not reach is not known, and a limit on it is not kept. Where operators have no
formula, MACs and FLOPs are lower bounds: a row says so, and `min-coverage` makes it a failure.

Of a training step, MACs, FLOPs and the peak are those of the whole step. The peak is the largest
sum of live tensors, or, where a device was named, what its allocator and driver take.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zoo.analysis.coverage import coverage, uncounted_notes
from zoo.analysis.flops import flops
from zoo.analysis.memory import memory
from zoo.analysis.quantities import quantity, size
from zoo.analysis.records import Column, ModelInfo, Report, Row, Trace
from zoo.analysis.transfers import steady
from zoo.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zoo.analysis.devices import Device

    Memory = Callable[[Any], tuple[int, Device | None]]
    """Reads `24GB`, or the name of a device."""

Kind = Literal["count", "bytes", "memory", "share", "flag"]
KINDS: Mapping[str, tuple[Kind, str]] = {
    "max_params": ("count", "1"),
    "max_trainable_params": ("count", "1"),
    "max_weights": ("bytes", "B"),
    "max_macs": ("count", "MAC"),
    "max_flops": ("count", "FLOP"),
    "max_pointwise_flops": ("count", "FLOP"),
    "max_activations": ("bytes", "B"),
    "max_peak": ("memory", "B"),
    "min_coverage": ("share", "1"),
    "no_host_sync": ("flag", "1"),
}
"""Limits by name, with how they are written and the unit of what is compared."""
STATIC = frozenset({"max_params", "max_trainable_params", "max_weights"})
"""Those that are known without a run."""
COUNTS = ("", "mac", "macs", "flop", "flops")
COLUMNS = (
    Column("model", "", "What is checked."),
    Column("check", "", "Name of the limit."),
    Column("limit", "1", "What it may be."),
    Column("found", "1", "What it is."),
    Column("excess", "1", "How far it is beyond the limit."),
    Column("unit", "", "What is counted; empty for plain numbers."),
    Column("ok", "", "Whether the limit is kept."),
    Column("detail", "", "Where it comes from, or why it is not known."),
)
TOTALS = ("ok", "checks", "failed", "exceeded")
MOST_PLACES = 8
"""Places that a row names."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit, read."""

    name: str
    """One of `KINDS`."""
    bound: float
    """What it may be at most, or at least."""
    device: Device | None = None
    """Whose memory it is, where a device was named."""

    @property
    def check(self) -> str:
        """What users call it: `max-params`."""
        return self.name.replace("_", "-")


def limits(said: Mapping[str, Any], memory_of: Memory) -> tuple[Limit, ...]:
    """Read limits.

    Args:
        said: What was written, by the names of `KINDS`; None and False set no limit.
        memory_of: Reads a memory size or the name of a device.

    Returns:
        The limits, in the order of `KINDS`.

    Raises:
        OptionError: A name or a value that is none.

    Example:
        >>> limits({"max_macs": "1.5G", "max_params": 5e6}, lambda word: (0, None))[1].bound
        1500000000
    """
    for name in said:
        if name not in KINDS:
            known = [one.replace("_", "-") for one in KINDS]
            word = name.replace("_", "-")
            hint = did_you_mean(word, known, f"Known: {', '.join(known)}.")
            raise OptionError(word, "no limit is called so", hint)
    given = {name: value for name in KINDS if (value := said.get(name)) not in (None, False)}
    return tuple(_limit(name, value, memory_of) for name, value in given.items())


def _limit(name: str, value: Any, memory_of: Memory) -> Limit:
    kind, _ = KINDS[name]
    if kind == "memory":
        bound, device = memory_of(value)
        return Limit(name, bound, device)
    if kind == "flag":
        if value is not True:
            raise OptionError(name.replace("_", "-"), f"it is {value!r}", "Write true or false.")
        return Limit(name, 0)
    try:
        if kind == "count":
            return Limit(name, round(quantity(value, COUNTS, "5M or 600M")))
        if kind == "bytes":
            return Limit(name, size(value))
        share = float(value)
    except (TypeError, ValueError) as error:
        reason = str(error) if kind != "share" else f"{value!r} is no number"
        raise OptionError(name.replace("_", "-"), *_halves(reason, kind)) from None
    if not 0 < share <= 1:
        raise OptionError(name.replace("_", "-"), f"{value!r} is no share", "Write 0.95 or 1.0.")
    return Limit(name, share)


def _halves(reason: str, kind: Kind) -> tuple[str, str]:
    """What is wrong, and what to write."""
    what, _, write = reason.partition("; ")
    return what, f"W{write[1:]}." if kind != "share" and write else "Write 0.95 or 1.0."


def check(trace: Trace, wanted: Sequence[Limit], name: str | None = None) -> Report:
    """Hold a run to limits.

    Args:
        trace: One run; for limits that need none, a model that was only looked at.
        wanted: The limits.
        name: What the model is called in the rows; None for its own name.

    Returns:
        A report with a row for each limit.

    Raises:
        OptionError: Host synchronisations are looked for in a run on the CPU.
    """
    found = _found(trace, wanted)
    label = name or _called(trace.model)
    rows = tuple(_row(label, limit, *found[limit.name]) for limit in wanted)
    ran = any(limit.name not in STATIC for limit in wanted)
    notes = (*(uncounted_notes(trace, trace.ops) if ran else ()), *trace.notes)
    return Report(
        report="check",
        model=trace.model,
        inputs=trace.inputs,
        columns=COLUMNS,
        rows=rows,
        totals={**_verdict(rows, several=False), **(coverage(trace.ops) if ran else {})},
        notes=notes,
        failure=trace.failure if ran else None,
    )


def merged(reports: Sequence[Report], model: str) -> Report:
    """Several models' checks as one.

    Args:
        reports: One of each model, one at least.
        model: What they are called together.

    Returns:
        A report with all their rows.
    """
    rows = tuple(row for report in reports for row in report.rows)
    ran = [report.totals for report in reports if "coverage" in report.totals]
    covered = {
        "coverage": min(totals["coverage"] for totals in ran),
        "coverage_bytes": min(totals["coverage_bytes"] for totals in ran),
        "uncounted": sorted({op for totals in ran for op in totals["uncounted"]}),
    }
    return Report(
        report="check",
        model=ModelInfo(model),
        inputs=(),
        columns=COLUMNS,
        rows=rows,
        totals={**_verdict(rows, several=True), **(covered if ran else {})},
        notes=tuple(dict.fromkeys(note for report in reports for note in report.notes)),
    )


Found = tuple[float | None, tuple[str, ...]]
"""A figure, None where it is not known, and where it comes from."""


def _found(trace: Trace, wanted: Sequence[Limit]) -> dict[str, Found]:
    names = {limit.name for limit in wanted}
    found: dict[str, Found] = {}
    if names & STATIC:
        found |= _of_weights(trace)
    if names - STATIC and trace.failure is not None:
        place = trace.calls[trace.failure.call].path if trace.calls else ""
        why = f"the run broke in {place or 'the model itself'}: {trace.failure.message}"
        return found | dict.fromkeys(names - STATIC, (None, (why,)))
    if names & {"max_macs", "max_flops", "max_pointwise_flops", "min_coverage"}:
        found |= _of_operators(trace)
    if "max_activations" in names:
        forward = sum(op.new_bytes for op in trace.ops if op.phase == "forward")
        found["max_activations"] = forward, ()
    for limit in wanted:
        if limit.name == "max_peak":
            found["max_peak"] = _peak(trace, limit.device)
    if "no_host_sync" in names:
        found["no_host_sync"] = _waits(trace)
    return found


def _of_weights(trace: Trace) -> dict[str, Found]:
    held = [one.spec for one in trace.parameters]
    trained = [one.spec.numel for one in trace.parameters if one.trainable]
    specs = [*held, *(one.spec for one in trace.buffers)]
    return {
        "max_params": (sum(spec.numel for spec in held), ()),
        "max_trainable_params": (sum(trained), ()),
        "max_weights": (sum(spec.nbytes for spec in specs), ()),
    }


def _of_operators(trace: Trace) -> dict[str, Found]:
    totals = flops(trace).totals
    missing = totals["uncounted"]
    bound = (f"at least: no formula for {', '.join(missing)}",) if missing else ()
    return {
        "max_macs": (totals["macs"], bound),
        "max_flops": (totals["flops"], bound),
        "max_pointwise_flops": (totals["pointwise_flops"], bound),
        "min_coverage": (totals["coverage"], tuple(missing)),
    }


def _peak(trace: Trace, device: Device | None) -> Found:
    totals = memory(trace).totals
    places = [totals["peak_module"], totals["peak_source"]]
    where = tuple(f"in {place}" for place in places if place)
    if device is None:
        return totals["peak_bytes"], where
    from zoo.analysis.on_device import usage

    return usage(trace, device).device_bytes, (f"on {device.name}", *where)


def _waits(trace: Trace) -> Found:
    """How often the host waits for the device, and the lines that make it."""
    from zoo.analysis.memory import place_of

    if place_of(trace).partition(":")[0] == "cpu":
        reason = "the run took place on the CPU, where the host waits for nothing"
        raise OptionError("no-host-sync", reason, "Run it on device cuda.")
    waits = [one for one in steady(trace) if one.blocking]
    places: Counter[str] = Counter()
    for one in waits:
        place = one.source or trace.calls[one.call].path or "the model itself"
        places[f"{place} ({one.kind})"] += 1
    said = [f"{place} x {many}" if many > 1 else place for place, many in places.items()]
    rest = len(said) - MOST_PLACES
    return len(waits), (*said[:MOST_PLACES], *([f"and {rest} more"] if rest > 0 else []))


def _row(model: str, limit: Limit, found: float | None, detail: tuple[str, ...]) -> Row:
    beyond: float | None = None
    if found is not None:
        beyond = limit.bound - found if limit.name == "min_coverage" else found - limit.bound
    unit = KINDS[limit.name][1]
    return {
        "model": model,
        "check": limit.check,
        "limit": limit.bound,
        "found": found,
        "excess": beyond if beyond is not None and beyond > 0 else None,
        "unit": "" if unit == "1" else unit,
        "ok": beyond is not None and beyond <= 0,
        "detail": list(detail),
    }


def _verdict(rows: Sequence[Row], *, several: bool) -> Mapping[str, Any]:
    bad = [row for row in rows if not row["ok"]]
    lead = [f"{row['model']}: " if several else "" for row in bad]
    return {
        "ok": not bad,
        "checks": len(rows),
        "failed": len(bad),
        "exceeded": [text + _sentence(row) for text, row in zip(lead, bad, strict=True)],
    }


def _sentence(row: Row) -> str:
    """How a limit was not kept."""
    detail = f" ({', '.join(row['detail'])})" if row["detail"] else ""
    if row["found"] is None:
        return f"{row['check']} is not known{detail}"
    if row["check"] == "no-host-sync":
        many = "once" if row["found"] == 1 else f"{row['found']:,} times"
        return f"{row['check']}: the host waits {many}{detail}"
    if row["check"] == "min-coverage":
        below = f"{row['excess']:.4g} below {row['limit']:.4g}"
        return f"{row['check']}: {row['found']:.4g}, {below}{detail}"
    unit = f" {row['unit']}" if row["unit"] else ""
    ratio = row["found"] / row["limit"]
    share = f"{100 * (ratio - 1):.3g} %" if ratio < 2 else f"{ratio:,.3g} times"
    over = f"{row['excess']:,}{unit} ({share}) over {row['limit']:,}{unit}"
    return f"{row['check']}: {row['found']:,}{unit}, {over}{detail}"


def _called(model: ModelInfo) -> str:
    return f"{model.plugin}/{model.name}" if model.plugin else model.name
