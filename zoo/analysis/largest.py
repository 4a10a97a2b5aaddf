"""How large may an open dim be under a budget?

The answer is exact: intervals of the dim are halved, and a half is left out only where its
formula is known to be over the budget everywhere, or its range met nowhere. So floors, steps and a
`max` of several levels need no rule of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.analysis.expressions import Atom, Expression, const
from zoo.analysis.ranges import LARGEST, Condition, Range

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def largest(
    name: str,
    budgets: Sequence[tuple[Expression, int]],
    holds: Range,
    dims: Mapping[str, int],
) -> int | None:
    """The largest number of a dim at which all budgets are kept.

    Args:
        name: The dim.
        budgets: Formulas, and what each may be at most.
        holds: Where they hold.
        dims: Numbers of all other dims.

    Returns:
        The number; None where no number of the range keeps them. `LARGEST` where they are kept at
        any.
    """
    new = {Atom(other): const(number) for other, number in dims.items() if other != name}
    kept = [Condition(limit - one.replaced(new), ">=") for one, limit in budgets]
    kept += [Condition(c.expression.replaced(new), c.relation) for c in holds.conditions]
    high = holds.high[name]
    return _last(name, kept, holds.low[name], LARGEST if high is None else high)


def _last(name: str, kept: Sequence[Condition], low: int, high: int) -> int | None:
    """The last number between two at which all conditions are met."""
    waiting = [(low, high)]
    while waiting:
        low, high = waiting.pop()
        if low > high:
            continue
        if low == high:
            if all(one.met({name: low}) for one in kept):
                return low
            continue
        part = Range({name: low})
        part.low[name], part.high[name] = low, high
        known = [part.known(one) for one in kept]
        if False in known:
            continue
        if None not in known:
            return high
        middle = (low + high) // 2
        waiting += [(low, middle), (middle + 1, high)]
    return None
