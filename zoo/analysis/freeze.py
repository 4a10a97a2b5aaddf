"""What does training cost when a part of the model is frozen?

A row is a plan, and its figures are those of one recorded training step. Frozen parameters have no
weight gradient, no gradient in memory and no state in the optimizer. The frozen prefix has no
backward pass and keeps no activations; a frozen layer after a trainable one has its input gradient
still, and keeps what that needs. `ratio` is the estimated time of a step divided by that of a step
that trains everything.

Features at the boundary can be cached where the prefix computes the same for the same input:
nothing random, no statistics of the batch. Then the prefix runs once for each input, and in later
epochs not at all: n epochs cost n steps less n - 1 prefixes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoo.analysis.coverage import coverage, uncounted_notes
from zoo.analysis.freezing import OF, Model, Plan
from zoo.analysis.memory import peak, place_of
from zoo.analysis.records import Column, Note, OpCall, Report, Storage, Trace
from zoo.analysis.steptime import effort, step_effort
from zoo.errors import NothingToTrain, PlanError, StepError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DEPTHS = 48
"""Depths that are looked at unless a plan is asked for: each is a training step."""
UNFILLED = frozenset("empty empty_like empty_strided new_empty new_empty_strided".split())
"""Operators whose result has no content yet."""
COLUMNS = (
    Column("plan", "", "What is frozen, or what is trained."),
    Column("trainable_parameters", "1", "Parameters that are trained."),
    Column("forward_macs", "MAC", "MACs of the forward pass."),
    Column("backward_macs", "MAC", "MACs of the backward pass."),
    Column("saved_bytes", "B", "What the forward pass keeps for the backward pass."),
    Column("gradient_bytes", "B", "Gradients of parameters."),
    Column("optimizer_bytes", "B", "The optimizer's state."),
    Column("peak_bytes", "B", "Peak memory of the step."),
    Column(
        "ratio", "1", "Estimated time of a step on a CPU, by that of a step that trains everything."
    ),
    Column("macs_ratio", "1", "MACs of the step, by those of a step that trains everything."),
    Column("cacheable", "", "Whether features of the frozen prefix can be cached, or why not."),
    Column("cache_bytes", "B", "Bytes of the features of one input."),
    Column("cached_ratio", "1", "`ratio` over all epochs, with the features cached."),
)


@dataclass(frozen=True, slots=True)
class Prefix:
    """What of a training step a cache of features can leave out."""

    ops: tuple[OpCall, ...]
    """Operators before the first that reads a trainable parameter, or whose result varies."""
    crossing: tuple[Storage, ...]
    """What they made and later operators read."""
    obstacle: str | None
    """Why features cannot be cached; None where they can."""


def prefix(trace: Trace) -> Prefix:
    """The part of a step that computes the same while the rest is trained.

    Args:
        trace: A training step.

    Returns:
        Its operators, what crosses its end, and why that cannot be cached.
    """
    trainable = {one.names[0] for one in trace.parameters if one.trainable}
    starts = [
        storage.first_read
        for storage in trace.storages
        if storage.role == "parameter"
        and storage.name in trainable
        and storage.first_read is not None
    ]
    end = min(starts, default=0)
    varies = next(((op, why) for op in trace.ops[:end] if (why := _varies(trace, op))), None)
    if varies is not None:
        end = varies[0].index
    ops = trace.ops[:end]
    if any(op.cost is not None and op.cost.macs for op in ops):
        obstacle = None
    else:
        obstacle = varies[1] if varies is not None else "no prefix"
    crossing = tuple(one for one in trace.storages if _crosses(trace, one, end))
    return Prefix(ops, crossing, obstacle)


def _crosses(trace: Trace, storage: Storage, end: int) -> bool:
    """Whether operators before `end` filled a storage that is read from there on."""
    first, last = storage.first_read, storage.last_read
    if not 0 <= storage.born < end or first is None or last is None or last < end:
        return False
    return first < end or trace.ops[storage.born].op.split(".")[1] not in UNFILLED


def _varies(trace: Trace, op: OpCall) -> str | None:
    """Why an operator gives another result for the same input; None where it does not."""
    where = trace.calls[op.call].path or trace.calls[op.call].type
    name = op.op.split(".")[1]
    if op.random:
        return f"{where} draws random numbers"
    if "batch_norm" in name and _of_the_batch(trace, op):
        return f"{where} uses statistics of the batch"
    return None


def _of_the_batch(trace: Trace, op: OpCall) -> bool:
    """Whether a norm's statistics are those of several inputs.

    The CPU's kernel returns them where it uses them. A norm of each input by itself is the same
    kernel on a batch of one that has all the channels.
    """
    call = trace.calls[op.call]
    if "InstanceNorm" in call.type or (op.inputs[0].shape[0] == 1 < _batch(trace)):
        return False
    if op.outputs[0].device == "cpu" and len(op.outputs) > 1:
        return op.outputs[1].numel > 0
    return call.training


def _batch(trace: Trace) -> int:
    """First dim of the first input."""
    shape = trace.inputs[0].spec.shape if trace.inputs else ()
    return shape[0] if shape else 1


def planned(
    look: Trace,
    *,
    through: str | None = None,
    train: str | Sequence[str] | None = None,
    fraction: float | None = None,
    of: str = "macs",
) -> tuple[Plan, ...]:
    """The plans that a user asks about, after the one that trains everything.

    Args:
        look: A forward pass of the model.
        through: Freeze what runs up to the end of this module.
        train: Train what these patterns name, and nothing else.
        fraction: Freeze the first stages, until they hold this share.
        of: What `fraction` is a share of.

    Returns:
        The plans; where none was asked for every depth, or of very many `DEPTHS`.

    Raises:
        PlanError: Several were asked for, or one cannot be made.
        NothingToTrain: It leaves nothing to train.
    """
    if of not in OF:
        raise PlanError(f"--of {of}", "no such share", f"Known: {', '.join(OF)}.")
    asked = [one for one in (through, train, fraction) if one is not None]
    if len(asked) > 1:
        raise PlanError("plan", "several were given", "Give --through, --train or --fraction.")
    model = Model(look)
    if not model.trainable:
        raise NothingToTrain("the model has no trainable parameter")
    if through is not None:
        plans: tuple[Plan, ...] = (model.through(through),)
    elif train is not None:
        words = train.split(",") if isinstance(train, str) else train
        plans = (model.only([word.strip() for word in words if word.strip()]),)
    elif fraction is not None:
        plans = (model.fraction(fraction, of),)
    else:
        plans = spread(model.depths(), DEPTHS)
    return (Plan("train everything"), *plans)


def spread(plans: Sequence[Plan], most: int) -> tuple[Plan, ...]:
    """Some of many plans, evenly apart, with the last of them.

    Args:
        plans: Plans, in order.
        most: How many are taken at most.

    Returns:
        All plans, or `most` of them, each of which says how many before it were skipped.

    Example:
        >>> [(one.name, one.skipped) for one in spread([Plan(name) for name in "abcde"], 2)]
        [('b', 1), ('e', 2)]
    """
    number = min(most, len(plans))
    ends = [round((index + 1) * len(plans) / number) - 1 for index in range(number)]
    return tuple(
        replace(plans[end], skipped=end - before - 1)
        for before, end in zip([-1, *ends], ends, strict=False)
    )


def freeze(steps: Sequence[tuple[Plan, Trace]], *, epochs: int = 10) -> Report:
    """What plans cost, a row each.

    Args:
        steps: Plans, the first of which trains everything, and a training step of each.
        epochs: How often each input is seen.

    Returns:
        The report; totals are those of the last plan.

    Raises:
        StepError: The traces are forward passes.
    """
    whole, last = steps[0][1], steps[-1][1]
    if whole.step is None:
        raise StepError("loss none", "without a backward pass nothing is frozen", "Name a loss.")
    rows = [_row(plan, trace, whole, epochs) for plan, trace in steps]
    notes = [*uncounted_notes(last, last.ops), *last.notes]
    if place_of(whole) != "cpu" or (whole.step.autocast if whole.step else None):
        text = (
            "ratio and cached_ratio are those of a CPU's float32 kernels; look at macs_ratio too."
        )
        notes.append(Note("warning", "cpu-ratio", text))
    skipped = sum(plan.skipped for plan, _ in steps)
    if skipped:
        text = f"Depths between these that are left out: {skipped}; name one with --through."
        notes.append(Note("info", "depths", text))
    notes.append(
        Note(
            "info",
            "epochs",
            f"cached_ratio is that of {epochs} epochs; the first computes the features.",
        )
    )
    return Report(
        report="freeze",
        model=whole.model,
        inputs=whole.inputs,
        columns=COLUMNS,
        rows=tuple(rows),
        totals={**rows[-1], "epochs": epochs, "plans": len(rows), **coverage(last.ops)},
        notes=tuple(notes),
        failure=next((trace.failure for _, trace in steps if trace.failure), None),
    )


def _row(plan: Plan, trace: Trace, whole: Trace, epochs: int) -> Mapping[str, Any]:
    ran = trace.failure is None and whole.failure is None
    full, step = step_effort(whole), step_effort(trace)
    found = prefix(trace)
    cacheable = ran and found.obstacle is None
    cached = epochs * step - (epochs - 1) * effort(found.ops)
    macs = {phase: _macs(trace.ops, phase) for phase in ("forward", "backward")}
    all_macs = _macs(whole.ops, "forward") + _macs(whole.ops, "backward")
    return {
        "plan": plan.name,
        "trainable_parameters": sum(one.spec.numel for one in trace.parameters if one.trainable),
        "forward_macs": macs["forward"],
        "backward_macs": macs["backward"],
        "saved_bytes": _bytes(trace, "saved"),
        "gradient_bytes": _bytes(trace, "gradient"),
        "optimizer_bytes": _bytes(trace, "optimizer"),
        "peak_bytes": peak(trace).nbytes,
        "ratio": step / full if ran else None,
        "macs_ratio": sum(macs.values()) / all_macs if ran and all_macs else None,
        "cacheable": (found.obstacle or "yes") if ran else None,
        "cache_bytes": (
            sum(one.nbytes for one in found.crossing) // _batch(trace) if cacheable else None
        ),
        "cached_ratio": cached / (epochs * full) if cacheable else None,
    }


def _macs(ops: Iterable[OpCall], phase: str) -> int:
    return sum(op.cost.macs for op in ops if op.phase == phase and op.cost is not None)


def _bytes(trace: Trace, role: str) -> int:
    return sum(storage.nbytes for storage in trace.storages if storage.role == role)
