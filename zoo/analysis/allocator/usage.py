"""How much memory a sequence of requests takes from a device, in the three ways it is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.analysis.allocator import fixed
from zoo.analysis.allocator.blocks import Block, Caching
from zoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo.analysis.allocator.events import Event
    from zoo.analysis.allocator.fixed import FixedCost


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What of a device matters to its memory."""

    capacity_bytes: int | None = None
    """Bytes that a process can have, its context included; None where they do not run out."""
    compute_capability: tuple[int, int] | None = None
    """Major and minor; None where it is not known."""
    context_bytes: int | None = None
    """Bytes of the CUDA context; None for the figure that `fixed.context` has."""
    expandable_segments: bool = False
    """Whether `PYTORCH_ALLOC_CONF=expandable_segments:True` is set."""


@dataclass(frozen=True, slots=True)
class State:
    """How the allocator stands."""

    allocated_bytes: int
    """Bytes of the blocks in use."""
    requested_bytes: int
    """Bytes that were asked for of those."""
    reserved_bytes: int
    """Bytes of all segments."""
    segments: int
    """Segments held; with expandable segments, pages."""
    cached_blocks: int
    """Free blocks held."""
    largest_cached_bytes: int
    """Bytes of the largest of them: the largest request that needs no new segment."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a sequence of requests took, at its worst."""

    allocated_bytes: int
    """Peak of the blocks in use: `torch.cuda.max_memory_allocated()`."""
    requested_bytes: int
    """Peak of what was asked for, before rounding: `requested_bytes.all.peak` of
    `torch.cuda.memory_stats()`."""
    reserved_bytes: int
    """Peak of the segments: `torch.cuda.max_memory_reserved()`."""
    device_bytes: int
    """`reserved_bytes` and the CUDA context: what `nvidia-smi` shows of the process."""
    allocated_at: int | None
    """Index of the event at which `allocated_bytes` is first reached; None where nothing was
    asked for."""
    failed_at: int | None
    """Index of the event that did not fit; None where all did. Nothing after it was served."""
    retries: int
    """How often the device was full and cached segments went back to it
    (`num_alloc_retries`): each time the device waits."""
    final: State
    """How things stand after the last event, or before the one that did not fit."""
    outside: tuple[FixedCost, ...]
    """What lies outside the allocator, and what nobody knows, each with its source."""

    @property
    def fits(self) -> bool:
        """Whether all requests were served."""
        return self.failed_at is None

    @property
    def sources(self) -> dict[str, str]:
        """Where each figure is from."""
        context = next(one for one in self.outside if one.name == "cuda context")
        rules = "rules of torch 2.14's CUDACachingAllocator, one stream"
        return {
            "allocated_bytes": f"{rules}; peak of blocks in use, rounded up to 512 B or more",
            "requested_bytes": f"{rules}; peak of bytes asked for",
            "reserved_bytes": f"{rules}; peak of segments; cuDNN's workspaces are not in it",
            "device_bytes": f"reserved_bytes and a CUDA context of {context.nbytes} B "
            f"({context.confidence}: {context.source})",
        }


def simulate(events: Iterable[Event], device: Accelerator | None = None) -> Usage:
    """Serve requests in order, as torch's allocator does on one stream.

    Args:
        events: `("alloc", id, nbytes)` and `("free", id)`; an id may come again after it was freed.
        device: What the memory lies on; None for one that does not run out.

    Returns:
        Peaks, the final state, and the event that did not fit, if any.

    Raises:
        InputError: An event that frees what is not there, asks again for what is, or is none.

    >>> usage = simulate([("alloc", 0, 4), ("alloc", 1, 43_008_000), ("free", 1)])
    >>> usage.allocated_bytes, usage.requested_bytes, usage.reserved_bytes
    (44040704, 43008004, 46137344)
    """
    device = device or Accelerator()
    outside = (fixed.context(device.compute_capability, device.context_bytes), fixed.CUDNN)
    beside = sum(cost.nbytes or 0 for cost in outside if not cost.reserved)
    capacity = device.capacity_bytes
    allocator = Caching(
        None if capacity is None else max(capacity - beside, 0),
        expandable=device.expandable_segments,
    )
    peaks = _Peaks()
    failed_at = _serve(events, allocator, peaks)
    return Usage(
        allocated_bytes=peaks.allocated,
        requested_bytes=peaks.requested,
        reserved_bytes=peaks.reserved,
        device_bytes=peaks.reserved + beside,
        allocated_at=peaks.at,
        failed_at=failed_at,
        retries=allocator.retries,
        final=State(
            allocated_bytes=allocator.allocated,
            requested_bytes=allocator.requested,
            reserved_bytes=allocator.reserved,
            segments=allocator.segments,
            cached_blocks=allocator.cached_blocks(),
            largest_cached_bytes=allocator.largest_cached(),
        ),
        outside=outside,
    )


@dataclass(slots=True)
class _Peaks:
    """The highest figures so far."""

    allocated: int = 0
    requested: int = 0
    reserved: int = 0
    at: int | None = None


def _serve(events: Iterable[Event], allocator: Caching, peaks: _Peaks) -> int | None:
    """Serve all events; the index of the one that did not fit, or None."""
    held: dict[int, Block | None] = {}
    for index, event in enumerate(events):
        if event[0] == "alloc":
            _, name, nbytes = event
            if name in held:
                raise _unreadable(index, event, "which is in use already")
            if nbytes < 0:
                raise _unreadable(index, event, "of less than no bytes")
            block = allocator.alloc(nbytes) if nbytes else None
            if nbytes and block is None:
                return index
            held[name] = block
            if allocator.allocated > peaks.allocated:
                peaks.allocated, peaks.at = allocator.allocated, index
            peaks.requested = max(peaks.requested, allocator.requested)
            peaks.reserved = max(peaks.reserved, allocator.reserved)
        elif event[0] == "free":
            if event[1] not in held:
                raise _unreadable(index, event, "which is not in use")
            block = held.pop(event[1])
            if block is not None:
                allocator.free(block)
        else:
            raise _unreadable(index, event, "which is neither alloc nor free")
    return None


def _unreadable(index: int, event: object, reason: str) -> InputError:
    return InputError(
        f"event {index}",
        f"{event!r}, {reason}",
        'Write ("alloc", id, nbytes), then ("free", id).',
    )
