"""What moving a model costs, where it is divided, and when several devices pay: one run or two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.api.run import traced
from zoo.errors import OptionError, StepError, ZooError
from zoo.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

    from zoo.analysis import report as plain
    from zoo.analysis.devices import Device
    from zoo.analysis.records import Trace

FURTHER = 8
"""The second batch that replicas trace is so many times the first."""


def by_code(
    model: str | nn.Module | Trace,
    inputs: tuple[Any, ...],
    options: dict[str, Any],
    place: Device | None,
) -> plain.Report:
    """Lines of the model's own code that copy or wait.

    Args:
        model: As for `trace`, or a trace of a run on an accelerator.
        inputs: As for `trace`.
        options: As for `trace`.
        place: Where it runs; None leaves the time of copies out.

    Returns:
        The report.

    Raises:
        ZooError: As for `trace`, or a run on the processor.
    """
    from zoo.analysis.records import Trace
    from zoo.analysis.transfers import check
    from zoo.analysis.transfers import transfers as lines

    if not isinstance(model, Trace):  # a trace has run, and `lines` looks at where
        check(_placed(model, options, place)["device"])
    return lines(_run(model, inputs, options, place), place)


def by_link(
    model: str | nn.Module | Trace,
    inputs: tuple[Any, ...],
    options: dict[str, Any],
    place: Device | None,
    *,
    measure: bool = False,
) -> plain.Report:
    """What moving the model, a batch and its results takes.

    Args:
        model: As for `trace`, or a trace.
        inputs: As for `trace`.
        options: As for `trace`.
        place: The device whose links count; None for all kinds of links.
        measure: Measure the same copies on the accelerator that is here.

    Returns:
        The report.

    Raises:
        ZooError: As for `trace`; or nothing is here to measure.
    """
    from zoo.analysis.links import links

    if measure:
        from zoo.analysis.measured import accelerator, measured

        here = accelerator()
        report: plain.Report = measured(links(_run(model, inputs, options, place), place), here)
        return report
    return links(_run(model, inputs, options, place), place)


def by_cut(
    model: str | nn.Module | Trace,
    inputs: tuple[Any, ...],
    options: dict[str, Any],
    place: Device | None,
    *,
    parts: int | None = None,
) -> plain.Report:
    """Where the model can be divided, and what crosses.

    Args:
        model: As for `trace`, or a trace.
        inputs: As for `trace`.
        options: As for `trace`.
        place: What each part runs on; None where times do not matter.
        parts: How many parts; None for two where it can be cut at all.

    Returns:
        The report.

    Raises:
        ZooError: As for `trace`; or it cannot be divided so.
    """
    from zoo.analysis.cuts import check, cuts

    check(parts)
    return cuts(_run(model, inputs, options, place), place, parts=parts)


def by_replica(
    model: str | nn.Module | Trace,
    inputs: tuple[Any, ...],
    options: dict[str, Any],
    place: Device | None,
    *,
    replicas: int | None = None,
    network: str | float | None = None,
) -> plain.Report:
    """When data parallelism pays.

    Args:
        model: As for `trace`, or the trace of a training step.
        inputs: As for `trace`.
        options: As for `trace`; a training step is run.
        place: Each device.
        replicas: How many at most; None for eight.
        network: What they are joined by; None for the device's own link.

    Returns:
        The report.

    Raises:
        OptionError: No device was named, or what was is not enough.
        ZooError: As for `trace`.
    """
    from zoo.analysis.replicas import check, link_of, speed_of
    from zoo.analysis.replicas import replicas as gained

    count = 8 if replicas is None else replicas
    check(count)
    speed = None if network is None else speed_of(network)
    if place is None:
        raise OptionError("by 'replica'", "no device was named", "Say --on a100.")
    link_of(place, speed)
    traces = _steps(model, inputs, options, place)
    return gained(traces, place, devices=count, speed=speed)


def _run(
    model: str | nn.Module | Trace,
    inputs: tuple[Any, ...],
    options: dict[str, Any],
    place: Device | None,
) -> Trace:
    found = traced(model, inputs, _placed(model, options, place))
    _fits(found, place)
    return found


def _placed(
    model: str | nn.Module | Trace, options: dict[str, Any], place: Device | None
) -> dict[str, Any]:
    """Options by which a run takes place on a device."""
    from zoo.analysis.records import Trace

    if isinstance(model, Trace):
        return options
    kind = place.kind if place is not None else "cuda"
    said = options.get("device", kind).partition(":")[0]
    if place is not None and said != kind:
        raise _elsewhere(place, said)
    return {**options, "device": options.get("device", kind)}


def _fits(trace: Trace, place: Device | None) -> None:
    """Refuse a trace that ran on another kind of device."""
    from zoo.analysis.memory import place_of

    ran = place_of(trace).partition(":")[0]
    if place is not None and ran != place.kind:
        raise _elsewhere(place, ran)


def _elsewhere(place: Device, ran: str) -> OptionError:
    reason = f"the run took place on {ran}, and not on {place.kind}"
    return OptionError(f"on {place.name!r}", reason, f"Say device {place.kind}, or leave it out.")


def _steps(
    model: str | nn.Module | Trace,
    inputs: tuple[Any, ...],
    options: dict[str, Any],
    place: Device,
) -> Mapping[int, Trace]:
    """Training steps by batch: the one that was asked for, and a larger one where it runs."""
    from zoo.analysis.records import Trace

    if isinstance(model, Trace):
        given = _run(model, inputs, options, place)
        if given.step is None:
            raise StepError("by 'replica'", "the trace is no training step", "Trace one: --train.")
        return {given.batch: given}
    named = {name: options.pop(name) for name in ("kwargs", "arguments") if name in options}
    said = {"train": True, **_placed(model, options, place)}
    if said.get("loss") == "none":
        raise StepError("loss none", "without a backward pass nothing is exchanged", "Name a loss.")
    subject = Subject(model, inputs, **named)
    first = subject.trace(**said)
    batch = first.batch
    found = {batch: first}
    if first.failure is None:
        second = _further(lambda: subject.trace(**{**said, "batch": FURTHER * batch}))
        if second is not None:
            found[FURTHER * batch] = second
    return found


def _further(run: Callable[[], Trace]) -> Trace | None:
    """A second run; None where the model does not take that batch."""
    try:
        trace = run()
    except ZooError:
        return None
    return trace if trace.failure is None else None
