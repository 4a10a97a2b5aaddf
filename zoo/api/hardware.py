"""Devices, and memory that something has to fit into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.api.shown import Report, shown
from zoo.subjects import manager

if TYPE_CHECKING:
    from zoo.analysis.devices import Device


def devices(query: str | None = None) -> Report:
    """Devices that match, a row each, with their peaks, bandwidth and memory.

    Args:
        query: Part of a name, a maker or a kind, or a pattern with `*`; None for all.

    Returns:
        The report.

    Raises:
        UnknownDevice: None matches.

    Example:
        >>> [row["name"] for row in devices("NVIDIA H100 80GB HBM3").rows]
        ['H100-SXM5-80GB']
    """
    from zoo.analysis.devices_report import report

    return shown(report(manager().devices(), query))


def device(name: str) -> Device:
    """What is known of a device.

    Args:
        name: As people or `nvidia-smi` write it.

    Returns:
        The device; its `assumption` says what a short name left open.

    Raises:
        UnknownDevice: No device is called so.

    Example:
        >>> device("rtx 4090").name, device("H100").assumption is None
        ('GeForce RTX 4090', False)
    """
    return manager().devices().find(name)


def budget(value: str | float) -> tuple[int, Device | None]:
    """Memory that something has to fit into.

    Args:
        value: Bytes, `24GB` (1e9 B), `24GiB` (2**30 B), or the name of a device.

    Returns:
        Bytes, and the device where one was named.

    Raises:
        BadBudget: It is neither a size nor a device, or the device's memory is not known.
    """
    from zoo.analysis.devices import budget as read

    return read(value, manager().devices())
