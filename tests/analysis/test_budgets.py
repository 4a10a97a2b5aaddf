"""Limits: how they are written, what is held to them, and what is said when one is not kept."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import zoo
from zoo.analysis.budgets import KINDS, limits
from zoo.analysis.records import Transfer
from zoo.api import budget
from zoo.errors import OptionError, ZooError

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.analysis.records import Trace


@lru_cache
def trace(device: str = "cpu", *, train: bool = False) -> Trace:
    return zoo.trace("lenet", device=device, train=train)


def memory_of(word: Any) -> tuple[int, None]:
    return int(word), None


# how limits are written


@pytest.mark.parametrize(
    ("written", "bound"),
    [("5M", 5_000_000), ("1.5G", 1_500_000_000), ("600 MMACs", 600_000_000), (7, 7), ("2e3", 2000)],
)
def test_counts(written: Any, bound: int) -> None:
    assert limits({"max_macs": written}, memory_of)[0].bound == bound


def test_sizes_are_decimal_or_binary() -> None:
    read = [limits({"max_weights": one}, memory_of)[0].bound for one in ("2MB", "2MiB")]
    assert read == [2_000_000, 2_097_152]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("max_params", "5X", "'5X' is no quantity above 0. Write 5M or 600M."),
        ("max_params", -1, "is no quantity above 0"),
        ("max_params", True, "is no quantity above 0"),
        ("max_weights", "5 MACs", "Write 24GB or 24GiB."),
        ("min_coverage", 1.5, "1.5 is no share"),
        ("min_coverage", "all", "'all' is no number"),
        ("no_host_sync", "yes", "Write true or false"),
        ("max_parms", 1, "Did you mean max-params"),
    ],
)
def test_what_is_no_limit(name: str, value: Any, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        limits({name: value}, memory_of)
    assert said in str(caught.value)
    assert name.replace("_", "-") in str(caught.value)


# what is held to them


@pytest.mark.parametrize(
    ("limit", "figure"),
    [
        ("max_params", lambda one: zoo.summary(one).totals["parameters"]),
        ("max_trainable_params", lambda one: zoo.summary(one).totals["trainable_parameters"]),
        ("max_weights", lambda one: zoo.summary(one).totals["parameter_bytes"]),
        ("max_macs", lambda one: zoo.flops(one).totals["macs"]),
        ("max_flops", lambda one: zoo.flops(one).totals["flops"]),
        ("max_pointwise_flops", lambda one: zoo.flops(one).totals["pointwise_flops"]),
        ("max_activations", lambda one: zoo.summary(one).totals["activation_bytes"]),
        ("max_peak", lambda one: zoo.memory(one).totals["peak_bytes"]),
    ],
)
@pytest.mark.parametrize("train", [False, True])
def test_a_limit_is_kept_up_to_itself(limit: str, figure: Any, train: bool) -> None:
    big = zoo.trace("lenet", (16, 1, 28, 28), train=True) if train else wide()
    exact = figure(big)
    (kept,) = zoo.check(big, **{limit: exact}).rows
    (beyond,) = zoo.check(big, **{limit: exact - 1}).rows
    assert (kept["found"], kept["ok"], kept["excess"]) == (exact, True, None)
    assert (beyond["found"], beyond["ok"], beyond["excess"]) == (exact, False, 1)


@lru_cache
def wide() -> Trace:
    """A model whose every figure is above the smallest memory that can be asked for."""
    return zoo.trace("lenet", (256, 1, 28, 28))


def test_all_kinds_are_tested() -> None:
    """`test_a_limit_is_kept_up_to_itself`, and the tests on coverage and synchronisation."""
    marks = test_a_limit_is_kept_up_to_itself.pytestmark  # type: ignore[attr-defined]
    tried = {case[0] for mark in marks for case in mark.args[1] if isinstance(case, tuple)}
    assert tried | {"min_coverage", "no_host_sync"} == set(KINDS)


def test_a_model_without_a_known_input_needs_none_for_its_weights() -> None:
    model = nn.Linear(8, 2)
    report = zoo.check(model, max_params=18, max_weights=72)
    assert [row["found"] for row in report.rows] == [18, 72]
    assert report.totals["ok"]
    with pytest.raises(ZooError):
        zoo.check(model, max_params=18, max_macs=1)


def test_tied_weights_count_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    assert zoo.check(model, max_params="1k").rows[0]["found"] == 16 + 8


def test_the_peak_on_a_device_is_that_of_its_allocator() -> None:
    options = {"train": True, "batch": 64, "optimizer": "adamw"}
    (row,) = zoo.check("lenet", max_peak="rtx4090", **options).rows
    wanted = zoo.memory("lenet", on="rtx4090", **options).totals
    assert row["found"] == wanted["device_bytes"] > wanted["peak_bytes"]
    assert row["limit"] == budget("rtx4090")[0]
    assert row["detail"][0] == "on GeForce RTX 4090"
    with pytest.raises(ZooError, match="take place on cpu"):
        zoo.check(trace(), max_peak="rtx4090")


def test_where_the_peak_is() -> None:
    (row,) = zoo.check(wide(), max_peak="10kB").rows
    totals = zoo.memory(wide()).totals
    assert row["detail"] == [f"in {totals['peak_module']}"]


@torch.library.custom_op("zoo_budget_tests::mystery", mutates_args=())
def mystery(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


@mystery.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class Mystery(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return mystery(x) + 1


def test_coverage() -> None:
    report = zoo.check(Mystery(), (4, 4), min_coverage=1.0, max_flops=10)
    flops, coverage = report.rows
    assert flops["ok"]
    assert flops["detail"] == ["at least: no formula for zoo_budget_tests.mystery.default"]
    assert (coverage["found"], coverage["excess"], coverage["ok"]) == (0.5, 0.5, False)
    assert report.totals["exceeded"] == [
        "min-coverage: 0.5, 0.5 below 1 (zoo_budget_tests.mystery.default)"
    ]
    assert zoo.check(Mystery(), (4, 4), min_coverage=0.5).totals["ok"]


def waiting(*transfers: Transfer) -> Trace:
    return replace(trace("cuda"), transfers=transfers)


def wait(kind: str, source: str | None, call: int = 1, *, blocking: bool = True) -> Transfer:
    return Transfer(kind, 4, "cuda:0", "cpu", blocking, None, call, source)


def test_a_host_that_waits() -> None:
    found = waiting(wait("item", "net.py:3"), wait("item", "net.py:3"), wait("nonzero", None))
    report = zoo.check(found, no_host_sync=True)
    assert report.rows[0]["found"] == 3
    assert report.totals["exceeded"] == [
        "no-host-sync: the host waits 3 times (net.py:3 (item) x 2, conv1 (nonzero))"
    ]


def test_what_does_not_block_is_no_wait() -> None:
    found = waiting(wait("copy", "net.py:3", blocking=False))
    assert zoo.check(found, no_host_sync=True).totals["ok"]


class Waits(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            x = x + 1
        rows = [row.max().item() for row in x]
        return x.to("cuda:1") * rows[0]


def test_a_model_that_waits_and_one_that_does_not() -> None:
    """By a run, as users check it: an `if`, and an `item` for each of three rows."""
    report = zoo.check(Waits(), (3, 4), no_host_sync=True)
    line = inspect.getsourcelines(Waits)[1]
    (row,) = report.rows
    assert (row["found"], row["excess"], row["ok"]) == (4, 4, False)
    places = [text.rpartition("test_budgets.py:")[2] for text in row["detail"]]
    assert places == [f"{line + 2} (bool)", f"{line + 4} (item) x 3"]
    for clean in ("lenet", nn.LSTM(4, 8), nn.BatchNorm1d(4)):
        inputs = (
            () if clean == "lenet" else ((5, 3, 4),) if isinstance(clean, nn.LSTM) else ((3, 4),)
        )
        found = zoo.check(clean, *inputs, no_host_sync=True, train=True)
        assert [(one["found"], one["ok"]) for one in found.rows] == [(0, True)]


def test_many_places_are_cut_short() -> None:
    found = waiting(*(wait("item", f"net.py:{line}") for line in range(20)))
    detail = zoo.check(found, no_host_sync=True).rows[0]["detail"]
    assert detail[-1] == "and 12 more"


def test_nothing_waits_on_the_cpu_so_that_is_not_asked() -> None:
    with pytest.raises(OptionError, match="took place on the CPU"):
        zoo.check(trace(), no_host_sync=True)
    with pytest.raises(OptionError, match="took place on the CPU"):
        zoo.check("lenet", no_host_sync=True, device="cpu")
    assert zoo.check("lenet", no_host_sync=True).inputs[0].spec.device == "cuda:0"


def test_a_run_that_breaks() -> None:
    """What is not known is not kept; what needs no run is known all the same."""
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(9, 1))
    report = zoo.check(model, (2, 8), max_params=1000, max_macs="1G", min_coverage=0.1)
    params, *others = report.rows
    assert params["ok"]
    assert [(row["found"], row["ok"]) for row in others] == [(None, False)] * 2
    assert "the run broke in 1: 1 (Linear) got f32[2,8]" in others[0]["detail"][0]
    assert report.failure is not None
    assert report.totals["failed"] == 2


# what a project sets

NET = """
from torch import nn

def net(width=8):
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 2))
"""
PROJECT = """
[tool.zoo.check."./net.py:net"]
input = "4,8"
max-params = 200
max-macs = "1k"

[tool.zoo.check.wide]
model = "./net.py:net"
input = ["4,8"]
set = { width = 64 }
optimizer = "adamw"
max_params = "500"
max-peak = "2MB"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("folder", [".", "below"])
def test_all_that_a_project_sets(
    project: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / folder)
    report = zoo.check()
    found = {(row["model"], row["check"]): (row["found"], row["ok"]) for row in report.rows}
    wide = zoo.memory(str(project / "net.py:net"), (4, 8), arguments={"width": 64}, train=True,
                      optimizer="adamw").totals["peak_bytes"]  # fmt: skip
    assert found == {
        ("./net.py:net", "max-params"): (90, True),
        ("./net.py:net", "max-macs"): (320, True),
        ("wide", "max-params"): (706, False),
        ("wide", "max-peak"): (wide, True),
    }
    assert report.totals["exceeded"] == ["wide: max-params: 706, 206 (41.2 %) over 500"]


def test_one_of_a_project(project: Path) -> None:
    assert [row["model"] for row in zoo.check("wide").rows] == ["wide"] * 2
    by_model = {row["model"] for row in zoo.check("./net.py:net").rows}
    assert by_model == {"./net.py:net", "wide"}
    alone = zoo.check("./net.py:net", (1, 8), max_params=1)
    assert [row["limit"] for row in alone.rows] == [1]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("max-macs", "max-mac", "max-mac of pyproject.toml: there is no such key. Did you mean"),
        ('"1k"', '"1kB"', "[tool.zoo.check.'./net.py:net'] max-macs: '1kB' is no quantity"),
        ('"2MB"', '"2XB"', "[tool.zoo.check.'wide'] max-peak: it is neither a size nor a device"),
        ('["4,8"]', "[4, 8]", "input of pyproject.toml: it is [4, 8]. Write a word, or a list"),
        ('"adamw"', "true", "optimizer of pyproject.toml: it is True. Write a word."),
        ("{ width = 64 }", "64", "set of pyproject.toml: it is 64. Write a table."),
        ("max-params = 200\nmax-macs", "batch = 2\nloss", "it sets no limit"),
        ("[tool.zoo.check.wide]", "[tool.zoo]\ncheck = 3", "pyproject.toml: it cannot be read"),
    ],
)
def test_what_is_wrong_in_a_project(project: Path, old: str, new: str, said: str) -> None:
    text = PROJECT.replace(old, new, 1)
    assert text != PROJECT
    (project / "pyproject.toml").write_text(text)
    with pytest.raises(ZooError) as caught:
        zoo.check()
    assert said in str(caught.value)


def test_a_table_that_is_none(project: Path) -> None:
    for text in ("[tool.zoo]\ncheck = 3", '[tool.zoo.check]\n"./net.py:net" = "5M"'):
        (project / "pyproject.toml").write_text(text)
        with pytest.raises(ZooError, match=r"it is no table\. Write"):
            zoo.check()


def test_a_project_that_sets_nothing(project: Path) -> None:
    (project / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    with pytest.raises(ZooError, match=r"no model is named, and no \[tool.zoo.check\]"):
        zoo.check()
    with pytest.raises(ZooError, match="no limit is given"):
        zoo.check("lenet")


def test_a_run_is_said_in_one_place(project: Path) -> None:
    with pytest.raises(ZooError, match="max-params given without a model"):
        zoo.check(max_params=3)
    with pytest.raises(ZooError, match=r"its run are in pyproject.toml"):
        zoo.check("wide", (2, 8))


def test_a_project_with_limits_is_no_broken_plugin(project: Path) -> None:
    (row,) = [row for row in zoo.list_plugins().rows if row["name"] == "project"]
    assert row["status"] == "ok"
