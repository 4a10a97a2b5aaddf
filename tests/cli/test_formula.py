"""`zoo formula`: what is printed, and how it ends."""

from __future__ import annotations

import json

import pytest

from tests.cli.running import zoo


def test_json_has_formulas_as_strings() -> None:
    done = zoo("formula", "lenet", "--input", "B,1,28,28", "--format", "json")
    assert done.code == 0
    report = json.loads(done.out)
    assert report["report"] == "formula"
    assert report["totals"]["macs"] == "416520*B"
    assert report["inputs"][0]["shape"] == ["B", 1, 28, 28]
    assert report["rows"][0]["output_shape"] == ["B", 10]


def test_the_largest_dim_is_a_total() -> None:
    words = ("--input", "B,1,28,28", "--largest", "B", "--under", "macs=1G")
    done = zoo("formula", "lenet", *words, "--format", "json")
    assert json.loads(done.out)["totals"]["largest_B"] == 10**9 // 416520


def test_numbers_of_all_dims_give_the_figures() -> None:
    done = zoo("formula", "lenet", "--input", "B,1,H,W", "--at", "B=2,H=28", "--at", "W=28")
    assert "macs=833040" in done.out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--input", "B,1,28,28", "--at", "B"), "--at 'B' is not NAME=NUMBER"),
        (("--input", "B,1,28,28", "--at", "B=x"), "no whole number"),
        (("--input", "B,1,28,28", "--at", "B=\u00b2"), "no whole number"),
        (("--input", "B,1,28,28", "--at", "B=1,B=2"), "--at B is given twice"),
        (("--input", "B,1,28,28", "--at", f"B={10**20}"), "is no length between"),
        (("--input", "B,1,28,28", "--hint", "B=1e25"), "is no length between"),
        (("--input", "B,1,28,28", "--at", "B=2", "--at", "T=2"), "dim T: no such dim is open"),
        (("--input", "1,1,28,28"), "no dim is open"),
        (("--input", "B,1,28,28", "--under", "peak=2GB"), "it goes with a budget"),
        (("--input", "B,1,28,28", "--under", "peak"), "--under 'peak' is not NAME=NUMBER"),
        (("--input", "B,1,floor,28"), "'floor' is not a whole number"),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], text: str) -> None:
    done = zoo("formula", "lenet", *words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert text in done.err


def test_other_commands_point_to_it() -> None:
    done = zoo("summary", "lenet", "--input", "B,1,28,28")
    assert done.code == 2
    assert "`zoo formula` leaves dims open" in done.err
