"""Which module call of one model corresponds to which of another?

Trees are aligned from the root down. The roots correspond. Below two calls that correspond, their
children are aligned as two sequences, in the order in which they ran: of all ways to pair them
without crossing, the one with the highest sum of scores is taken. So a layer that was inserted or
removed stands alone and does not shift all that follow.

Two calls may be paired where they share a name, a type or the shape of their output. A name that
is a number says only where something stands, and by it alone nothing is paired. A call whose name
is in both sequences is paired with no other name.

| what two calls share | score |
| --- | --- |
| the name, not a number | 6 |
| the name, a number | 1 |
| the type | 4 |
| the shape of the output | 2 |
| the number of parameters, not 0 | 2 |

What is left over and has the same name and type in both, since it runs in another order, is paired
afterwards. A third model is aligned with what the first two have become, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Set

    from zoo.analysis.records import Row

NAME, NUMBER, TYPE, SHAPE, PARAMETERS = 6, 1, 4, 2, 2
"""Scores, as in the table above."""


@dataclass(slots=True)
class Node:
    """Calls that correspond, one of each model that has it."""

    rows: list[Row | None]
    """A row of a summary for each model; None where a model has no such call."""
    children: list[Node] = field(default_factory=list)
    """What ran inside."""

    def first(self) -> Row:
        """The row of the first model that has it."""
        return next(row for row in self.rows if row is not None)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Node]]:
        """This node and those below it, depth first, each with its depth."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


def align(summaries: Sequence[Sequence[Row]]) -> Node | None:
    """The rows of several summaries as one tree.

    Args:
        summaries: For each model its rows, depth first, the root first.

    Returns:
        The tree; None where no model has a row.
    """
    many = len(summaries)
    whole: Node | None = None
    for number, rows in enumerate(summaries):
        tree = _tree(rows, number, many)
        if whole is None or tree is None:
            whole = whole or tree
        else:
            _merge(whole, tree)
    return whole


def _tree(rows: Sequence[Row], number: int, many: int) -> Node | None:
    """One model's rows as a tree, in its place among many."""
    open_above: list[Node] = []
    root: Node | None = None
    for row in rows:
        node = Node([row if at == number else None for at in range(many)])
        del open_above[row["depth"] :]
        if open_above:
            open_above[-1].children.append(node)
        root = root or node
        open_above.append(node)
    return root


def _merge(into: Node, tree: Node) -> None:
    """Put another model's tree into one that has the same root."""
    into.rows = [a if a is not None else b for a, b in zip(into.rows, tree.rows, strict=True)]
    into.children = _sequence(into.children, tree.children)


def _sequence(ours: list[Node], theirs: list[Node]) -> list[Node]:
    """Two sequences as one: pairs merged, what stands alone between them, ours first."""
    pairs = dict(_pairs(ours, theirs))
    pairs |= _crossing(ours, theirs, pairs)
    taken = set(pairs.values())
    found: list[Node] = []
    after = 0
    for index, node in enumerate(ours):
        other = pairs.get(index)
        if other is not None:
            if other >= after:
                found += [theirs[one] for one in range(after, other) if one not in taken]
                after = other + 1
            _merge(node, theirs[other])
        found.append(node)
    return found + [theirs[one] for one in range(after, len(theirs)) if one not in taken]


def _pairs(ours: Sequence[Node], theirs: Sequence[Node]) -> list[tuple[int, int]]:
    """The pairs with the highest sum of scores that do not cross."""
    start, ends = 0, (len(ours), len(theirs))
    while start < min(ends) and _alike(ours[start], theirs[start]):
        start += 1
    last = 0
    while last < min(ends) - start and _alike(ours[-1 - last], theirs[-1 - last]):
        last += 1
    same = [(one, one) for one in range(start)]
    same += [(ends[0] - one, ends[1] - one) for one in range(1, last + 1)]
    mine, yours = ours[start : ends[0] - last], theirs[start : ends[1] - last]
    both = _names(ours) & _names(theirs)
    return same + [(a + start, b + start) for a, b in _best(mine, yours, both)]


def _names(nodes: Iterable[Node]) -> set[Any]:
    """Names that are no number."""
    found = {row["name"] for node in nodes for row in node.rows if row is not None}
    return {name for name in found if not _is_number(name)}


def _best(ours: Sequence[Node], theirs: Sequence[Node], both: Set[Any]) -> list[tuple[int, int]]:
    """`_pairs`, by the table of the best sums of all ends of the sequences."""
    scores = [[_score(a, b, both) for b in theirs] for a in ours]
    best = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for a in reversed(range(len(ours))):
        for b in reversed(range(len(theirs))):
            paired = scores[a][b] + best[a + 1][b + 1] if scores[a][b] else 0
            best[a][b] = max(paired, best[a + 1][b], best[a][b + 1])
    found = []
    a = b = 0
    while a < len(ours) and b < len(theirs):
        if scores[a][b] and best[a][b] == scores[a][b] + best[a + 1][b + 1]:
            found.append((a, b))
            a, b = a + 1, b + 1
        elif best[a][b] == best[a + 1][b]:
            a += 1
        else:
            b += 1
    return found


def _crossing(
    ours: Sequence[Node], theirs: Sequence[Node], pairs: dict[int, int]
) -> dict[int, int]:
    """Pairs of the same name and type among what is left over."""
    taken = set(pairs.values())
    free = [one for one in range(len(theirs)) if one not in taken]
    found = {}
    for index, node in enumerate(ours):
        if index in pairs:
            continue
        for other in free:
            if _named_alike(node.first(), theirs[other].first()):
                found[index] = other
                free.remove(other)
                break
    return found


def _named_alike(one: Row, other: Row) -> bool:
    same = one["name"] == other["name"] and one["type"] == other["type"]
    return same and not _is_number(one["name"])


def _alike(one: Node, other: Node) -> bool:
    """Whether nothing could be paired better with either."""
    yours = other.first()
    keys = ("name", "type", "output_shape", "parameters")
    return any(row is not None and all(row[key] == yours[key] for key in keys) for row in one.rows)


def _score(one: Node, other: Node, both: Set[Any]) -> int:
    """How much a node has in common with one of another model; 0 where they are not paired."""
    yours = other.first()
    mine = [row for row in one.rows if row is not None]
    names = {row["name"] for row in mine}
    if yours["name"] not in names and not both.isdisjoint({yours["name"], *names}):
        return 0
    return max(_shared(row, yours) for row in mine)


def _shared(one: Row, other: Row) -> int:
    name, kind = one["name"] == other["name"], one["type"] == other["type"]
    shape = one["output_shape"] == other["output_shape"] and one["output_shape"] is not None
    number = name and _is_number(one["name"])
    if not (kind or shape or (name and not number)):
        return 0
    score = (NUMBER if number else NAME) if name else 0
    score += TYPE if kind else 0
    score += SHAPE if shape else 0
    same = one["parameters"] == other["parameters"] and one["parameters"]
    return score + (PARAMETERS if same else 0)


def _is_number(name: Any) -> bool:
    return str(name).isdigit()
