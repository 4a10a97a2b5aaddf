"""Bad input is one line on stderr and exit code 2; nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.running import zoo

if TYPE_CHECKING:
    from pathlib import Path

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width: int = 4, mode: str = "a"):
        super().__init__()
        if mode == "raise":
            raise RuntimeError("no such mode")
        self.lin = nn.Linear(4, width)

    def forward(self, x):
        return self.lin(x)

class Pair(nn.Module):
    def forward(self, left, right):
        return left + right
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "broken.py").write_text("import torch\n\ndef f(:\n")
    (tmp_path / "empty.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


ONE = ("--input", "1,4")
CASES = [
    (("summary", "googlenett"), "no model is called 'googlenett'. Did you mean googlenet"),
    (("summary", "boook/lenet"), "no plugin is called 'boook'. Did you mean book"),
    (("summary", "book/lenett"), "no model is called 'book/lenett'. Did you mean book/lenet"),
    (("summary", "lenet", "--input", "a,b"), "'a' is not a whole number"),
    (("summary", "lenet", "--input", "0,1,28,28"), "dim 0 is not positive"),
    (("summary", "lenet", "--input", "1,-1,28,28"), "dim -1 is not positive"),
    (("summary", "lenet", "--input", ""), "it has no dims"),
    (("summary", "lenet", "--input", str(10**30)), "more elements than a tensor can have"),
    (("summary", "lenet", "--input", "1,1,28,28:flot"), "no dtype is called 'flot'"),
    (("summary", "lenet", "--input", "1,1,28,28", "--input", "1"), "2 given, forward wants"),
    (("summary", "lenet", "--input", "y=1,1,28,28"), "takes no such input"),
    (("summary", "./net.py:Pair", *ONE), "1 given, forward wants (left, right)"),
    (("summary", "./net.py:Net"), "none was given, forward wants (x)"),
    (("summary", "./net.py:Net", *ONE, "--dtype", "int8"), "it must be floating point"),
    (("summary", "./net.py:Net", *ONE, "--device", "gpu"), "torch knows no such device"),
    (("summary", "./net.py:Net", *ONE, "--set", "widht=3"), "Did you mean width"),
    (("summary", "./net.py:Net", *ONE, "--set", "width=wide"), "argument 'width'"),
    (("summary", "./net.py:Net", *ONE, "--set", "width"), "is not NAME=VALUE"),
    (("summary", "./net.py:Net", *ONE, "--set", "mode=raise"), "RuntimeError: no such mode"),
    (("summary", "./missing.py:Net"), "there is no file ./missing.py"),
    (("summary", "./net.py:Missing"), "net.py has no 'Missing'"),
    (("summary", "./net.py"), "needs a name after it"),
    (("summary", "./broken.py:f"), "broken.py:3"),
    (("summary", "./empty.py:Net"), "empty.py has no 'Net'"),
    (("summary", "no.such.module:Net"), "no module is called 'no'"),
    (("summary", "lenet", "--columns", "colour"), "no column is called 'colour'"),
    (("summary", "lenet", "--sort", "colour"), "no column is called 'colour'"),
    (("summary", "lenet", "--format", "xml"), "no format is called 'xml'"),
    (("summary", "lenet", "--depth", "-1"), "depth"),
    (("summary", "lenet", "--hint", "nonzero"), "is not OPERATION=NUMBER"),
    (("summary", "lenet", "--output", "no/such/folder/x.txt"), "there is no folder no/such/folder"),
    (("summary", "lenet", "--output", "."), "it is a folder"),
    (("summary",), "Missing argument 'MODEL'"),
    (("summary", "lenet", "--colour"), "No such option"),
    (("summry", "lenet"), "no command is called 'summry'. Did you mean summary"),
    (("list", "--plugin", "boook"), "no plugin is called 'boook'. Did you mean book"),
    (("info", "lenett"), "no model is called 'lenett'"),
]


@pytest.mark.parametrize(("words", "said"), CASES, ids=[" ".join(words) for words, _ in CASES])
def test_one_line_and_code_2(folder: Path, words: tuple[str, ...], said: str) -> None:
    before = sorted(folder.iterdir())
    done = zoo(*words)
    assert done.code == 2
    assert done.out == ""
    assert said in done.err
    assert done.err.count("\n") == 1
    assert done.err.startswith("zoo: ")
    assert "Traceback" not in done.err
    after = [path for path in sorted(folder.iterdir()) if path.name != "__pycache__"]
    assert after == before


def test_a_file_that_cannot_be_written(folder: Path) -> None:
    full = "/dev/full/x"
    done = zoo("summary", "lenet", "--output", full)
    assert done.code == 2
    assert done.err.startswith(f"zoo: cannot write {full}")


def test_an_unreadable_report_leaves_the_old_file(folder: Path) -> None:
    target = folder / "report.txt"
    target.write_text("before")
    done = zoo("summary", "lenet", "--output", str(target), "--columns", "colour")
    assert done.code == 2
    assert target.read_text() == "before"
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
