"""What do the same copies take on the accelerator that is here?

Each load of a link's report is copied as it would be, tensor by tensor, from pinned memory without
waiting and from pageable memory, and back. The time is the median of several turns, from before the
first copy until the device has done the last; a turn before them makes the context and the memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from zoo.analysis.records import Column, Note, Report
from zoo.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

TURNS = 7
"""How often each load is copied."""
COLUMNS = (
    Column("pinned_measured_seconds", "s", "`pinned_seconds`, measured here."),
    Column("pageable_measured_seconds", "s", "`pageable_seconds`, measured here."),
)


@dataclass(frozen=True, slots=True)
class Here:
    """A device to measure on."""

    device: str
    """torch's name of it."""
    name: str
    """What it is called."""
    wait: Callable[[], None]
    """Waits until it has done all it was given."""
    pins: bool
    """Whether memory can be pinned for it."""


def accelerator() -> Here:
    """The accelerator that is here.

    Returns:
        The first that torch can use.

    Raises:
        OptionError: There is none.
    """
    if torch.cuda.is_available():
        return Here("cuda", torch.cuda.get_device_name(), torch.cuda.synchronize, pins=True)
    if torch.backends.mps.is_available():
        return Here("mps", "mps", torch.mps.synchronize, pins=False)
    raise OptionError(
        "measure", "no accelerator is here that torch can use", "Leave it out for the estimates."
    )


def processor() -> Here:
    """The processor itself, between whose own memory the same code copies."""
    return Here("cpu", "cpu", lambda: None, pins=False)


def measured(report: Report, here: Here, *, turns: int = TURNS) -> Report:
    """A report of links with times that were measured.

    Args:
        report: Rows by link and load.
        here: Where to measure.
        turns: How often each load is copied.

    Returns:
        The report with two more columns. Rows of links between devices have none of these.
    """
    known: dict[Any, Mapping[str, float | None]] = {}
    rows = []
    for row in report.rows:
        key = row["what"], row["way"]
        if row["way"] == "between devices":
            rows.append({**row, **{column.name: None for column in COLUMNS}})
            continue
        if key not in known:
            sizes = split(row["bytes"], row["copies"])
            back = row["way"] == "from the device"
            known[key] = {
                "pinned_measured_seconds": copied(sizes, here, back=back, turns=turns)
                if here.pins
                else None,
                "pageable_measured_seconds": copied(
                    sizes, here, back=back, pageable=True, turns=turns
                ),
            }
        rows.append({**row, **known[key]})
    text = f"measured on {here.name}, whichever link a row is about: median of {turns} turns."
    return replace(
        report,
        columns=(*report.columns, *COLUMNS),
        rows=tuple(rows),
        totals={**report.totals, "measured_on": here.name},
        notes=(*report.notes, Note("info", "measured", text)),
    )


def split(nbytes: int, copies: int) -> Sequence[int]:
    """Sizes of equal tensors that have so many bytes together.

    >>> split(10, 3), split(0, 0)
    ([4, 3, 3], [])
    """
    if not copies:
        return []
    size, rest = divmod(nbytes, copies)
    return [size + 1] * rest + [size] * (copies - rest)


def copied(
    sizes: Sequence[int],
    here: Here,
    *,
    back: bool = False,
    pageable: bool = False,
    turns: int = TURNS,
) -> float:
    """Seconds of copying tensors.

    Args:
        sizes: Bytes of each.
        here: The device.
        back: From the device.
        pageable: With memory that the system may move.
        turns: How often.

    Returns:
        The median; 0 where there is nothing to copy.
    """
    if not sizes:
        return 0.0
    host = [_host(size, pinned=here.pins and not pageable) for size in sizes]
    there = [torch.empty(size, dtype=torch.uint8, device=here.device) for size in sizes]
    pairs = list(zip(host, there, strict=True) if back else zip(there, host, strict=True))
    _turn(pairs, here, waits=pageable)
    return median(_turn(pairs, here, waits=pageable) for _ in range(turns))


def _host(size: int, *, pinned: bool) -> Tensor:
    tensor = torch.ones(size, dtype=torch.uint8)  # ones: every page is there
    return tensor.pin_memory() if pinned else tensor


def _turn(pairs: Sequence[tuple[Tensor, Tensor]], here: Here, *, waits: bool) -> float:
    here.wait()
    begin = perf_counter()
    for target, source in pairs:
        target.copy_(source, non_blocking=not waits)
    here.wait()
    return perf_counter() - begin
