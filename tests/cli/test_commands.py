"""What each command prints, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.running import zoo

FRAME = {"schema", "report", "model", "inputs", "columns", "rows", "totals", "notes"}
ROW = {
    "path",
    "type",
    "depth",
    "call",
    "output_shape",
    "parameters",
    "trainable_parameters",
    "macs",
    "flops",
    "pointwise_flops",
    "activation_bytes",
}
TOTALS = {
    "parameters",
    "trainable_parameters",
    "buffers",
    "parameter_bytes",
    "macs",
    "flops",
    "pointwise_flops",
    "coverage",
}
BROKEN = """
from torch import nn

def net():
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()),
        nn.Flatten(),
        nn.Sequential(nn.ReLU(), nn.Linear(6400, 10)),
    )
"""
MYSTERY = """
import torch
from torch import nn

@torch.library.custom_op("zoo_cli_tests::mystery", mutates_args=())
def mystery(x: torch.Tensor) -> torch.Tensor:
    return x.clone()

class Net(nn.Module):
    def forward(self, x):
        return mystery(x)
"""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "zoo.cli", *words]


def test_summary_in_json_is_the_contract() -> None:
    done = zoo("summary", "googlenet", "--input", "1,1,96,96", "--format", "json")
    assert done.code == 0
    report = json.loads(done.out)
    assert set(report) == FRAME
    assert report["schema"] == "zoo.report/1"
    assert report["model"]["name"] == "googlenet"
    assert report["model"]["plugin"] == "book"
    assert report["inputs"][0] | {"name": ""} == {
        "name": "",
        "shape": [1, 1, 96, 96],
        "dtype": "float32",
        "device": "cpu",
    }
    assert set(report["rows"][0]) >= ROW
    assert set(report["totals"]) >= TOTALS
    root = report["rows"][0]
    assert (root["path"], root["depth"], root["call"]) == ("", 0, 0)
    assert root["output_shape"] == [1, 10]
    assert root["macs"] == report["totals"]["macs"] == 276_066_304
    assert report["totals"]["parameters"] == 5_977_530


def test_csv_and_markdown() -> None:
    rows = list(csv.DictReader(io.StringIO(zoo("summary", "lenet", "--format", "csv").out)))
    assert rows[0]["macs"] == "416520"
    assert len(rows) == 13
    page = zoo("summary", "lenet", "--format", "md").out
    assert page.count("| ") > 13


def test_depth_columns_and_sort() -> None:
    rows = json.loads(zoo("summary", "googlenet", "--depth", "1", "--format", "json").out)["rows"]
    assert max(row["depth"] for row in rows) == 1
    sort = ("--sort", "macs", "--columns", "mult_adds,output_size", "--format", "csv")
    found = list(csv.DictReader(io.StringIO(zoo("summary", "lenet", *sort).out)))
    macs = [int(row["macs"]) for row in found]
    assert macs == sorted(macs, reverse=True)
    assert found[0]["output_shape"] == "1x10"


def test_set_device_dtype_and_train() -> None:
    options = ("--set", "num_classes=7", "--device", "cuda", "--dtype", "bf16", "--train")
    report = json.loads(zoo("summary", "lenet", *options, "--format", "json").out)
    assert report["model"]["arguments"]["num_classes"] == 7
    assert report["inputs"][0]["device"] == "cuda:0"
    assert report["inputs"][0]["dtype"] == "bfloat16"
    assert report["rows"][0]["output_shape"] == [1, 7]
    assert report["rows"][0]["training"] is True
    assert report["totals"]["parameter_bytes"] == 2 * report["totals"]["parameters"]


def test_a_run_that_breaks_prints_what_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(BROKEN)
    done = zoo("summary", "./net.py:net", "--input", "1,3,32,32")
    assert done.code == 1
    assert done.err == ""
    assert "1x8x30x30" in done.out
    assert "2.1 (Linear) got f32[1,7200], its weight wants 6400 features" in done.out
    assert "Set in_features=7200" in done.out
    report = json.loads(
        zoo("summary", "./net.py:net", "--input", "1,3,32,32", "--format", "json").out
    )
    assert report["failure"]["path"] == "2.1"


def test_strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("odd.py").write_text(MYSTERY)
    words = ("summary", "./odd.py:Net", "--input", "1,3")
    assert zoo(*words).code == 0
    strict = zoo(*words, "--strict")
    assert strict.code == 1
    assert strict.err == "zoo: no formula covers zoo_cli_tests.mystery.default (--strict).\n"
    assert zoo("summary", "lenet", "--strict").code == 0


def test_output_is_written_whole(tmp_path: Path) -> None:
    target = tmp_path / "lenet.json"
    done = zoo("summary", "lenet", "--format", "json", "--output", str(target))
    assert (done.code, done.out) == (0, "")
    assert json.loads(target.read_text())["totals"]["parameters"] == 61_706
    assert list(tmp_path.iterdir()) == [target]


def test_list_info_plugins_doctor() -> None:
    listed = json.loads(zoo("list", "lenet", "--format", "json").out)
    assert {"name", "plugin", "summary", "tags", "default_input", "year"} <= set(listed["rows"][0])
    assert [row["name"] for row in listed["rows"]][:2] == ["lenet", "lenet_bn"]
    assert all(
        row["plugin"] == "torchvision"
        for row in json.loads(zoo("list", "--plugin", "torchvision", "--format", "json").out)[
            "rows"
        ]
    )
    told = zoo("info", "resnet18").out
    assert "num_classes" in told
    assert "residual" in told.lower()
    health = json.loads(zoo("plugins", "--format", "json").out)
    assert {("book", "ok"), ("llms", "ok"), ("torchvision", "ok")} <= {
        (row["name"], row["status"]) for row in health["rows"]
    }
    assert zoo("doctor").code == 0


def test_help_names_every_command() -> None:
    text = zoo("--help").out
    for name in ("doctor", "info", "list", "plugins", "summary"):
        assert f"  {name} " in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_is_filled_and_not_overrun(width: int) -> None:
    outer, inner = pty.openpty()
    variables = {**os.environ, "COLUMNS": str(width), "NO_COLOR": "1"}
    with subprocess.Popen(
        command("summary", "lenet"), stdout=inner, stderr=inner, env=variables
    ) as process:
        os.close(inner)
        text = b""
        while True:
            try:
                part = os.read(outer, 65_536)
            except OSError:
                break
            if not part:
                break
            text += part
    os.close(outer)
    lines = text.decode().splitlines()
    assert process.returncode == 0
    assert max(map(len, lines)) <= width
    assert "\x1b" not in text.decode()
    assert any("fc3" in line for line in lines)


def test_a_closed_pipe_is_silent() -> None:
    words = " ".join(command("list"))
    done = subprocess.run(
        ["bash", "-c", f"{words} | head -1"], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("name")
    assert done.stderr == ""


SLOW = """
import time
from torch import nn

class Net(nn.Module):
    def forward(self, x):
        open("running", "w").close()
        time.sleep(60)
        return x
"""


def test_ctrl_c_exits_with_130(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    words = command("summary", "./slow.py:Net", "--input", "1,3", "--output", "never.txt")
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            if (tmp_path / "running").exists():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not (tmp_path / "never.txt").exists()


@pytest.mark.parametrize(
    ("code", "loads"),
    [
        ("import zoo, zoo.cli, zoo.views, zoo.api, zoo.plugins, zoo.catalog", 0),
        ("import zoo; zoo.hookimpl; zoo.ModelCard; zoo.list_models()", 0),
        ("from zoo.cli import main; main(['list'], standalone_mode=True)", 0),
        ("from zoo.cli import main; main(['plugins'], standalone_mode=True)", 0),
        ("import zoo; zoo.trace('lenet')", 1),
    ],
)
def test_torch_is_loaded_only_where_it_is_needed(code: str, loads: int) -> None:
    probe = f"""
import sys
try:
    {code}
except SystemExit:
    pass
sys.exit('torch' in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", probe], check=False, capture_output=True)
    assert done.returncode == loads, done.stderr


def test_summary_loads_neither_dynamo_nor_sympy() -> None:
    """They take longer than all the rest (1.1 s and 0.4 s); see tracer/modes.py and shapes.py."""
    listed = "[m for m in ('torch._dynamo', 'sympy') if m in sys.modules]"
    probe = f"import sys, zoo; zoo.trace('googlenet'); print({listed})"
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
