"""How do figures depend on a dim that the model counts up to?

A loop over the steps of a sequence (`for t in range(x.shape[1])`, an RNN that the CPU takes apart)
makes a number of that dim, and no one run tells what they would be at another. So it runs at
several numbers, open in all other dims. Each coefficient is then a sequence of numbers; where its
second differences do not change, it is a polynomial, which must give the runs' figures at all other
numbers too. Levels of memory are lines through two runs that the other runs confirm. Where it
counts up to two dims, formulas in the second are fitted first, at each number of the first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo.analysis.expressions import ZERO, Expression, const, dim, most
from zoo.analysis.formula import IN_ROWS, Formulas
from zoo.analysis.ranges import Condition, Range

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zoo.analysis.expressions import Monomial

SEEN = (5, 6, 7, 9, 12, 17)
"""Numbers at which a model runs beside the hint; the first three make the polynomial."""
FEWER = SEEN[:4]
"""The same of each of two dims, since a model runs at all pairs of them."""
MOST = 2
"""Dims that formulas can be fitted in."""


def unrolled(found: Formulas, once: Callable[[Mapping[str, int]], Formulas]) -> Formulas:
    """Formulas in the dims that the model counts up to, where these are at most two.

    Args:
        found: The run at the hint.
        once: Runs at other numbers.

    Returns:
        Formulas; `found` itself where the model counts up to no dim, or to more.
    """
    names = sorted(found.counted & set(found.closed))
    if len(names) == 1:
        return _fitted_in(names[0], found, once, SEEN)
    if len(names) != MOST:
        return found
    first, second = names

    def run(number: int) -> Formulas:
        one = once({**found.holds.hint, first: number})
        return _fitted_in(second, one, once, FEWER)

    return fitted(first, _fitted_in(second, found, once, FEWER), run, FEWER)


def _fitted_in(
    name: str,
    found: Formulas,
    once: Callable[[Mapping[str, int]], Formulas],
    seen: Sequence[int],
) -> Formulas:
    """Formulas in one dim more than those of a run, which is the same in the others."""
    hint = found.holds.hint
    return fitted(name, found, lambda number: once({**hint, name: number}), seen)


def fitted(
    name: str, found: Formulas, run: Callable[[int], Formulas], seen: Sequence[int] = SEEN
) -> Formulas:
    """Formulas in a dim that the model counts up to.

    Args:
        name: The dim.
        found: The run at the hint, in which the dim is a number.
        run: Runs at another number of it.
        seen: At which numbers it runs; the first three follow each other.

    Returns:
        Formulas in all dims; `found` itself where the runs follow none.
    """
    runs: dict[int, Formulas] = {}
    for number in seen:
        runs[number] = run(number)
        if runs[number].trace.failure is not None:
            return found
    here = found.holds.hint[name]
    runs[here] = found
    numbers = list(runs)
    fit = _Fit(name, numbers)
    totals: dict[str, Expression | None] = {}
    for figure in found.totals:
        if figure == "peak_bytes":
            continue
        totals[figure] = fit.expression([one.totals[figure] for one in runs.values()])
    rows = fit.rows([_merged(one.rows) for one in runs.values()])
    shapes = fit.value([[list(i.spec.shape) for i in r.trace.inputs] for r in runs.values()])
    if rows is None or shapes is None or None in totals.values():
        return found
    holds = _common(name, found.holds.hint, [one.holds for one in runs.values()])
    peak_holds = _common(name, found.holds.hint, [one.peak_holds for one in runs.values()])
    peak_holds.high[name] = max(numbers)  # a level that leads only further out was not seen
    totals["peak_bytes"] = fit.peak([one.totals["peak_bytes"] for one in runs.values()], peak_holds)
    inputs = tuple(
        replace(one, spec=replace(one.spec, shape=tuple(shape)))
        for one, shape in zip(found.trace.inputs, shapes, strict=True)
    )
    return Formulas(
        trace=replace(found.trace, inputs=inputs),
        holds=holds,
        peak_holds=peak_holds,
        totals=totals,
        rows=tuple(rows),
        closed={one: line for one, line in found.closed.items() if one != name},
        fitted={**found.fitted, name: tuple(sorted(numbers))},
    )


def _common(name: str, hint: Mapping[str, int], ranges: Sequence[Range]) -> Range:
    """Where all of some ranges hold, from the first number on at which the model ran."""
    found = Range(hint)
    for other in found.low:
        if other == name:
            found.low[other] = min(SEEN)
            continue
        found.low[other] = max(one.low[other] for one in ranges)
        ends = [end for one in ranges if (end := one.high[other]) is not None]
        found.high[other] = min(ends, default=None)
    for one in ranges:
        found.conditions.update(
            {asked: None for asked in one.conditions if name not in asked.expression.dims()}
        )
    return found


def _merged(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of repeated calls as one, their figures added up."""
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for row in rows:
        key = (row["path"], row["type"], row["depth"])
        known = found.get(key)
        if known is None:
            found[key] = dict(row)
            continue
        known.update({name: known[name] + row[name] for name in IN_ROWS})
        known["marks"] = list(dict.fromkeys([*known["marks"], "repeated"]))
    for row in found.values():
        row["marks"] = [mark for mark in row["marks"] if mark != "recursive"]
    return list(found.values())


class _Fit:
    """Polynomials of the second degree at most in one dim.

    Args:
        name: The dim.
        numbers: Where it was seen; the first three follow each other.
    """

    def __init__(self, name: str, numbers: Sequence[int]) -> None:
        self.name, self.numbers, self.dim = name, numbers, dim(name)

    def number(self, seen: Sequence[int]) -> Expression | None:
        """The polynomial through some numbers; None where there is none."""
        first, start = seen[0], self.numbers[0]
        step, more = seen[1] - seen[0], seen[2] - 2 * seen[1] + seen[0]
        away = self.dim - start
        found = first + step * away + (away * (away - 1) * more) // 2
        same = all(
            found.at({self.name: at}) == one for at, one in zip(self.numbers, seen, strict=True)
        )
        return found if same else None

    def expression(self, seen: Sequence[Expression | None]) -> Expression | None:
        """The same of expressions in other dims, by their coefficients."""
        letters: dict[Monomial, None] = {}
        for one in seen:
            if one is None:
                return None
            letters.update(dict.fromkeys(one.terms))
        total = ZERO
        for key in letters:
            counts = [one.terms.get(key, 0) for one in seen if one is not None]
            found = self.number(counts)
            if found is None:
                return None
            total += found * Expression({key: 1})
        return total

    def value(self, seen: Sequence[Any]) -> Any:
        """The same of ints, expressions, and lists of them; other values must be equal."""
        first = seen[0]
        if isinstance(first, list):
            if any(not isinstance(one, list) or len(one) != len(first) for one in seen):
                return None
            parts = [self.value(part) for part in zip(*seen, strict=True)]
            return None if None in parts else parts
        if isinstance(first, int | Expression) and not isinstance(first, bool):
            found = self.expression([const(one) for one in seen])
            return None if found is None else found if found.number is None else found.number
        return first if all(one == first for one in seen) else None

    def rows(self, seen: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]] | None:
        """Rows, where all runs have the same ones."""
        if len({tuple((row["path"], row["type"]) for row in rows) for rows in seen}) != 1:
            return None
        found = []
        for same in zip(*seen, strict=True):
            row = dict(same[-1])
            for name in IN_ROWS:
                figure = self.expression([one[name] for one in same])
                if figure is None:
                    return None
                row[name] = figure
            row["output_shape"] = self.value([one["output_shape"] for one in same])
            found.append(row)
        return found

    def peak(self, seen: Sequence[Expression | None], holds: Range) -> Expression | None:
        """The largest of lines that all runs confirm; None where these leave out a level."""
        if None in seen:
            return None
        levels = [_levels(one) for one in seen if one is not None]
        lines = []
        for low in levels[0]:
            for high in levels[1]:
                line = low + (high - low) * (self.dim - self.numbers[0])
                if all(
                    self._among(line, at, part)
                    for at, part in zip(self.numbers, levels, strict=True)
                ):
                    lines.append(line)
        covered = all(
            any(self._at(line, at) == part for line in lines)
            for at, parts in zip(self.numbers, levels, strict=True)
            for part in parts
        )
        if not lines or not covered:
            return None
        kept = [line for line in lines if not self._below(line, lines, holds)]
        return most(*(kept or lines))

    def _at(self, line: Expression, number: int) -> Expression:
        (atom,) = self.dim.atoms()
        return line.replaced({atom: const(number)})

    def _among(self, line: Expression, number: int, parts: Sequence[Expression]) -> bool:
        return self._at(line, number) in parts

    def _below(self, line: Expression, lines: Sequence[Expression], holds: Range) -> bool:
        return any(
            one != line and holds.known(Condition(one - line - 1, ">=")) is True for one in lines
        )


def _levels(one: Expression) -> tuple[Expression, ...]:
    """What an expression is the largest of."""
    atoms = list(one.atoms())
    if len(atoms) == 1 and atoms[0].parts and one == Expression({((atoms[0], 1),): 1}):
        return atoms[0].parts
    return (one,)
