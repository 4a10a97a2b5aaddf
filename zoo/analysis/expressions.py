"""How are figures written that depend on dims which are left open?

An `Expression` is a polynomial with whole coefficients. Its letters are open dims (`B`), rounded
down quotients (`floor((H + 1)/2)`) and the largest of several (`max(a, b)`). Everything is kept in
one normal form, so that two expressions which are equal as polynomials are one, and what divides
is divided out: a quotient by a number loses its whole part, `floor(floor(x/a)/b)` is
`floor(x/(a*b))`, and `x % n` is `x - n*floor(x/n)`. It behaves like an int: cost formulas and sums
over a run take it as they are. It is compared with nothing but for equality: which of two is larger
depends on the dims (`zoo.analysis.ranges`).

    >>> H = dim("H")
    >>> print(((H + 2 * 3 - 7) // 2 + 1 + 2 - 3) // 2 + 1)
    floor((H + 3)/4)
    >>> print((H + 1) * (H - 1) + 1, H % 7, most(H, 2 * H + 1))
    H^2 H - 7*floor(H/7) max(2*H + 1, H)
"""

from __future__ import annotations

import ast
import operator
from functools import lru_cache
from math import gcd
from typing import TYPE_CHECKING, Any

from zoo.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Monomial = tuple[tuple["Atom", int], ...]
"""Letters and their powers, in the order of their text."""


class Atom:
    """A letter: what a polynomial cannot look into. Two of one text are the same.

    Args:
        text: How it is written.
        top: What is divided; None where nothing is.
        bottom: What it is divided by.
        parts: What it is the largest of, or the smallest.
    """

    __slots__ = ("_hash", "bottom", "parts", "text", "top")

    def __init__(
        self,
        text: str,
        top: Expression | None = None,
        bottom: Expression | None = None,
        parts: tuple[Expression, ...] = (),
    ) -> None:
        self.text, self.top, self.bottom, self.parts = text, top, bottom, parts
        self._hash = hash(text)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Atom) and self.text == other.text)

    def __repr__(self) -> str:
        return self.text

    @property
    def small(self) -> bool:
        """Whether it is the smallest of its parts."""
        return self.text.startswith("min(")

    @property
    def inside(self) -> tuple[Expression, ...]:
        """The expressions that it is made of; none for a dim."""
        if self.top is not None and self.bottom is not None:
            return (self.top, self.bottom)
        return self.parts

    def value(self, dims: Mapping[str, int], known: dict[str, int]) -> int:
        """Its number.

        Args:
            dims: Numbers of the dims.
            known: Numbers of letters by their text, to which this one is added.

        Returns:
            A whole number.
        """
        found = known.get(self.text)
        if found is None:
            if self.top is not None and self.bottom is not None:
                found = self.top.at(dims, known) // self.bottom.at(dims, known)
            elif self.parts:
                values = [part.at(dims, known) for part in self.parts]
                found = min(values) if self.small else max(values)
            else:
                found = dims[self.text]
            known[self.text] = found
        return found


class Expression:
    """A polynomial with whole coefficients. Made by `dim`, `const` and arithmetic.

    Args:
        terms: Coefficients that are not 0.
    """

    __slots__ = ("_hash", "_text", "terms")

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        self.terms = terms
        self._hash: int | None = None
        self._text: str | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            number = self.number
            self._hash = hash(frozenset(self.terms.items()) if number is None else number)
        return self._hash

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int):
            return self.number == other
        return isinstance(other, Expression) and self.terms == other.terms

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __repr__(self) -> str:
        return f"Expression({self})"

    def __str__(self) -> str:
        if self._text is None:
            self._text = written(self)
        return self._text

    @property
    def number(self) -> int | None:
        """The number that it is; None where it depends on a dim."""
        if not self.terms:
            return 0
        return self.terms.get(()) if len(self.terms) == 1 else None

    @property
    def constant(self) -> int:
        """The term without letters."""
        return self.terms.get((), 0)

    def __add__(self, other: Expression | int) -> Expression:
        if not isinstance(other, int | Expression):
            return NotImplemented
        return _absorbed(_joined(summed(self, const(other))))

    __radd__ = __add__

    def __neg__(self) -> Expression:
        return Expression({one: -count for one, count in self.terms.items()})

    def __sub__(self, other: Expression | int) -> Expression:
        if not isinstance(other, int | Expression):
            return NotImplemented
        return self + -const(other)

    def __rsub__(self, other: int) -> Expression:
        return const(other) - self

    def __mul__(self, other: Expression | int) -> Expression:
        if isinstance(other, int):
            if not other:
                return ZERO
            return Expression({one: count * other for one, count in self.terms.items()})
        if not isinstance(other, Expression):
            return NotImplemented
        terms: dict[Monomial, int] = {}
        for one, count in self.terms.items():
            for two, times in other.terms.items():
                key = _product(one, two)
                terms[key] = terms.get(key, 0) + count * times
        return Expression({one: count for one, count in terms.items() if count})

    __rmul__ = __mul__

    def __pow__(self, power: int) -> Expression:
        found = ONE
        for _ in range(power):
            found *= self
        return found

    def __floordiv__(self, other: Expression | int) -> Expression:
        if not isinstance(other, int | Expression):
            return NotImplemented
        return quotient(self, const(other))

    def __rfloordiv__(self, other: int) -> Expression:
        return quotient(const(other), self)

    def __mod__(self, other: Expression | int) -> Expression:
        if not isinstance(other, int | Expression):
            return NotImplemented
        return self - const(other) * (self // other)

    def __rmod__(self, other: int) -> Expression:
        return const(other) % self

    def at(self, dims: Mapping[str, int], known: dict[str, int] | None = None) -> int:
        """The number that it is where the dims have these numbers.

        Args:
            dims: A number for each dim.
            known: Numbers of letters that are shared among several expressions.

        Returns:
            The number.

        Raises:
            KeyError: A dim has no number.
        """
        known = {} if known is None else known
        total = 0
        for one, count in self.terms.items():
            term = count
            for atom, power in one:
                term *= atom.value(dims, known) ** power
            total += term
        return total

    def atoms(self) -> dict[Atom, None]:
        """Its letters, without those inside other letters."""
        return {atom: None for one in self.terms for atom, _ in one}

    def dims(self) -> frozenset[str]:
        """Names of the dims that it depends on."""
        return _dims(self)

    def replaced(self, new: Mapping[Atom, Expression]) -> Expression:
        """The expression with others in the place of some letters, inside others too."""
        return _replaced(self, new, {})


def const(value: Expression | int) -> Expression:
    """A number as an expression; an expression as it is."""
    if isinstance(value, Expression):
        return value
    return Expression({(): int(value)} if value else {})


ZERO, ONE = Expression({}), Expression({(): 1})


def dim(name: str) -> Expression:
    """An open dim."""
    return Expression({((Atom(name), 1),): 1})


def summed(one: Expression, other: Expression) -> Expression:
    """The sum, term by term: letters stay as they are."""
    terms = dict(one.terms)
    for letters, count in other.terms.items():
        total = terms.get(letters, 0) + count
        if total:
            terms[letters] = total
        else:
            del terms[letters]
    return Expression(terms)


def _joined(one: Expression) -> Expression:
    """`x - floor(x/2)` as `floor((x + 1)/2)`, and the other way round."""
    for letters, count in one.terms.items():
        atom, power = letters[0] if len(letters) == 1 else (None, 0)
        by = None if atom is None or atom.bottom is None else atom.bottom.number
        if atom is None or power != 1 or by is None or by % 2:
            continue
        for whole, times in one.terms.items():
            if times != -count or len(whole) != 1 or whole[0][1] != 1:
                continue
            x = Expression({whole: 1})
            for low, high in ((x, summed(x, ONE)), (summed(x, ONE), x)):
                if quotient(low, const(2)).terms == {letters: 1}:
                    rest = {k: n for k, n in one.terms.items() if k not in (letters, whole)}
                    return summed(Expression(rest), quotient(high, const(2)) * times)
    return one


def _absorbed(one: Expression) -> Expression:
    """`a*floor(x/n) + a*c` as `a*floor((x + c*n)/n)`, so that a product with it stays one."""
    if len(one.terms) != 2 or () not in one.terms:
        return one
    letters = next(key for key in one.terms if key)
    atom, power = letters[0]
    by = None if atom.bottom is None else atom.bottom.number
    times, more = one.terms[letters], one.constant
    if len(letters) > 1 or power > 1 or more % times or by is None or atom.top is None:
        return one
    return quotient(atom.top + more // times * by, const(by)) * times


def _product(one: Monomial, two: Monomial) -> Monomial:
    if not one or not two:
        return one or two
    powers = dict(one)
    for atom, power in two:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: item[0].text))


@lru_cache(maxsize=65_536)
def _dims(one: Expression) -> frozenset[str]:
    found: set[str] = set()
    for atom in one.atoms():
        found |= {atom.text} if not atom.inside else set()
        for part in atom.inside:
            found |= part.dims()
    return frozenset(found)


def _replaced(
    one: Expression, new: Mapping[Atom, Expression], done: dict[Atom, Expression]
) -> Expression:
    total = ZERO
    for letters, count in one.terms.items():
        part = const(count)
        for atom, power in letters:
            found = done.get(atom)
            if found is None:
                found = done[atom] = new[atom] if atom in new else _again(atom, new, done)
            part *= found**power
        total += part
    return total


def _again(atom: Atom, new: Mapping[Atom, Expression], done: dict[Atom, Expression]) -> Expression:
    """A letter, with what is inside it replaced."""
    inside = [_replaced(part, new, done) for part in atom.inside]
    if all(a == b for a, b in zip(inside, atom.inside, strict=True)):
        return Expression({((atom, 1),): 1})
    if atom.top is not None:
        return quotient(*inside)
    return least(*inside) if atom.small else most(*inside)


def divided(top: Expression, bottom: Expression) -> Expression | None:
    """The polynomial by which `bottom` is multiplied to give `top`; None where there is none."""
    if not bottom.terms:
        return None
    lead, by = max(bottom.terms.items(), key=_order)
    rest, found = top, ZERO
    for _ in range(1 + len(top.terms) * 4):
        if not rest.terms:
            return found
        one, count = max(rest.terms.items(), key=_order)
        letters = _without(one, lead)
        if letters is None or count % by:
            return None
        part = Expression({letters: count // by})
        found += part
        rest -= part * bottom
    return None


def _order(item: tuple[Monomial, int]) -> tuple[int, tuple[tuple[str, int], ...]]:
    """By degree, then by letters.

    No order that products keep is needed: a remainder that does not vanish is no quotient.
    """
    one, _ = item
    return sum(power for _, power in one), tuple((atom.text, power) for atom, power in one)


def _without(one: Monomial, lead: Monomial) -> Monomial | None:
    powers = dict(one)
    for atom, power in lead:
        left = powers.get(atom, 0) - power
        if left < 0:
            return None
        if left:
            powers[atom] = left
        else:
            del powers[atom]
    return tuple(sorted(powers.items(), key=lambda item: item[0].text))


def quotient(top: Expression, bottom: Expression) -> Expression:
    """`top // bottom`, in the normal form.

    Args:
        top: What is divided.
        bottom: What it is divided by; not 0.

    Returns:
        The quotient, rounded down.

    Raises:
        ExpressionError: `bottom` is 0.
    """
    if not bottom.terms:
        raise ExpressionError(f"{top}/0", "nothing can be divided by 0")
    by = bottom.number
    if by is not None and by < 0:
        return quotient(-top, -bottom)
    if by is None:
        exact = divided(top, bottom)
        if exact is not None:
            return exact
        return _floor(top, bottom)
    whole = {one: count // by for one, count in top.terms.items() if one and count % by == 0}
    rest = Expression({one: count for one, count in top.terms.items() if one not in whole})
    found = _by_number(rest, by)
    return Expression(whole) + found if whole else found


def _by_number(rest: Expression, by: int) -> Expression:
    """`rest // by`, where no coefficient of a letter can be divided."""
    if rest.number is not None:
        return const(rest.number // by)
    for one, count in rest.terms.items():
        atom = one[0][0] if len(one) == 1 and one[0][1] == 1 else None
        inner = None if atom is None or atom.bottom is None else atom.bottom.number
        if count == 1 and atom is not None and atom.top is not None and inner is not None:
            other = rest - Expression({one: 1})
            return quotient(atom.top + other * inner, const(inner * by))
    shared = gcd(by, *(count for one, count in rest.terms.items() if one))
    if shared > 1:  # floor((g*x + c)/(g*n)) is floor((x + floor(c/g))/n)
        reduced = {one: count // shared for one, count in rest.terms.items() if count // shared}
        return quotient(Expression(reduced), const(by // shared))
    first = min((one for one in rest.terms if one), key=_place)
    if rest.terms[first] < 0:  # floor(-x/n) is -floor((x + n - 1)/n)
        return -_floor(-rest + (by - 1), const(by))
    return _floor(rest, const(by))


def reduced(one: Expression) -> Expression:
    """The expression with the whole parts of quotients by a number outside of them.

    Quotients are written with whole numbers inside (`floor((H - 8)/4)`), so that products of them
    stay products; two that are equal may then look different, and this form tells.
    """
    total = ZERO
    for letters, count in one.terms.items():
        part = const(count)
        for atom, power in letters:
            found = _alone(atom)
            by = None if atom.bottom is None else atom.bottom.number
            if atom.top is not None and by is not None:
                top = reduced(atom.top)
                whole = Expression({k: n // by for k, n in top.terms.items() if n // by})
                found = summed(whole, _floor(top - whole * by, const(by)))
            part *= found**power
        total = summed(total, part)
    return total


def _floor(top: Expression, bottom: Expression) -> Expression:
    below = str(bottom) if len(bottom.terms) == 1 and str(bottom).isalnum() else f"({bottom})"
    above = str(top) if len(top.terms) == 1 and "/" not in str(top) else f"({top})"
    return Expression({((Atom(f"floor({above}/{below})", top, bottom), 1),): 1})


def most(*parts: Expression | int) -> Expression:
    """The largest of some expressions.

    Args:
        *parts: At least one.

    Returns:
        One of them where they differ by a number, else `max(...)`.
    """
    return _extreme("max", max, parts)


def least(*parts: Expression | int) -> Expression:
    """The smallest of some expressions.

    Args:
        *parts: At least one.

    Returns:
        One of them where they differ by a number, else `min(...)`.
    """
    return _extreme("min", min, parts)


def _extreme(
    word: str, choose: Callable[[int, int], int], parts: Sequence[Expression | int]
) -> Expression:
    flat: dict[Expression, int] = {}
    for part in map(const, parts):
        atoms = part.atoms()
        only = next(iter(atoms)) if len(atoms) == 1 else None
        same = only is not None and only.text.startswith(word) and part == _alone(only)
        for one in only.parts if only is not None and same else (part,):
            letters = one - one.constant
            flat[letters] = choose(flat.get(letters, one.constant), one.constant)
    found = sorted((one + constant for one, constant in flat.items()), key=str)
    if len(found) == 1:
        return found[0]
    return _alone(Atom(f"{word}({', '.join(map(str, found))})", parts=tuple(found)))


def _alone(atom: Atom) -> Expression:
    return Expression({((atom, 1),): 1})


def written(one: Expression) -> str:
    """The expression as text, terms of the highest degree first."""
    if not one.terms:
        return "0"
    ordered = sorted(one.terms.items(), key=lambda item: _place(item[0]))
    text = ""
    for letters, count in ordered:
        sign = ("-" if count < 0 else "") if not text else (" - " if count < 0 else " + ")
        text += sign + _term(letters, abs(count))
    return text


def _place(one: Monomial) -> tuple[int, tuple[str, ...]]:
    return -sum(power for _, power in one), tuple(atom.text for atom, _ in one)


def _term(one: Monomial, count: int) -> str:
    factors = [str(count)] if count != 1 or not one else []
    return "*".join(factors + [f"{a.text}^{power}" if power > 1 else a.text for a, power in one])


def letters_of(expressions: Sequence[Expression]) -> Iterator[Atom]:
    """All letters of some expressions, those inside others first, each once."""
    seen: set[Atom] = set()

    def walk(one: Expression) -> Iterator[Atom]:
        for atom in one.atoms():
            if atom in seen:
                continue
            seen.add(atom)
            for part in atom.inside:
                yield from walk(part)
            yield atom

    for one in expressions:
        yield from walk(one)


_WORDS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.GtE: operator.ge,
    ast.LtE: operator.le,
}


def evaluated(text: str, dims: Mapping[str, int]) -> int | bool:
    """What a written formula, or a condition (`28 <= H <= 31`), is for some numbers.

    Args:
        text: As `str` of an expression or of a condition writes it.
        dims: Numbers of the letters.

    Returns:
        A whole number; of a condition, whether it is met.

    Raises:
        ExpressionError: It cannot be read, or a letter has no number.

    Example:
        >>> evaluated("12*B*floor((H + 1)/2)^2", {"B": 2, "H": 6}), evaluated("B = 2", {"B": 3})
        (216, False)
    """
    plain = text.replace("^", "**").replace(" = ", " == ")
    try:
        tree = ast.parse(plain, mode="eval").body
    except SyntaxError:
        raise ExpressionError(repr(text), "it is no formula") from None
    if isinstance(tree, ast.Compare):
        return _compared(tree, dims, text)
    return _evaluated(tree, dims, text)  # type: ignore[no-any-return]


def _evaluated(node: ast.expr, dims: Mapping[str, int], text: str) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Name):
        if node.id not in dims:
            hint = f"Give a number for it: {node.id}=2."
            raise ExpressionError(f"dim {node.id}", "it has no number", hint)
        return dims[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_evaluated(node.operand, dims, text)
    if isinstance(node, ast.BinOp) and type(node.op) in _WORDS:
        left, right = (_evaluated(one, dims, text) for one in (node.left, node.right))
        return _WORDS[type(node.op)](left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _called(node.func.id, node.args, dims, text)
    raise ExpressionError(repr(text), "it is no formula")


def _compared(node: ast.Compare, dims: Mapping[str, int], text: str) -> bool:
    """Of `28 <= H <= 31`."""
    values = [_evaluated(one, dims, text) for one in (node.left, *node.comparators)]
    signs = [_WORDS[type(sign)] for sign in node.ops]
    pairs = zip(signs, values, values[1:], strict=False)
    return all(sign(one, other) for sign, one, other in pairs)


def _called(name: str, args: Sequence[ast.expr], dims: Mapping[str, int], text: str) -> int:
    """Of `max(a, b)`, `min(a, b)` and `floor(a/b)`."""
    inside = args[0] if args else None
    if name == "floor" and isinstance(inside, ast.BinOp) and isinstance(inside.op, ast.Div):
        top, bottom = (_evaluated(one, dims, text) for one in (inside.left, inside.right))
        return int(top // bottom)
    if name not in ("max", "min") or not args:
        raise ExpressionError(repr(text), "it is no formula")
    values = [_evaluated(one, dims, text) for one in args]
    return int(max(values) if name == "max" else min(values))
