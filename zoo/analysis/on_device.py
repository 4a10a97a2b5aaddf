"""What a run takes of an accelerator's memory: allocated, reserved, and as the driver shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.analysis.allocator import Accelerator, Usage, simulate, trace_events, workspace_bytes
from zoo.analysis.memory import place_of
from zoo.analysis.records import Note
from zoo.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.analysis.devices import Device
    from zoo.analysis.records import Trace

FIGURES = ("allocated_bytes", "reserved_bytes", "device_bytes")
"""What `zoo memory --on` adds to the totals."""


def check(device: Device, place: str | None = None, other: Device | None = None) -> None:
    """Find out before a run whether it can take place on a device.

    Args:
        device: Where the run is to take place.
        place: Where the user says that it takes place: `cpu`, `cuda:0`, ...; None where nothing
            was said.
        other: The device that it has to fit into, where one was named.

    Raises:
        OptionError: The device's allocator is not known, or another one was named too.
    """
    if device.kind != "cuda":
        reason = f"the allocator of {device.kind} devices is not known"
        hint = "Leave it out, and name a size (--fits 24GB): the bytes of tensors are compared."
        raise OptionError(f"on {device.name!r}", reason, hint)
    if place is not None and place.partition(":")[0] != device.kind:
        reason = f"the run is said to take place on {place}, and not on {device.kind}"
        hint = f"Say device {device.kind}, or leave it out."
        raise OptionError(f"on {device.name!r}", reason, hint)
    if other is not None and other.name != device.name:
        reason = f"it has to fit into {other.name}, which is another device"
        raise OptionError(f"on {device.name!r}", reason, "Name one device, or one and a size.")


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
    """What each figure is and where it is from, and what the device's name left open."""
    said = [
        Note(
            "info",
            "allocated",
            "allocated_bytes: torch.cuda.max_memory_allocated(), by the rules of torch 2.14's "
            "allocator. cuDNN's workspaces are not known, and not counted.",
        ),
        Note(
            "info",
            "reserved",
            "reserved_bytes: torch.cuda.max_memory_reserved(), what torch took from the device to "
            "cut blocks from.",
        ),
        Note("info", "device", f"device_bytes: what nvidia-smi shows; {_context(found, device)}"),
    ]
    if device.vendor == "AMD":
        text = "workspaces and context of AMD's libraries are other ones, and not known."
        said.append(Note("warning", "other-libraries", text))
    if device.assumption is not None:
        said.append(Note("info", "assumption", f"{device.assumption}."))
    return tuple(said)


def _context(found: Usage, device: Device) -> str:
    """Reserved bytes, and a context from where."""
    cost = next(one for one in found.outside if one.name == "cuda context")
    origin = f"{cost.confidence}: {cost.source}"
    if device.context_bytes is not None:
        origin = f"{device.context_confidence or 'given'}: {device.source}"
    return f"reserved_bytes and a CUDA context of {cost.nbytes or 0:,} B ({origin})."
