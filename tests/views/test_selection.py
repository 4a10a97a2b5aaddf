from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import views
from zoo.analysis.records import Column, ModelInfo, Report
from zoo.errors import BadFormat, UnknownColumn


def rows(report: Report, **choice: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(views.render(report, "json", **choice))["rows"]
    return found


@pytest.mark.parametrize(
    ("torchinfo", "ours"),
    [
        ("output_size", "output_shape"),
        ("num_params", "parameters"),
        ("params_percent", "parameters_share"),
        ("mult_adds", "macs"),
        ("trainable", "trainable_parameters"),
    ],
)
@pytest.mark.parametrize("fmt", views.FORMATS)
def test_torchinfo_names_its_columns_otherwise(
    lenet: Report, torchinfo: str, ours: str, fmt: str
) -> None:
    assert views.render(lenet, fmt, columns=[torchinfo]) == views.render(lenet, fmt, columns=[ours])
    assert views.render(lenet, fmt, columns=[ours]) != views.render(lenet, fmt, columns=["flops"])


def test_a_column_of_the_report_goes_before_torchinfo(lenet: Report) -> None:
    own = replace(lenet, rows=tuple({**row, "trainable": "some"} for row in lenet.rows))
    assert rows(own, columns=["trainable"])[0]["trainable"] == "some"


def test_shares_are_of_the_whole_model(lenet: Report) -> None:
    shares = {
        row["path"]: row["parameters_share"] for row in rows(lenet, columns=["params_percent"])
    }
    assert shares[""] == 100
    assert shares["fc1"] == pytest.approx(77.98, abs=0.005)
    assert "78.0 %" in views.text(lenet, columns=["params_percent"])


@pytest.mark.parametrize("choice", [{"columns": ["macs", "paramters"]}, {"sort": "paramters"}])
@pytest.mark.parametrize("fmt", views.FORMATS)
def test_an_unknown_column_is_named_with_its_neighbour(
    lenet: Report, choice: dict[str, Any], fmt: str
) -> None:
    with pytest.raises(UnknownColumn, match=r"no column is called 'paramters'.*parameters"):
        views.render(lenet, fmt, **choice)


def test_kernel_size_is_unknown_unless_rows_have_it(lenet: Report) -> None:
    with pytest.raises(UnknownColumn, match=r"'kernel_size'.*Known: output_shape,"):
        views.text(lenet, columns=["kernel_size"])
    own = replace(lenet, rows=tuple({**row, "kernel_size": [5, 5]} for row in lenet.rows))
    assert "5x5" in views.text(own, columns=["kernel_size"])


def test_an_unknown_format_is_named_with_those_there_are(lenet: Report) -> None:
    with pytest.raises(BadFormat, match=r"'xml'\. Known: text, json, csv, md"):
        views.render(lenet, "xml")


def test_sorting_puts_figures_down_words_up_and_the_unknown_last(
    broken: Report, models: Report
) -> None:
    macs = [row["macs"] for row in rows(broken, sort="macs")]
    known = [figure for figure in macs if figure is not None]
    assert known == sorted(known, reverse=True)
    assert macs[len(known) :] == [None] * 5
    names = [row["name"] for row in rows(models, sort="name")]
    assert names == ["fasterrcnn_mobilenet_v3_large_320_fpn", "lenet"]
    assert [row["year"] for row in rows(models, sort="year")] == [1998, None]


def test_shapes_sort_by_their_elements(lenet: Report) -> None:
    assert rows(lenet, sort="output_shape")[0]["output_shape"] == [1, 6, 28, 28]
    assert rows(lenet, sort="output_shape")[-1]["output_shape"] == [1, 10]


VALUES = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(), st.lists(st.integers(0, 9)), st.booleans()
)


@given(st.lists(VALUES))
def test_sorting_loses_no_row(values: list[Any]) -> None:
    parts = tuple({"id": number, "v": value} for number, value in enumerate(values))
    report = Report(
        "any", ModelInfo("m"), (), (Column("v", "", ""), Column("id", "", "")), parts, {}
    )
    found = [row["id"] for row in rows(report, sort="v")] if parts else []
    assert sorted(found) == list(range(len(values)))


@pytest.mark.parametrize("depth", [0, 1, 2, 9])
def test_depth_keeps_the_rows_above_it(lenet: Report, depth: int) -> None:
    kept = [row for row in lenet.rows if row["depth"] <= depth]
    assert rows(lenet, depth=depth) == kept


def test_depth_means_nothing_to_a_list(models: Report) -> None:
    assert len(rows(models, depth=0)) == 2


def test_choosing_nothing_leaves_names(lenet: Report) -> None:
    out = views.text(lenet, columns=[]).split("\n\n")[1]
    assert "├─ fc1: Linear" in out
    assert not re.search(r"\d{2}", out)


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import zoo.views", set()),
        ("import zoo.views, zoo.views.as_text, zoo.views.as_json", set()),
        ("from zoo.views.cells import width; width('畳')", {"rich"}),
        ("import torch", {"torch"}),
    ],
)
def test_text_needs_no_torch_and_seldom_rich(code: str, loaded: set[str]) -> None:
    probe = f"import sys; {code}; print(*{{'torch', 'rich'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) == loaded


def test_a_list_is_written_without_rich(models: Report) -> None:
    code = f"""
import sys
from zoo.views import text
from zoo.analysis.records import *
text({models!r}, width=40, color=True)
print('rich' in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
