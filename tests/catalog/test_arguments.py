# ruff: noqa: UP007, UP045  # both ways to write a union are meant
"""`--set name=value`: how values are typed, and how they are held to a factory's signature."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from typing import Any, Literal, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.catalog.arguments import fit, parse_settings, parse_value, taker_of
from zoo.errors import BadArgument

SCALARS = st.one_of(
    st.integers(-(10**30), 10**30), st.floats(allow_nan=False), st.booleans(), st.none()
)
TREES = st.recursive(
    SCALARS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


@given(SCALARS)
def test_a_scalar_survives_python_s_way_of_writing_it(value: object) -> None:
    assert same(parse_value(str(value)), value)


@given(st.lists(TREES, max_size=3) | st.dictionaries(st.text(max_size=3), TREES, max_size=3))
def test_a_list_or_object_survives_json_and_python(value: object) -> None:
    assert same(parse_value(json.dumps(value)), value)
    if "inf" not in repr(value):  # no literal of Python
        assert same(parse_value(repr(value)), value)


@given(st.text())
def test_quotes_make_a_string_of_anything(value: str) -> None:
    assert same(parse_value(json.dumps(value)), value)


@given(st.text(max_size=20))
def test_any_text_is_a_value_or_a_bad_argument(text: str) -> None:
    said = ""
    try:
        parse_value(text)
    except BadArgument as error:
        said = str(error)
    assert len(said.splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("+3", 3), ("1e-3", 0.001), (".5", 0.5), ("1.", 1.0), ("1E3", 1000.0),
        ("true", True), ("False", False), ("TRUE", True), ("null", None), ("none", None),
        ("[1,2]", [1, 2]), ("[true, null]", [True, None]), ("(3, 3)", (3, 3)), ("{}", {}),
        ('{"a": [1]}', {"a": [1]}), ("gelu", "gelu"), ("3x3", "3x3"), ("", ""), ("1,2", "1,2"),
        ("'12'", "12"), ("a=b", "a=b"), ("IMAGENET1K_V1", "IMAGENET1K_V1"), ("-inf", -math.inf),
    ],
)  # fmt: skip
def test_what_words_mean(text: str, value: object) -> None:
    assert same(parse_value(text), value)
    assert parse_settings([f"k={text}"]) == {"k": value}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["depth"], r"argument 'depth' of --set: it is not NAME=VALUE"),
        (["=3"], r"it is not NAME=VALUE"),
        (["a b=3"], r"it is not NAME=VALUE"),
        (["a=1", "a=2"], r"argument 'a' of --set: it is given twice"),
        (["a=[1,"], r"argument 'a' of --set: \[1, is not JSON\. Write for example"),
        (["a={x"], r"is not JSON"),
        (["a=" + "[" * 100_000], r"is not JSON"),
        (["a=" + "9" * 5000], r"too many digits"),
    ],
)
def test_words_that_cannot_be_read(words: list[str], said: str) -> None:
    with pytest.raises(BadArgument, match=said):
        parse_settings(words)


@pytest.mark.parametrize(
    ("value", "wanted", "fitted"),
    [
        (1, int, 1), (1, float, 1), (1.5, float, 1.5), (True, bool, True), ("a", str, "a"),
        (None, None, None), (None, Optional[int], None), (3, Optional[int], 3), (3, int | None, 3),
        ([1, 2], tuple, (1, 2)), ([1, 2], tuple[int, int], (1, 2)), ([1], tuple[int, ...], (1,)),
        ([[1], [2, 3]], tuple[tuple[int, ...], ...], ((1,), (2, 3))), ([], tuple[()], ()),
        ([3, 3], Union[int, tuple[int, int]], (3, 3)), (3, Union[int, tuple[int, int]], 3),
        ([1, 2], list[int], [1, 2]), ([1, 2], Sequence[int], [1, 2]), ((1, 2), list, (1, 2)),
        ("relu", Literal["relu", "gelu"], "relu"), ({"a": [1]}, dict[str, tuple[int]], {"a": (1,)}),
        ("x", Any, "x"), ("x", object, "x"), ("x", type[int], "x"), ("x", int | type[int], "x"),
    ],
)  # fmt: skip
def test_values_that_fit(value: object, wanted: Any, fitted: object) -> None:
    def factory(k=0):
        return k

    factory.__annotations__["k"] = wanted
    assert same(fit(value, wanted), fitted)
    assert same(taker_of(factory, "m").accept({"k": value})["k"], fitted)


@pytest.mark.parametrize(
    ("value", "wanted", "said"),
    [
        (1.5, int, r"it wants int, got 1\.5 \(float\)\.$"),
        (True, int, r"it wants int, got True \(bool\)\.$"),
        ("x", float, r"it wants float, got 'x' \(str\)\.$"),
        (True, float, r"it wants float, got True"),
        (1, bool, r"it wants bool, got 1 \(int\)\. Write --set k=true or k=false\.$"),
        (12, str, r"it wants str, got 12 \(int\)\. Write --set 'k=\"12\"'\.$"),
        (
            3,
            tuple[int, int],
            r"it wants tuple\[int, int\], got 3 \(int\)\. Write a list: --set 'k=\[\.\.\.\]'",
        ),
        ([1], tuple[int, int], r".*got \[1\] \(list\)"),
        ([1, "a"], tuple[int, ...], r".*got \[1, 'a'\]"),
        ("1,2", Sequence[int], r"it wants .*Sequence\[int\], got '1,2' \(str\)\. Write a list"),
        ([1, 2.5], list[int], r"it wants list\[int\], got \[1, 2\.5\]"),
        (None, int, r"it wants int, got None"),
        ("x", Optional[int], r"it wants Optional\[int\], got 'x'"),
        ("tanh", Literal["relu", "gelu"], r"it wants Literal\['relu', 'gelu'\], got 'tanh'"),
        (True, Literal[1], r"it wants Literal\[1\], got True"),
        ([1], dict, r"it wants dict, got \[1\]"),
    ],
)
def test_values_of_another_type(value: object, wanted: Any, said: str) -> None:
    def factory(k=0):
        return k

    factory.__annotations__["k"] = wanted
    with pytest.raises(BadArgument, match=r"argument 'k' of net: " + said):
        taker_of(factory, "net").accept({"k": value})


class Net:
    """Annotations as text, one of which is for type checkers only."""

    def __init__(self, depth: int, width: Sequence[int] = (), *, norm: NoSuchName = None) -> None:  # noqa: F821
        self.depth, self.width, self.norm = depth, width, norm


def test_annotations_written_as_text_are_read() -> None:
    taker = taker_of(Net, "net")
    assert taker.accept({"depth": 1, "norm": object}) == {"depth": 1, "norm": object}
    with pytest.raises(BadArgument, match=r"it wants int, got 'a'"):
        taker.accept({"depth": "a"})


def test_an_unknown_argument_says_what_is_near_and_what_there_is() -> None:
    with pytest.raises(
        BadArgument,
        match=r"'dept' .* no such argument\. Did you mean depth\? It takes depth, width, norm\.$",
    ):
        taker_of(Net, "net").accept({"dept": 1})
    with pytest.raises(BadArgument, match=r"It takes none\.$"):
        taker_of(lambda: None, "net").accept({"x": 1})


def test_missing_arguments_are_named() -> None:
    def factory(a: int, b: int, c: int = 0) -> None: ...

    with pytest.raises(
        BadArgument, match=r"'a' of net: it is not given, nor b\. Add --set a=VALUE\.$"
    ):
        taker_of(factory, "net").accept({"c": 1})


def test_any_name_goes_where_the_factory_takes_all() -> None:
    def factory(a: int = 0, **rest: object) -> object:
        return a, rest

    taker = taker_of(factory, "net")
    assert taker.call(factory, taker.accept({"x": 1})) == (0, {"x": 1})
    with pytest.raises(BadArgument, match="it wants int"):
        taker.accept({"a": "x"})


def test_arguments_by_position_only_are_given_by_name() -> None:
    def factory(a: int, b: int = 5, /, c: int = 7) -> tuple[int, int, int]:
        return a, b, c

    taker = taker_of(factory, "net")
    assert taker.call(factory, taker.accept({"c": 3, "a": 1})) == (1, 5, 3)
    with pytest.raises(BadArgument, match=r"'a' of net: it is not given"):
        taker.accept({"b": 2})


def test_wrapped_partial_and_callable_objects() -> None:
    def factory(a: int, b: int = 2) -> tuple[int, int]:
        return a, b

    @functools.wraps(factory)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return factory(*args, **kwargs)

    class Maker:
        def __call__(self, a: int) -> int:
            return a

    for made, result in (
        (wrapped, (1, 2)),
        (functools.partial(factory, b=9), (1, 9)),
        (Maker(), 1),
    ):
        taker = taker_of(made, "net")
        assert taker.call(made, taker.accept({"a": 1})) == result
        with pytest.raises(BadArgument, match="it wants int"):
            taker.accept({"a": "x"})


def test_a_factory_without_signature_takes_everything() -> None:
    taker = taker_of(dict, "net")
    assert taker.call(dict, taker.accept({"a": 1})) == {"a": 1}
