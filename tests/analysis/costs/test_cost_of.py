"""Looking a formula up, and what becomes of its answer."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.analysis import costs
from zoo.analysis.costs import DEFAULT, cost_of, formula_of
from zoo.analysis.records import Cost, TensorSpec
from zoo.errors import FormulaError

X = TensorSpec((2, 3))
FAMILIES = [
    getattr(costs, name)
    for name in dir(costs)
    if hasattr(getattr(costs, name), "FORMULAS") and name != "base"
]


def test_macs_alone_get_their_bytes():
    assert cost_of("a.b.c", (X, X), (X,), {"a.b": lambda i, o: 7}) == Cost(7, 0, 48, 24)


def test_a_cost_is_taken_as_it_is():
    mine = Cost(1, 2, 3, 4)
    assert cost_of("a.b.c", (X,), (X,), {"a.b": lambda i, o: mine}) is mine


def test_the_overload_goes_before_the_packet():
    formulas = {"a.b": lambda i, o: 1, "a.b.c": lambda i, o: 2}
    assert cost_of("a.b.c", (), (), formulas).macs == 2
    assert cost_of("a.b.d", (), (), formulas).macs == 1


def test_unknown_is_none():
    assert cost_of("a.b.c", (X,), (X,), DEFAULT) is None
    assert cost_of("a.b.c", (X,), (X,), DEFAULT, tags=frozenset({"core"})) is None


def test_tags_tell_of_views_and_elementwise_operators():
    assert cost_of("a.b.c", (X,), (X,), {}, tags=frozenset({"view"})) == Cost()
    pointwise = cost_of("a.b.c", (X, X), (X,), {}, tags=frozenset({"pointwise", "core"}))
    assert pointwise == Cost(0, 6, 48, 24)


def test_a_formula_goes_before_the_tags():
    tags = frozenset({"view", "pointwise"})
    assert cost_of("a.b.c", (), (), {"a.b": lambda i, o: 5}, tags=tags).macs == 5


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (-1, r"returned -1, which is negative"),
        (True, r"returned True, not an int"),
        (1.0, r"returned 1\.0, not an int"),
        ("8", r"returned '8', not an int"),
        (Cost(macs=-1), r"returned a Cost whose macs is -1, which is negative"),
        (Cost(bytes_read=0.5), r"returned a Cost whose bytes_read is 0\.5, not an int"),
    ],
)
def test_rubbish_is_named(answer, reason):
    with pytest.raises(FormulaError, match=rf"the formula of a\.b\.c {reason}") as caught:
        cost_of("a.b.c", (X,), (X,), {"a.b": lambda i, o: answer})
    assert caught.value.op == "a.b.c"


def test_a_formula_may_say_that_it_does_not_know():
    assert cost_of("a.b.c", (X,), (X,), {"a.b": lambda i, o: None}) is None


def test_a_formula_that_raises_is_named_with_its_error():
    def broken(inputs, outputs):
        return outputs[3].numel

    with pytest.raises(FormulaError, match=r"raised IndexError: tuple index") as caught:
        cost_of("a.b.c", (X,), (X,), {"a.b": broken})
    assert isinstance(caught.value.__cause__, IndexError)


def test_the_table_is_read_only():
    with pytest.raises(TypeError, match="does not support item assignment"):
        DEFAULT["aten.mm"] = lambda i, o: 0


def test_no_two_families_claim_one_operator():
    names = [name for family in FAMILIES for name in family.FORMULAS]
    assert len(FAMILIES) >= 19
    assert len(names) == len(set(names)) == len(DEFAULT)


@pytest.mark.parametrize("name", ["aten.mm.default", "aten.max.other", "aten.max.dim"])
def test_names_lead_somewhere(name):
    assert formula_of(name, DEFAULT) is not None


def test_a_maximum_of_two_is_elementwise_and_of_one_a_reduction():
    scalar = TensorSpec(())
    assert cost_of("aten.max.other", (X, scalar), (X,), DEFAULT).flops == 6
    assert cost_of("aten.max.default", (X,), (scalar,), DEFAULT).flops == 6
    assert cost_of("aten.max.other", (scalar, scalar), (scalar,), DEFAULT).flops == 1


@given(st.lists(st.integers(0, 20), max_size=4))
def test_views_are_free_and_copies_are_not(shape):
    x = TensorSpec(tuple(shape))
    assert cost_of("aten.view.default", (x,), (x,), DEFAULT) == Cost()
    clone = cost_of("aten.clone.default", (x,), (x,), DEFAULT)
    assert clone == Cost(0, 0, x.nbytes, x.nbytes)


@pytest.mark.parametrize(
    ("code", "loads"),
    [("import zoo.analysis.costs, zoo.analysis.costs.wrap", 0), ("import torch", 1)],
)
def test_no_torch_is_imported(code, loads):
    probe = f"import sys; {code}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == loads
