"""How much memory does a run need at its peak, and who holds it?

The peak is the largest sum of live blocks over the operators of a run: what was there before it
(parameters, buffers, inputs; of a training step also the optimizer's state, and gradients where
these are kept) and what its operators allocated and nothing had let go yet. A block is live in the
operator that allocates it and in the last one before it is freed.

Counted are the bytes that tensors ask for, and what the CPU's kernels are known to allocate inside
themselves. Not counted: what an allocator rounds up or keeps, and what libraries keep for
themselves; `zoo memory --on DEVICE` adds these (`zoo.analysis.allocator`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from zoo.analysis.naming import above
from zoo.analysis.records import Column, Report, Role, Storage, Trace
from zoo.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ROLES: tuple[Role, ...] = (
    "parameter",
    "buffer",
    "gradient",
    "optimizer",
    "saved",
    "temporary",
    "input",
    "output",
)
MEANING: dict[Role, str] = {
    "parameter": "Learned tensors.",
    "buffer": "Tensors that modules keep and do not learn.",
    "gradient": "Gradients of parameters.",
    "optimizer": "The optimizer's state.",
    "saved": "What the forward pass made and the backward pass still needs.",
    "temporary": "Results of operators that nothing keeps for long.",
    "input": "Inputs and targets.",
    "output": "What the model returned, and the loss.",
}
"""What is in each role."""
GROUPINGS = ("role", "module", "source", "block", "time")
"""What `by` may be."""
BYTES = Column("bytes", "B", "Bytes held at the peak.")
SHARE = Column("share", "%", "Share of the peak.")
IN_ROLES = tuple(Column(f"{role}_bytes", "B", MEANING[role]) for role in ROLES)


@dataclass(frozen=True, slots=True)
class Peak:
    """The moment at which most memory is held."""

    nbytes: int
    """Bytes of all live blocks."""
    op: int
    """Index of the operator; -1 before the first."""
    live: tuple[Storage, ...]
    """The blocks that are live then."""

    def of(self, role: Role) -> int:
        """Bytes held in a role."""
        return sum(storage.nbytes for storage in self.live if storage.role == role)


def levels(trace: Trace) -> list[int]:
    """Live bytes before the first operator and in each operator, on the device of the run.

    Args:
        trace: One run.

    Returns:
        One more level than there are operators; level `i + 1` is that of operator `i`.
    """
    changes = [0] * (len(trace.ops) + 2)
    for storage in counted(trace):
        changes[storage.born + 1] += storage.nbytes
        if storage.died is not None:
            changes[storage.died + 2] -= storage.nbytes
    return list(accumulate(changes))[: len(trace.ops) + 1]


def place_of(trace: Trace) -> str:
    """The device that the run took place on: that of its parameters, else of its inputs."""
    specs = [parameter.spec for parameter in trace.parameters]
    specs += [one.spec for one in trace.inputs]
    return specs[0].device if specs else "cpu"


def counted(trace: Trace) -> Iterable[Storage]:
    """Blocks that lie on the device of the run."""
    place = place_of(trace)
    return (storage for storage in trace.storages if storage.device == place)


def peak(trace: Trace) -> Peak:
    """The moment at which the run holds most memory; the first of equals.

    Args:
        trace: One run.

    Returns:
        The peak, with the blocks that are live.
    """
    found = levels(trace)
    most = max(range(len(found)), key=found.__getitem__)
    op = most - 1
    live = tuple(
        storage
        for storage in counted(trace)
        if storage.born <= op and (storage.died is None or storage.died >= op)
    )
    return Peak(found[most], op, live)


def check(by: str) -> None:
    """Find out before a run whether rows can be made so.

    Args:
        by: One of `GROUPINGS`.

    Raises:
        OptionError: It is none.
    """
    if by not in GROUPINGS:
        hint = did_you_mean(by, GROUPINGS, f"Known: {', '.join(GROUPINGS)}.")
        raise OptionError(f"by {by!r}", "rows cannot be made so", hint)


def memory(trace: Trace, by: str = "role") -> Report:
    """Peak memory of a run, and who holds it.

    Args:
        trace: One run, with or without training.
        by: What a row is: a `role`, a `module`, a line of `source`, a `block`, or a stretch of
            `time` in which operators of one module call run.

    Returns:
        The report. Its rows add up to `peak_bytes`, but for those by `time`.

    Raises:
        OptionError: `by` is none of these.
    """
    check(by)
    most = peak(trace)
    columns, make = _FORMS[by]
    return Report(
        report="memory",
        model=trace.model,
        inputs=trace.inputs,
        columns=columns,
        rows=tuple(make(trace, most)),
        totals=_totals(trace, most),
        notes=trace.notes,
        failure=trace.failure,
    )


def _totals(trace: Trace, most: Peak) -> Mapping[str, Any]:
    found = levels(trace)
    phases: dict[str, int] = {}
    for op in trace.ops:
        phases[op.phase] = max(phases.get(op.phase, 0), found[op.index + 1])
    at = trace.ops[most.op] if most.op >= 0 else None
    return {
        "peak_bytes": most.nbytes,
        **{f"{role}_bytes": most.of(role) for role in ROLES},
        **{f"{phase}_peak_bytes": level for phase, level in phases.items()},
        "peak_phase": at.phase if at else None,
        "peak_module": trace.calls[at.call].path if at else None,
        "peak_operator": at.op if at else None,
        "peak_source": at.source if at else None,
        **_training(trace),
    }


def _training(trace: Trace) -> Mapping[str, Any]:
    step = trace.step
    if step is None:
        return {"step": "forward pass"}
    words = [f"training step with {step.optimizer}, loss {step.loss}"]
    words += [f"autocast to {step.autocast}"] if step.autocast else []
    words += [f"1 of {step.accumulate} micro-batches"] if step.accumulate > 1 else []
    words += [] if step.set_to_none else ["gradients kept"]
    words += [f"{len(step.checkpoint)} modules checkpointed"] if step.checkpoint else []
    return {"step": ", ".join(words)}


def _share(nbytes: int, most: Peak) -> float:
    return 100 * nbytes / most.nbytes if most.nbytes else 0.0


def _by_role(_: Trace, most: Peak) -> Iterable[Mapping[str, Any]]:
    for role in ROLES:
        live = [storage for storage in most.live if storage.role == role]
        nbytes = sum(storage.nbytes for storage in live)
        largest = max(live, key=lambda storage: storage.nbytes, default=None)
        yield {
            "role": role,
            "bytes": nbytes,
            "share": _share(nbytes, most),
            "blocks": len(live),
            "largest": largest.name if largest is not None and largest.nbytes else None,
        }


class _Owners:
    """Which module a block belongs to."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.canonical = {name: one.path for one in trace.modules for name in one.names}

    def path(self, storage: Storage) -> str:
        """The module's first path; inputs, outputs and the loss are the root's."""
        if storage.role in ("parameter", "buffer", "gradient", "optimizer"):
            owner = storage.name.rpartition(".")[0]
            return self.canonical.get(owner, owner)
        if storage.call is None or storage.role in ("input", "output"):
            return ""
        return self.trace.calls[storage.call].module


def _by_module(trace: Trace, most: Peak) -> Iterable[Mapping[str, Any]]:
    """A tree of modules; a row's figures are its own and those of the modules inside it."""
    owners = _Owners(trace)
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for storage in most.live:
        path = owners.path(storage)
        for outer in above(path):
            held[outer][storage.role] += storage.nbytes
    types = {one.path: one.type for one in trace.modules}
    first = {call.module: call.index for call in reversed(trace.calls)}
    paths = [*types, *(path for path in held if path not in types)]
    for path in paths:
        roles = held.get(path, Counter())
        total = sum(roles.values())
        yield {
            "path": path,
            "name": path.rpartition(".")[2] or types.get(path, ""),
            "type": types.get(path, "(made in forward)"),
            "depth": path.count(".") + 1 if path else 0,
            "call": first.get(path),
            "bytes": total,
            "share": _share(total, most),
            **{f"{role}_bytes": roles[role] for role in ROLES},
        }


def _by_source(trace: Trace, most: Peak) -> Iterable[Mapping[str, Any]]:
    """Lines of the user's code; what no line made goes by its module, or by its role."""
    lines: dict[str, list[Storage]] = defaultdict(list)
    for storage in most.live:
        path = "" if storage.call is None else trace.calls[storage.call].path
        lines[storage.source or path or f"({storage.role})"].append(storage)
    sums = {line: sum(one.nbytes for one in live) for line, live in lines.items()}
    for line in sorted(lines, key=lambda one: -sums[one]):
        names = Counter(one.name for one in lines[line])
        yield {
            "source": line,
            "bytes": sums[line],
            "share": _share(sums[line], most),
            "blocks": len(lines[line]),
            "what": names.most_common(1)[0][0] if "(" not in line else None,
        }


def _by_block(trace: Trace, most: Peak) -> Iterable[Mapping[str, Any]]:
    owners = _Owners(trace)
    for storage in sorted(most.live, key=lambda one: (-one.nbytes, one.id)):
        if storage.nbytes:
            yield {
                "block": storage.name,
                "role": storage.role,
                "bytes": storage.nbytes,
                "share": _share(storage.nbytes, most),
                "module": owners.path(storage),
                "born": storage.born,
                "died": storage.died,
                "source": storage.source,
            }


def _by_time(trace: Trace, most: Peak) -> Iterable[Mapping[str, Any]]:
    """Stretches of operators of one phase and one module call."""
    found = levels(trace)
    start = 0
    for index, op in enumerate(trace.ops):
        following = trace.ops[index + 1] if index + 1 < len(trace.ops) else None
        if following and (following.phase, following.call) == (op.phase, op.call):
            continue
        stretch = found[start + 1 : index + 2]
        yield {
            "first_op": start,
            "last_op": index,
            "phase": op.phase,
            "module": trace.calls[op.call].path if trace.calls else "",
            "most_bytes": max(stretch),
            "last_bytes": stretch[-1],
            "share": _share(max(stretch), most),
        }
        start = index + 1


_Form = tuple[tuple[Column, ...], "Callable[[Trace, Peak], Iterable[Mapping[str, Any]]]"]
_SOURCE = Column("source", "", "`file:line` of the code that asked for it.")
_BLOCKS = Column("blocks", "1", "Blocks of memory.")
_FORMS: dict[str, _Form] = {
    "role": (
        (
            Column("role", "", "What memory is for."),
            BYTES,
            SHARE,
            _BLOCKS,
            Column("largest", "", "Its largest block: a parameter, or the operator that made it."),
        ),
        _by_role,
    ),
    "module": ((BYTES, SHARE, *IN_ROLES), _by_module),
    "source": (
        (
            Column("source", "", "`file:line` that asked for it, else a module's path, or a role."),
            BYTES,
            SHARE,
            _BLOCKS,
            Column("what", "", "The operator that made most of these blocks."),
        ),
        _by_source,
    ),
    "block": (
        (
            Column("block", "", "Its parameter, input, or the operator that made it."),
            Column("role", "", "What it is for."),
            BYTES,
            SHARE,
            Column("module", "", "The module that it belongs to."),
            Column("born", "1", "Operator that allocated it; -1 where it was there before."),
            Column("died", "1", "Operator after which it is freed."),
            _SOURCE,
        ),
        _by_block,
    ),
    "time": (
        (
            Column("first_op", "1", "First operator of the stretch."),
            Column("last_op", "1", "Its last operator."),
            Column("phase", "", "Part of the step."),
            Column("module", "", "Where the stretch runs."),
            Column("most_bytes", "B", "Most bytes held in it."),
            Column("last_bytes", "B", "Bytes held at its end."),
            Column("share", "%", "Share of the peak that it reaches."),
        ),
        _by_time,
    ),
}
"""Columns of the rows, and what makes the rows."""
