"""JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import views
from zoo.analysis.records import Column, ModelInfo, Note, Report

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

REPORTS = ("lenet", "broken", "marked", "models", "copies")


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("fmt", ["json", "csv", "md"])
@pytest.mark.parametrize("name", REPORTS)
def test_files(
    name: str, fmt: str, request: pytest.FixtureRequest, snapshot: SnapshotAssertion
) -> None:
    out = views.render(request.getfixturevalue(name), fmt)
    assert out == snapshot
    assert not out.endswith("\n")


def test_json_has_the_frame_of_the_contract(lenet: Report, broken: Report) -> None:
    frame = ["schema", "report", "model", "inputs", "columns", "rows", "totals", "notes"]
    out = strict(views.render(lenet, "json"))
    assert list(out) == frame
    assert out["schema"] == "zoo.report/1"
    assert out["inputs"] == [
        {"name": "x", "shape": [1, 1, 28, 28], "dtype": "float32", "device": "cpu"}
    ]
    assert list(strict(views.render(broken, "json"))) == [*frame, "failure"]


def test_json_has_every_figure(lenet: Report) -> None:
    out = strict(views.render(lenet, "json"))
    assert out["rows"] == [dict(row) for row in lenet.rows]
    assert out["totals"] == lenet.totals


def test_json_says_where_it_failed(broken: Report) -> None:
    failure = strict(views.render(broken, "json", depth=0))["failure"]
    assert (failure["path"], failure["type"], failure["call"]) == ("fc1", "Linear", 9)
    assert failure["inputs"][1] == {"shape": [1, 64], "dtype": "float32", "device": "cpu"}


def test_json_of_a_choice_keeps_what_names_the_row(lenet: Report) -> None:
    out = strict(views.render(lenet, "json", columns=["num_params"], depth=1, sort="mult_adds"))
    keys = {"path", "type", "depth", "call", "name", "marks", "uncounted", "parameters"}
    assert {frozenset(row) for row in out["rows"]} == {frozenset(keys)}
    assert [row["path"] for row in out["rows"]][:3] == ["", "features", "fc1"]
    assert [column["name"] for column in out["columns"]] == ["parameters"]
    assert {row["depth"] for row in out["rows"]} == {0, 1}


def test_json_takes_any_argument_of_a_model(lenet: Report) -> None:
    model = ModelInfo("net", arguments={"act": math.sqrt, "rates": {0.5}, "size": (1, 2)})
    out = strict(views.render(replace(lenet, model=model), "json"))
    assert out["model"]["arguments"] == {
        "act": "<built-in function sqrt>",
        "rates": ["0.5"],
        "size": [1, 2],
    }


NUMBERS = st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), st.text())


def table(rows: list[dict[str, Any]], totals: dict[str, Any]) -> Report:
    names = sorted({key for row in rows for key in row})
    return Report(
        "any", ModelInfo("m"), (), tuple(Column(n, "1", "") for n in names), tuple(rows), totals
    )


@given(
    st.lists(st.fixed_dictionaries({"a": NUMBERS, "b": NUMBERS | st.lists(st.integers())})),
    st.dictionaries(st.text(), NUMBERS),
)
def test_json_reads_back_as_the_same_figures(
    rows: list[dict[str, Any]], totals: dict[str, Any]
) -> None:
    def known(value: Any) -> Any:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    out = strict(views.render(table(rows, totals), "json"))
    assert out["rows"] == [{key: known(value) for key, value in row.items()} for row in rows]
    assert out["totals"] == {key: known(value) for key, value in totals.items()}


@given(
    st.lists(
        st.fixed_dictionaries({"a": st.integers(), "b": st.text(st.characters(codec="utf-8"))})
    )
)
def test_csv_has_a_line_for_each_row(rows: list[dict[str, Any]]) -> None:
    out = read(views.render(table(rows, {}), "csv"))
    assert [int(row["a"]) for row in out] == [row["a"] for row in rows]
    assert [row["b"] for row in out] == [
        row["b"].replace("\r\n", "\n").replace("\r", "\n") for row in rows
    ]


def test_csv_writes_shapes_and_marks_in_one_cell(marked: Report) -> None:
    rows = read(views.render(marked, "csv"))
    assert rows[0]["output_shape"] == "2x16x1000; 2"
    assert rows[1]["marks"] == "frozen; tied"
    assert rows[-1]["macs"] == ""  # not known
    assert rows[1]["macs"] == "0"
    assert rows[0]["uncounted"] == "mylib.scale.default"


def test_csv_of_a_choice(lenet: Report) -> None:
    out = views.render(lenet, "csv", columns=["macs", "output_size", "macs"], depth=0)
    assert out.splitlines() == [
        "path,type,depth,call,macs,output_shape,marks,uncounted",
        ",LeNet,0,0,416520,1x10,,",
    ]


def test_markdown_escapes_what_would_be_markup(models: Report) -> None:
    lines = views.render(models, "md").splitlines()
    assert r"linear layers \| the first" in lines[2]
    assert "fasterrcnn_mobilenet_v3_large_320_fpn" in lines[3]  # no markup inside a word
    assert len({line.replace(r"\|", "").count("|") for line in lines[:4]}) == 1
    noted = replace(models, notes=(Note("info", "c", "*all* of <b>__init__</b>"),))
    assert r"\*all\* of \<b\>\_\_init\_\_\</b\>" in views.render(noted, "md")


def test_markdown_shows_lower_bounds(marked: Report) -> None:
    assert "| ≥1.51 G |" in views.render(marked, "md")
