"""Shapes, MACs and parameters of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from zoo.api.run import given_trace, held, traced
from zoo.api.shown import Report, shown
from zoo.subjects import real

if TYPE_CHECKING:
    from torch import nn

    from zoo.analysis.records import Trace


def summary(model: str | nn.Module | Trace, *inputs: Any, **options: Any) -> Report:
    """Shapes, parameters and costs of every module call.

    Args:
        model: A `Trace`, or what `trace` takes.
        *inputs: As for `trace`.
        **options: As for `trace`.

    Returns:
        A report whose rows are the module calls, depth first.

    Raises:
        ZooError: As for `trace`.

    Example:
        >>> summary("lenet", (1, 1, 28, 28)).totals["parameters"]
        61706
    """
    from zoo.analysis.summary import summary as summarise

    alone = {"loss": "none"} if options.get("train") else {}
    return shown(summarise(traced(model, inputs, {**options, **alone})))


def flops(
    model: str | nn.Module | Trace,
    *inputs: Any,
    by: str = "module",
    causal: str = "full",
    **options: Any,
) -> Report:
    """MACs and FLOPs of a forward pass, or of a training step.

    Args:
        model: A `Trace`, or what `trace` takes.
        *inputs: As for `trace`.
        by: What a row is: a call of a `module`, an `operator`, a `type` of module, a `phase`.
        causal: Whether causal attention is counted in `full`, or in `half`: what its mask leaves.
        **options: As for `trace`.

    Returns:
        The report.

    Raises:
        ZooError: As for `trace`, or a word that is not known.

    Example:
        >>> flops("lenet", (1, 1, 28, 28), by="type").rows[0]["macs"]
        357600
    """
    from zoo.analysis.flops import check
    from zoo.analysis.flops import flops as count

    check(by, causal)
    return shown(count(traced(model, inputs, options), by=by, causal=causal))


def params(
    model: str | nn.Module | Trace,
    *inputs: Any,
    by: str = "parameter",
    values: bool = False,
    **options: Any,
) -> Report:
    """Parameters: their roles, shapes and bytes; which are trained, tied, unused.

    A model without a known input is not run: what is unused is not known then.

    Args:
        model: A `Trace`, or what `trace` takes.
        *inputs: As for `trace`.
        by: What a row is: a `parameter`, a `module`, a `role`, a `dtype`.
        values: Whether to say what the elements are like: mean, std, norm, zeros, non-finite. A
            model that is given by words is built for real, as `create` does.
        **options: As for `trace`.

    Returns:
        The report.

    Raises:
        ZooError: As for `trace`, a word that is not known, or weights without values.

    Example:
        >>> params("lenet", by="role").rows[0]["parameters"]
        61470
    """
    from zoo.analysis.params import check
    from zoo.analysis.params import params as listed

    check(by)
    if not values:
        return shown(listed(held(model, inputs, options), by=by))
    if given_trace(model) is not None:
        from zoo.errors import OptionError

        raise OptionError("values", "a trace holds no weights", "Give the module, or its name.")
    from zoo.analysis.values import values as read

    module = real(model, inputs, options) if isinstance(model, str) else model
    found = read(cast("nn.Module", module))
    return shown(listed(held(model, inputs, options), by=by, values=found))
