"""Which operators of a run does a formula cover? Every report that counts ends in this."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from zoo.analysis.records import Note, OpCall, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def coverage(ops: Sequence[OpCall]) -> Mapping[str, Any]:
    """Share of operators, and of the bytes of their tensors, that have a cost; names of the rest.

    Args:
        ops: Operators of a run.

    Returns:
        `coverage`, `coverage_bytes` and `uncounted`, as totals of a report.
    """
    touched = covered = 0
    for op in ops:
        nbytes = sum(spec.nbytes for spec in (*op.inputs, *op.outputs))
        touched += nbytes
        covered += nbytes if op.cost is not None else 0
    counted = sum(op.cost is not None for op in ops)
    return {
        "coverage": counted / len(ops) if ops else 1.0,
        "coverage_bytes": covered / touched if touched else 1.0,
        "uncounted": sorted({op.op for op in ops if op.cost is None}),
    }


def uncounted_notes(trace: Trace, ops: Sequence[OpCall]) -> Iterable[Note]:
    """A warning for each operator without a formula.

    Args:
        trace: One run.
        ops: Those of its operators that are counted.

    Yields:
        Note: One for each name, at the first place where it ran.
    """
    times: Counter[str] = Counter()
    where: dict[str, str | None] = {}
    for op in ops:
        if op.cost is None:
            times[op.op] += 1
            where.setdefault(op.op, op.source or trace.calls[op.call].path or None)
    for name, count in times.items():
        calls = "1 call" if count == 1 else f"{count:,} calls"
        text = f"no formula covers {name} ({calls}): figures above it are lower bounds."
        yield Note("warning", "uncounted-op", text, where[name])
