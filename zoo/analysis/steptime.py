"""How long do operators take, roughly: enough to compare two runs of one model.

An operator takes as long as its products or its traffic, whichever is longer (Williams, Waterman
and Patterson, Roofline, CACM 2009): MACs / rate or bytes / bandwidth. Only the ratio of the two
matters here; `BALANCE` is that of a processor that does 10 MACs in the time in which it moves one
byte. An operator without a formula counts with its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo.analysis.records import OpCall

BALANCE = 10.0
"""MACs in the time of one byte."""


def effort(ops: Iterable[OpCall]) -> float:
    """Time of operators, one after the other, in an arbitrary unit.

    Args:
        ops: Operators.

    Returns:
        Sum over operators of the longer of products and traffic; the unit is that of one MAC.
    """
    return sum(_one(op) for op in ops)


def _one(op: OpCall) -> float:
    if op.cost is None:
        moved = sum(spec.nbytes for spec in (*op.inputs, *op.outputs))
        return BALANCE * moved
    return max(float(op.cost.macs), BALANCE * (op.cost.bytes_read + op.cost.bytes_written))
