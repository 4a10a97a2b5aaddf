"""How does a run take dims that are left open?

torch lets a size be any object that answers the questions of its `SymNode`: arithmetic, comparison,
and which way to go. `_Node` answers them with expressions of our own (`zoo.analysis.expressions`).
Where code asks which way to go, the run goes the way of the hint, and its `Range` remembers what
that takes, unless it is true everywhere; so the range is where the run is as it was seen to be.

torch's own answer (`ShapeEnv` of torch.fx, with sympy) asks for a rewriting of each expression that
takes longer than the operator; it keeps guards, but no intervals to read, and takes every size that
is not 1 to be at least 2.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch.fx.experimental import sym_node  # noqa: F401 - gives torch.SymInt its arithmetic

from zoo.analysis.expressions import Expression, const, dim, least, most
from zoo.analysis.ranges import Condition, Range, Relation
from zoo.analysis.tracer.source import line_of_caller

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


WEIGHS_BOTH = ("Contiguity.h", "SymbolicShapeMeta.cpp")
"""Sources of torch whose questions end in one that is asked in full, where this one is not known.
"""


BEYOND = 2**62
"""Numbers that no tensor's size comes near; code that takes any size compares with the largest int.
"""

EXACT, SHORT = 2**20, 1000
"""Denominators up to which a float is taken as the fraction that it is, and those of fractions that
stand in for other floats."""
LOOKED_AT = 2**14
"""How far it is seen that these give what floats give."""


class Session:
    """The dims of one run, and what its questions made of their range.

    Args:
        hint: A number for each open dim.
    """

    def __init__(self, hint: Mapping[str, int]) -> None:
        self.range = Range(hint)
        """Where all figures hold but the peak."""
        self.extra: dict[Condition, None] = {}
        """What must be met besides where the peak holds: what kernels allocate inside themselves
        depends on more."""
        self.closed: dict[str, str | None] = {}
        """Dims that are one number, and the line of code that made them so."""
        self.counted: set[str] = set()
        """Dims whose number was asked for, as a loop does."""
        self._measuring = False
        self._inner = Range(hint)

    def size(self, name: str) -> torch.SymInt:
        """An open dim, as torch takes it."""
        return torch.SymInt(_Node(self, dim(name)))  # type: ignore[arg-type]

    def known(self, asked: Condition) -> bool | None:
        """The answer to a question, where the range as it is tells it."""
        if asked.expression.number is not None:
            return asked.met({})
        if asked.relation == ">=" and abs(asked.expression.constant) >= BEYOND:
            return asked.expression.constant > 0
        found = self.range.known(asked)
        if found is None and self._measuring:
            found = self._inner.known(asked)
        return found

    def decide(self, asked: Condition) -> bool:
        """Which way to go; from here on, the range is where the answer is the same."""
        found = self.known(asked)
        if found is None:
            found = self.range.met(asked)
            true = asked if found else asked.opposite()
            if self._measuring:
                self.extra[true] = None
                self._inner.require(true)
            else:
                self.range.require(true)
                for name in asked.expression.dims():
                    if self.range.low[name] == self.range.high[name]:
                        self.closed.setdefault(name, line_of_caller())
        return found

    def peak_range(self) -> Range:
        """Where the peak holds too."""
        found = self.range.copy()
        for one in self.extra:
            found.require(one)
        return found

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Inside, questions narrow the range of the peak alone."""
        outer, self._measuring = self._measuring, True
        try:
            yield
        finally:
            self._measuring = outer


class Numbers:
    """The dims of a run with numbers.

    Args:
        hint: A number for each dim.
    """

    def __init__(self, hint: Mapping[str, int]) -> None:
        self.hint = hint

    def size(self, name: str) -> int:
        """A dim's number."""
        return self.hint[name]


class _Base:
    """What torch asks of every node."""

    def __init__(self, session: Session) -> None:
        self.session = session

    constant = None
    nested_int = None

    def is_int(self) -> bool:
        return False

    def is_float(self) -> bool:
        return False

    def is_bool(self) -> bool:
        return False

    def is_nested_int(self) -> bool:
        return False

    def is_symbolic(self) -> bool:
        return True

    def is_constant(self) -> bool:
        return False

    def has_hint(self) -> bool:
        return True

    def clone(self) -> Any:
        return self

    def wrap_int(self, number: int) -> _Node:
        return _Node(self.session, const(number))

    def wrap_bool(self, answer: bool) -> _Answer:  # noqa: FBT001 - torch's signature
        return _Answer(self.session, answer)

    def wrap_float(self, number: float) -> Any:
        return _Real(self.session, const(0), Fraction(0), number)

    def str(self) -> Any:
        return repr(self)

    def _graph_repr(self) -> Any:
        return repr(self)


class _Node(_Base):
    """A whole number that depends on open dims.

    Args:
        session: The run.
        expression: What it is.
    """

    def __init__(self, session: Session, expression: Expression) -> None:
        super().__init__(session)
        self.expression = expression

    def __repr__(self) -> Any:
        return f"{self.expression}"

    def is_int(self) -> bool:
        return True

    def maybe_as_int(self) -> int | None:
        return self.expression.number

    def is_constant(self) -> bool:
        return self.expression.number is not None

    @property
    def hint(self) -> int:
        return self.session.range.value(self.expression)

    def _new(self, expression: Expression) -> _Node:
        return _Node(self.session, expression)

    def guard_int(self, _file: Any = "", _line: int = 0) -> int:
        """Its number at the hint, which it then has everywhere in the range."""
        number = self.expression.number
        if number is None:
            number = self.hint
            if len(self.expression.dims()) == 1:
                self.session.counted |= self.expression.dims()
            self.session.decide(Condition(self.expression - number, "=="))
        return number

    def int_(self) -> int:
        return self.guard_int()

    def _compare(self, expression: Expression, relation: Relation) -> _Answer:
        return _Answer(self.session, Condition(expression, relation))

    def eq(self, other: _Node) -> _Answer:
        return self._compare(self.expression - other.expression, "==")

    def ne(self, other: _Node) -> _Answer:
        return self._compare(self.expression - other.expression, "!=")

    def ge(self, other: _Node) -> _Answer:
        return self._compare(self.expression - other.expression, ">=")

    def le(self, other: _Node) -> _Answer:
        return self._compare(other.expression - self.expression, ">=")

    def gt(self, other: _Node) -> _Answer:
        return self._compare(self.expression - other.expression - 1, ">=")

    def lt(self, other: _Node) -> _Answer:
        return self._compare(other.expression - self.expression - 1, ">=")

    def add(self, other: Any) -> Any:
        return self._new(self.expression + other.expression)

    def sub(self, other: Any) -> Any:
        return self._new(self.expression - other.expression)

    def mul(self, other: Any) -> Any:
        return self._new(self.expression * other.expression)

    def neg(self) -> _Node:
        return self._new(-self.expression)

    def pos(self) -> _Node:
        return self

    def abs(self) -> _Node:
        positive = self.session.decide(Condition(self.expression, ">="))
        return self if positive else self.neg()

    def sym_sum(self, parts: Any) -> _Node:
        total = const(0)
        for part in parts:
            total = total + (part if isinstance(part, int) else part.expression)
        return self._new(total)

    def floordiv(self, other: _Node) -> _Node:
        return self._new(self.expression // other.expression)

    int_floordiv = floordiv

    def mod(self, other: _Node) -> _Node:
        return self._new(self.expression % other.expression)

    def pow(self, other: _Node) -> _Node:
        return self._new(self.expression ** other.guard_int())

    pow_by_natural = pow

    def lshift(self, other: _Node) -> _Node:
        return self._new(self.expression * 2 ** other.guard_int())

    def rshift(self, other: _Node) -> _Node:
        return self._new(self.expression // 2 ** other.guard_int())

    def bitwise_and(self, other: _Node) -> _Node:
        return self.wrap_int(self.guard_int() & other.guard_int())

    def bitwise_or(self, other: _Node) -> _Node:
        return self.wrap_int(self.guard_int() | other.guard_int())

    def bitwise_xor(self, other: _Node) -> _Node:
        return self.wrap_int(self.guard_int() ^ other.guard_int())

    def sym_max(self, other: Any) -> Any:
        both = (self.expression, other.expression)
        return self._new(self._one_of(both, both) or most(*both))

    def sym_min(self, other: Any) -> Any:
        both = (self.expression, other.expression)
        return self._new(self._one_of(both, both[::-1]) or least(*both))

    def _one_of(
        self, both: tuple[Expression, Expression], answers: tuple[Expression, Expression]
    ) -> Expression | None:
        """The first answer where the first of both is known not to be less, the second..."""
        known = self.session.known(Condition(both[0] - both[1], ">="))
        return None if known is None else answers[0 if known else 1]

    def _even(self, other: _Node) -> Any:
        """A true quotient, of a number."""
        below = other.expression.number
        if below is None:
            below = other.guard_int()
        return _Real(self.session, self.expression, Fraction(1, below))

    int_truediv = truediv = float_truediv = _even

    def sym_float(self) -> _Real:
        return _Real(self.session, self.expression, Fraction(1))

    def ceil(self) -> _Node:
        return self

    floor = trunc = round = ceil


class _Real(_Base):
    """A float that is a whole number, which depends on open dims, times a fraction.

    Args:
        session: The run.
        expression: The whole number.
        factor: The fraction.
        plain: The number where it depends on no dim.
    """

    def __init__(
        self,
        session: Session,
        expression: Expression,
        factor: Fraction,
        plain: float | None = None,
    ) -> None:
        super().__init__(session)
        self.expression, self.factor, self.plain = expression, factor, plain

    def __repr__(self) -> Any:
        return f"{self.plain}" if self.plain is not None else f"{self.factor}*({self.expression})"

    def is_float(self) -> bool:
        return True

    def sym_float(self) -> _Real:
        return self

    def clone(self) -> Any:
        return self

    @property
    def hint(self) -> float:
        return self.guard_float()

    def guard_float(self, _file: Any = "", _line: int = 0) -> float:
        """Its number at the hint, which the dims then have."""
        if self.plain is not None:
            return self.plain
        return float(_Node(self.session, self.expression).guard_int() * self.factor)

    float_ = guard_float

    def _whole(self, *, up: bool) -> _Node:
        if self.plain is not None:
            number = math.ceil(self.plain) if up else math.floor(self.plain)
            return _Node(self.session, const(number))
        factor = self.factor
        if factor.denominator > EXACT:
            here = self.session.range.value(self.expression)
            factor, low, high = _as_floats_round(factor, here, up)
            if not factor:
                there = self.guard_float()
                return _Node(self.session, const((math.ceil if up else math.floor)(there)))
            self.session.decide(Condition(self.expression - low, ">="))
            self.session.decide(Condition(high - self.expression, ">="))
        top = self.expression * factor.numerator
        below = factor.denominator
        found = -(-top // below) if up else top // below
        return _Node(self.session, found)

    def ceil(self) -> _Node:
        return self._whole(up=True)

    def floor(self) -> _Node:
        return self._whole(up=False)

    def trunc(self) -> _Node:
        positive = self.session.decide(Condition(self.expression * _sign(self.factor), ">="))
        return self._whole(up=not positive)

    int_ = trunc

    def mul(self, other: Any) -> _Real:
        mine, its = self._plain(), _plain_of(other)
        if mine is not None and its is not None:
            return _Real(self.session, const(0), Fraction(0), mine * its)
        if its is not None and math.isfinite(its):
            return _Real(self.session, self.expression, self.factor * Fraction(its))
        if mine is not None and math.isfinite(mine):
            factor = getattr(other, "factor", Fraction(1)) * Fraction(mine)
            return _Real(self.session, other.expression, factor)
        return _Real(self.session, const(0), Fraction(0), self.guard_float() * _number(other))

    def abs(self) -> _Real:
        return self.wrap_float(abs(self.guard_float()))  # type: ignore[no-any-return]

    def round(self, digits: int | None = None) -> Any:
        found = round(self.guard_float(), digits)
        return self.wrap_int(found) if isinstance(found, int) else self.wrap_float(found)

    def _plain(self) -> float | None:
        return _plain_of(self)

    def _both(self, other: Any) -> tuple[float, float]:
        return self.guard_float(), float(_number(other))

    def add(self, other: Any) -> Any:
        mine, its = self._both(other)
        return self.wrap_float(mine + its)

    def sub(self, other: Any) -> Any:
        mine, its = self._both(other)
        return self.wrap_float(mine - its)

    def truediv(self, other: Any) -> Any:
        its = _plain_of(other)
        if its and math.isfinite(its) and self.plain is None:
            return _Real(self.session, self.expression, self.factor / Fraction(its))
        mine, number = self._both(other)
        return self.wrap_float(mine / number)

    float_truediv = int_truediv = truediv

    def pow(self, other: Any) -> Any:
        mine, its = self._both(other)
        return self.wrap_float(mine**its)

    float_pow = pow

    def neg(self) -> Any:
        return self.mul(self.wrap_float(-1.0))

    def _compared(self, other: Any, relation: str) -> _Answer:
        mine, its = self._both(other)
        answers = {
            "eq": mine == its,
            "ne": mine != its,
            "lt": mine < its,
            "le": mine <= its,
            "gt": mine > its,
            "ge": mine >= its,
        }
        return _Answer(self.session, answers[relation])

    def eq(self, other: Any) -> _Answer:
        return self._compared(other, "eq")

    def ne(self, other: Any) -> _Answer:
        return self._compared(other, "ne")

    def lt(self, other: Any) -> _Answer:
        return self._compared(other, "lt")

    def le(self, other: Any) -> _Answer:
        return self._compared(other, "le")

    def gt(self, other: Any) -> _Answer:
        return self._compared(other, "gt")

    def ge(self, other: Any) -> _Answer:
        return self._compared(other, "ge")


@lru_cache(maxsize=256)
def _as_floats_round(factor: Fraction, here: int, up: bool) -> tuple[Fraction, int, int]:  # noqa: FBT001
    """A short fraction, and the numbers around one at which it gives a float's; 0 if none.

    The float 0.3 is less than 3/10, yet 10 * 0.3 is rounded to 3: neither fraction tells where a
    product of floats is a whole number.
    """
    times = float(factor)
    whole = math.ceil if up else math.floor

    def same(number: int) -> bool:
        over, below = number * short.numerator, short.denominator
        return (-(-over // below) if up else over // below) == whole(number * times)

    short = factor.limit_denominator(SHORT)
    if not same(here):
        short = factor
    if not same(here):
        return Fraction(0), here, here
    low = high = here
    while low > 0 and here - low < LOOKED_AT and same(low - 1):
        low -= 1
    while high < max(LOOKED_AT, here) and same(high + 1):
        high += 1
    return short, low, high


def _sign(factor: Fraction) -> int:
    return 1 if factor >= 0 else -1


def _number(node: Any) -> float:
    return node.guard_float() if isinstance(node, _Real) else node.guard_int()


def _plain_of(node: Any) -> float | None:
    """A float's number, or a whole one's, where it depends on no dim."""
    if isinstance(node, _Real):
        return node.plain
    number: int | None = node.expression.number
    return number


class _Answer(_Base):
    """Yes or no, which may depend on open dims.

    Args:
        session: The run.
        asked: A condition, a pair of answers with `and` or `or` between, or the answer itself.
    """

    def __init__(
        self,
        session: Session,
        asked: Condition | bool | tuple[str, Any, Any],  # noqa: FBT001 - it is what is asked
    ) -> None:
        super().__init__(session)
        self.asked = asked

    def __repr__(self) -> Any:
        return f"{self.asked}"

    def is_bool(self) -> bool:
        return True

    @property
    def hint(self) -> bool:
        return self._find(decided=False, hinted=True) is True

    def _find(self, *, decided: bool, hinted: bool = False) -> bool | None:
        """The answer: decided, as the hint has it, or None where it is not known."""
        asked = self.asked
        if isinstance(asked, bool):
            return asked
        if isinstance(asked, Condition):
            known = self.session.range.met(asked) if hinted else self.session.known(asked)
            return self.session.decide(asked) if decided else known
        return self._of_two(*asked, decided=decided, hinted=hinted)

    def _of_two(
        self, word: str, left: _Answer, right: _Answer, *, decided: bool, hinted: bool
    ) -> bool | None:
        ends = word == "or"  # what ends the question early
        known = [one._find(decided=False, hinted=hinted) for one in (left, right)]
        if ends in known:
            return ends
        if None in known and not decided:
            return None
        if None in known and any(one._find(decided=True) is ends for one in (left, right)):
            return ends
        return not ends

    def guard_bool(self, _file: Any = "", _line: int = 0) -> bool:
        """The answer, which is then the same everywhere in the range."""
        return bool(self._find(decided=True))

    bool_ = guard_bool

    expect_true = guard_size_oblivious = guard_bool

    def guard_or_false(self, file: Any = "", _line: int = 0) -> bool:
        """The answer; no, where it is not known and what is built on it takes that into account.

        torch's computation of strides does. A reshape does not: it copies where it might view.
        """
        if file.endswith(WEIGHS_BOTH):
            return self._find(decided=False) is True
        return self.guard_bool()

    statically_known_true = guard_or_false

    def guard_or_true(self, file: Any = "", _line: int = 0) -> bool:
        """The same with yes where it is not known."""
        if file.endswith(WEIGHS_BOTH):
            return self._find(decided=False) is not False
        return self.guard_bool()

    def maybe_as_bool(self) -> bool | None:
        return self._find(decided=False)

    def and_(self, other: _Answer) -> _Answer:
        return _Answer(self.session, ("and", self, other))

    sym_and = and_

    def or_(self, other: _Answer) -> _Answer:
        return _Answer(self.session, ("or", self, other))

    sym_or = or_

    def sym_not(self) -> _Answer:
        asked = self.asked
        if isinstance(asked, bool):
            return _Answer(self.session, not asked)
        if isinstance(asked, Condition):
            return _Answer(self.session, asked.opposite())
        word, left, right = asked
        turned = "or" if word == "and" else "and"
        return _Answer(self.session, (turned, left.sym_not(), right.sym_not()))

    not_ = sym_not

    def sym_ite(self, yes: Any, no: Any) -> Any:
        return yes if self.guard_bool() else no


def is_open(value: Any) -> bool:
    """Whether a size depends on open dims."""
    return isinstance(value, torch.SymInt)


def closed(value: Any) -> Any:
    """A size as an int or an expression."""
    if isinstance(value, torch.SymInt):
        node: Any = value.node
        expression: Expression = node.expression
        number = expression.number
        return expression if number is None else number
    return value
