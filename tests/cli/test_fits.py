"""`zoo memory --on` and `--fits`: what is printed, what is written, and how it ends."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.running import zoo
from tests.cli.test_commands import command

if TYPE_CHECKING:
    from pathlib import Path

FIGURES = ["allocated_bytes", "reserved_bytes", "device_bytes"]
LABELS = {"allocated", "reserved", "device"}
ROW = ["change", "peak_bytes", "bytes", "saves", "fits", "largest_batch", "macs_ratio", "option"]


def report_of(*words: str, code: int = 0) -> Any:
    done = zoo("memory", *words, "--format", "json")
    assert done.code == code, done.err
    return json.loads(done.out)


# what is printed


def test_on_adds_three_figures() -> None:
    report = report_of("lenet", "--on", "rtx4090")
    totals = report["totals"]
    assert [totals[name] for name in FIGURES] == sorted(totals[name] for name in FIGURES)
    assert totals["device"] == "GeForce RTX 4090"
    assert report["inputs"][0]["device"] == "cuda:0"
    assert not set(FIGURES) & set(report_of("lenet")["totals"])


def test_a_device_that_is_said_to_be_cuda_is_no_contradiction() -> None:
    report = report_of("lenet", "--on", "rtx4090", "--device", "cuda:1")
    assert report["inputs"][0]["device"] == "cuda:1"


def test_fits_adds_an_answer_and_rows() -> None:
    report = report_of("lenet", "--optimizer", "adamw", "--batch", "64", "--fits", "rtx4090")
    totals = report["totals"]
    assert totals["fits"] is True
    assert totals["largest_batch"] == report["rows"][0]["largest_batch"] > 64
    assert set(FIGURES) < set(totals)
    assert [list(row) for row in report["rows"]] == [ROW] * len(report["rows"])
    assert [column["name"] for column in report["columns"]] == ROW[:-1]
    options = {row["change"]: row["option"] for row in report["rows"]}
    assert options["autocast to bfloat16"] == "--autocast bfloat16"
    assert {note["code"] for note in report["notes"]} >= {"compared", "largest-saving", *LABELS}


def test_an_option_of_a_row_can_be_given_back() -> None:
    """What a row offers is a command that has its figures."""
    words = ["torchvision/resnet18", "--input", "8,3,64,64", "--optimizer", "adamw"]
    rows = report_of(*words, "--fits", "1GB")["rows"]
    tried = 0
    for row in rows:
        if row["option"].startswith("--") and "half the batch" not in row["option"]:
            # the last of an option counts, as --optimizer sgd after --optimizer adamw
            changed = report_of(*words, *row["option"].split())
            assert changed["totals"]["peak_bytes"] == row["peak_bytes"], row["change"]
            tried += 1
    assert tried == 5


def test_text_shows_the_device_and_the_three_figures_together() -> None:
    done = zoo("memory", "lenet", "--train", "--fits", "rtx4090")
    assert done.code == 0
    labels = [line.split("  ")[0] for line in done.out.splitlines()]
    at = labels.index("device")
    assert labels[at : at + 7] == [
        "device",
        "allocated memory",
        "reserved memory",
        "device memory",
        "limit memory",
        "fits",
        "largest batch",
    ]
    assert labels[2] == "change"
    assert "nvidia-smi" in done.out


@pytest.mark.parametrize("columns", [40, 80])
def test_a_narrow_terminal(columns: int) -> None:
    """No line is longer than it, and no change loses its figures."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    words = command("memory", "lenet", "--train", "--fits", "rtx4090")
    with subprocess.Popen(
        words, stdout=inner, stderr=subprocess.PIPE, env={**os.environ, "TERM": "dumb"}
    ) as process:
        os.close(inner)
        shown = b""
        with suppress(OSError):  # the terminal ends with the process
            while part := os.read(outer, 4096):
                shown += part
        process.communicate(timeout=60)
    os.close(outer)
    lines = shown.decode().replace("\r\n", "\n").splitlines()
    assert process.returncode == 0
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("as it is") for line in lines)
    assert any(line.startswith("largest batch") for line in lines)


# exit codes


def test_it_fits() -> None:
    done = zoo("memory", "lenet", "--train", "--fits", "24GB")
    assert (done.code, done.err) == (0, "")


def test_it_does_not_fit() -> None:
    """A budget that failed: 1, the table all the same, and a line for the log."""
    done = zoo("memory", "torchvision/resnet18", "--batch", "64", "--train", "--fits", "1GB")
    assert done.code == 1
    assert done.err == "zoo: torchvision/resnet18 does not fit into 1,000,000,000 B.\n"
    assert "checkpoint 8 BasicBlock" in done.out


def test_a_change_that_fits_does_not_make_the_job_fit() -> None:
    words = ["torchvision/resnet18", "--batch", "32", "--train", "--fits", "600MB"]
    report = report_of(*words, code=1)
    assert report["totals"]["fits"] is False
    assert any(row["fits"] for row in report["rows"][1:])


def test_a_model_that_breaks() -> None:
    report = report_of("lenet", "--input", "1,1,2,2", "--fits", "24GB", code=1)
    assert report["failure"]["message"]
    assert report["totals"]["fits"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fits", "24XB"], "memory '24XB': it is neither a size nor a device"),
        (["--fits", "-1GB"], "memory '-1GB'"),
        (["--fits", "100"], "that is 100 bytes"),
        (["--fits", ""], "memory ''"),
        (["--fits", "rtx4091"], "Did you mean"),
        (["--fits", "Apple M2"], "how much memory Apple M2 has is not known"),
        (["--on", "h101"], "no device is called 'h101'. Did you mean h100?"),
        (["--on", "24GB"], "no device is called '24GB'"),
        (["--on", "Apple M2"], "the allocator of mps devices is not known"),
        (["--on", "rtx4090", "--device", "cpu"], "take place on cpu, and not on cuda"),
        (["--fits", "rtx4090", "--device", "cpu"], "take place on cpu, and not on cuda"),
        (["--on", "rtx4090", "--fits", "h100"], "it has to fit into H100"),
        (["--fits", "24GB", "--batch", "0"], "0 is not in the range"),
        (["--fits", "24GB", "--checkpoint", "nowhere"], "no module is called so"),
    ],
)
def test_bad_input_is_one_line(words: list[str], said: str) -> None:
    done = zoo("memory", "lenet", *words)
    assert done.code == 2
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert done.err.startswith("zoo: ")
    assert said in done.err


# files


def test_a_file_has_what_would_be_printed(tmp_path: Path) -> None:
    words = ["memory", "lenet", "--train", "--fits", "24GB"]
    for fmt in ("text", "json", "csv", "md"):
        path = tmp_path / f"out.{fmt}"
        done = zoo(*words, "--format", fmt, "--output", str(path))
        assert (done.code, done.out) == (0, "")
        assert path.read_text() == zoo(*words, "--format", fmt).out


def test_a_file_is_written_also_where_it_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    words = ["--batch", "64", "--train", "--fits", "1GB", "--format", "json"]
    assert zoo("memory", "torchvision/resnet18", *words, "--output", str(path)).code == 1
    assert json.loads(path.read_text())["totals"]["fits"] is False


COUNTS = """
import time
from pathlib import Path
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        with Path("runs").open("a") as file:
            file.write("x")
        if Path("runs").stat().st_size > 3:
            time.sleep(60)
        return self.fc(x)
"""


def test_ctrl_c_in_the_search(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(COUNTS)
    words = command(
        *("memory", "./slow.py:Net", "--input", "2,8", "--fits", "1GB", "--output", "never.txt")
    )
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        runs = tmp_path / "runs"
        for _ in range(600):
            if runs.exists() and runs.stat().st_size > 3:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir() if "never" in path.name] == []
