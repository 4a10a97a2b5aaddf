"""A saved trace is the trace; a file that is none is refused in one line."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from torch import nn

import zoo
from zoo.analysis.saved import BadTraceFile, is_saved, packed
from zoo.errors import OptionError, OutputError
from zoo.views import render

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def step() -> zoo.Trace:
    return zoo.trace("lenet", batch=4, train=True, optimizer="adamw", device="cuda")


@pytest.mark.parametrize("name", ["t.json", "t.json.gz"])
def test_round_trip(step: zoo.Trace, name: str, tmp_path: Path) -> None:
    zoo.save_trace(step, tmp_path / name)
    assert zoo.load_trace(tmp_path / name) == step
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_the_same_trace_is_the_same_file(step: zoo.Trace) -> None:
    assert packed(step, "a.json.gz") == packed(step, "b.json.gz")
    assert len(packed(step, "a.json.gz")) < len(packed(step, "a.json")) / 5


def test_a_run_that_broke_keeps_what_ran(tmp_path: Path) -> None:
    broken = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(3, 3))
    trace = zoo.trace(broken, (1, 3, 8, 8))
    zoo.save_trace(trace, tmp_path / "t.json")
    again = zoo.load_trace(tmp_path / "t.json")
    assert again.failure == trace.failure
    assert again.failure is not None


@pytest.mark.parametrize(
    ("analysis", "options"),
    [
        ("summary", {}),
        ("flops", {"by": "operator"}),
        ("params", {"by": "module"}),
        ("memory", {"by": "module"}),
        ("memory", {"on": "rtx4090"}),
        ("memory", {"fits": "rtx4090"}),
    ],
)
def test_a_file_stands_for_its_trace(
    analysis: str, options: dict[str, str], step: zoo.Trace, tmp_path: Path
) -> None:
    path = str(tmp_path / "t.json.gz")
    zoo.save_trace(step, path)
    call = getattr(zoo, analysis)
    assert render(call(path, **options), "json") == render(call(step, **options), "json")


def test_fits_of_a_trace_is_that_of_its_model(step: zoo.Trace) -> None:
    model = zoo.memory("lenet", batch=4, train=True, optimizer="adamw", fits="rtx4090")
    saved = zoo.memory(step, fits="rtx4090")
    kept = ("fits", "limit_bytes", "device_bytes", "peak_bytes")
    assert {name: saved.totals[name] for name in kept} == {
        name: model.totals[name] for name in kept
    }
    assert saved.totals["largest_batch"] is None
    assert zoo.memory(step, fits="1MiB").totals["fits"] is False


@pytest.mark.parametrize("call", ["freeze", "trace"])
def test_what_runs_the_model_refuses_a_trace(call: str, step: zoo.Trace, tmp_path: Path) -> None:
    path = str(tmp_path / "t.json")
    zoo.save_trace(step, path)
    for given in (path, step):
        with pytest.raises(OptionError, match=r"has run already.*Give the model itself"):
            getattr(zoo, call)(given)


def test_options_of_a_run_do_not_go_with_a_trace(step: zoo.Trace, tmp_path: Path) -> None:
    path = str(tmp_path / "t.json")
    zoo.save_trace(step, path)
    with pytest.raises(OptionError, match="a trace has run already"):
        zoo.summary(path, (1, 1, 28, 28))


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("t.json", b"", "it is not JSON"),
        ("t.json.gz", b"", "it is not JSON"),
        ("t.json", b"\xff\xfe", "it is no JSON"),
        ("t.json", b'{"schema": "zoo.report/1"}', "its schema is 'zoo.report/1'"),
        ("t.json", b"[1, 2]", "its schema is None"),
        ("t.json.gz", _cut(gzip.compress(b"{}" * 5_000)), "damaged or cut off"),
        ("t.json.gz", b"\x1f\x8bno", "damaged or cut off"),
    ],
)
def test_what_is_no_trace_is_refused(name: str, data: bytes, match: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadTraceFile, match=match) as caught:
        zoo.load_trace(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_reached(step: zoo.Trace, tmp_path: Path) -> None:
    with pytest.raises(BadTraceFile, match="there is no such file"):
        zoo.load_trace(tmp_path / "t.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(BadTraceFile, match="Is a directory"):
        zoo.load_trace(tmp_path / "folder.json")
    with pytest.raises(OptionError, match=r"End it in \.json"):
        zoo.save_trace(step, tmp_path / "t.txt")
    with pytest.raises(OutputError, match="No such file"):
        zoo.save_trace(step, tmp_path / "nowhere" / "t.json")


def test_names_of_models_are_no_files() -> None:
    names = [str(row["name"]) for row in zoo.list_models().rows]
    assert names
    assert not any(map(is_saved, names))
