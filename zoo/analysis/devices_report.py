"""Which devices there are, as a table: `zoo devices`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.analysis.devices import DTYPES, Device, Devices
from zoo.analysis.report import Column, ModelInfo, Note, Report

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = (
    Column("name", "", "What the device is called."),
    Column("vendor", "", "Who makes it."),
    Column("kind", "", "torch's device type; AMD's cards are cuda."),
    Column("capability", "", "NVIDIA's compute capability."),
    Column("memory_bytes", "B", "Memory as printed, with GB read as GiB."),
    Column("usable_bytes", "B", "What torch.cuda.mem_get_info says in total."),
    Column("usable_confidence", "", "How sure the usable memory is."),
    Column("context_bytes", "B", "What a process holds before its first tensor."),
    Column("context_confidence", "", "How sure the context is."),
    Column("bandwidth", "B/s", "Peak between the chip and its memory."),
    *(
        Column(short, "OP/s" if short == "int8" else "FLOP/s", f"Dense peak in {full}.")
        for short, full in DTYPES.items()
    ),
    Column("host_link", "", "How it reaches the host."),
    Column("host_bandwidth", "B/s", "To the host, one direction."),
    Column("peer_link", "", "How it reaches other devices."),
    Column("peer_bandwidth", "B/s", "To other devices, one direction, all lanes together."),
    Column("confidence", "", "measured, seen in the source, recalled, computed or given."),
    Column("plugin", "", "Which plugin brings it."),
    Column("aliases", "", "Other names."),
    Column("stands_for", "", "Names of several variants that mean this one."),
    Column("source", "", "Where the figures are from."),
    Column("note", "", "What a reader of the figures must know."),
)


def report(devices: Devices, query: str | None = None) -> Report:
    """Devices that match, a row each.

    Args:
        devices: All there are.
        query: As for `Devices.search`; None for all.

    Returns:
        The report; a note says what a short name stands for.

    Raises:
        UnknownDevice: None matches.
    """
    found = devices.search(query) if query else tuple(devices)
    if not found and query:
        raise devices.unknown(query)
    rows = tuple(_row(owner, device) for owner, device in devices.owned if device in found)
    notes: tuple[Note, ...] = ()
    if query and (meant := devices.assumption(query)) is not None:
        notes = (Note("info", "assumption", f"As a name, {meant}."),)
    return Report("devices", ModelInfo(""), (), COLUMNS, rows, {"devices": len(rows)}, notes)


def _row(owner: str, device: Device) -> Mapping[str, Any]:
    host, peer = device.link("host"), device.link("peer")
    return {
        "name": device.name,
        "vendor": device.vendor,
        "kind": device.kind,
        "capability": ".".join(map(str, device.capability)) if device.capability else None,
        "memory_bytes": device.memory_bytes,
        "usable_bytes": device.usable_bytes,
        "usable_confidence": device.usable_confidence,
        "context_bytes": device.context_bytes,
        "context_confidence": device.context_confidence,
        "bandwidth": device.bandwidth,
        **{short: device.peaks.get(full) for short, full in DTYPES.items()},
        "host_link": host.name if host else None,
        "host_bandwidth": host.bandwidth if host else None,
        "peer_link": peer.name if peer else None,
        "peer_bandwidth": peer.bandwidth if peer else None,
        "confidence": device.confidence,
        "plugin": owner,
        "aliases": list(device.aliases),
        "stands_for": list(device.stands_for),
        "source": device.source,
        "note": device.note or None,
    }
