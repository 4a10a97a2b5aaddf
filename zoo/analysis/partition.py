"""How is a row of things divided into parts so that the largest part is as small as can be?

Exact: every division into at most so many parts is considered, but for those that cannot be better.
Of divisions with equally small largest parts, the one whose cuts cost least.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def divide(
    places: int,
    parts: int,
    cost: Callable[[int, int], float],
    floor: Callable[[int, int], float],
    price: Sequence[float],
) -> tuple[int, ...]:
    """Where to cut.

    Args:
        places: Number of the last place; the first is 0, and a part lies between two.
        parts: How many parts there are at most.
        cost: Size of the part between two places.
        floor: A bound of `cost` from below, that never shrinks when a part begins earlier.
        price: What a cut costs at each place.

    Returns:
        The places of the cuts, ascending; fewer than `parts` - 1 where more cuts do not help.

    Example:
        >>> weights = [0, 3, 4, 8, 9]
        >>> size = lambda begin, end: weights[end] - weights[begin]
        >>> divide(4, 2, size, size, [0] * 5)
        (2,)
    """
    parts = min(parts, places)
    enough = min(
        largest(_evenly(places, count, floor), places, cost) for count in range(1, parts + 1)
    )
    best = _smallest(places, parts, cost, floor, enough)
    fewest = next(count for count, found in enumerate(best) if found == min(best))
    return _cheapest(places, fewest + 1, cost, floor, (best[fewest], price))


def largest(cuts: Sequence[int], places: int, cost: Callable[[int, int], float]) -> float:
    """Size of the largest part of a division."""
    return max(cost(begin, end) for begin, end in pairwise((0, *cuts, places)))


def _evenly(places: int, parts: int, floor: Callable[[int, int], float]) -> tuple[int, ...]:
    """Cuts that are good enough to tell which others need not be looked at."""
    share = floor(0, places) / parts
    cuts = [0]
    for place in range(1, places):
        if len(cuts) < parts and floor(cuts[-1], place + 1) > share:
            cuts.append(place)
    return tuple(cuts[1:])


def _smallest(
    places: int,
    parts: int,
    cost: Callable[[int, int], float],
    floor: Callable[[int, int], float],
    enough: float,
) -> list[float]:
    """How small the largest part can be with 1, 2, ... parts; infinite where above `enough`."""
    row = [inf] * (places + 1)
    for end in range(1, places + 1):
        if floor(0, end) > enough:
            break
        row[end] = cost(0, end)
    found = [row[places]]
    for _ in range(1, parts):
        following = [inf] * (places + 1)
        for end in range(1, places + 1):
            least = inf
            for begin in range(end - 1, 0, -1):
                bound = floor(begin, end)
                if bound >= least or bound > enough:
                    break
                if row[begin] < least:
                    least = min(least, max(row[begin], cost(begin, end)))
            following[end] = least
        row = following
        found.append(row[places])
    return found


def _cheapest(
    places: int,
    parts: int,
    cost: Callable[[int, int], float],
    floor: Callable[[int, int], float],
    limit: tuple[float, Sequence[float]],
) -> tuple[int, ...]:
    """The cheapest cuts into so many parts of which none is larger than a limit."""
    most, price = limit
    row: list[tuple[float, tuple[int, ...]] | None] = [None] * (places + 1)
    row[0] = (0.0, ())
    for count in range(parts):
        following: list[tuple[float, tuple[int, ...]] | None] = [None] * (places + 1)
        begins = [(begin, before) for begin, before in enumerate(row) if before is not None]
        for end in range(1, places + 1):
            earlier = bisect_left(begins, end, key=itemgetter(0))
            for begin, before in begins[earlier - 1 :: -1] if earlier else ():
                if floor(begin, end) > most:
                    break
                if cost(begin, end) > most:
                    continue
                paid = before[0] + (price[begin] if count else 0.0)
                best = following[end]
                if best is None or paid < best[0]:
                    cuts = (*before[1], begin) if count else ()
                    following[end] = (paid, cuts)
        row = following
    found = row[places]
    return found[1] if found is not None else ()
