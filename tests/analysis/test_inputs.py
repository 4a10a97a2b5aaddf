"""Words of `--input`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.analysis.inputs import parse, parse_all
from zoo.analysis.records import DTYPES, TensorSpec
from zoo.errors import InputError

dims = st.lists(st.integers(1, 10_000), min_size=1, max_size=4).map(tuple)
dtypes = st.sampled_from(sorted(DTYPES))


@given(dims, dtypes, st.sampled_from([",", "x"]))
def test_every_form_reads_back(shape: tuple[int, ...], dtype: str, mark: str) -> None:
    spec = TensorSpec(shape, dtype)
    joined = mark.join(map(str, shape))
    assert parse(str(spec)).spec == spec
    assert parse(f"{joined}:{dtype}").spec == spec
    named = parse(f"ids = {joined}".replace(" = ", "=") + f":{dtype}")
    assert (named.name, named.spec) == ("ids", spec)
    assert parse(joined).spec == TensorSpec(shape)


@pytest.mark.parametrize(
    ("word", "spec", "typed"),
    [
        ("1,128@ints:30522", TensorSpec((1, 128), "int64"), True),
        ("1,8@random", TensorSpec((1, 8)), True),
        ("f32[]", TensorSpec(()), True),
        (" 1, 3 ", TensorSpec((1, 3)), False),
        ("1,3:half", TensorSpec((1, 3), "float16"), True),
    ],
)
def test_forms(word: str, spec: TensorSpec, typed: bool) -> None:
    assert (parse(word).spec, parse(word).typed) == (spec, typed)


@pytest.mark.parametrize(
    ("word", "match"),
    [
        ("abc", "'abc' is not a whole number"),
        ("1,a,3", "'a' is not a whole number"),
        ("1.5,3", "'1.5' is not a whole number"),
        ("0,3", "dim 0 is not positive"),
        ("1,-3", "dim -3 is not positive"),
        ("", "it has no dims"),
        ("x=", "it has no dims"),
        ("1,,3", "a dim is missing between commas"),
        ("1,3,", "a dim is missing between commas"),
        (str(10**30), "more elements than a tensor can have"),
        ("9" * 60, "more elements than a tensor can have"),
        ("100000,100000,100000,100000", "more elements than a tensor can have"),
        ("1,3:flot32", "no dtype is called 'flot32'. Did you mean float32"),
        ("q7[1,3]", "no dtype is called 'q7'"),
        ("1,3@words", "@words is not a kind of values"),
        ("1,3@ints:0", "@ints:0 is not a kind of values"),
    ],
)
def test_malformed_words(word: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        parse(word)
    assert "\n" not in str(caught.value)


def test_a_name_given_twice() -> None:
    with pytest.raises(InputError, match="input x: it is given twice"):
        parse_all(["x=1,2", "x=1,3"])
