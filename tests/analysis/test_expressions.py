"""Expressions keep their value whatever form they take, and ranges say nothing that is not so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.analysis.expressions import Expression, const, dim, evaluated, least, most, reduced
from zoo.analysis.ranges import Condition, Range
from zoo.errors import ExpressionError

NAMES = ("A", "B")
DIMS = st.fixed_dictionaries({name: st.integers(1, 60) for name in NAMES})


def _grown(inner: Any) -> Any:
    """Pairs of an expression and a function of dims that computes it in plain Python."""
    two = st.tuples(inner, inner)
    by = st.integers(1, 9)
    return st.one_of(
        two.map(lambda p: (p[0][0] + p[1][0], lambda d: p[0][1](d) + p[1][1](d))),
        two.map(lambda p: (p[0][0] - p[1][0], lambda d: p[0][1](d) - p[1][1](d))),
        two.map(lambda p: (p[0][0] * p[1][0], lambda d: p[0][1](d) * p[1][1](d))),
        two.map(lambda p: (most(p[0][0], p[1][0]), lambda d: max(p[0][1](d), p[1][1](d)))),
        two.map(lambda p: (least(p[0][0], p[1][0]), lambda d: min(p[0][1](d), p[1][1](d)))),
        st.tuples(inner, by).map(lambda p: (p[0][0] // p[1], lambda d: p[0][1](d) // p[1])),
        st.tuples(inner, by).map(lambda p: (p[0][0] % p[1], lambda d: p[0][1](d) % p[1])),
    )


LETTERS = st.sampled_from(NAMES).map(lambda name: (dim(name), lambda d: d[name]))
NUMBERS = st.integers(-9, 9).map(lambda n: (const(n), lambda _: n))
TREES = st.recursive(st.one_of(LETTERS, LETTERS, NUMBERS), _grown, max_leaves=7)


@given(tree=TREES, dims=DIMS)
def test_an_expression_is_what_plain_arithmetic_makes(tree: Any, dims: dict[str, int]) -> None:
    expression, plain = tree
    assert expression.at(dims) == plain(dims)
    assert reduced(expression).at(dims) == plain(dims)
    assert evaluated(str(expression), dims) == plain(dims)


@given(tree=TREES, dims=DIMS, low=st.integers(1, 20))
def test_limits_hold_everywhere_in_the_range(tree: Any, dims: dict[str, int], low: int) -> None:
    expression, _ = tree
    holds = Range({"A": low + 40, "B": 10})
    holds.low["A"] = low
    dims = {**dims, "A": max(dims["A"], low)}
    least_of_it, most_of_it = holds.limits(expression)
    value = expression.at(dims)
    assert least_of_it is None or least_of_it <= value
    assert most_of_it is None or value <= most_of_it
    assert holds.simple(expression).at(dims) == value


@given(tree=TREES, dims=DIMS, relation=st.sampled_from(["==", "!=", ">="]))
def test_a_range_is_met_where_its_conditions_are_and_only_there(
    tree: Any, dims: dict[str, int], relation: Any
) -> None:
    expression, _ = tree
    hint = {"A": 12, "B": 7}
    holds, asked = Range(hint), Condition(expression, relation)
    wanted = asked if asked.met(hint) else asked.opposite()
    holds.require(wanted)
    assert not list(holds.broken(hint))
    if not list(holds.broken(dims)):
        assert wanted.met(dims)
    words = [evaluated(one, dims) for one in holds.holds()]
    assert all(words) == (not list(holds.broken(dims)))


@given(parts=st.lists(TREES, min_size=2, max_size=4), dims=DIMS)
def test_what_is_left_of_several_has_the_largest(parts: Any, dims: dict[str, int]) -> None:
    kept = Range({"A": 12, "B": 7}).largest([one for one, _ in parts])
    assert max(one.at(dims) for one in kept) == max(plain(dims) for _, plain in parts)


def test_quotients_of_quotients_are_one_and_parity_is_seen() -> None:
    h = dim("H")
    half = (h - 1) // 2 + 1
    assert str(half) == "floor((H + 1)/2)"
    assert str((half - 1) // 2 + 1) == "floor((H + 3)/4)"
    assert str(h - h // 2) == "floor((H + 1)/2)"
    padded = h + (7 - h % 7) % 7
    assert str(padded) == "7*floor((H + 6)/7)"
    assert str(padded // 7 * dim("B")) == "B*floor((H + 6)/7)"
    assert str(Condition(padded - h, "==")) == "H % 7 == 0"


def test_a_condition_on_a_product_ties_its_factors() -> None:
    h, w = ((dim(name) // 2 - 4) // 2 for name in "HW")
    holds = Range({"H": 28, "W": 28})
    holds.require(Condition(16 * h * w - 400, "=="))
    assert holds.holds() == ["28 <= H <= 31", "28 <= W <= 31"]
    assert holds.simple(h * w) == 25


@pytest.mark.parametrize(
    "text", ["B +", "sin(B)", "floor(B)", "B.real", "max()", "__import__('os')"]
)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match="no formula"):
        evaluated(text, {"B": 1})


def test_a_letter_without_a_number_is_named() -> None:
    with pytest.raises(ExpressionError, match="dim T: it has no number"):
        evaluated("2*B*T", {"B": 1})
    with pytest.raises(ExpressionError, match="divided by 0"):
        dim("B") // Expression({})
