"""What does it cost to move a model, a batch and its results to a device and back?

    time = copies * latency + bytes / bandwidth

A tensor is a copy: `model.to()` goes tensor by tensor, and many small ones pay the latency each.
Bandwidth is what a link was measured to reach and not its peak: a share of the peak for pinned
memory, and for pageable memory what the host's own copy into pinned memory allows. A pinned copy
does not wait (`non_blocking=True`); a pageable one does. Memory that processor and graphics share
has nothing to cross.

What links reach, with source and confidence, is in `links.csv` beside this file. Not in the model:
other traffic on the link, memory of the processor's other socket, the first copy of a process,
which makes a context, and the time that pinning itself takes, longer than a pageable copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from zoo.analysis.devices import Link
from zoo.analysis.records import Column, Note, Report, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zoo.analysis.devices import Device

COLUMNS = (
    Column("link", "", "What is crossed; a device's own link where one was named."),
    Column("what", "", "What is moved."),
    Column("way", "", "To the device, from it, or between two devices."),
    Column("bytes", "B", "Bytes moved."),
    Column("copies", "1", "Tensors, each of which is copied by itself."),
    Column("latency_seconds", "s", "What the copies take whatever their size, without waiting."),
    Column("pinned_seconds", "s", "From or to pinned memory, or between devices, without waiting."),
    Column("pageable_seconds", "s", "From or to pageable memory; the host waits for each copy."),
    Column("pinned_bandwidth", "B/s", "What the link reaches with pinned memory."),
    Column("pageable_bandwidth", "B/s", "What it reaches with pageable memory."),
    Column("peak_bandwidth", "B/s", "What is printed of it, one direction."),
    Column("confidence", "", "How sure the bandwidth with pinned memory is."),
)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a link reaches."""

    kind: str
    """Generation: `PCIe 4.0`, `NVLink4`, `unified`."""
    link: Link
    """A link of this kind, with its peak."""
    shares: tuple[float | None, float | None]
    """Of the peak, to the device and from it, with pinned memory or between devices."""
    ring: float | None
    """Share of the peak that a ring of devices reaches."""
    pageable: tuple[float | None, float | None]
    """B/s to the device and from it with pageable memory, whatever the peak."""
    copy: float | None
    """Seconds that a copy takes besides its bytes."""
    wait: float | None
    """Seconds of one that the host waits for."""
    step: float | None
    """Seconds of a step of a ring."""
    confidence: str
    """How sure the shares are."""
    source: str
    """Where the figures are from."""
    note: str
    """What a reader of them must know."""

    @property
    def unified(self) -> bool:
        """Whether both ends have one memory."""
        return self.kind == "unified"

    def bandwidth(self, *, back: bool = False, pageable: bool = False) -> float | None:
        """B/s that are reached; None where nothing crosses, or it is not known.

        Args:
            back: From the device.
            pageable: With memory that the system may move.

        Returns:
            Bytes a second.
        """
        share, peak = self.shares[back], self.link.bandwidth
        pinned = None if share is None or peak is None else share * peak
        if not pageable:
            return pinned
        limit = self.pageable[back]
        return None if pinned is None or limit is None else min(pinned, limit)

    @property
    def ring_bandwidth(self) -> float | None:
        """B/s that each device of a ring sends while it receives as much."""
        if self.ring is None or self.link.bandwidth is None:
            return None
        return self.ring * self.link.bandwidth

    def seconds(
        self, nbytes: float, copies: int = 1, *, back: bool = False, pageable: bool = False
    ) -> float | None:
        """Time of some copies.

        Args:
            nbytes: Bytes of all.
            copies: How many there are.
            back: From the device.
            pageable: With memory that the system may move.

        Returns:
            Seconds; None where the bandwidth is not known.
        """
        if self.unified or not copies:
            return 0.0
        rate = self.bandwidth(back=back, pageable=pageable)
        latency = self.wait if pageable else self.copy
        if rate is None or latency is None:
            return None
        return copies * latency + nbytes / rate


@lru_cache
def table() -> tuple[Reach, ...]:
    """The kinds of links that zoo knows, from `links.csv` beside this file."""
    import csv
    from pathlib import Path

    path = Path(__file__).with_name("links.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(_of_row(row) for row in csv.DictReader(file))


def _of_row(row: Mapping[str, Any]) -> Reach:
    def number(name: str, unit: float = 1.0) -> float | None:
        return float(row[name]) * unit if row[name] else None

    lanes = "x16" if row["kind"].startswith("PCIe") else ""
    return Reach(
        kind=row["kind"],
        link=Link(row["kind"] + lanes, row["to"], number("gbs", 1e9)),
        shares=(number("to_share"), number("from_share")),
        ring=number("ring_share"),
        pageable=(number("pageable_to_gbs", 1e9), number("pageable_from_gbs", 1e9)),
        copy=number("copy_us", 1e-6),
        wait=number("wait_us", 1e-6),
        step=number("step_us", 1e-6),
        confidence=row["check"],
        source=row["source"],
        note=row["note"],
    )


def reach(link: Link) -> Reach:
    """What a device's link reaches: the shares of its kind, of its own peak.

    Args:
        link: Of any device.

    Returns:
        The figures; those of `other` where its kind is not known.

    Example:
        >>> reach(Link("PCIe 4.0x8", "host", 15.75e9)).kind
        'PCIe 4.0'
    """
    from dataclasses import replace

    kinds = table()
    named = [one for one in kinds if link.name.startswith(one.kind)]
    found = max(named, key=lambda one: len(one.kind), default=kinds[-1])
    return replace(found, link=link)


def between(place: Device) -> Reach | None:
    """What two devices of a kind reach each other over: their own link, else through the host.

    Args:
        place: Either device.

    Returns:
        What it reaches; None where no link is known that leads out of the device's own memory.
    """
    link = place.link("peer") or place.link("host")
    found = None if link is None else reach(link)
    return None if found is None or found.link.bandwidth is None else found


def network(bandwidth: float) -> Reach:
    """What a network reaches.

    Args:
        bandwidth: B/s of each device's end of it.

    Returns:
        The figures.
    """
    from dataclasses import replace

    kind = next(one for one in table() if one.kind == "network")
    return replace(kind, link=Link("network", "peer", bandwidth))


@dataclass(frozen=True, slots=True)
class Load:
    """What is moved together."""

    what: str
    """`parameters`, `buffers`, `gradients`, `optimizer state`, `inputs`, `outputs`."""
    nbytes: int
    """Bytes of all."""
    copies: int
    """Tensors."""
    back: bool
    """Whether it goes from the device."""


def loads(trace: Trace) -> tuple[Load, ...]:
    """What moves to a device and back for a run: the model once, a batch and its results each time.

    Args:
        trace: A run, with a training step or without.

    Returns:
        The loads; gradients and the optimizer's state of a training step alone.
    """
    sizes = {
        "parameters": [one.spec.nbytes for one in trace.parameters],
        "buffers": [one.spec.nbytes for one in trace.buffers],
        "inputs": [one.spec.nbytes for one in trace.inputs],
    }
    found = [_load(what, nbytes, back=False) for what, nbytes in sizes.items()]
    if trace.outputs is not None:
        found.append(_load("outputs", [spec.nbytes for spec in trace.outputs], back=True))
    if trace.step is not None:
        for what, role in (("gradients", "gradient"), ("optimizer state", "optimizer")):
            kept = [one.nbytes for one in trace.storages if one.role == role]
            found.append(_load(what, kept, back=True))
    return tuple(found)


def _load(what: str, sizes: Sequence[int], *, back: bool) -> Load:
    return Load(what, sum(sizes), sum(1 for nbytes in sizes if nbytes), back)


def links(trace: Trace, place: Device | None = None) -> Report:
    """What moving a model, a batch and its results takes, for each kind of link or for a device's.

    Args:
        trace: A run.
        place: The device whose links count; None for all kinds.

    Returns:
        The report.
    """
    moved = loads(trace)
    named = [reach(link) for link in place.links] if place is not None else _kinds()
    totals: dict[str, Any] = {
        f"{one.what.removesuffix('s').replace(' state', '')}_bytes": one.nbytes for one in moved
    }
    totals["copies"] = sum(one.copies for one in moved)
    if place is not None:
        totals |= _of_device(place, moved)
    return Report(
        report="transfer",
        model=trace.model,
        inputs=trace.inputs,
        columns=COLUMNS,
        rows=tuple(_row(one, load) for one in named for load in moved),
        totals=totals,
        notes=(*_notes(named, place), *trace.notes),
        failure=trace.failure,
    )


def _kinds() -> list[Reach]:
    return [one for one in table() if one.kind not in ("network", "other")]


def _row(one: Reach, load: Load) -> Mapping[str, Any]:
    peer = one.link.to == "peer"
    way = "between devices" if peer else "from the device" if load.back else "to the device"
    latency = None if one.copy is None else one.copy * load.copies
    return {
        "link": one.link.name,
        "what": load.what,
        "way": way,
        "bytes": load.nbytes,
        "copies": load.copies,
        "latency_seconds": latency,
        "pinned_seconds": one.seconds(load.nbytes, load.copies, back=load.back),
        "pageable_seconds": None
        if peer
        else one.seconds(load.nbytes, load.copies, back=load.back, pageable=True),
        "pinned_bandwidth": one.bandwidth(back=load.back),
        "pageable_bandwidth": None if peer else one.bandwidth(back=load.back, pageable=True),
        "peak_bandwidth": one.link.bandwidth,
        "confidence": one.confidence,
    }


def _of_device(place: Device, moved: Iterable[Load]) -> Mapping[str, Any]:
    """Totals of the device's own link to the host: the model once, and what each step moves."""
    link = place.link("host")
    ways: dict[str, float | None] = {}
    for name, pageable in (("pinned", False), ("pageable", True)):
        for group, whats in (("model", ("parameters", "buffers")), ("batch", ("inputs",))):
            times = [
                reach(link).seconds(one.nbytes, one.copies, pageable=pageable) if link else None
                for one in moved
                if one.what in whats
            ]
            known = [time for time in times if time is not None]
            ways[f"{group}_{name}_seconds"] = sum(known) if len(known) == len(times) else None
    return {"device": place.name, "host_link": link.name if link else None, **ways}


def _notes(named: Sequence[Reach], place: Device | None) -> Iterable[Note]:
    yield Note(
        "info",
        "link-model",
        "time = copies x latency + bytes / bandwidth; bandwidth as measured by others, not the "
        "peak: zoo/analysis/links.csv has each source.",
    )
    if place is not None and not place.links:
        yield Note("warning", "unknown-link", f"no link of {place.name} is known.")
    if place is not None and place.assumption is not None:
        yield Note("info", "assumption", f"{place.assumption}.")
    for one in named if place is not None else ():
        if one.unified:
            text = f"{place.name if place else one.kind} shares the host's memory: nothing crosses."
            yield Note("info", "unified-memory", text)
        else:
            said = f"; {one.note}" if one.note else ""
            yield Note(
                "info", "link-source", f"{one.link.name} ({one.confidence}): {one.source}{said}."
            )
