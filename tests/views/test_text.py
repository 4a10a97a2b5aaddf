from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from zoo import views
from zoo.analysis.records import Column, Failure, InputSpec, ModelInfo, Note, Report, TensorSpec

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

REPORTS = ("lenet", "broken", "marked", "models", "copies")
ANSI = re.compile(r"\x1b\[[0-9]+m")


def widest(text: str) -> int:
    return max(map(cell_len, text.splitlines()))


@pytest.mark.parametrize("width", [40, 80, 120, None])
@pytest.mark.parametrize("name", REPORTS)
def test_text(
    name: str, width: int | None, request: pytest.FixtureRequest, snapshot: SnapshotAssertion
) -> None:
    assert views.text(request.getfixturevalue(name), width=width) == snapshot


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("name", REPORTS)
def test_no_line_is_longer_than_the_terminal(
    name: str, width: int, request: pytest.FixtureRequest
) -> None:
    report = request.getfixturevalue(name)
    assert widest(views.text(report, width=width)) <= width
    assert widest(views.text(report, width=None)) > 40  # the test above has something to fit


def test_lines_end_without_spaces(marked: Report) -> None:
    assert not re.search(r" $", views.text(marked), re.MULTILINE)


def test_a_narrow_terminal_keeps_parameters_and_macs(lenet: Report) -> None:
    out = views.text(lenet, width=40)
    assert re.search(r"├─ fc1: Linear +48\.1 k +48\.0 k$", out, re.MULTILINE)
    assert "no room for output shape," in out


def test_what_there_is_no_room_for_is_said(lenet: Report) -> None:
    assert "no room for" not in views.text(lenet, width=120)


@pytest.mark.parametrize("name", REPORTS)
def test_colour_changes_no_character(name: str, request: pytest.FixtureRequest) -> None:
    report = request.getfixturevalue(name)
    colored = views.text(report, color=True)
    assert colored != views.text(report)
    assert ANSI.sub("", colored) == views.text(report)


def test_a_failed_row_is_red(broken: Report) -> None:
    lines = views.text(broken, color=True).splitlines()
    assert next(line for line in lines if "fc1: Linear" in line).startswith("\x1b[31m")


@pytest.mark.parametrize("name", REPORTS)
def test_ascii_terminals_get_ascii(name: str, request: pytest.FixtureRequest) -> None:
    report = request.getfixturevalue(name)
    out = views.text(report, width=80, ascii=True)
    assert out.isascii()
    assert not views.text(report, width=80).isascii() or name == "copies"
    assert widest(out) <= 80


def test_a_lower_bound_shows_as_one(marked: Report) -> None:
    assert "≥1.51 G" in views.text(marked)
    assert ">=1.51 G" in views.text(marked, ascii=True)
    assert "≥131 k" not in views.text(marked)  # body.lin is counted in full


def test_depth_folds_rows_and_keeps_the_root(lenet: Report) -> None:
    out = views.text(lenet, depth=1)
    assert "conv1" not in out
    assert "├─ features: Sequential" in out
    assert "416,520" in out


def test_a_sorted_tree_is_flat_with_whole_paths(lenet: Report) -> None:
    out = views.text(lenet, sort="parameters")
    assert "├" not in out
    assert out.index("\nLeNet") < out.index("\nfc1:") < out.index("\nfc2:")
    assert "\nfeatures.conv2: Conv2d" in out


def test_the_column_that_is_sorted_by_is_shown(lenet: Report) -> None:
    assert "833 k" not in views.text(lenet, columns=["macs"]).split("\n\n")[1]
    assert "833 k" in views.text(lenet, columns=["macs", "flops"]).split("\n\n")[1]
    narrow = views.text(lenet, sort="flops", width=40)
    assert re.search(r"^…tures\.conv2: Conv2d .* 480 k$", narrow, re.MULTILINE)


def test_binary_units_are_for_bytes_alone(lenet: Report) -> None:
    out = views.text(lenet, units=views.Units.BINARY)
    assert "241 KiB" in out
    assert "417 k" in out  # MACs
    assert "powers of 1,024 B" in out


def test_years_have_no_separator(models: Report) -> None:
    assert re.search(r"\b1998\b", views.text(models, width=120))


def test_control_characters_do_not_reach_the_terminal(lenet: Report) -> None:
    hostile = replace(
        lenet,
        model=ModelInfo("a\x1b[2Jb\nc"),
        notes=(Note("warning", "w", "bell \x07 rings"),),
    )
    out = views.text(hostile)
    assert "\x1b" not in out
    assert "\x07" not in out
    assert r"a\x1b[2Jb c" in out


def test_equal_notes_are_one_line(marked: Report) -> None:
    out = views.text(marked, width=None)
    assert "no operator [unused-parameter] and 1 more like it: head.bias" in out
    assert "head.bias is read" not in out
    assert out.index("unused-parameter") < out.index("data-dependent")  # warnings first


def test_notes_beyond_ten_are_counted(lenet: Report) -> None:
    notes = tuple(Note("info", f"code-{number}", f"text {number}.") for number in range(13))
    out = views.text(replace(lenet, notes=notes))
    assert "text 9." in out
    assert "text 10." not in out
    assert "and 3 more: --format json" in out
    assert "more: --format json" not in views.text(replace(lenet, notes=notes[:10]))


@pytest.mark.parametrize(
    ("totals", "said"),
    [
        ({"coverage": 1.0}, "coverage: every operator has a formula"),
        ({"coverage": None}, "coverage: not known"),
        (
            {"coverage": 0.9999, "coverage_bytes": 0.5, "uncounted": ["a", "b"]},
            "coverage: a formula for 99.9 % of operator calls, 50.0 % of bytes; none for a, b",
        ),
        (
            {"coverage": 0.5, "uncounted": list("abcdefgh")},
            "coverage: a formula for 50.0 % of operator calls; "
            "none for a, b, c, d, e, f and 2 more",
        ),
    ],
)
def test_coverage(lenet: Report, totals: dict[str, Any], said: str) -> None:
    assert said in views.text(replace(lenet, totals=totals), width=None).splitlines()


def test_no_coverage_is_claimed_where_the_report_claims_none(models: Report) -> None:
    assert "coverage" not in views.text(models)


def test_a_failure_names_the_module_even_if_its_row_is_folded(broken: Report) -> None:
    out = views.text(broken, depth=0)
    assert "failed in fc1 (Linear)" in out
    assert out.index("fc1 wants 400 features, got 64") < out.index("lenet.py:31")


def test_a_report_without_rows(models: Report) -> None:
    assert views.text(replace(models, rows=(), totals={})) == "nothing to show"


def test_deep_trees_keep_their_names(lenet: Report) -> None:
    path = ".".join(f"level{number}" for number in range(30))
    rows = tuple(
        {**lenet.rows[0], "path": path[: 7 * number], "name": f"n{number}", "depth": number}
        for number in range(30)
    )
    out = views.text(replace(lenet, rows=rows), width=40)
    assert "└─ n29: LeNet" in out
    assert widest(out) <= 40


def test_wide_letters_are_counted_as_two_cells(lenet: Report) -> None:
    name = "畳み込み"
    rows = (*lenet.rows, {**lenet.rows[-1], "path": name, "name": name})
    out = views.text(replace(lenet, rows=rows), width=80).splitlines()
    line = next(part for part in out if name in part)
    title = next(part for part in out if part.startswith("module"))
    assert cell_len(line) == cell_len(title)


WORDS = st.text(st.characters(codec="utf-8"), max_size=60)
SHAPES = st.lists(st.integers(0, 10**6), max_size=5)
FIGURES = st.one_of(st.none(), st.integers(-(10**21), 10**21), st.floats())
VALUES = st.one_of(FIGURES, WORDS, st.booleans(), SHAPES, st.lists(SHAPES, max_size=3))


@st.composite
def reports(draw: st.DrawFn) -> Report:
    names = draw(
        st.lists(st.sampled_from([*"abcdef", "macs", "peak_bytes"]), unique=True, min_size=1)
    )
    values = {name: draw(st.sampled_from([VALUES, FIGURES, WORDS])) for name in names}
    rows = draw(st.lists(st.fixed_dictionaries(dict(values)), max_size=8))
    if draw(st.booleans()):
        calls = st.fixed_dictionaries(
            {
                "path": WORDS,
                "type": WORDS,
                "depth": st.integers(0, 30),
                "call": st.none() | st.integers(0, 9),
                "marks": st.lists(st.sampled_from(["frozen", "failed", "not called"])),
                "uncounted": st.lists(st.just("aten.x"), max_size=1),
            }
        )
        rows = [{**draw(calls), **row} for row in rows]
    spec = TensorSpec(tuple(draw(SHAPES)))
    return Report(
        report=draw(st.sampled_from(["list", "summary", "other"])),
        model=ModelInfo(draw(WORDS), draw(st.none() | WORDS)),
        inputs=(InputSpec(draw(WORDS), spec),),
        columns=tuple(
            Column(name, draw(st.sampled_from(["", "1", "B", "s", "%"])), "") for name in names
        ),
        rows=tuple(rows),
        totals=draw(st.dictionaries(st.sampled_from(["macs", "peak_bytes", "long " * 9]), VALUES)),
        notes=tuple(Note("warning", "code", text) for text in draw(st.lists(WORDS, max_size=3))),
        failure=draw(
            st.none() | st.builds(Failure, st.integers(0, 9), WORDS, WORDS, st.just((spec,)), WORDS)
        ),
    )


@given(reports(), st.integers(20, 200), st.booleans())
def test_nothing_is_ever_wider_than_the_terminal(report: Report, width: int, ascii: bool) -> None:
    out = views.text(report, width=width, ascii=ascii)
    assert max(map(cell_len, out.split("\n"))) <= width
    assert not ascii or out.isascii()
    assert all(char.isprintable() for char in out if char != "\n")
    assert ANSI.sub("", views.text(report, width=width, ascii=ascii, color=True)) == out


@given(reports())
def test_a_file_gets_every_row_on_one_line(report: Report) -> None:
    named = tuple({**row, report.columns[0].name: "x"} for row in report.rows)  # no line is empty
    report = replace(report, report="list", model=ModelInfo(""), rows=named)
    table = views.text(report, width=None).split("\n\n")[0].split("\n")
    assert len(table) == max(len(report.rows) + 1, 1)
    assert "…" not in "".join(table) or "…" in repr(report)
