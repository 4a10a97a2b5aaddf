"""What stands before and in a module's name?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.analysis.records import Row

UNICODE = ("├─ ", "└─ ", "│  ", "   ")
ASCII = ("|- ", "`- ", "|  ", "   ")


def stems(rows: Sequence[Row], *, ascii: bool = False) -> list[str]:
    """The lines before each row's name. Rows are in call order, with their depth.

    >>> stems([{"depth": 0}, {"depth": 1}, {"depth": 2}, {"depth": 1}], ascii=True)
    ['', '|- ', '|  `- ', '`- ']
    """
    fork, corner, bar, blank = ASCII if ascii else UNICODE
    depths = [row["depth"] for row in rows]
    root = min(depths, default=0)
    last = _is_last(depths)
    open_below: dict[int, bool] = {}
    found = []
    for depth, closes in zip(depths, last, strict=True):
        open_below[depth] = not closes
        bars = [bar if open_below.get(level) else blank for level in range(root + 1, depth)]
        found.append("".join(bars) + ("" if depth == root else corner if closes else fork))
    return found


def label(row: Row, *, whole_path: bool = False) -> str:
    """A module's name and type, as PyTorch writes them: `conv1: Conv2d`; the root is its type."""
    path = row["path"]
    name = path if whole_path else row.get("name") or path.rpartition(".")[2]
    kind = row.get("type") or ""
    if not path:
        return kind or "model"
    return f"{name}: {kind}" if kind else str(name)


def _is_last(depths: Sequence[int]) -> list[bool]:
    """Whether no row of the same parent follows."""
    found: list[bool] = []
    followed: set[int] = set()
    for depth in reversed(depths):
        found.append(depth not in followed)
        followed = {level for level in followed if level < depth} | {depth}
    return found[::-1]
