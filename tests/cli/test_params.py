"""What `zoo params` prints."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import zoo

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 3)
        self.dead = nn.Linear(2, 2)

    def forward(self, x):
        return self.lin(x)

class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.LazyLinear(3)

    def forward(self, x):
        return self.lin(x)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)


def report_of(*words: str) -> Any:
    done = zoo("params", *words, "--format", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_json_is_the_contract() -> None:
    report = report_of("lenet")
    assert (report["schema"], report["report"]) == ("zoo.report/1", "params")
    assert report["totals"]["parameters"] == 61_706
    assert [row["name"] for row in report["rows"]][:2] == ["conv1.weight", "conv1.bias"]
    assert report["rows"][0]["shape"] == [6, 1, 5, 5]


def test_names_stay_whatever_columns_are_chosen() -> None:
    words = ("params", "lenet", "--columns", "parameters", "--sort", "parameters")
    rows = list(csv.DictReader(io.StringIO(zoo(*words, "--format", "csv").out)))
    assert rows[0]["name"] == "fc1.weight"
    assert "fc1.weight" in zoo(*words).out


def test_a_share_can_be_asked_for() -> None:
    rows = report_of("lenet", "--columns", "parameters_share", "--by", "role")["rows"]
    assert sum(row["parameters_share"] for row in rows) == pytest.approx(100)
    assert rows[0]["role"] == "weight"


def test_modules_are_a_tree() -> None:
    text = zoo("params", "resnet18", "--by", "module", "--depth", "1").out
    assert "├─ " in text
    assert zoo("params", "resnet18", "--by", "module", "--format", "csv").out.startswith("path,")


def test_no_input_needs_no_run() -> None:
    report = report_of("./net.py:Net")
    assert report["totals"]["parameters"] == 21
    assert report["totals"]["unused_parameters"] is None
    assert [note["code"] for note in report["notes"]] == ["not-run"]
    assert "unused parameters" in zoo("params", "./net.py:Net").out
    ran = report_of("./net.py:Net", "--input", "1,4")
    assert ran["totals"]["unused_parameters"] == 6


def test_values() -> None:
    report = report_of("./net.py:Net", "--values")
    assert {"mean", "std", "norm", "zeros", "non_finite"} <= set(report["rows"][0])
    assert report["totals"]["norm"] > 0
    assert "norm" in zoo("params", "./net.py:Net", "--values").out


def test_values_of_lazy_layers_need_an_input() -> None:
    assert report_of("./net.py:Lazy", "--values", "--input", "2,5")["totals"]["parameters"] == 18
    done = zoo("params", "./net.py:Lazy", "--values")
    assert (done.code, done.out) == (2, "")
    assert "lin.weight: it is lazy and has no values yet" in done.err


def test_a_run_that_breaks_prints_all_and_exits_with_1() -> None:
    done = zoo("params", "./net.py:Net", "--input", "1,5")
    assert done.code == 1
    assert "lin.weight" in done.out
    assert "failed in the run\n" in done.out
    assert "lin (Linear) got f32[1,5], its weight wants 4 features" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lenet", "--by", "rolle"), "by 'rolle': no such grouping. Did you mean role?"),
        (("lenett",), "no model is called 'lenett'"),
        (("lenet", "--strict"), "No such option"),
        (("./net.py:Net", "--device", "gpu"), "torch knows no such device"),
        (("./net.py:Net", "--dtype", "int8"), "it must be floating point"),
        (("lenet", "--columns", "colour"), "no column is called 'colour'"),
    ],
)
def test_bad_words_are_one_line_and_code_2(words: tuple[str, ...], said: str) -> None:
    done = zoo("params", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1
