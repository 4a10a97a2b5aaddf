"""What moves between devices: in the model's own code, over links, between parts and replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.api.dividing import by_code, by_cut, by_link, by_replica
from zoo.api.hardware import device
from zoo.api.run import given_trace
from zoo.api.shown import Report, shown
from zoo.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from zoo.analysis import report as plain
    from zoo.analysis.devices import Device
    from zoo.analysis.records import Trace

_BY: dict[str, tuple[Callable[..., plain.Report], tuple[str, ...]]] = {
    "code": (by_code, ()),
    "link": (by_link, ("measure",)),
    "cut": (by_cut, ("parts",)),
    "replica": (by_replica, ("replicas", "network")),
}
"""What `by` may be, what makes the report, and the options that it alone has."""


def transfers(
    model: str | nn.Module | Trace,
    *inputs: Any,
    by: str = "code",
    on: str | Device | None = None,
    parts: int | None = None,
    replicas: int | None = None,
    network: str | float | None = None,
    measure: bool = False,
    **options: Any,
) -> Report:
    """What moves between devices, and what it costs.

    Args:
        model: A `Trace`, or what `trace` takes.
        *inputs: As for `trace`.
        by: What a row is: a line of the model's own `code` that copies or waits, a `link` and what
            is moved over it, a place to `cut` the model at, or a number of `replica`s.
        on: A device of `devices`, or its name: the run takes place there, and what moves takes
            time.
        parts: Of cuts: how many devices the model is divided between; 2 unless told.
        replicas: How many devices train at most; 8 unless told.
        network: What replicas are joined by: "100Gbit", "12.5GB/s"; else the device's own link.
        measure: Of links: measure the same copies on the accelerator that is here.
        **options: As for `trace`; `device` is that of `on`, else `cuda`.

    Returns:
        The report. Its rows are in the order in which they happen, or of links and sizes.

    Raises:
        ZooError: As for `trace`, or an option that is not known or does not fit.

    Example:
        >>> transfers("lenet", (1, 1, 28, 28)).totals["waits"]
        0
        >>> transfers("lenet", (1, 1, 28, 28), by="cut").totals["memory_cut"]
        ['act3']
    """
    if by not in _BY:
        hint = did_you_mean(by, _BY, f"Known: {', '.join(_BY)}.")
        raise OptionError(f"by {by!r}", "rows cannot be made so", hint)
    make, own = _BY[by]
    given = {"parts": parts, "replicas": replicas, "network": network, "measure": measure or None}
    said = {name: value for name, value in given.items() if value is not None}
    for name in said:
        if name not in own:
            home = next(form for form, (_, names) in _BY.items() if name in names)
            raise OptionError(f"{name} beside by {by!r}", f"it is of by {home!r}", "Leave one out.")
    place = device(on) if isinstance(on, str) else on
    ran = given_trace(model)
    return shown(make(model if ran is None else ran, inputs, options, place, **said))
