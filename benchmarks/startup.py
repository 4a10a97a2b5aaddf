"""What `zoo` costs before it does anything: commands side by side, taking turns.

    python benchmarks/startup.py [--runs N] [--output FOLDER]

Each command is a fresh process in a folder that holds a saved trace; the first round, which also
writes bytecode, is thrown away. The targets are printed beside the ratios, and nothing fails on a
time. Results go to
`benchmarks/results/startup.json` and `startup.md`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine import describe, head
from output import RESULTS, spread, table, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Command:
    """A command line under measurement."""

    words: tuple[str, ...]
    """`python` and `zoo` are those of this environment."""
    base: str | None = None
    """The command that its time is divided by."""
    target: float | None = None
    """At most this many times the base."""
    prize: float | None = None
    """What would be better still."""

    @property
    def text(self) -> str:
        """As a user types it."""
        return " ".join(f'"{word}"' if " " in word else word for word in self.words)


LIGHT = Command(("python", "-c", "import click, pluggy"))
TORCH = Command(("python", "-c", "import torch"))
SAVED = "resnet50.json.gz"
"""A saved trace in the folder of the commands."""
COMMANDS = (
    LIGHT,
    Command(("zoo", "--help"), LIGHT.text, 2.5),
    Command(("zoo", "list"), LIGHT.text, 2.5),
    Command(("zoo", "summary", SAVED), LIGHT.text, 3.0),
    TORCH,
    Command(("zoo", "summary", "googlenet", "--input", "1,1,96,96"), TORCH.text, 1.9, 1.3),
)


def program(name: str) -> str:
    """Where this environment's `python` or `zoo` is."""
    if name == "python":
        return sys.executable
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        print('startup: no `zoo` command. Run `pip install -e ".[bench]"`.', file=sys.stderr)
        raise SystemExit(2)
    return found


def once(command: Command, folder: str) -> tuple[float, str | None]:
    """Seconds of one run, and what went wrong with it."""
    words = [program(command.words[0]), *command.words[1:]]
    start = time.perf_counter()
    done = subprocess.run(
        words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode == 0:
        return seconds, None
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return seconds, f"exit {done.returncode}: {last[:200]}"


def measure(commands: Sequence[Command], runs: int) -> list[dict[str, Any]]:
    """Rounds of all commands; ratios are of runs of the same round."""
    seconds: dict[str, list[float]] = {command.text: [] for command in commands}
    errors: dict[str, str] = {}
    words = (program("zoo"), "trace", "resnet50", "--input", "1,3,224,224")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*words, "--output", SAVED], cwd=folder, check=True)
        for turn in range(runs + 1):
            print(f"round {turn} of {runs}", file=sys.stderr, flush=True)
            for command in commands:
                taken, error = once(command, folder)
                if turn:
                    seconds[command.text].append(taken)
                if error is not None:
                    errors[command.text] = error
    return [_row(command, seconds, errors.get(command.text)) for command in commands]


def _row(
    command: Command, seconds: Mapping[str, Sequence[float]], error: str | None
) -> dict[str, Any]:
    own = seconds[command.text]
    row: dict[str, Any] = {
        "command": command.text,
        "seconds": spread(own),
        "error": error,
        "base": command.base,
    }
    if command.base is not None:
        base = seconds[command.base]
        row["ratio_of_medians"] = statistics.median(own) / statistics.median(base)
        row["ratio"] = spread([a / b for a, b in zip(own, base, strict=True)])
        row["target"], row["prize"] = command.target, command.prize
    return row


def markdown(data: Mapping[str, Any]) -> str:
    """The results file."""
    lines = [_line(row) for row in data["commands"]]
    header = [
        "command",
        "median s",
        "quartiles",
        "beside",
        "ratio of medians",
        "median of ratios",
        "target",
    ]
    return (
        "\n\n".join(("# Start-up times", head(data["machine"]), _RULES, table(header, lines)))
        + "\n"
    )


_RULES = """\
Wall seconds of whole processes, commands taking turns, warm disk cache. `median of ratios`
divides runs of the same round, with its quartiles; it drifts less than the ratio of medians on a
busy machine."""


def _line(row: Mapping[str, Any]) -> list[str]:
    low, high = row["seconds"]["quartiles"]
    name = f"`{row['command']}`" + (f" **failed** ({row['error']})" if row["error"] else "")
    cells = [name, f"{row['seconds']['median']:.3f}", f"{low:.3f}-{high:.3f}"]
    if row["base"] is None:
        return [*cells, "", "", "", ""]
    low, high = row["ratio"]["quartiles"]
    target = f"{row['target']}" + (f" (prize {row['prize']})" if row["prize"] else "")
    ratio = f"{row['ratio']['median']:.2f} ({low:.2f}-{high:.2f})"
    return [*cells, f"`{row['base']}`", f"{row['ratio_of_medians']:.2f}", ratio, target]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15, metavar="N", help="rounds that count (15)")
    parser.add_argument(
        "--output", type=Path, default=RESULTS, metavar="FOLDER", help="where the results go"
    )
    given = parser.parse_args()
    if given.runs < 1:
        parser.error("--runs wants a whole number from 1 up")
    facts = describe(("torch-zoo", "torch", "torchvision", "click", "pluggy", "rich"))
    rows = measure(COMMANDS, given.runs)
    facts["load_after"] = os.getloadavg()[0]
    data = {"schema": "zoo.benchmark.startup/1", "machine": facts, "commands": rows}
    write(given.output, "startup", data, markdown(data))


if __name__ == "__main__":
    main()
