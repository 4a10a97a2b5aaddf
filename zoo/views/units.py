"""How is a figure written?

Integers below 10,000 in full, larger ones with three significant digits and a prefix. Prefixes are
decimal (MB = 1e6 B); bytes alone may be binary (MiB = 1,048,576 B). Counts, MACs and FLOPs carry no
unit of their own: the heading names it.
"""

from __future__ import annotations

import math
from enum import Enum

COUNTED = frozenset({"", "1", "MAC", "FLOP", "MACs", "FLOPs", "count"})
"""Units that the heading says already."""


class Units(Enum):
    """What prefixes of bytes mean."""

    SI = "si"
    """kB = 1,000 B."""
    BINARY = "binary"
    """KiB = 1,024 B."""


def figure(value: float, unit: str = "1", units: Units = Units.SI) -> str:
    """A figure short enough for a table.

    >>> figure(61706), figure(9999), figure(999_950), figure(1_510_324_000)
    ('61.7 k', '9,999', '1.00 M', '1.51 G')
    >>> figure(246824, "B"), figure(246824, "B", Units.BINARY), figure(0.00123, "s")
    ('247 kB', '241 KiB', '1.23 ms')
    """
    if not math.isfinite(value):
        return "?"
    if unit == "%":
        return percent(value)
    tail = "" if unit in COUNTED else unit
    if isinstance(value, int) and abs(value) < 10_000:
        return f"{value:,} {tail}".rstrip()
    if unit == "B" and units is Units.BINARY:
        return _scaled(value, 1024, ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")) + "B"
    if abs(value) < 1000 and not isinstance(value, int):
        return _small(value, tail)
    return (_scaled(value, 1000, ("", "k", "M", "G", "T", "P", "E")) + tail).rstrip()


def exact(value: float, unit: str = "1") -> str:
    """A figure in full; what has a fraction is written as `figure` does.

    >>> exact(1510324000), exact(246824, "B")
    ('1,510,324,000', '246,824 B')
    """
    if not isinstance(value, int):
        return figure(value, unit)
    return f"{value:,} {'' if unit in COUNTED else unit}".rstrip()


def percent(value: float) -> str:
    """A share of 100, with one decimal; only all of it is 100 %, only nothing is 0 %.

    >>> percent(99.99), percent(100), percent(0.01), percent(0)
    ('99.9 %', '100 %', '<0.1 %', '0 %')
    """
    if value in (0, 100):
        return f"{value:.0f} %"
    if 0 < value < 0.1:
        return "<0.1 %"
    return f"{min(value, 99.9) if value < 100 else value:.1f} %"


def unit_of(name: str) -> str:
    """The unit that a figure's name tells, where no column says it."""
    if "_over_" in name:
        return "1"
    if name == "bytes" or name.endswith("_bytes") or name.startswith("bytes_"):
        return "B"
    if name == "seconds" or name.endswith("_seconds"):
        return "s"
    if name.endswith("macs"):
        return "MAC"
    if name.endswith("flops"):
        return "FLOP"
    return "1"


def _scaled(value: float, base: int, prefixes: tuple[str, ...]) -> str:
    """Three significant digits and a prefix, the next one where rounding would make them four."""
    size, step = abs(float(value)), 0
    while step < len(prefixes) - 1 and float(_digits(size, base)) >= base:
        size, step = size / base, step + 1
    sign = "-" if value < 0 else ""
    number = _digits(size, base)
    shown = f"{float(number):,.0f}" if size >= 1000 else number
    return f"{sign}{shown} {prefixes[step]}"


def _digits(size: float, base: int) -> str:
    """A number of at least three digits; below 1,024 it may have four."""
    for places, below in ((2, 9.995), (1, 99.95), (0, 999.5)):
        if size < below:
            return f"{size:.{places}f}"
    return f"{size:.0f}" if size < base else f"{size:.6e}"


def _small(value: float, unit: str) -> str:
    """A measured value below 1,000; seconds get prefixes downwards."""
    if unit == "s" and value:
        for factor, prefix in ((1, ""), (1e3, "m"), (1e6, "u")):
            if abs(value) * factor >= 0.9995:
                return f"{value * factor:.3g} {prefix}s"
        return f"{value * 1e9:.3g} ns"
    return f"{value:.3g} {unit}".rstrip()
