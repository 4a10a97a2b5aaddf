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

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.analysis.freezing import Model, Plan
from zoo.analysis.memory import peak
from zoo.analysis.records import Column, Note, OpCall, Report, Storage, Trace
from zoo.analysis.steptime import effort, step_effort
from zoo.errors import NothingToTrain, PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RANDOM = frozenset(
    "bernoulli bernoulli_ native_dropout rand rand_like randn randn_like randint randint_like "
    "randperm normal normal_ uniform uniform_ multinomial exponential_ rrelu_with_noise".split()
)
"""Operators that draw random numbers."""
COLUMNS = (
    Column("plan", "", "What is frozen, or what is trained."),
    Column("trainable_parameters", "1", "Parameters that are trained."),
    Column("forward_macs", "MAC", "MACs of the forward pass."),
    Column("backward_macs", "MAC", "MACs of the backward pass."),
    Column("saved_bytes", "B", "What the forward pass keeps for the backward pass."),
    Column("gradient_bytes", "B", "Gradients of parameters."),
    Column("optimizer_bytes", "B", "The optimizer's state."),
    Column("peak_bytes", "B", "Peak memory of the step."),
    Column("ratio", "1", "Estimated time of a step, by that of a step that trains everything."),
    Column("macs_ratio", "1", "The same of the MACs."),
    Column("cacheable", "", "Whether features at the boundary can be cached, or why not."),
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
        obstacle = varies[1] if varies is not None else "nothing before the first trained layer"
    crossing = tuple(
        storage
        for storage in trace.storages
        if 0 <= storage.born < end and storage.last_read is not None and storage.last_read >= end
    )
    return Prefix(ops, crossing, obstacle)


def _varies(trace: Trace, op: OpCall) -> str | None:
    """Why an operator gives another result for the same input; None where it does not."""
    where = trace.calls[op.call].path or trace.calls[op.call].type
    name = op.op.split(".")[1]
    if name in RANDOM:
        return f"{where} draws random numbers"
    if "batch_norm" in name and trace.calls[op.call].training:
        return f"{where} uses statistics of the batch"
    return None


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
        The plans; every depth where none was asked for.

    Raises:
        PlanError: Several were asked for, or one cannot be made.
        NothingToTrain: It leaves nothing to train.
    """
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
        plans = model.depths()
    return (Plan("train everything"), *plans)


def freeze(steps: Sequence[tuple[Plan, Trace]], *, epochs: int = 10) -> Report:
    """What plans cost, a row each.

    Args:
        steps: Plans, the first of which trains everything, and a training step of each.
        epochs: How often each input is seen.

    Returns:
        The report; totals are those of the last plan.
    """
    whole, last = steps[0][1], steps[-1][1]
    shape = whole.inputs[0].spec.shape if whole.inputs else ()
    batch = shape[0] if shape else 1
    rows = [_row(plan, trace, whole, batch, epochs) for plan, trace in steps]
    notes = [note for note in last.notes if note.code != "uncounted-op"]
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
        totals={**rows[-1], "epochs": epochs, "plans": len(rows)},
        notes=tuple(notes),
        failure=next((trace.failure for _, trace in steps if trace.failure), None),
    )


def _row(plan: Plan, trace: Trace, whole: Trace, batch: int, epochs: int) -> Mapping[str, Any]:
    full = step_effort(whole)
    step = step_effort(trace)
    found = prefix(trace)
    skipped = effort(found.ops)
    cached = None
    if found.obstacle is None and full and trace.failure is None:
        cached = (epochs * step - (epochs - 1) * skipped) / (epochs * full)
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
        "ratio": step / full if full else None,
        "macs_ratio": sum(macs.values()) / all_macs if all_macs else None,
        "cacheable": found.obstacle or "yes",
        "cache_bytes": (
            None
            if found.obstacle is not None or trace.failure is not None
            else sum(one.nbytes for one in found.crossing) // batch
        ),
        "cached_ratio": cached,
    }


def _macs(ops: Iterable[OpCall], phase: str) -> int:
    return sum(op.cost.macs for op in ops if op.phase == phase and op.cost is not None)


def _bytes(trace: Trace, role: str) -> int:
    return sum(storage.nbytes for storage in trace.storages if storage.role == role)
