"""Many models: rows beside single traces, models that fail in every way, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import zoo
from tests.cli.running import zoo as command
from tests.cli.test_commands import command as words_of
from zoo.analysis.sweeps import COLUMNS
from zoo.errors import ZooError
from zoo.sweeping.lines import Csv, JsonLines
from zoo.sweeping.stores import Store
from zoo.sweeping.tasks import How
from zoo.sweeping.worker import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NETS = """
import os, signal, sys, time
from pathlib import Path
import torch
from torch import nn

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 2)
    def forward(self, x):
        return self.fc(x)

class Good(Base):
    pass

class Noted(Base):
    def forward(self, x):
        with Path("runs").open("a") as file:
            file.write("x")
        return self.fc(x)

class Loud(Base):
    def forward(self, x):
        print("noise" * 1000)
        os.write(1, b'{"row": {}}\\n')
        sys.stdin.read()
        return self.fc(x)

class Broken(Base):
    def forward(self, x):
        return self.fc(x[:, :3])

class Exits(Base):
    def forward(self, x):
        print("goodbye", flush=True)
        os._exit(3)

class Quits(Base):
    def forward(self, x):
        sys.exit(4)

class Killed(Base):
    def forward(self, x):
        os.kill(os.getpid(), signal.SIGKILL)

class Crashes(Base):
    def forward(self, x):
        import ctypes
        return ctypes.string_at(0)

class Interrupts(Base):
    def forward(self, x):
        raise KeyboardInterrupt

class Loads(Base):
    def forward(self, x):
        import torchvision
        assert "triton" not in sys.modules
        import triton
        return self.fc(x)

class Unbuilt(Base):
    def __init__(self):
        raise RuntimeError("no such luck")

class Slow(Base):
    def forward(self, x):
        Path("slow").touch()
        while Path("slow").exists():
            time.sleep(0.05)
        return self.fc(x)
"""
FATES = ("Broken", "Exits", "Quits", "Killed", "Crashes", "Interrupts", "Unbuilt")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def nets(*names: str) -> list[str]:
    return [f"./nets.py:{name}" for name in names]


def read(path: str | Path) -> list[dict[str, Any]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def without_time(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


# rows


def test_a_row_has_the_figures_of_single_calls() -> None:
    report = zoo.sweep(["book/le*", "book/nin"], jobs=2)
    assert [row["name"] for row in report.rows] == [
        "book/lenet",
        "book/lenet_bn",
        "book/nin",
    ]
    for row in report.rows:
        trace = zoo.trace(row["name"])
        totals = {**zoo.flops(trace).totals, **zoo.memory(trace).totals}
        totals |= zoo.summary(trace).totals
        for name in ("parameters", "trainable_parameters", "parameter_bytes", "macs", "flops"):
            assert row[name] == totals[name], name
        for name in ("pointwise_flops", "activation_bytes", "peak_bytes", "coverage", "operators"):
            assert row[name] == totals[name], name
        assert (row["status"], row["uncounted"], row["error"]) == ("ok", [], None)
        assert list(row) == [column.name for column in COLUMNS]
    assert report.totals["models"] == report.totals["rows"] == 3


def test_every_batch_is_a_row_and_a_step_is_a_step() -> None:
    report = zoo.sweep("lenet", batch=[1, 8], train=True, optimizer="adamw", jobs=1)
    steps = [zoo.trace("lenet", batch=n, train=True, optimizer="adamw") for n in (1, 8)]
    assert [row["peak_bytes"] for row in report.rows] == [
        zoo.memory(step).totals["peak_bytes"] for step in steps
    ]
    assert [row["batch"] for row in report.rows] == [1, 8]
    assert {row["options"] for row in report.rows} == {"optimizer=adamw; train=True"}


def test_models_that_fail_are_rows_and_the_sweep_goes_on(folder: Path) -> None:
    every = nets("Good", *FATES, "Loud")
    report = zoo.sweep([*every, "book/vgg11"], [(4, 8)], jobs=2, output="all.csv")
    rows = {row["name"].rpartition(":")[2]: row for row in report.rows}
    assert [row["name"] for row in report.rows] == [*every, "book/vgg11"]
    assert {name for name, row in rows.items() if row["status"] == "ok"} == {"Good", "Loud"}
    assert rows["Loud"]["macs"] == rows["Good"]["macs"] == 4 * 8 * 2
    broken = rows["Broken"]
    assert broken["error"].startswith("fc (Linear) got f32[4,3], its weight wants 8 features")
    assert (broken["module"], broken["source"], broken["parameters"]) == ("fc", "nets.py:32", 18)
    assert broken["macs"] is None
    assert "exit code 3; it printed last: goodbye" in rows["Exits"]["error"]
    assert "SystemExit" in rows["Quits"]["error"]
    assert rows["Interrupts"]["error"].startswith("KeyboardInterrupt")
    assert "killed by SIGKILL" in rows["Killed"]["error"]
    assert "killed by SIGSEGV" in rows["Crashes"]["error"]
    assert (
        "building ./nets.py:Unbuilt raised RuntimeError: no such luck" in rows["Unbuilt"]["error"]
    )
    assert "The default input is" in rows["book/vgg11"]["error"]
    assert report.totals["failed"] == len(FATES) + 1
    assert [row["name"] for row in read("all.csv")] == [row["name"] for row in report.rows]


def test_workers_hold_no_compiler_that_they_do_not_use() -> None:
    """torchvision has torch load triton, to see whether it is there; a model may use it."""
    pytest.importorskip("triton")
    (row,) = zoo.sweep(nets("Loads"), [(4, 8)], jobs=1).rows
    assert (row["status"], row["error"]) == ("ok", None)


def test_a_model_that_hangs(folder: Path) -> None:
    start = time.monotonic()
    report = zoo.sweep(nets("Slow", "Good"), [(4, 8)], jobs=1, timeout=1.0)
    assert [row["status"] for row in report.rows] == ["failed", "ok"]
    assert report.rows[0]["error"] == "it took longer than 1 s (timeout)"
    assert time.monotonic() - start < 40


# files


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_rows_that_are_there_are_not_made_again(folder: Path, ending: str) -> None:
    path = f"rows.{ending}"
    first = zoo.sweep(nets("Noted", "Broken"), [(4, 8)], jobs=1, output=path)
    data = Path(path).read_bytes()
    again = zoo.sweep(nets("Noted", "Broken"), [(4, 8)], jobs=1, output=path)
    assert again.rows == first.rows
    assert Path("runs").read_text() == "x"
    if ending != "parquet":
        assert Path(path).read_bytes() == data
        return
    import pandas as pd

    frame = pd.read_parquet(path)
    assert list(frame.columns) == [column.name for column in COLUMNS]
    assert frame["macs"].dtype == "Int64"
    assert frame["macs"][0] == 64
    assert pd.isna(frame["macs"][1])


def test_other_inputs_are_other_rows_and_failed_ones_are_tried_again(folder: Path) -> None:
    zoo.sweep(nets("Noted", "Broken"), [(2, 8)], jobs=1, output="rows.csv")
    Path("nets.py").write_text(NETS.replace("x[:, :3]", "x"))
    kept = zoo.sweep(nets("Noted", "Broken"), [(2, 8)], jobs=1, output="rows.csv")
    assert [row["status"] for row in kept.rows] == ["ok", "failed"]
    more = zoo.sweep(nets("Good"), [(4, 8)], jobs=1, output="rows.csv")
    assert [row["asked"] for row in more.rows] == ["4,8"]
    tried = zoo.sweep(
        nets("Noted", "Broken"), [(2, 8)], jobs=1, output="rows.csv", retry_failed=True
    )
    assert [row["status"] for row in tried.rows] == ["ok", "ok"]
    assert Path("runs").read_text() == "x"
    assert [(row["asked"], row["status"]) for row in read("rows.csv")] == [
        ("4,8", "ok"),
        ("2,8", "ok"),
        ("2,8", "ok"),
    ]


ROW = {
    **dict.fromkeys(column.name for column in COLUMNS),
    "name": "a",
    "macs": 3,
    "coverage": 0.5,
    "uncounted": [],
    "status": "ok",
    "error": 'a "quoted",\n cell',
    "versions": "1",
}


def stored(path: Path, **cells: Any) -> None:
    store = Store(str(path), "", "1")
    store.add({**ROW, **cells})
    store.close()


@pytest.mark.parametrize("form", [Csv, JsonLines])
def test_a_row_comes_back_from_its_line(form: type[Csv | JsonLines]) -> None:
    for row in (ROW, {**ROW, "uncounted": ["aten.a", "aten.b"], "batch": 8, "seconds": 0.25}):
        line = form.write(row)
        assert line.count("\n") == 1
        assert form.read(line.rstrip("\n")) == {**row, "error": 'a "quoted", cell'}


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_half_a_line_is_cut_off_wherever_the_file_ends(tmp_path: Path, ending: str) -> None:
    """Of every beginning of a file, the whole rows are found, and one more can be added."""
    path = tmp_path / f"rows.{ending}"
    for name in "ab":
        stored(path, name=name)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        whole = data[:length].count(b"\n") - (ending == "csv")
        store = Store(str(path), "", "1")
        assert [row["name"] for row in store.rows.values()] == list("ab")[: max(whole, 0)]
        store.add({**ROW, "name": "c"})
        store.finish([])
        store.close()
        store = Store(str(path), "", "1")
        assert [row["name"] for row in store.rows.values()][-1] == "c"
        store.close()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("rows.csv", "name,age\nann,3\n", "it is no table of a sweep of this version of zoo"),
        ("rows.csv", "notes without an end", "it is no table of a sweep"),
        ("rows.jsonl", '{"schema": "zoo.sweep/0"}\n', "it is no table of a sweep"),
        ("rows.jsonl", "[]\n", "it is no table of a sweep"),
        ("rows.csv", b"\xff\xfe\n", "it is no table of a sweep"),
        ("rows.csv", Csv.head + "a,b\n", "line 2 is no row of a sweep"),
        ("rows.csv", Csv.head + Csv.write(ROW).replace("3", "x", 1), "line 2 is no row"),
        ("rows.csv", Csv.head + Csv.write({**ROW, "options": "device=cuda"}), "not 'no options'"),
        ("rows.jsonl", JsonLines.write({**ROW, "versions": "0"}), "versions '0', not '1'"),
        ("rows.parquet", "PAR1", "it is there, without rows.parquet.jsonl"),
    ],
)
def test_any_other_file_is_refused_and_left_alone(
    tmp_path: Path, name: str, text: str | bytes, said: str
) -> None:
    path = tmp_path / name
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(data)
    with pytest.raises(ZooError) as caught:
        Store(str(path), "", "1")
    assert said in str(caught.value)
    assert "Name another file" in str(caught.value)
    assert path.read_bytes() == data
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("rows")] == [name]


def test_two_sweeps_do_not_write_one_file(tmp_path: Path) -> None:
    for ending in ("csv", "jsonl"):
        path = tmp_path / f"rows.{ending}"
        store = Store(str(path), "", "1")
        with pytest.raises(ZooError, match="another sweep is writing it"):
            Store(str(path), "", "1")
        store.add(ROW)
        store.close()
        assert path.stat().st_size


def test_parquet_without_its_packages(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ZooError, match=r"pip install pandas"):
        zoo.sweep(nets("Noted"), [(4, 8)], output="rows.parquet")
    assert not Path("runs").exists()


# interruption


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(words_of("sweep", *words), stderr=subprocess.PIPE, text=True)


def wait_for(ready: Callable[[], bool]) -> None:
    for _ in range(600):
        if ready():
            return
        time.sleep(0.05)
    raise TimeoutError


def children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(word) for word in text.split()]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_killed_in_the_middle_and_gone_on_with(folder: Path) -> None:
    """The rows are those of a sweep that nobody interrupted, and none is made twice."""
    path = Path("rows.csv")
    words = [*nets("Good", "Broken", "Noted", "Slow"), "book/lenet", "--input", "4,8"]
    with start(*words, "--jobs", "1", "--output", str(path)) as process:
        wait_for(Path("slow").exists)
        workers = children(process.pid)
        process.kill()
        process.communicate()
    assert workers
    wait_for(lambda: not any(map(alive, workers)))
    assert path.read_text().count("\n") == 4
    with path.open("ab") as file:
        file.write(path.read_bytes().splitlines()[-1][:30])
    Path("nets.py").write_text(NETS.replace('Path("slow").touch()', 'Path("slow").unlink()'))
    gone_on = zoo.sweep(words[:-2], [(4, 8)], jobs=2, output=path)
    assert Path("runs").read_text() == "x"
    Path("slow").touch()
    fresh = zoo.sweep(words[:-2], [(4, 8)], jobs=1)
    assert without_time(list(gone_on.rows)) == without_time(list(fresh.rows))
    names = [row["name"] for row in gone_on.rows]
    read_back = path.read_text().splitlines()[1:]
    assert [Csv.read(line)["name"] for line in read_back] == names


def test_ctrl_c_keeps_what_is_done(folder: Path) -> None:
    words = [*nets("Good", "Slow"), "--input", "4,8", "--jobs", "1", "--output", "rows.csv"]
    with start(*words) as process:
        wait_for(Path("slow").exists)
        workers = children(process.pid)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted: 1 of 2 rows are kept" in err
    assert "Traceback" not in err
    assert [row["name"] for row in read("rows.csv")] == nets("Good")
    wait_for(lambda: not any(map(alive, workers)))


def test_a_worker_that_somebody_kills(folder: Path) -> None:
    words = [*nets("Slow", "Good"), "--input", "4,8", "--jobs", "1", "--output", "rows.csv"]
    with start(*words) as process:
        wait_for(Path("slow").exists)
        (worker,) = children(process.pid)
        os.kill(worker, signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("zoo: rows.csv: 2 rows, 1 failed, ")
    slow, good = read("rows.csv")
    assert "killed by SIGTERM" in slow["error"]
    assert good["status"] == "ok"


# the command


def test_the_table_goes_to_standard_output() -> None:
    done = command("sweep", "book/lenet", "--batch", "1,2", "--format", "json")
    assert done.code == 0
    report = json.loads(done.out)
    assert report["report"] == "sweep"
    assert [row["batch"] for row in report["rows"]] == [1, 2]
    assert done.err.startswith("zoo: 2 rows, 0 failed, ")
    assert done.err.count("\n") == 1


def test_a_worker_that_does_not_start(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    Path("torch.py").write_text("raise ImportError('this torch is broken')")
    monkeypatch.syspath_prepend(str(folder))
    done = command("sweep", "book/lenet")
    assert (done.code, done.out) == (2, "")
    assert "a worker process does not start" in done.err
    assert "this torch is broken" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["torchvison/*"], "no model matches it. Did you mean torchvision/*?"),
        (["lenot"], "no model is called 'lenot'"),
        (["book/*", "--input", "1,y"], "'y' is not a whole number"),
        (["book/*", "--batch", "1,0"], "is not N or N,N"),
        (["book/*", "--jobs", "0"], "is not in the range"),
        (["book/*", "--timeout", "-1"], "it is -1.0"),
        (["book/*", "--output", "rows.txt"], "its name ends in none of .csv, .jsonl, .parquet"),
        (["book/*", "--output", "no/rows.csv"], "there is no folder no"),
        (["book/*", "--output", "rows.csv", "--format", "json"], "Leave one of them out"),
        (["saved.json.gz"], "it has run already, and a sweep runs models"),
        (["book/*", "--timeout", "nan"], "it is nan"),
        (["book/*", "--columns", "name,nope"], "no column is called 'nope'"),
        (["book/*", "--sort", "nope"], "no column is called 'nope'"),
        (["book/*", "--format", "xml"], "no format is called 'xml'"),
        (["book/*", "--set", "width"], "it is not NAME=VALUE"),
        ([], "Missing argument"),
    ],
)
def test_bad_input_is_one_line(folder: Path, words: list[str], said: str) -> None:
    done = command("sweep", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert [one.name for one in folder.iterdir()] == ["nets.py"]


def test_a_way_in_which_no_model_runs_is_refused_and_makes_no_rows(folder: Path) -> None:
    done = command("sweep", "book/*", "--optimizer", "adamv", "--jobs", "1", "--output", "rows.csv")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("zoo: optimizer 'adamv': no optimizer is called so. Did you mean ")
    assert done.err.count("\n") == 1
    assert [one.name for one in folder.iterdir()] == ["nets.py"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": "gpu"}, "torch knows no such device"),
        ({"dtype": "f13"}, "no dtype is called 'f13'"),
        ({"dtype": "int8"}, "must be floating point"),
        ({"autocast": "int8", "train": True}, "it casts to 16 bits"),
        ({"loss": "no.such:loss", "train": True}, "cannot load no.such:loss"),
        ({"optimizer": "torch.optim:Adam", "checkpoint": ("layer*",), "train": True}, None),
        ({"device": "cuda", "dtype": "bf16"}, None),
    ],
)
def test_what_a_worker_refuses(options: Mapping[str, Any], said: str | None) -> None:
    found = refusal(How(options=options))
    assert (found is None) if said is None else (found and said in "; ".join(found))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"formulas": {}}, "a sweep has no such option"),
        ({"optimizer": print, "train": True}, "Name it: 'package.module:function'"),
        ({"optimizer": "sgd"}, "Say train=True"),
        ({"jobs": 0}, "jobs: it is 0"),
        ({"batch": [1, 0]}, "batch: it is 0"),
        ({"inputs": [object()]}, "which tensors do not reach"),
    ],
)
def test_what_another_process_cannot_be_told(options: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ZooError) as caught:
        zoo.sweep("book/*", **options)
    assert said in str(caught.value)
