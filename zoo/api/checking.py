"""Models held to limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.api.hardware import budget
from zoo.api.run import given_trace, held, traced
from zoo.api.shown import Report, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from zoo.analysis import report as plain
    from zoo.analysis.budgets import Limit
    from zoo.analysis.devices import Device
    from zoo.analysis.records import Trace
    from zoo.plugins.project_checks import Checked


def check(  # noqa: PLR0913 - a limit each
    model: str | nn.Module | Trace | None = None,
    *inputs: Any,
    max_params: str | float | None = None,
    max_trainable_params: str | float | None = None,
    max_weights: str | float | None = None,
    max_macs: str | float | None = None,
    max_flops: str | float | None = None,
    max_pointwise_flops: str | float | None = None,
    max_activations: str | float | None = None,
    max_peak: str | float | None = None,
    min_coverage: float | None = None,
    no_host_sync: bool = False,
    **options: Any,
) -> Report:
    """Hold a model to limits.

    A count is a number or `5M`, a size is bytes or `2GB` (1e9 B) or `2GiB` (2**30 B). Without
    limits, those that pyproject.toml sets for the model count; without a model, all that it sets.

    Args:
        model: A `Trace`, or what `trace` takes.
        *inputs: As for `trace`.
        max_params: Parameters, each once.
        max_trainable_params: Those that gradients reach.
        max_weights: Bytes of parameters and buffers.
        max_macs: Multiply-accumulates.
        max_flops: 2 x MACs.
        max_pointwise_flops: Pointwise FLOPs.
        max_activations: Bytes that the operators of the forward pass allocate, in sum.
        max_peak: Bytes held at once, or a device that the run has to fit into.
        min_coverage: Share of the operators that must have a formula, up to 1.
        no_host_sync: Whether the host may never wait for the device; the run then takes place on
            `cuda` unless `device` says otherwise.
        **options: As for `trace`.

    Returns:
        The report, a row for each limit; `totals["ok"]` says whether all are kept.

    Raises:
        OptionError: No limit, or one that cannot be read.
        ZooError: As for `trace`.

    Example:
        >>> check("lenet", max_params="100k", max_macs="1M").totals["ok"]
        True
    """
    said = {
        "max_params": max_params,
        "max_trainable_params": max_trainable_params,
        "max_weights": max_weights,
        "max_macs": max_macs,
        "max_flops": max_flops,
        "max_pointwise_flops": max_pointwise_flops,
        "max_activations": max_activations,
        "max_peak": max_peak,
        "min_coverage": min_coverage,
        "no_host_sync": no_host_sync,
    }
    from zoo.analysis.budgets import limits

    wanted = limits(said, _memory)
    if model is not None and wanted:
        return shown(_one(model, inputs, options, wanted))
    return _of_project(model, inputs, options, wanted)


def _memory(value: Any) -> tuple[int, Device | None]:
    """As `budget`, and sizes that are too small for a device, but not for a small model."""
    from zoo.analysis.quantities import size
    from zoo.errors import BadBudget

    try:
        return budget(value)
    except BadBudget:
        try:
            return size(value), None
        except ValueError:
            pass
        raise


def _one(
    model: str | nn.Module | Trace,
    inputs: tuple[Any, ...],
    options: dict[str, Any],
    wanted: Sequence[Limit],
    name: str | None = None,
) -> plain.Report:
    """A model held to its limits."""
    from zoo.analysis.budgets import STATIC
    from zoo.analysis.budgets import check as checked
    from zoo.analysis.records import Trace

    model = given_trace(model) or model
    if isinstance(model, Trace):
        from zoo.analysis.memory import place_of

        _place(wanted, {"device": place_of(model)})
    else:
        options = {**_place(wanted, options), **options}
    run = held if all(limit.name in STATIC for limit in wanted) else traced
    return checked(run(model, inputs, options), wanted, name)


def _place(wanted: Sequence[Limit], options: dict[str, Any]) -> dict[str, Any]:
    """Where the run takes place, where limits say so and the user does not."""
    for limit in wanted:
        if limit.device is not None:
            from zoo.analysis import on_device

            on_device.check(limit.device, options.get("device"))
            return {"device": limit.device.kind}
    waits = any(limit.name == "no_host_sync" for limit in wanted)
    return {"device": "cuda"} if waits else {}


def _of_project(
    model: Any, inputs: tuple[Any, ...], options: dict[str, Any], wanted: Sequence[Limit]
) -> Report:
    """What pyproject.toml says of a model, or all that it says."""
    from zoo.analysis.budgets import KINDS, merged
    from zoo.errors import OptionError
    from zoo.plugins.project_checks import checks

    said = {name: value for name, value in options.items() if name != "progress" and value}
    if model is None and (inputs or said or wanted):
        given = [*(["inputs"] if inputs else []), *said, *(limit.check for limit in wanted)]
        reason = f"{', '.join(given)} given without a model"
        raise OptionError("check", reason, "Name the model, or leave all to pyproject.toml.")
    found = checks(Path.cwd(), KINDS)
    if model is not None:
        found = tuple(one for one in found if model in (one.name, one.model))
    if not found:
        what = "no model is named, and" if model is None else "no limit is given, and"
        reason = f"{what} no [tool.zoo.check] of a pyproject.toml sets one"
        raise OptionError("check", reason, "Try `zoo check MODEL --max-params 5M`.")
    if inputs or said:
        raise OptionError(
            "check",
            "its limits and its run are in pyproject.toml",
            "Give limits too, or no inputs.",
        )
    every = [(one, _limits(one)) for one in found]  # all are read before any model runs
    reports = [_from(one, limit, options) for one, limit in every]
    return shown(reports[0] if len(reports) == 1 else merged(reports, "pyproject.toml"))


def _limits(one: Checked) -> Sequence[Limit]:
    """The limits of a table."""
    from zoo.analysis.budgets import limits
    from zoo.errors import BadBudget, OptionError

    where = f"[tool.zoo.check.{one.name!r}]"
    try:
        return limits(one.limits, _memory)
    except OptionError as error:
        raise OptionError(f"{where} {error.what}", error.reason, error.hint) from None
    except BadBudget as error:
        raise OptionError(f"{where} max-peak", error.reason, error.hint) from None


def _from(one: Checked, wanted: Sequence[Limit], options: dict[str, Any]) -> plain.Report:
    """A model with the limits and the run of its table."""
    from zoo.subjects import STEP, named_step

    settings = {**options, **named_step(one.options)}
    if any(name in one.options for name in STEP):
        settings["train"] = True
    return _one(one.place, one.inputs, settings, wanted, one.name)
