"""Models side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.api.run import given_trace, traced
from zoo.api.shown import Report, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from zoo.analysis.records import Trace


def compare(
    *models: str | nn.Module | Trace,
    inputs: Sequence[Any] = (),
    arguments: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    changed: bool = False,
    **options: Any,
) -> Report:
    """Models side by side: which module calls they share, and what differs.

    Args:
        *models: Two or more: traces, also saved ones, or what `trace` takes.
        inputs: What each of them gets; none for each one's default input. Traces have run already.
        arguments: What models that are given by words are built with: one mapping for all, or a
            mapping for each model.
        changed: Whether to leave out what is the same in all models.
        **options: As for `trace`, for all that are not traces.

    Returns:
        The report; a row is a module call, aligned over the models, which go by letters.

    Raises:
        ZooError: As for `trace`, or fewer than two models.

    Example:
        >>> compare("lenet", "lenet_bn").totals["b_minus_a_parameters"]
        -16828
    """
    from zoo.analysis.compare import check
    from zoo.analysis.compare import compare as compared

    check(len(models))
    each = _each(arguments, len(models))
    traces = [
        given_trace(model)
        or traced(model, tuple(inputs), {**options, **({"arguments": own} if own else {})})
        for model, own in zip(models, each, strict=True)
    ]
    return shown(compared(traces, changed=changed))


def _each(
    arguments: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None, many: int
) -> Sequence[Mapping[str, Any]]:
    """Arguments of each model."""
    if arguments is None or isinstance(arguments, Mapping):
        return [arguments or {}] * many
    if len(arguments) != many:
        from zoo.errors import OptionError

        reason = f"{len(arguments)} are given for {many} models"
        raise OptionError("arguments", reason, "Give one mapping for all, or one for each.")
    return arguments
