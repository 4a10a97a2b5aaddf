"""Peak memory of a run, on a device, and whether it fits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo.api.hardware import budget, device
from zoo.api.run import given_trace, traced
from zoo.api.shown import Report, shown
from zoo.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from zoo.analysis import report as plain
    from zoo.analysis.devices import Device
    from zoo.analysis.records import Trace


def memory(
    model: str | nn.Module | Trace,
    *inputs: Any,
    by: str = "role",
    on: str | Device | None = None,
    fits: str | float | None = None,
    **options: Any,
) -> Report:
    """Peak memory of a forward pass, or of a training step, and who holds it.

    Args:
        model: A `Trace`, or what `trace` takes.
        *inputs: As for `trace`.
        by: What a row is: a `role`, a `module`, a line of `source`, a `block`, or a stretch of
            `time`.
        on: A device of `devices`, or its name: the run takes place there, with its kernels, and
            totals say what its allocator and its driver show.
        fits: Bytes, "24GB", or the name of a device. Rows are then changes that can be made, one
            at a time, with the largest batch that fits.
        **options: As for `trace`.

    Returns:
        The report. Its rows add up to `peak_bytes`, but for those by `time` and those of changes.

    Raises:
        ZooError: As for `trace`, or a word that is not known.

    Example:
        >>> memory("lenet", (1, 1, 28, 28)).totals["parameter_bytes"]
        246824
    """
    from zoo.analysis.memory import check
    from zoo.analysis.memory import memory as held
    from zoo.errors import OptionError

    check(by)
    model = given_trace(model) or model
    limit, room = (None, None) if fits is None else budget(fits)
    place = device(on) if isinstance(on, str) else on or room
    if place is not None:
        options.update(_placed(model, place, room, options))
    if limit is not None:
        if by != "role":
            raise OptionError(f"by {by}", "rows of fits are changes", "Leave one of them out.")
        return _fitting(model, inputs, options, limit, place)
    found = traced(model, inputs, options)
    report = held(found, by=by)
    if place is not None and found.failure is None:
        report = _on(report, found, place)
    return shown(report)


def _placed(
    model: str | nn.Module | Trace,
    place: Device,
    room: Device | None,
    options: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Options by which a run takes place on a device; none for a run that did."""
    from zoo.analysis import on_device
    from zoo.analysis.memory import place_of
    from zoo.analysis.records import Trace

    if isinstance(model, Trace):
        on_device.check(place, place_of(model), room)
        return {}
    on_device.check(place, options.get("device"), room)
    return {"device": options.get("device", place.kind)}


def _on(report: plain.Report, found: Trace, place: Device) -> plain.Report:
    """A memory report with what a device's allocator and driver show."""
    from zoo.analysis import on_device

    usage = on_device.usage(found, place)
    return replace(
        report,
        totals={**report.totals, "device": place.name, **on_device.figures(usage)},
        notes=(*report.notes, *on_device.notes(usage, place)),
    )


def _fitting(
    model: str | nn.Module | Trace,
    inputs: tuple[Any, ...],
    options: dict[str, Any],
    limit: int,
    place: Device | None,
) -> Report:
    """A memory report whose rows are changes to a job."""
    from zoo.analysis.fits import TOTALS, Job, fitted, told
    from zoo.analysis.memory import memory as held
    from zoo.analysis.records import Trace

    if isinstance(model, Trace):
        report = held(model)
        report = report if place is None else _on(report, model, place)
        return shown(told(report, model, limit, place))
    named = {name: options.pop(name) for name in ("kwargs", "arguments") if name in options}
    subject = Subject(model, inputs, **named)
    kept = ("batch", "device", "dtype", "formulas", "hints", "progress")
    alone = {name: options[name] for name in kept if name in options}
    found = subject.trace(**options)
    report = held(found)
    if found.failure is not None:
        unknown = {**dict.fromkeys(TOTALS), "limit_bytes": limit}
        return shown(replace(report, totals={**report.totals, **unknown}))
    options.pop("batch", None)

    def run(*, batch: int, **settings: Any) -> Trace:
        return subject.trace(batch=batch, **{**options, **settings})

    look = found if found.step is None else subject.trace(**alone)
    if place is not None:
        report = _on(report, found, place)
    return shown(fitted(report, Job(run, limit, place, found.batch), found, look, options))
