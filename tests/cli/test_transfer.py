"""What `zoo transfer` prints, and what it says of bad input."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import zoo as package
from tests.cli.running import zoo
from zoo.analysis.links import reach

if TYPE_CHECKING:
    from pathlib import Path

ROW = {"kind", "bytes", "blocking", "count", "module", "source", "fix"}
NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        x = self.layer(x)
        if x.mean() > 0:
            x = x * 2
        return x + torch.ones(8).to(x.device)
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "./net.py:Net"


def report_of(*words: str) -> Any:
    done = zoo("transfer", *words, "--format", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_json_is_the_contract(net: str) -> None:
    report = report_of(net, "--input", "4,8")
    assert (report["schema"], report["report"]) == ("zoo.report/1", "transfer")
    assert report["inputs"][0]["device"] == "cuda:0"
    wait, copy = report["rows"]
    assert set(wait) >= ROW
    assert (wait["kind"], wait["bytes"], wait["source"]) == ("bool", 1, "net.py:13")
    assert (copy["kind"], copy["bytes"], copy["source"]) == ("copy", 32, "net.py:15")
    assert wait["blocking"] is copy["blocking"] is True
    assert (report["totals"]["waits"], report["totals"]["copies"]) == (2, 1)


def test_text_names_line_and_fix(net: str) -> None:
    done = zoo("transfer", net, "--input", "4,8", "--columns", "kind,count,source,fix")
    assert done.code == 0
    assert "net.py:13" in done.out
    assert "torch.where(condition, a, b)" in done.out


def test_on_a_device_copies_take_time(net: str) -> None:
    report = report_of(net, "--input", "4,8", "--on", "rtx4090")
    link = package.device("rtx4090").link("host")
    assert link is not None
    ways = [
        reach(link).seconds(row["bytes"], back=row["to"] == "cpu", pageable=True)
        for row in report["rows"]
    ]
    assert [row["seconds"] for row in report["rows"]] == ways
    assert report["totals"]["seconds"] == pytest.approx(sum(one or 0 for one in ways))


def test_a_training_step(net: str) -> None:
    report = report_of(net, "--input", "4,8", "--optimizer", "adamw")
    assert [row["phase"] for row in report["rows"]] == ["forward", "forward"]


def test_a_model_that_breaks_shows_what_it_did(net: str) -> None:
    done = zoo("transfer", net, "--input", "4,9", "--format", "json")
    assert done.code == 1
    assert json.loads(done.out)["failure"] is not None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--by", "cods"), "Did you mean code?"),
        (("--device", "cpu"), "Say device cuda"),
        (("--on", "rtx4091"), "no device is called 'rtx4091'"),
        (("--on", "rtx4090", "--device", "mps"), "not on cuda"),
        (("--device", "gpu"), "torch knows no such device"),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], says: str) -> None:
    done = zoo("transfer", "lenet", *words)
    assert done.code == 2
    assert done.out == ""
    assert says in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_trace_has_run_already() -> None:
    trace = package.trace("lenet", device="cuda")
    assert package.transfers(trace, on="rtx4090").totals["waits"] == 0
    with pytest.raises(package.ZooError, match="not on cuda"):
        package.transfers(package.trace("lenet"), on="rtx4090")
    with pytest.raises(package.ZooError, match="a trace has run already"):
        package.transfers(trace, train=True)
