from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.views.units import Units, exact, figure, percent

FACTORS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
BINARY = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0, "1", "0"),
        (9999, "1", "9,999"),
        (10_000, "1", "10.0 k"),
        (25_557_032, "1", "25.6 M"),
        (99_949, "1", "99.9 k"),
        (99_951, "1", "100 k"),
        (999_499, "MAC", "999 k"),
        (999_500, "MAC", "1.00 M"),
        (-25_600, "1", "-25.6 k"),
        (9_999, "B", "9,999 B"),
        (1_000_000, "B", "1.00 MB"),
        (0.25, "1", "0.25"),
        (3.14159, "ratio", "3.14 ratio"),
        (1.5e12, "FLOP/s", "1.50 TFLOP/s"),
        (0.0123, "s", "12.3 ms"),
        (45e-9, "s", "45 ns"),
        (float("nan"), "1", "?"),
    ],
)
def test_figure(value: float, unit: str, shown: str) -> None:
    assert figure(value, unit) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (9_999, "9,999 B"),
        (10_240, "10.0 KiB"),
        (1_047_000, "1,022 KiB"),
        (1_048_575, "1.00 MiB"),
        (2**30, "1.00 GiB"),
    ],
)
def test_binary(value: int, shown: str) -> None:
    assert figure(value, "B", Units.BINARY) == shown


@given(st.integers(0, 10**21))
def test_a_short_figure_is_within_half_a_unit_of_its_third_digit(value: int) -> None:
    number, _, prefix = figure(value).partition(" ")
    back = float(number.replace(",", "")) * FACTORS[prefix]
    assert abs(back - value) <= 0.00501 * value
    assert value < 10_000 or value >= 10**21 - 10**19 or len(re.sub(r"\D", "", number)) in {3, 4}


@given(st.integers(0, 2**70), st.integers(0, 2**70))
def test_a_larger_figure_never_looks_smaller(one: int, other: int) -> None:
    def seen(value: int) -> float:
        number, _, prefix = figure(value, "B", Units.BINARY).removesuffix("B").partition(" ")
        return float(number.replace(",", "")) * BINARY[prefix]

    small, large = sorted((one, other))
    assert seen(small) <= seen(large)


@given(st.integers())
def test_exact_is_exact(value: int) -> None:
    assert int(exact(value).replace(",", "")) == value


@given(st.floats(0, 100))
def test_only_all_is_hundred_percent_and_only_nothing_is_none(value: float) -> None:
    assert (percent(value) == "100 %") == (value == 100)
    assert (percent(value) == "0 %") == (value == 0)
    assert "100.0" not in percent(value)
