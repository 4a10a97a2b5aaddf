"""What freezing a part of a model saves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.api.shown import Report, shown
from zoo.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn


def freeze(
    model: str | nn.Module,
    *inputs: Any,
    through: str | None = None,
    train: str | Sequence[str] | None = None,
    fraction: float | None = None,
    of: str = "macs",
    epochs: int = 10,
    kwargs: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
    **options: Any,
) -> Report:
    """What training costs when a part of the model is frozen, before it is trained.

    Args:
        model: As for `trace`, but no `Trace`: each plan is a training step of its own.
        *inputs: As for `trace`.
        through: Freeze what runs up to the end of this module.
        train: Train what these patterns name (`"layer4.*,fc"`), and nothing else.
        fraction: Freeze the first stages, until they hold this share.
        of: What `fraction` is a share of: `macs` or `parameters`.
        epochs: How often each input is seen; matters to cached features.
        kwargs: As for `trace`.
        arguments: As for `trace`.
        **options: As for `trace`.

    Returns:
        The report: a row that trains everything, and one for the plan; without a plan one for
        every depth. Totals are those of the last row.

    Raises:
        NothingToTrain: The plan leaves nothing to train.
        PlanError: The plan names nothing, or several plans were given.
        ZooError: As for `trace`.

    Example:
        >>> freeze("lenet", through="conv2").totals["trainable_parameters"]
        59134
    """
    from zoo.analysis.freeze import freeze as priced
    from zoo.analysis.freeze import planned
    from zoo.analysis.freezing import Plan
    from zoo.errors import PlanError

    subject = Subject(model, inputs, kwargs=kwargs, arguments=arguments)
    kept = ("batch", "device", "dtype", "formulas", "hints", "progress")
    alone = {name: options.pop(name) for name in kept if name in options}
    look = subject.trace(**alone)
    if "freeze" in options or isinstance(train, bool):
        raise PlanError("plan", "it is made here", "Say what to train: train='layer4.*,fc'.")
    if look.failure is not None:
        broken = subject.trace(train=True, **alone, **options)
        return shown(priced([(Plan("train everything"), broken)], epochs=epochs))
    steps = [
        (plan, subject.trace(train=True, freeze=plan, **alone, **options))
        for plan in planned(look, through=through, train=train, fraction=fraction, of=of)
    ]
    return shown(priced(steps, epochs=epochs))
