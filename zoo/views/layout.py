"""How do columns share a line?

Figures are never cut: such a column is shown whole or not at all. Where the line is too short,
words give way first, down to `LEAST` cells, then the first column; then the least important column
is left out and the rest is tried again. (rich's Table has no such order: of a module tree with five
figures it keeps the names at 40 columns and cuts every figure, and 1,000 rows take 0.4 s.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.views.cells import width, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = 2
"""Spaces between columns."""
LEAST = 24
"""Cells that a column of words is left with before another column is dropped for it."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A column as text."""

    title: str
    """What it is called."""
    heading: tuple[str, ...]
    """The title in the lines that stand above."""
    cells: tuple[str, ...]
    """One a row."""
    words: bool
    """Whether it may be cut or wrapped; it then stands at the left, figures at the right."""
    importance: int
    """The lowest is left out first."""

    @property
    def natural(self) -> int:
        """Cells that nothing of it is cut in."""
        return max(map(width, (*self.heading, *self.cells)))


def strip(
    title: str,
    cells: Sequence[str],
    *,
    words: bool = False,
    importance: int = 0,
    tall: bool = True,
) -> Strip:
    """A column whose title is wrapped, where it may be `tall`, to what its cells need anyway.

    >>> strip("activation memory", ["64.5 kB"]).heading
    ('activation', 'memory')
    """
    least = max(map(width, [*title.split(), *cells]), default=0)
    heading = tuple(wrap(title, least if tall else None))
    return Strip(title, heading, tuple(cells), words, importance)


def fit(strips: Sequence[Strip], line: int | None) -> dict[int, int]:
    """Index of each strip that is shown -> its cells. The first strip always is.

    >>> name, short = strip("module", ["a" * 50], words=True), strip("MACs", ["1.51 G"])
    >>> fit([name, short, short], 40), fit([short, short], None)
    ({0: 24, 1: 6, 2: 6}, {0: 6, 1: 6})
    """
    if line is None:
        return {index: strip.natural for index, strip in enumerate(strips)}
    shown = list(range(len(strips)))
    while len(shown) > 1:
        room = line - GAP * (len(shown) - 1)
        widths = _share([strips[index] for index in shown], room, line)
        if sum(widths) <= room:
            return dict(zip(shown, widths, strict=True))
        shown.remove(min(shown[1:], key=lambda index: (strips[index].importance, -index)))
    return {0: min(strips[0].natural, line)}


def _share(strips: Sequence[Strip], room: int, line: int) -> list[int]:
    """Cells of each strip; more than `room` where they cannot give way so far."""
    widths = [strip.natural for strip in strips]
    soft = [index for index, strip in enumerate(strips) if strip.words and index]
    _shrink(widths, soft, sum(widths) - room, LEAST)
    if strips[0].words:
        _shrink(widths, [0], sum(widths) - room, line * 2 // 5 + 4)
    return widths


def _shrink(widths: list[int], soft: Sequence[int], excess: int, least: int) -> None:
    """Takes `excess` cells from the widest of `soft`, in place, as far as `least` allows."""
    for _ in range(max(excess, 0)):
        widest = max(soft, key=lambda index: widths[index], default=None)
        if widest is None or widths[widest] <= least:
            return
        widths[widest] -= 1
