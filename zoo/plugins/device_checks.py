"""What is wrong with a device that a plugin returned, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from zoo.analysis.devices import CONFIDENCES, DTYPES, ENDS, KINDS, SIZES, Device, Link, key
from zoo.errors import did_you_mean


def device_fault(device: object) -> str | None:
    """What is wrong with something that a plugin returned as a device; None where nothing is."""
    if not isinstance(device, Device):
        return f"{device!r} is no Device"
    if not (isinstance(device.name, str) and key(device.name) and device.name.isprintable()):
        return f"{device.name!r} is no name of a device; use letters and digits"
    wrong = next((text for text in _faults(device) if text), None)
    return f"device {device.name!r}: {wrong}" if wrong else None


def _faults(device: Device) -> Iterator[str | None]:
    yield from (_not_text(one, getattr(device, one)) for one in ("vendor", "source", "note"))
    if device.kind not in KINDS:
        yield f"kind {device.kind!r} is no device type of torch; known: {', '.join(KINDS)}"
    yield from (_bytes_fault(one, getattr(device, one)) for one in SIZES)
    if device.bandwidth is not None and not _is_rate(device.bandwidth):
        yield f"bandwidth {device.bandwidth!r} is no B/s above 0"
    if device.memory_bytes and device.usable_bytes and device.usable_bytes > device.memory_bytes:
        yield f"usable_bytes {device.usable_bytes} are more than its memory {device.memory_bytes}"
    yield _peaks_fault(device.peaks)
    yield _capability_fault(device.capability)
    yield from (_names_fault(one, getattr(device, one)) for one in ("aliases", "stands_for"))
    if not (isinstance(device.links, tuple) and all(map(_is_link, device.links))):
        yield f"links {device.links!r} are not a tuple of Links"
    if device.confidence not in CONFIDENCES:
        yield f"confidence {device.confidence!r} is none of {', '.join(CONFIDENCES)}"
    for one in ("usable_confidence", "context_confidence"):
        if getattr(device, one) not in (None, *CONFIDENCES):
            yield f"{one} {getattr(device, one)!r} is none of {', '.join(CONFIDENCES)}"


def _bytes_fault(name: str, value: object) -> str | None:
    good = value is None or (type(value) is int and value > 0)
    return None if good else f"{name} {value!r} is no whole number of bytes above 0"


def _capability_fault(pair: object) -> str | None:
    good = pair is None or (isinstance(pair, tuple) and [type(x) for x in pair] == [int, int])
    return None if good else f"capability {pair!r} is not a pair of numbers"


def _names_fault(name: str, value: object) -> str | None:
    good = isinstance(value, tuple) and all(isinstance(one, str) and key(one) for one in value)
    return None if good else f"{name} {value!r} are not a tuple of names"


def _not_text(name: str, value: object) -> str | None:
    return None if isinstance(value, str) else f"{name} {value!r} is not text"


def _is_rate(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value > 0


def _is_link(link: object) -> bool:
    if not isinstance(link, Link) or link.to not in ENDS or not isinstance(link.name, str):
        return False
    return link.bandwidth is None or _is_rate(link.bandwidth)


def _peaks_fault(peaks: object) -> str | None:
    if not isinstance(peaks, Mapping):
        return f"peaks {peaks!r} are not a mapping of dtypes to FLOP/s"
    known = tuple(DTYPES.values())
    for dtype, rate in peaks.items():
        if dtype not in known:
            hint = did_you_mean(str(dtype), known, f"Known: {', '.join(known)}.")
            return f"peaks have no dtype {dtype!r}. {hint}"
        if not _is_rate(rate):
            return f"peak {rate!r} of {dtype} is no FLOP/s above 0"
    return None
