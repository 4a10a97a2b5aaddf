"""Which single changes make a job smaller?

Each change sets one thing: the dtype, the optimizer, what is checkpointed, what is frozen, or in
how many parts the batch goes through. Half the batch with twice the micro-batches and checkpointing
leave the gradients as they are, but for statistics of the batch; the other changes train another
model, or train it otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.analysis.freezing import Model, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.analysis.devices import Device
    from zoo.analysis.records import ModuleCall, Trace

WIDE = frozenset({"float32", "float64"})
"""Dtypes that half precision makes smaller."""
WORTH = 0.01
"""A piece that holds less of what a forward pass allocates is not worth checkpointing."""
HALF_BEFORE_AMPERE = "float16"
"""Half precision of cards below compute capability 8.0, which have no bfloat16."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is changed."""

    name: str
    """In words."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `zoo.trace` that it sets."""
    option: str = ""
    """The same as options of `zoo memory`; empty where it has none."""
    parts: int = 1
    """Micro-batches that a batch is cut into."""


def changes(
    look: Trace, job: Trace, settings: Mapping[str, Any], device: Device | None = None
) -> tuple[Change, ...]:
    """Changes that can be made to a job, one at a time.

    Args:
        look: A forward pass of the model.
        job: The job itself.
        settings: Arguments of `zoo.trace` that the job sets.
        device: Where it runs, if that is known.

    Returns:
        The changes; the first changes nothing.
    """
    half = _half(device)
    found = [Change("as it is")]
    wide = any(one.spec.dtype in WIDE for one in job.parameters)
    if job.step is None:
        if wide:
            found.append(_cast(f"weights and inputs in {half}", half))
        return tuple(found)
    if wide and not job.step.autocast:
        settled = {"autocast": half}
        found.append(Change(f"autocast to {half}", settled, f"--autocast {half}"))
        found.append(_cast(f"weights, gradients and state in {half}", half))
    if job.step.optimizer != "sgd":
        found.append(Change("optimizer sgd", {"optimizer": "sgd"}, "--optimizer sgd"))
    if job.batch > 1:
        found.append(_in_halves(int(settings.get("accumulate") or 1)))
    model = Model(look)
    if not job.step.checkpoint:
        found += [
            Change(f"checkpoint {name}", {"checkpoint": paths}, _checkpointing(paths))
            for name, paths in segments(look, model.stages())
        ]
    return (*found, *_freezing(model))


def _half(device: Device | None) -> str:
    old = device is not None and device.capability is not None and device.capability < (8, 0)
    return HALF_BEFORE_AMPERE if old else "bfloat16"


def _cast(name: str, dtype: str) -> Change:
    return Change(name, {"dtype": dtype}, f"--dtype {dtype}")


def _in_halves(accumulate: int) -> Change:
    """Half the batch, twice as often, before the optimizer's step."""
    twice = 2 * accumulate
    option = f"--accumulate {twice}, with half the batch"
    return Change("half the batch, twice", {"accumulate": twice}, option, parts=2)


def _checkpointing(paths: Sequence[str]) -> str:
    return " ".join(f"--checkpoint {path}" for path in paths)


def _freezing(model: Model) -> list[Change]:
    """Freeze half of the stages, and all but the last."""
    depths = model.depths()
    chosen: dict[str, Plan] = {}
    if depths:
        chosen = {plan.name: plan for plan in (depths[len(depths) // 2], depths[-1])}
    return [
        Change(f"freeze {plan.name}", {"freeze": plan}, f"zoo freeze --{plan.name}")
        for plan in chosen.values()
    ]


# checkpointing


def segments(look: Trace, stages: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Ways to cut a model into pieces that are checkpointed: its stages, and its repeated blocks.

    Of classes of blocks the one is taken with which least is held: what pieces return, what is
    outside of them, and the inside of the largest, which is there while it runs again. Blocks that
    take now one tensor and now several are left out: they read a list that grows, as a dense layer
    does, and would read more when they run again.

    Args:
        look: A forward pass.
        stages: Paths of the modules that the model is a chain of.

    Returns:
        Names and paths. A single layer is no piece, since its input is kept anyway.
    """
    pieces = _pieces(look)
    ways: dict[tuple[str, ...], str] = {}
    chain = tuple(path for path in stages if path in pieces)
    if chain:
        ways[chain] = (
            f"{len(chain)} stages, {chain[0]} to {chain[-1]}" if len(chain) > 1 else chain[0]
        )
    kinds: dict[str, list[str]] = defaultdict(list)
    for path, piece in pieces.items():
        if piece.kind not in ("Sequential", "ModuleList"):
            kinds[piece.kind].append(path)
    blocks = {kind: _outermost(paths) for kind, paths in kinds.items()}
    whole = sum(op.new_bytes for op in look.ops)
    held = {
        kind: _held([pieces[path] for path in paths], whole)
        for kind, paths in blocks.items()
        if len(paths) > 2 and len({pieces[path].given for path in paths}) == 1
    }
    if held:
        kind = min(held, key=lambda one: held[one])
        ways[blocks[kind]] = f"{len(blocks[kind])} {kind}"
    return [(name, paths) for paths, name in ways.items()]


@dataclass(slots=True)
class _Piece:
    """A module that calls others."""

    kind: str
    """Its class."""
    inside: int = 0
    """Bytes that operators in it allocate."""
    returned: int = 0
    """Bytes of its results."""
    given: int = 0
    """Tensors that it takes."""


def _pieces(look: Trace) -> dict[str, _Piece]:
    """Modules that can be worth checkpointing, by path."""
    parents = {call.parent for call in look.calls}
    found: dict[str, _Piece] = {}
    for call in look.calls:
        if call.path and call.index in parents:
            piece = found.setdefault(call.path, _Piece(call.type, given=len(call.inputs)))
            piece.returned += sum(spec.nbytes for spec in call.outputs or ())
    for op in look.ops:
        around: ModuleCall | None = look.calls[op.call]
        while around is not None:
            if around.path in found:
                found[around.path].inside += op.new_bytes
            around = look.calls[around.parent] if around.parent is not None else None
    whole = sum(op.new_bytes for op in look.ops)
    return {
        path: piece
        for path, piece in found.items()
        if piece.inside > max(piece.returned, WORTH * whole / len(found))
    }


def _outermost(paths: Sequence[str]) -> tuple[str, ...]:
    """Those that lie in no other."""
    kept = set(paths)
    return tuple(
        path
        for path in paths
        if not any(path[:end] in kept for end, sign in enumerate(path) if sign == ".")
    )


def _held(pieces: Sequence[_Piece], whole: int) -> int:
    """Roughly, what is held when these are checkpointed."""
    returned = sum(piece.returned for piece in pieces)
    outside = whole - sum(piece.inside for piece in pieces)
    return returned + outside + max(piece.inside for piece in pieces)
