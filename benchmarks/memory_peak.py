"""Peak memory of a training step: zoo's prediction beside the CPU profiler's measurement.

    python benchmarks/memory_peak.py [--cases A,B] [--threads N] [--quick] [--output FOLDER]

Each case runs in a process of its own: a real step, by SGD and by AdamW, with everything kept and
with checkpointing, with oneDNN off and on. zoo and torch's `MemTracker` predict each of these from
a run without data. The targets are printed beside the errors, and nothing fails on one. Results go
to `benchmarks/results/memory_peak.json` and `memory_peak.md`.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine import describe, head
from output import RESULTS, table, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

TARGETS = {"off": 0.01, "on": 0.05}
"""Largest error that is aimed at, as a share of the measured peak, with oneDNN off and on."""
OPTIMIZERS = ("sgd", "adamw")
CALM = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of the measuring processes. Without oneDNN a depthwise convolution runs a kernel for
each channel, and threads that spin between kernels take ten times as long on a busy machine."""


def rows_of(name: str, threads: int, *, quick: bool) -> list[dict[str, Any]]:
    """All measurements of one case, in this process.

    Args:
        name: Of the case.
        threads: That torch's kernels may use.
        quick: Whether `MemTracker` is left out.
    """
    import torch
    from memory_cases import CASES

    torch.set_num_threads(threads)
    case, rows = CASES[name], []
    model, inputs = case.build(), case.inputs()
    for onednn, optimizer, again in product((False, True), OPTIMIZERS, (False, True)):
        setting = {
            "optimizer": optimizer,
            "onednn": onednn,
            "checkpoint": case.checkpoint if again else (),
        }
        row = {"case": name, "kind": case.kind, **setting, "onednn": "on" if onednn else "off"}
        for asked in (_measured, _zoo) if quick else (_measured, _zoo, _mem_tracker):
            row |= asked(model, inputs, setting)
        rows.append(row)
    return rows


def _measured(model: nn.Module, inputs: Tensor, setting: Mapping[str, Any]) -> dict[str, Any]:
    from memory_real import measured_peak

    start = time.perf_counter()
    peak = measured_peak(copy.deepcopy(model), [inputs], **setting)
    return {"measured": peak, "measured_seconds": time.perf_counter() - start}


def _zoo(model: nn.Module, inputs: Tensor, setting: Mapping[str, Any]) -> dict[str, Any]:
    """zoo, which asks torch whether oneDNN is on, as a model's own kernels do."""
    import torch

    import zoo

    options = {key: value for key, value in setting.items() if key != "onednn"}
    start = time.perf_counter()
    try:
        with torch.backends.mkldnn.flags(enabled=setting["onednn"]):
            report = zoo.memory(model, inputs, train=True, **options)
    except Exception as error:  # noqa: BLE001 - a figure that is missing is a result
        return {"zoo": None, "zoo_error": f"{type(error).__name__}: {error}"[:200]}
    return {"zoo": report.totals["peak_bytes"], "zoo_seconds": time.perf_counter() - start}


def _mem_tracker(model: nn.Module, inputs: Tensor, setting: Mapping[str, Any]) -> dict[str, Any]:
    from memory_tracker import tracked_peak

    start = time.perf_counter()
    try:
        peak = tracked_peak(copy.deepcopy(model), [inputs], **setting)
    except Exception as error:  # noqa: BLE001 - a figure that is missing is a result
        return {"mem_tracker": None, "mem_tracker_error": f"{type(error).__name__}: {error}"[:200]}
    return {"mem_tracker": peak, "mem_tracker_seconds": time.perf_counter() - start}


def measure(names: Sequence[str], threads: int, *, quick: bool) -> list[dict[str, Any]]:
    """The rows of all cases, each case in a fresh process.

    Args:
        names: Of the cases.
        threads: That torch's kernels may use.
        quick: Whether `MemTracker` is left out.
    """
    rows: list[dict[str, Any]] = []
    for number, name in enumerate(names, 1):
        print(f"{number} of {len(names)}: {name}", file=sys.stderr, flush=True)
        words = [sys.executable, __file__, "--alone", name, "--threads", str(threads)]
        words += ["--quick"] if quick else []
        done = subprocess.run(
            words,
            env=os.environ | CALM,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            rows.append({"case": name, "error": f"exit {done.returncode}: {last[:200]}"})
            continue
        rows += json.loads(done.stdout.splitlines()[-1])
    return rows


def markdown(data: Mapping[str, Any]) -> str:
    """The results file."""
    parts = ["# Peak memory of a training step", head(data["machine"])]
    parts.append(_RULES.format(threads=data["threads"]))
    parts.append(_summary(data["rows"]))
    for onednn in ("off", "on"):
        rows = [row for row in data["rows"] if row.get("onednn") == onednn]
        parts += [f"## oneDNN {onednn}", table(_HEADER, [_line(row) for row in rows])]
    failed = [f"- {row['case']}: {row['error']}" for row in data["rows"] if "error" in row]
    return "\n\n".join((*parts, *failed)) + "\n"


_HEADER = (
    "case", "kind", "optimizer", "checkpointed", "measured MB", "zoo MB", "error",
    "MemTracker MB", "error",
)  # fmt: skip
_RULES = """\
The peak of the second of two steps (gradients freed, forward pass, sum of all outputs, backward
pass, optimizer), float32, {threads} thread(s). Measured: the blocks that torch's CPU allocator gave
out and took back, as its profiler saw them, and what was there before. Predicted: by zoo, and by
torch's `MemTracker` on fake tensors, which does not know what kernels allocate inside. MB are a
million bytes. An error is (predicted - measured) / measured."""


def _error(row: Mapping[str, Any], tool: str) -> float | None:
    if row.get(tool) is None:
        return None
    return float((row[tool] - row["measured"]) / row["measured"])


def _line(row: Mapping[str, Any]) -> list[str]:
    shown = [row["case"], row["kind"], row["optimizer"], ", ".join(row["checkpoint"])]
    shown.append(f"{row['measured'] / 1e6:.3f}")
    for tool in ("zoo", "mem_tracker"):
        error = _error(row, tool)
        if error is None:
            shown += ["-", row.get(f"{tool}_error", "-")]
        else:
            shown += [f"{row[tool] / 1e6:.3f}", f"{error:+.2%}"]
    return shown


def _summary(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for onednn, tool in product(("off", "on"), ("zoo", "mem_tracker")):
        found = [row for row in rows if row.get("onednn") == onednn]
        errors = [error for row in found if (error := _error(row, tool)) is not None]
        if not errors:
            continue
        sizes = sorted(abs(error) for error in errors)
        within = sum(size <= TARGETS[onednn] for size in sizes)
        lines.append([
            f"oneDNN {onednn}, {tool}", f"{TARGETS[onednn]:.0%}", f"{within} of {len(found)}",
            f"{statistics.median(sizes):.2%}", f"{sizes[-1]:.2%}",
        ])  # fmt: skip
    return table(("", "target", "within", "median error", "largest error"), lines)


def main() -> None:
    """Measure, print, write."""
    from memory_cases import CASES

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", metavar="A,B", help=f"some of {', '.join(CASES)}")
    parser.add_argument(
        "--threads", type=int, default=2, metavar="N", help="threads of torch's kernels (2)"
    )
    parser.add_argument(
        "--output", type=Path, default=RESULTS, metavar="FOLDER", help="where the results go"
    )
    parser.add_argument(
        "--quick", action="store_true", help="leave out MemTracker, which takes most of the time"
    )
    parser.add_argument("--alone", metavar="CASE", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.threads < 1:
        parser.error("--threads wants a whole number from 1 up")
    if given.alone:
        print(json.dumps(rows_of(given.alone, given.threads, quick=given.quick)))
        return
    names = given.cases.split(",") if given.cases else list(CASES)
    if unknown := [name for name in names if name not in CASES]:
        parser.error(f"no case is called {', '.join(unknown)}; there are {', '.join(CASES)}")
    facts = describe(("torch-zoo", "torch", "torchvision"))
    rows = measure(names, given.threads, quick=given.quick)
    facts["load_after"] = os.getloadavg()[0]
    data = {
        "schema": "zoo.benchmark.memory_peak/1",
        "machine": facts,
        "threads": given.threads,
        "rows": rows,
    }
    write(given.output, "memory_peak", data, markdown(data))


if __name__ == "__main__":
    main()
