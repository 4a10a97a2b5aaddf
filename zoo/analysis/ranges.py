"""Where does a formula hold?

A run on open dims goes one way at each question about a size. A `Range` is what is known of the
dims: the interval of each, and conditions beside (`H % 2 == 0`, `B*H*W >= 320`). It begins with all
positive numbers. What follows from it is known; what does not is answered as the run's own numbers
(the hint) answer it, and from then on belongs to the range, so that the run goes the same way at
every point inside.

A question about one dim becomes an interval where its answer changes in one place. One about a
product is tied to the hint's factors, which makes the range smaller and keeps it readable:
`16*h*w == 400` with h = w = 5 becomes h == 5 and w == 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import gcd, lcm
from typing import TYPE_CHECKING, Literal

from zoo.analysis.expressions import (
    ZERO,
    Atom,
    Expression,
    const,
    divided,
    least,
    letters_of,
    most,
    reduced,
    summed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Relation = Literal["==", "!=", ">="]
"""Of an expression to 0."""
Ends = tuple[int | None, int | None]
"""The least and the largest number; None where there is none, or none is known."""
LARGEST = 2**40
"""Beyond it, a dim has no end."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What must be true of an expression."""

    expression: Expression
    """What is compared with 0."""
    relation: Relation
    """How."""

    def met(self, dims: Mapping[str, int], known: dict[str, int] | None = None) -> bool:
        """Whether it is true where the dims have these numbers."""
        value = self.expression.at(dims, known)
        if self.relation == ">=":
            return value >= 0
        return (value == 0) == (self.relation == "==")

    def opposite(self) -> Condition:
        """What is true where this is not."""
        if self.relation == ">=":
            return Condition(-self.expression - 1, ">=")
        return Condition(self.expression, "!=" if self.relation == "==" else "==")

    def reduced(self) -> Condition:
        """The same with the whole parts of quotients outside of them."""
        return Condition(reduced(self.expression), self.relation)

    def shared(self) -> Condition:
        """The same without what all coefficients can be divided by."""
        one = self.expression
        by = gcd(*(count for letters, count in one.terms.items() if letters))
        if by < 2 or (self.relation != ">=" and one.constant % by):
            return self
        return Condition(
            Expression({key: count // by for key, count in one.terms.items() if count // by}),
            self.relation,
        )

    def __str__(self) -> str:
        found = _divisible(self.expression) if self.relation != ">=" else None
        if found is not None:
            return f"{found[0]} % {found[1]} {self.relation} 0"
        one, number = self.expression, self.expression.constant
        left = one - number
        if all(count < 0 for count in left.terms.values()):
            sign = "<=" if self.relation == ">=" else self.relation
            return f"{-left} {sign} {number}"
        lower = {letters: -count for letters, count in left.terms.items() if count < 0}
        upper = Expression({key: count for key, count in left.terms.items() if count > 0})
        right = Expression(lower) - number
        return f"{upper} {self.relation} {right}"


def _divisible(one: Expression) -> tuple[Expression, int] | None:
    """What of `H - 7*floor(H/7)`, or of `7*floor((H + 6)/7) - H`: H and 7; None for others."""
    for atom in one.atoms():
        if atom.top is None or atom.bottom is None or atom.bottom.number is None:
            continue
        count = one.terms.get(((atom, 1),), 0)
        by, alone = abs(count), Expression({((atom, 1),): 1})
        if by < 2:
            continue
        rest = (one - alone * count) * (-1 if count > 0 else 1)
        if alone in (rest // by, (rest + by - 1) // by):
            return rest, by
    return None


class Range:
    """The interval of each dim, and conditions beside.

    Args:
        hint: Numbers of the dims that questions are answered with.
    """

    def __init__(self, hint: Mapping[str, int]) -> None:
        self.hint = dict(hint)
        self.low = dict.fromkeys(hint, 1)
        self.high: dict[str, int | None] = dict.fromkeys(hint)
        self.conditions: dict[Condition, None] = {}
        self._values: dict[str, int] = {}
        self._limits: dict[str, tuple[int | None, int | None]] = {}

    def copy(self) -> Range:
        """Another that can be narrowed on its own."""
        twin = Range(self.hint)
        twin.low, twin.high = dict(self.low), dict(self.high)
        twin.conditions = dict(self.conditions)
        return twin

    def above(self, share: int) -> Range:
        """The part of the range in which no dim is below its hint, divided by `share`."""
        twin = self.copy()
        for name, here in self.hint.items():
            twin.low[name] = max(self.low[name], -(-here // share) if here >= share else 1)
        return twin

    def value(self, one: Expression) -> int:
        """What an expression is where the dims have the hint's numbers."""
        return one.at(self.hint, self._values)

    def met(self, asked: Condition) -> bool:
        """Whether a condition is true at the hint."""
        return asked.met(self.hint, self._values)

    def known(self, asked: Condition) -> bool | None:
        """Whether a condition is true everywhere in the range, or false; None where neither."""
        asked = self._plain(asked)
        if asked in self.conditions:
            return True
        if asked.opposite() in self.conditions:
            return False
        if asked.relation == ">=" and self._plain(Condition(asked.expression, "==")) in (
            self.conditions
        ):
            return True
        found = self._known(asked)
        return self._known(asked.reduced()) if found is None else found

    def _plain(self, asked: Condition) -> Condition:
        """The same without numbers and positive letters by which all of it can be divided."""
        asked = asked.shared()
        terms = asked.expression.terms
        if asked.relation != ">=" and terms and next(iter(sorted(terms.items(), key=str)))[1] < 0:
            asked = Condition(-asked.expression, asked.relation)
            terms = asked.expression.terms
        if asked.relation == ">=" or len(terms) < 2 or () in terms:
            return asked
        first, *rest = terms
        common = {atom for atom, _ in first}
        for letters in rest:
            common &= {atom for atom, _ in letters}
        for atom in common:
            low, _ = self._atom(atom)
            if low is not None and low > 0:
                quotient = divided(asked.expression, Expression({((atom, 1),): 1}))
                if quotient is not None:
                    return self._plain(Condition(quotient, asked.relation))
        return asked

    def _known(self, asked: Condition) -> bool | None:
        low, high = self.limits(asked.expression)
        if asked.relation == ">=":
            if low is not None and low >= 0:
                return True
            return False if high is not None and high < 0 else None
        if low == high == 0:
            return asked.relation == "=="
        apart = (low is not None and low > 0) or (high is not None and high < 0)
        return asked.relation == "!=" if apart else None

    def limits(self, one: Expression) -> tuple[int | None, int | None]:
        """Numbers that an expression is between everywhere in the range; None where unknown.

        They need not be the tightest: letters are taken to vary on their own.
        """
        if one.number is not None:
            return one.number, one.number
        shifted = self._shifted(one)
        low = shifted.constant if all(n > 0 for k, n in shifted.terms.items() if k) else None
        high = shifted.constant if all(n < 0 for k, n in shifted.terms.items() if k) else None
        ends = self._by_terms(one)
        low, high = _larger(low, ends[0]), _smaller(high, ends[1])
        if low is None:
            low = self._relaxed(one)
        if high is None:
            high = self._relaxed(-one)
            high = None if high is None else -high
        return low, high

    def _relaxed(self, one: Expression) -> int | None:
        """A number that an expression is at least, by what its quotients are at least and at most.

        `7*floor((x + 6)/7) >= 7*(x/7)`: quotients with letters in common are seen together.
        """
        scale, parts = 1, []
        for letters, count in one.terms.items():
            part, below = const(count), 1
            for atom, power in letters:
                bound, by = self._bound(atom, up=count < 0, alone=len(letters) == 1 and power == 1)
                if bound is None:
                    return None
                part *= bound**power
                below *= by**power
            parts.append((part, below))
            scale = lcm(scale, below)
        if scale == 1:
            return None
        total = ZERO
        for part, by in parts:
            total += part * (scale // by)
        low = self._plain_limits(total)[0]
        return None if low is None else -(-low // scale)

    def _bound(self, atom: Atom, *, up: bool, alone: bool) -> tuple[Expression | None, int]:
        """What a letter is at least, or at most: an expression to be divided by a number.

        In a product with others only where it cannot be negative.
        """
        own = Expression({((atom, 1),): 1})
        by = None if atom.bottom is None else atom.bottom.number
        if atom.top is not None and by is not None:
            bound = atom.top if up else atom.top - (by - 1)
            low = 0 if alone else self._plain_limits(bound)[0]
            if low is not None and low >= 0:
                return bound, by
        low = 0 if alone else self._atom(atom)[0]
        return (own, 1) if low is not None and low >= 0 else (None, 1)

    def _plain_limits(self, one: Expression) -> Ends:
        shifted = self._shifted(one)
        low = shifted.constant if all(n > 0 for k, n in shifted.terms.items() if k) else None
        return _larger(low, self._by_terms(one)[0]), None

    def _shifted(self, one: Expression) -> Expression:
        """The expression in letters that begin at 0, as far as letters have a least number."""
        new = {}
        for atom in one.atoms():
            low = self._atom(atom)[0]
            if low is None:
                return Expression({(): one.constant, ((atom, 1),): 1, ((atom, 2),): -1})
            if low:
                new[atom] = Expression({((atom, 1),): 1, (): low})
        total = ZERO
        for letters, count in one.terms.items():
            part = const(count)
            for atom, power in letters:
                alone = Expression({((atom, 1),): 1})
                part *= new.get(atom, alone) ** power
            total = summed(total, part)
        return total

    def _by_terms(self, one: Expression) -> tuple[int | None, int | None]:
        """Limits from those of each term."""
        low: int | None = 0
        high: int | None = 0
        for letters, count in one.terms.items():
            ends: tuple[int | None, int | None] = (1, 1)
            for atom, power in letters:
                for _ in range(power):
                    ends = _times(ends, self._atom(atom))
            ends = _times(ends, (count, count))
            low = None if low is None or ends[0] is None else low + ends[0]
            high = None if high is None or ends[1] is None else high + ends[1]
        return low, high

    def _atom(self, atom: Atom) -> tuple[int | None, int | None]:
        if not atom.inside:
            return self.low.get(atom.text, 1), self.high.get(atom.text)
        found = self._limits.get(atom.text)
        if found is None:
            found = self._limits[atom.text] = self._inside(atom)
        return found

    def _inside(self, atom: Atom) -> tuple[int | None, int | None]:
        if atom.parts:
            ends = [self.limits(part) for part in atom.parts]
            lows, highs = [low for low, _ in ends], [high for _, high in ends]
            if atom.small:
                return _lowest(lows), min((n for n in highs if n is not None), default=None)
            return max((n for n in lows if n is not None), default=None), _highest(highs)
        assert atom.top is not None and atom.bottom is not None  # noqa: S101, PT018
        by = atom.bottom.number
        low, high = self.limits(atom.top)
        if by is not None:
            return (
                None if low is None else low // by,
                None if high is None else high // by,
            )
        below = self.limits(atom.bottom)[0]
        if low is not None and low >= 0 and below is not None and below > 0:
            return 0, None if high is None else high // below
        return None, None

    def require(self, asked: Condition) -> None:
        """Make the range smaller, so that a condition that the hint meets is met everywhere.

        Args:
            asked: What the hint meets.
        """
        asked = self._plain(Condition(self.simple(asked.expression), asked.relation))
        if self.known(asked):
            return
        names = sorted(asked.expression.dims())
        if len(names) == 1 and self._narrow(asked, names[0]):
            return
        parts = self._factors(asked)
        if parts:
            for part in parts:
                self.require(part)
            return
        self.conditions[asked] = None

    def _factors(self, asked: Condition) -> tuple[Condition, ...]:
        """What the letters of a product must meet so that it does; none where it is no product.

        `h == 5` and `w == 5` for `16*h*w == 400`, `h >= 1` and `w >= 1` for `4*h*w >= 2`.
        """
        letters = [key for key in asked.expression.terms if key]
        if len(letters) != 1 or len(letters[0]) < 2:
            return ()
        alone = [Expression({((atom, 1),): 1}) for atom, _ in letters[0]]
        count, number = asked.expression.terms[letters[0]], asked.expression.constant
        if asked.relation == "==" and number:
            return tuple(Condition(one - self.value(one), "==") for one in alone)
        if asked.relation == "!=" and not number:
            return tuple(Condition(one, "!=") for one in alone)
        positive = all(_positive(self.limits(one)) for one in alone)
        if asked.relation == ">=" and 0 < -number <= count and positive:
            return tuple(Condition(one - 1, ">=") for one in alone)
        return ()

    def _narrow(self, asked: Condition, name: str) -> bool:
        """Give a dim a smaller interval; whether that says all of a condition."""
        way = self.direction(asked.expression)
        if way is None:
            return False
        here = self.hint[name]

        def same(number: int) -> bool:
            return asked.met({name: number})

        if asked.relation == "!=":  # above or below 0, as at the hint
            positive = asked.expression.at({name: here}) > 0
            side = asked.expression - 1 if positive else -asked.expression - 1
            return self._narrow(Condition(side, ">="), name)
        low, high = self.low[name], self.high[name]
        self.low[name] = here if not same(here - 1) and here > low else _first(same, low, here)
        self.high[name] = _last(same, here, high)
        self._limits.clear()
        return True

    def direction(self, one: Expression) -> int | None:
        """1 where it never falls when a dim grows, -1 where it never rises; None where unknown."""
        way = 0
        for letters, count in one.terms.items():
            ways = {self._way(atom) for atom, _ in letters} - {0}
            if not ways:
                continue
            if len(ways) > 1 or None in ways:
                return None
            single = len(letters) == 1 and letters[0][1] == 1
            if not single and any((self._atom(atom)[0] or -1) < 0 for atom, _ in letters):
                return None
            turn = (next(iter(ways)) or 0) * (1 if count > 0 else -1)
            if way == -turn:
                return None
            way = turn
        return way

    def _way(self, atom: Atom) -> int | None:
        if not atom.inside:
            return 1
        if atom.parts:
            ways = {self.direction(part) for part in atom.parts} - {0}
            return next(iter(ways), 0) if len(ways) < 2 else None
        assert atom.top is not None and atom.bottom is not None  # noqa: S101, PT018
        return self.direction(atom.top) if atom.bottom.number is not None else None

    def fixed(self) -> dict[Atom, Expression]:
        """Letters that are one number everywhere in the range."""
        found = {}
        for name, low in self.low.items():
            if low == self.high[name]:
                found[Atom(name)] = const(low)
        return found

    def simple(self, one: Expression) -> Expression:
        """The expression with numbers for the letters that are fixed.

        Of a `max`, parts that are never the largest are left out.
        """
        new = dict(self.fixed())
        for atom in letters_of([one]):
            low, high = self._atom(atom)
            if low is not None and low == high:
                new[atom] = const(low)
            elif atom.parts:
                turn = -1 if atom.small else 1
                kept = self.largest([part * turn for part in atom.parts])
                if len(kept) < len(atom.parts):
                    fixed = self.fixed()
                    parts = [(part * turn).replaced(fixed) for part in kept]
                    new[atom] = least(*parts) if atom.small else most(*parts)
        return one.replaced(new) if new else one

    def largest(self, parts: Sequence[Expression]) -> list[Expression]:
        """Those that are the largest somewhere, as far as that can be told.

        One is left out where another is known never to be below it; whether to try and prove that
        is seen at some points of the range.
        """
        points = self.points()
        known: list[dict[str, int]] = [{} for _ in points]
        seen = [
            tuple(part.at(dims, values) for dims, values in zip(points, known, strict=True))
            for part in parts
        ]
        kept: list[int] = []
        order = sorted(range(len(parts)), key=lambda one: seen[one], reverse=True)
        for one in order:
            if not any(self._covers(parts, seen, other, one) for other in kept):
                kept = [other for other in kept if not self._covers(parts, seen, one, other)]
                kept.append(one)
        return [parts[one] for one in kept]

    def _covers(
        self, parts: Sequence[Expression], seen: Sequence[tuple[int, ...]], one: int, other: int
    ) -> bool:
        """Whether a part is never below another."""
        if any(mine < its for mine, its in zip(seen[one], seen[other], strict=True)):
            return False
        return bool(self.known(Condition(parts[one] - parts[other], ">=")))

    def points(self) -> list[dict[str, int]]:
        """Some points of the range, the hint first, then its corners."""
        found = [dict(self.hint)]
        for low in product((False, True), repeat=len(self.hint)):
            for times in (1, 3, 50):
                dims = {}
                for (name, here), small in zip(self.hint.items(), low, strict=True):
                    high = self.high[name]
                    far = here * times if high is None else min(here * times, high)
                    dims[name] = min(self.low[name] + times // 3, far) if small else far
                if next(self.broken(dims), None) is None:
                    found.append(dims)
        return found[:24]

    def holds(self) -> list[str]:
        """The range in words, one for each dim and condition."""
        words = [self.of(name) for name in self.low]
        return words + [str(one) for one in self.conditions if self.known_apart(one)]

    def known_apart(self, one: Condition) -> bool:
        """Whether a condition says something that the intervals do not."""
        low, high = self.limits(one.expression)
        if one.relation == ">=":
            same = self._plain(Condition(one.expression, "==")) in self.conditions
            return not same and (low is None or low < 0)
        if one.relation == "==":
            return not low == high == 0
        return not ((low is not None and low > 0) or (high is not None and high < 0))

    def of(self, name: str) -> str:
        """A dim's interval: `B >= 1`, `H = 224`, `28 <= H <= 31`."""
        low, high = self.low[name], self.high[name]
        if high is None:
            return f"{name} >= {low}"
        return f"{name} = {low}" if low == high else f"{low} <= {name} <= {high}"

    def broken(self, dims: Mapping[str, int]) -> Iterator[str]:
        """What of the range is not met where the dims have these numbers."""
        for name, low in self.low.items():
            high = self.high[name]
            if dims[name] < low or (high is not None and dims[name] > high):
                yield self.of(name)
        for one in self.conditions:
            if not one.met(dims):
                yield str(one)


def _larger(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else max(one, other)


def _smaller(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else min(one, other)


def _times(one: Ends, other: Ends) -> Ends:
    """Limits of a product."""
    if one == (0, 0) or other == (0, 0):
        return 0, 0
    if _positive(one) and _positive(other):
        high = None if one[1] is None or other[1] is None else one[1] * other[1]
        return (one[0] or 0) * (other[0] or 0), high
    for first, second in ((one, other), (other, one)):
        if first[1] is not None and first[1] <= 0:  # turn it round
            low, high = _times((-first[1], None if first[0] is None else -first[0]), second)
            return None if high is None else -high, None if low is None else -low
    if None in one or None in other:
        return None, None
    ends = [a * b for a in one for b in other if a is not None and b is not None]
    return min(ends), max(ends)


def _lowest(ends: Sequence[int | None]) -> int | None:
    """The lowest of some least numbers; None where one is not known."""
    known = [one for one in ends if one is not None]
    return min(known) if len(known) == len(ends) else None


def _highest(ends: Sequence[int | None]) -> int | None:
    known = [one for one in ends if one is not None]
    return max(known) if len(known) == len(ends) else None


def _positive(one: Ends) -> bool:
    return one[0] is not None and one[0] >= 0


def _first(same: Callable[[int], bool], low: int, here: int) -> int:
    """The first number from `low` on from which a condition is met up to `here`."""
    return _search(same, here, low)


def _last(same: Callable[[int], bool], here: int, high: int | None) -> int | None:
    """The last number up to which a condition is met from `here` on; None where it has no end."""
    end = LARGEST if high is None else high
    found = _search(same, here, end)
    return high if found == end else found


def _search(same: Callable[[int], bool], here: int, end: int) -> int:
    """The farthest number from `here` towards `end` at which a condition is still met.

    Between the two it changes once at most.
    """
    if same(end):
        return end
    inside, outside = here, end
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if same(middle):
            inside = middle
        else:
            outside = middle
    return inside
