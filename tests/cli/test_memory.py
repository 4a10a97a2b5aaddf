"""What `zoo memory` prints, and what it says of bad input."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.running import zoo
from zoo.analysis.memory import GROUPINGS, ROLES

if TYPE_CHECKING:
    from pathlib import Path

TOTALS = {"peak_bytes", *(f"{role}_bytes" for role in ROLES)}
LENET = ("memory", "lenet", "--input", "8,1,28,28")
FLOAT = 4


def report_of(*words: str) -> Any:
    done = zoo(*words, "--format", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_json_is_the_contract() -> None:
    report = report_of(*LENET)
    assert (report["schema"], report["report"]) == ("zoo.report/1", "memory")
    totals = report["totals"]
    assert set(totals) >= TOTALS
    assert sum(totals[f"{role}_bytes"] for role in ROLES) == totals["peak_bytes"]
    assert totals["parameter_bytes"] == 61_706 * FLOAT
    assert totals["input_bytes"] == 8 * 28 * 28 * FLOAT
    assert totals["gradient_bytes"] == totals["optimizer_bytes"] == totals["saved_bytes"] == 0
    assert totals["step"] == "forward pass"


def test_a_training_step() -> None:
    totals = report_of(*LENET, "--optimizer", "adamw")["totals"]
    assert totals["gradient_bytes"] == totals["parameter_bytes"] == 61_706 * FLOAT
    assert totals["optimizer_bytes"] == (2 * 61_706 + 10) * FLOAT
    assert totals["step"] == "training step with adamw, loss sum"
    phases = [totals[f"{phase}_peak_bytes"] for phase in ("forward", "backward", "optimizer")]
    assert max(phases) == totals["peak_bytes"]


@pytest.mark.parametrize("by", GROUPINGS)
@pytest.mark.parametrize("words", [(), ("--train",)])
def test_groupings(by: str, words: tuple[str, ...]) -> None:
    report = report_of(*LENET, *words, "--by", by)
    rows, totals = report["rows"], report["totals"]
    assert rows
    if by == "time":
        assert max(row["most_bytes"] for row in rows) == totals["peak_bytes"]
    else:
        held = rows[:1] if by == "module" else rows
        assert sum(row["bytes"] for row in held) == totals["peak_bytes"]
    text = zoo(*LENET, *words, "--by", by)
    assert text.code == 0
    assert "peak memory" in text.out
    assert "nan" not in text.out.lower()


def test_the_tree_of_modules() -> None:
    rows = report_of(*LENET, "--by", "module", "--depth", "1")["rows"]
    assert [row["path"] for row in rows][:3] == ["", "conv1", "act1"]
    text = zoo(*LENET, "--by", "module").out
    assert "├─ conv1" in text
    assert "-1" not in text


def test_sort_and_columns() -> None:
    rows = report_of(*LENET, "--by", "module", "--sort", "bytes")["rows"]
    sizes = [row["bytes"] for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    done = zoo(*LENET, "--columns", "role,bytes", "--format", "csv")
    assert next(csv.reader(io.StringIO(done.out))) == ["role", "bytes"]


@pytest.mark.parametrize("by", ["role", "source", "block"])
def test_rows_keep_their_name_whatever_columns_are_chosen(by: str) -> None:
    """As those of `zoo flops` do."""
    done = zoo(*LENET, "--by", by, "--columns", "bytes,share", "--format", "csv")
    assert next(csv.reader(io.StringIO(done.out))) == [by, "bytes", "share"]


def test_the_batch() -> None:
    given, told = report_of(*LENET), report_of("memory", "lenet", "--batch", "8")
    assert given["totals"] == told["totals"]
    assert given["inputs"][0]["shape"] == told["inputs"][0]["shape"] == [8, 1, 28, 28]


def test_binary_units() -> None:
    assert "KiB" in zoo(*LENET, "--binary").out
    assert "KiB" not in zoo(*LENET).out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--accumulate", "4"), "1 of 4 micro-batches"),
        (("--keep-gradients",), "gradients kept"),
        (("--checkpoint", "conv*"), "2 modules checkpointed"),
        (("--loss", "cross-entropy"), "loss cross-entropy"),
        (("--optimizer", "torch.optim:Adam"), "training step with Adam"),
    ],
)
def test_options_of_the_step(words: tuple[str, ...], says: str) -> None:
    assert says in report_of(*LENET, *words)["totals"]["step"]


def test_half_precision() -> None:
    full, half = (report_of(*LENET, "--dtype", one)["totals"] for one in ("float32", "bfloat16"))
    assert full["parameter_bytes"] == 2 * half["parameter_bytes"]


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "memory.md"
    done = zoo(*LENET, "--format", "md", "--output", str(path))
    assert (done.code, done.out) == (0, "")
    assert "| parameter |" in path.read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--by", "rol"), "rows cannot be made so. Did you mean role?"),
        (("--by", "nothing"), "Known: role, module, source, block, time."),
        (("--optimizer", "adm"), "no optimizer is called so. Did you mean adam"),
        (("--loss", "l1"), "no loss is called so."),
        (("--checkpoint", "nope*"), "no module is called so."),
        (("--batch", "0"), "--batch"),
        (("--accumulate", "0"), "--accumulate"),
        (("--columns", "bites"), "no column is called"),
        (("--optimizer", "torch.optim:LBFGS"), "it evaluates the loss several times a step"),
        (("--input", "1,1,x"), "input"),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], says: str) -> None:
    done = zoo("memory", "lenet", *words)
    assert done.code == 2
    assert done.out == ""
    assert says in done.err
    if not words[0].startswith(("--batch", "--accumulate")):  # click's own have a line on usage
        assert done.err.count("\n") == 1
    assert "Traceback" not in done.err


def test_a_run_that_breaks() -> None:
    done = zoo("memory", "vgg11", "--input", "1,1,8,8", "--format", "json")
    assert done.code == 1
    report = json.loads(done.out)
    assert report["failure"]["message"].startswith("b4.4 (MaxPool2d) got f32[1,512,1,1]")
    assert report["totals"]["peak_bytes"] > report["totals"]["parameter_bytes"] > 0
    text = zoo("memory", "vgg11", "--input", "1,1,8,8", "--train")
    assert text.code == 1
    assert "peak memory" in text.out


NETS = """
import torch
from torch import nn


def frozen():
    return nn.Linear(4, 4).requires_grad_(False)


def empty():
    return nn.Identity()
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("nets")
def test_nothing_to_train() -> None:
    done = zoo("memory", "./nets.py:frozen", "--input", "2,4", "--train")
    assert (done.code, done.out) == (2, "")
    assert "the model has no trainable parameter. Leave something to train" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize("by", GROUPINGS)
def test_a_model_that_does_nothing(by: str) -> None:
    report = report_of("memory", "./nets.py:empty", "--input", "2,4", "--by", by)
    assert report["totals"]["peak_bytes"] == report["totals"]["input_bytes"] == 8 * FLOAT
    assert zoo("memory", "./nets.py:empty", "--input", "2,4", "--by", by).code == 0
