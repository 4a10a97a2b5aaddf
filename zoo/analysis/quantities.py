"""How a user writes bytes, bandwidths and rates: `24GB`, `24GiB`, `1.5TB/s`, `82.6TFLOP/s`.

GB is 1e9 bytes and GiB is 2**30; case and a space before the unit do not matter.
"""

from __future__ import annotations

import math
import re

NUMBER = re.compile(r"([0-9][0-9_]*\.?[0-9]*(?:e[+-]?[0-9]+)?|\.[0-9]+)\s*([a-z/]*)", re.IGNORECASE)
_PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15} | {
    f"{letter}i": 1 << 10 * power for power, letter in enumerate("kmgtp", 1)
}


def quantity(value: object, units: tuple[str, ...], example: str) -> float:
    """A positive number, or a number with a prefix and a unit.

    Args:
        value: 24e9, "24GB", "24 GiB", "1.5TB/s".
        units: Units it may have, in lower case; the prefix comes before them.
        example: How it is written, for the message.

    Returns:
        The number in the unit itself.

    Raises:
        ValueError: It is none, or is not positive.

    Example:
        >>> quantity("24GB", ("b",), "24GB"), quantity("1.5 TiB/s", ("b/s",), "1TB/s")
        (24000000000.0, 1649267441664.0)
    """
    number, unit = _split(value)
    known = {prefix + one: scale for one in units for prefix, scale in _PREFIXES.items()}
    known.setdefault("", 1)
    total = number * known.get(unit, math.nan)
    if not (math.isfinite(total) and total > 0):
        raise ValueError(f"{value!r} is no quantity above 0; write {example}")
    return total


def _split(value: object) -> tuple[float, str]:
    """A number and its prefix and unit; NaN where there is none."""
    text, unit = str(value), ""
    if isinstance(value, str):
        match = NUMBER.fullmatch(value.strip())
        text, unit = (match[1], match[2].lower()) if match else ("nan", "")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        text = "nan"
    try:
        return float(text), unit
    except ValueError:
        return math.nan, unit


def size(value: object) -> int:
    """Bytes of `24GB` (decimal), `24GiB` (binary), `24e9` or 24e9.

    >>> size("24GB"), size("24 GiB"), size(24e9)
    (24000000000, 25769803776, 24000000000)
    """
    return round(quantity(value, ("b", ""), "24GB or 24GiB"))
