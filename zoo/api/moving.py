"""What moves between devices: in the model's own code, and where the host waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.api.hardware import device
from zoo.api.run import traced
from zoo.api.shown import Report, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from zoo.analysis import report as plain
    from zoo.analysis.devices import Device
    from zoo.analysis.records import Trace


def transfers(
    model: str | nn.Module | Trace,
    *inputs: Any,
    by: str = "code",
    on: str | Device | None = None,
    **options: Any,
) -> Report:
    """Copies between devices and waits of the host, by the line that asked for them.

    Args:
        model: A `Trace` of a run on an accelerator, or what `trace` takes.
        *inputs: As for `trace`.
        by: What a row is: a line of the model's own `code`.
        on: A device of `devices`, or its name: the run takes place there, and copies take time.
        **options: As for `trace`; `device` is that of `on`, else `cuda`.

    Returns:
        The report. Its rows are in the order in which copies and waits first happen.

    Raises:
        ZooError: As for `trace`, a word that is not known, or a run on the processor.

    Example:
        >>> transfers("lenet", (1, 1, 28, 28)).totals["waits"]
        0
    """
    from zoo.errors import OptionError, did_you_mean

    if by not in _BY:
        hint = did_you_mean(by, _BY, f"Known: {', '.join(_BY)}.")
        raise OptionError(f"by {by!r}", "rows cannot be made so", hint)
    place = device(on) if isinstance(on, str) else on
    found = traced(model, inputs, _placed(model, place, options))
    return shown(_BY[by](found, place))


def _code(found: Trace, place: Device | None) -> plain.Report:
    """Rows are lines of the model's own code."""
    from zoo.analysis.transfers import transfers as lines

    return lines(found, place)


_BY: dict[str, Callable[[Trace, Device | None], plain.Report]] = {"code": _code}
"""What `by` may be, and what makes the report."""


def _placed(
    model: str | nn.Module | Trace, place: Device | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Options by which a run takes place on an accelerator; those given for a run that did."""
    from zoo.analysis.memory import place_of
    from zoo.analysis.records import Trace
    from zoo.analysis.transfers import check

    ran = isinstance(model, Trace)
    said = place_of(model) if isinstance(model, Trace) else options.get("device")
    if place is not None and said is not None and said.partition(":")[0] != place.kind:
        from zoo.errors import OptionError

        reason = f"the run is said to take place on {said}, and not on {place.kind}"
        hint = f"Say device {place.kind}, or leave it out."
        raise OptionError(f"on {place.name!r}", reason, hint)
    if ran:
        return options
    where = said or (place.kind if place is not None else "cuda")
    check(where)
    return {**options, "device": where}
