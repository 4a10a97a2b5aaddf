"""`zoo trace`, and its file in the place of a model."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.running import zoo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "lenet.json.gz"
    done = zoo("trace", "lenet", "--batch", "2", "--optimizer", "sgd", "--output", str(path))
    assert done.code == 0
    assert done.out == ""
    assert "module calls" in done.err
    return path


COMMANDS = [
    ("summary",),
    ("flops", "--by", "phase"),
    ("params", "--by", "role"),
    ("memory", "--by", "module", "--sort", "bytes"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_without_torch(words: tuple[str, ...], saved: Path) -> None:
    """A machine that has zoo and no torch."""
    line = [words[0], str(saved), *words[1:], "--format", "json"]
    code = f"""
import sys
sys.modules.update(dict.fromkeys(('torch', 'torchvision')))
from zoo.cli import main
main({line!r})
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json.loads(zoo(*line).out)


def test_the_figures_are_those_of_the_model(saved: Path) -> None:
    model = zoo("memory", "lenet", "--batch", "2", "--optimizer", "sgd", "--format", "json")
    trace = zoo("memory", str(saved), "--format", "json")
    assert json.loads(trace.out) == json.loads(model.out)


def test_standard_output_is_the_trace_and_nothing_else() -> None:
    done = zoo("trace", "lenet")
    assert json.loads(done.out)["schema"] == "zoo.trace/1"


@pytest.mark.parametrize(
    "words",
    [
        ("--input", "1,1,28,28"),
        ("--device", "cuda"),
        ("--set", "num_classes=3"),
        ("--hint", "nonzero=3"),
        ("--dtype", "bfloat16"),
        ("--batch", "2"),
        ("--train",),
        ("--optimizer", "adamw"),
    ],
    ids=lambda words: words[0],
)
def test_options_of_a_run_are_refused(words: tuple[str, ...], saved: Path) -> None:
    done = zoo("memory", str(saved), *words)
    assert done.code == 2
    assert done.err == f"zoo: {words[0]}: {saved} has run already. Leave it out.\n"


def test_options_of_a_run_that_are_the_default_are_no_options(saved: Path) -> None:
    assert zoo("summary", str(saved), "--depth", "1").code == 0


def test_bad_input(saved: Path, tmp_path: Path) -> None:
    for words, says in (
        (("trace", "lenet", "--output", "t.txt"), "End it in .json or .json.gz"),
        (("trace", "lenet", "-o", "nowhere/t.json"), "there is no folder nowhere"),
        (("trace", "lenett"), "Did you mean lenet"),
        (("summary", "none.json"), "there is no such file"),
        (("freeze", str(saved)), "Give the model itself"),
        (("params", str(saved), "--values"), "a trace holds no weights"),
    ):
        done = zoo(*words)
        assert done.code == 2
        assert says in done.err
        assert done.err.count("\n") == 1


def test_a_run_that_breaks_is_saved_and_exits_with_1(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    done = zoo("trace", "lenet", "--input", "1,1,5,5", "--output", str(path))
    assert done.code == 1
    assert "the run broke" in done.err
    shown = zoo("summary", str(path))
    assert shown.code == 1
    assert "conv" in shown.out
