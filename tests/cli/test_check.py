"""`zoo check` and `zoo compare`: what is printed, and how they end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.running import zoo

if TYPE_CHECKING:
    from pathlib import Path

OLD = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width=8):
        super().__init__(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 2))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "old.py").write_text(OLD)
    new = OLD.replace("nn.ReLU()", "nn.LayerNorm(width), nn.ReLU()")
    (tmp_path / "new.py").write_text(new)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# check


def test_limits_that_are_kept() -> None:
    done = zoo("check", "lenet", "--max-params", "5M", "--max-macs", "600M", "--max-peak", "2GB")
    assert (done.code, done.err) == (0, "")
    rows = [line.split() for line in done.out.splitlines() if line.startswith("book/lenet")]
    assert [(row[1], row[-1] if "peak" not in row[1] else "yes") for row in rows] == [
        ("max-params", "yes"),
        ("max-macs", "yes"),
        ("max-peak", "yes"),
    ]


def test_a_limit_that_is_not_kept() -> None:
    words = ["lenet", "--max-params", "50k", "--max-macs", "600M", "--format", "json"]
    done = zoo("check", *words)
    assert done.code == 1
    assert done.err == "zoo: lenet: max-params: 61,706, 11,706 (23.4 %) over 50,000.\n"
    report = json.loads(done.out)
    assert report["report"] == "check"
    assert report["totals"]["ok"] is False
    assert [row["ok"] for row in report["rows"]] == [False, True]


def test_a_training_step_is_checked() -> None:
    words = ["lenet", "--batch", "32", "--optimizer", "adamw", "--max-peak", "2MB"]
    done = zoo("check", *words)
    assert done.code == 1
    assert "zoo: lenet: max-peak: " in done.err
    assert zoo("check", *words[:-1], "rtx4090").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lenet"], "no limit is given"),
        ([], "no model is named"),
        (["lenet", "--max-params", "many"], "'many' is no quantity above 0. Write 5M or 600M."),
        (["lenet", "--max-peak", "rtx4091"], "Did you mean"),
        (["lenet", "--min-coverage", "2"], "is no share"),
        (["lenet", "--no-host-sync", "--device", "cpu"], "Run it on device cuda."),
        (["lenot", "--max-params", "1M"], "no model is called 'lenot'"),
        (["lenet", "--max-params", "1M", "--format", "xml"], "no format is called 'xml'"),
        (["--input", "1,8", "--max-params", "3"], "given without a model"),
    ],
)
def test_bad_input_is_one_line(folder: Path, words: list[str], said: str) -> None:
    done = zoo("check", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert said in done.err


def test_a_saved_trace_is_checked(folder: Path) -> None:
    assert zoo("trace", "./old.py:Net", "--input", "4,8", "-o", "old.json.gz").code == 0
    assert zoo("check", "old.json.gz", "--max-macs", "320").code == 0
    assert zoo("check", "old.json.gz", "--max-macs", "319").code == 1
    done = zoo("check", "old.json.gz", "--max-macs", "319", "--batch", "3")
    assert (done.code, done.err) == (
        2,
        "zoo: --batch: old.json.gz has run already. Leave it out.\n",
    )


# compare


def test_a_model_before_and_after_an_edit(folder: Path) -> None:
    done = zoo("compare", "./old.py:Net", "./new.py:Net", "--input", "4,8")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "a: ./old.py:Net, b: ./new.py:Net, input: f32[4,8]"
    assert [line.split()[1:3] for line in lines[4:5]] == [["1:", "LayerNorm"]]
    assert "3 rows are left out" in done.out
    every = zoo("compare", "./old.py:Net", "./new.py:Net", "--input", "4,8", "--all")
    assert "1 / 2: ReLU" in every.out
    assert "left out" not in every.out


def test_json_has_all_rows_unless_told(folder: Path) -> None:
    words = ["compare", "./old.py:Net", "./new.py:Net", "--input", "4,8", "--format", "json"]
    rows = json.loads(zoo(*words).out)["rows"]
    assert len(rows) == 5
    assert len(json.loads(zoo(*words, "--changed").out)["rows"]) == 2


def test_settings_of_one_model(folder: Path) -> None:
    words = ["./old.py:Net", "./old.py:Net", "--input", "4,8", "--format", "json"]
    both = json.loads(zoo("compare", *words, "--set", "width=16").out)["totals"]
    one = json.loads(zoo("compare", *words, "--set", "b:width=16").out)["totals"]
    assert both["b_minus_a_parameters"] == 0
    assert both["a_parameters"] == one["b_parameters"] == 8 * 16 + 16 + 16 * 2 + 2
    assert one["b_minus_a_parameters"] == 8 * 11


def test_a_saved_trace_beside_a_model(folder: Path) -> None:
    assert zoo("trace", "./old.py:Net", "--input", "4,8", "-o", "old.json.gz").code == 0
    words = ["--format", "json"]
    mixed = zoo("compare", "old.json.gz", "./new.py:Net", "--input", "4,8", *words)
    fresh = zoo("compare", "./old.py:Net", "./new.py:Net", "--input", "4,8", *words)
    assert json.loads(mixed.out) == json.loads(fresh.out)
    assert zoo("compare", "old.json.gz", "old.json.gz", "--input", "4,8").code == 2


def test_a_narrow_text_keeps_the_change(folder: Path) -> None:
    from zoo import compare
    from zoo.views import text

    report = compare("./old.py:Net", "./new.py:Net", inputs=[(4, 8)], changed=True)
    for width in (40, 60, 80):
        lines = text(report, width=width).splitlines()
        assert max(map(len, lines)) <= width
        assert any("only in b" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lenet"], "it takes two models or more"),
        ([], "Missing argument"),
        (["lenet", "lenot"], "no model is called 'lenot'"),
        (["lenet", "gone.json"], "there is no such file"),
        (["lenet", "lenet", "--set", "b:colour=3"], "colour"),
        (["lenet", "lenet", "--columns", "c_macs"], "no column is called 'c_macs'"),
    ],
)
def test_compare_refuses_in_one_line(folder: Path, words: list[str], said: str) -> None:
    done = zoo("compare", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
