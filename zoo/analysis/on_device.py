"""What a run takes of an accelerator's memory: allocated, reserved, and as the driver shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.analysis.allocator import Accelerator, Usage, simulate, trace_events, workspace_bytes
from zoo.analysis.memory import place_of
from zoo.analysis.records import Note
from zoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.analysis.devices import Device
    from zoo.analysis.records import Trace

FIGURES = ("allocated_bytes", "reserved_bytes", "device_bytes")
"""What `zoo memory --on` adds to the totals."""


def check(device: Device) -> None:
    """Find out before a run whether the device's allocator is known.

    Args:
        device: Where the run is to take place.

    Raises:
        InputError: It is no CUDA device.
    """
    if device.kind != "cuda":
        reason = f"the allocator of {device.kind} devices is not known"
        raise InputError(f"on {device.name!r}", reason, "Leave out --on: tensors alone count.")


def usage(trace: Trace, device: Device) -> Usage:
    """What torch's allocator makes of a run on a device that does not run out.

    Args:
        trace: A run on `device.kind`.
        device: Where.

    Returns:
        The three figures, with what each is made of. The step runs twice, as in a loop.
    """
    events = trace_events(
        trace, device=place_of(trace), workspace=workspace_bytes(device.capability)
    )
    return simulate(
        events,
        Accelerator(compute_capability=device.capability, context_bytes=device.context_bytes),
    )


def figures(found: Usage) -> Mapping[str, int]:
    """The three figures by their names in totals."""
    return {name: getattr(found, name) for name in FIGURES}


def notes(found: Usage, device: Device) -> tuple[Note, ...]:
    """Where each figure is from, and what the device's name left open."""
    said = [Note("info", "device-memory", f"{name}: {found.sources[name]}.") for name in FIGURES]
    if device.assumption is not None:
        said.append(Note("info", "assumption", device.assumption))
    return tuple(said)
