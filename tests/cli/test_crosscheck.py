"""What `zoo crosscheck` prints, and how it exits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.running import zoo

if TYPE_CHECKING:
    from pathlib import Path

ROW = (
    "engine quantity status unit said theirs ours difference percent unexplained "
    "unexplained_percent causes reason seconds"
).split()


def test_json_is_the_contract() -> None:
    done = zoo(
        "crosscheck", "lenet", "--engine", "torchinfo", "--engine", "fvcore", "--format", "json"
    )
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    assert (report["schema"], report["report"]) == ("zoo.report/1", "crosscheck")
    assert [(row["engine"], row["quantity"]) for row in report["rows"]] == [
        ("torchinfo", "macs"),
        ("torchinfo", "parameters"),
        ("fvcore", "macs"),
        ("fvcore", "parameters"),
    ]
    for row in report["rows"]:
        assert set(ROW) <= set(row)
        amounts = sum(one["amount"] for one in row["causes"])
        assert row["difference"] == amounts + row["unexplained"]
    first = report["rows"][0]
    assert (first["ours"], first["status"], first["unexplained"]) == (416_520, "differs", 0)
    assert {one["name"] for one in report["columns"]} <= set(first)


def test_the_table_says_what_makes_the_difference(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Linear(8, 4), nn.LayerNorm(4))\n"
    )
    net = f"{tmp_path}/net.py:net"
    done = zoo("crosscheck", net, "--input", "2,3,8", "--engine", "torchinfo")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    row = next(line for line in lines if line.startswith("torchinfo"))
    assert "one row for each element of the batch -128; biases +16; norms +8" in row
    assert any(line.split() == ["unexplained", "0"] for line in lines)


def test_a_run_that_breaks_exits_with_1() -> None:
    done = zoo("crosscheck", "lenet", "--input", "1,1,4,4", "--engine", "torchinfo")
    assert done.code == 1
    assert "failed in" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "fvcor"), "zoo: no engine is called 'fvcor'. Did you mean fvcore"),
        (("--timeout", "0"), "zoo: Invalid value for '--timeout': 0"),
        (("--device", "cuda"), "zoo: device: other tools run the forward pass of the model"),
        (("--dtype", "bfloat16"), "zoo: dtype: other tools run the forward pass of the model"),
    ],
)
def test_bad_words_are_one_line(words: tuple[str, ...], said: str) -> None:
    done = zoo("crosscheck", "lenet", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(said)
    assert len(done.err.splitlines()) == 1


def test_a_model_that_does_not_fit_is_one_line() -> None:
    sizes = ("--set", "in_features=1000000", "--set", "out_features=1000000")
    done = zoo("crosscheck", "torch.nn:Linear", "--input", "1,1000000", *sizes)
    assert (done.code, done.out) == (2, "")
    assert "takes 4,000.0 GB" in done.err
    assert len(done.err.splitlines()) == 1
