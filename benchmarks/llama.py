"""What it costs to look at a language model of 405 billion parameters without its weights.

    python benchmarks/llama.py [--runs N] [--tokens T] [--output FOLDER]

Llama 3.1 from its config.json, at 4,096 tokens: built, run forward, and taken through a training
step with AdamW, each in a fresh process. Models take turns. The targets are printed beside the
figures, and nothing fails on a time. Results go to `benchmarks/results/llama.json` and `llama.md`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine import ROOT, describe, head
from output import RESULTS, spread, table, write

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIGS = ROOT / "tests" / "oracles" / "hf_configs"
MODELS = ("llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b")
WORK: Mapping[str, Mapping[str, Any]] = {
    "forward": {},
    "training step": {"train": True, "optimizer": "adamw", "loss": "cross-entropy"},
}
"""What is traced, as `zoo.trace` is asked."""
TARGETS = {
    ("llama-3.1-405b", "forward"): (10.0, 1.5e9),
    ("llama-3.1-405b", "training step"): (60.0,),
}
"""Seconds from the start of the process, and bytes resident, of the largest."""


def peak_bytes() -> int:
    """Most memory this process ever had resident."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


def probe(model: str, work: str, tokens: int) -> Mapping[str, Any]:
    """One measurement, in this process."""
    start = time.perf_counter()
    import torch

    imported = time.perf_counter()
    bare = peak_bytes()
    import zoo
    from zoo.analysis.skeleton import skeleton
    from zoo.models.llama import llama

    ready = time.perf_counter()
    built = skeleton(lambda: llama(CONFIGS / f"{model}.json"))
    done = time.perf_counter()
    trace = zoo.trace(built, f"1,{tokens}:int64", **WORK[work])
    traced = time.perf_counter()
    totals = zoo.summary(trace).totals
    end = time.perf_counter()
    if trace.failure is not None:
        return {"error": trace.failure.message}
    return {
        "torch_seconds": imported - start,
        "zoo_import_seconds": ready - imported,
        "build_seconds": done - ready,
        "trace_seconds": traced - done,
        "summary_seconds": end - traced,
        "seconds_without_torch": end - imported,
        "seconds": end - start,
        "torch_bytes": bare,
        "peak_bytes": peak_bytes(),
        "operators": len(trace.ops),
        "module_calls": len(trace.calls),
        "parameters": totals["parameters"],
        "macs": sum(op.cost.macs for op in trace.ops if op.cost),
        "allocated_parameter_bytes": sum(
            one.numel() * one.itemsize for one in built.parameters() if not one.is_meta
        ),
        "threads": torch.get_num_threads(),
    }


def once(model: str, work: str, tokens: int) -> Mapping[str, Any]:
    """The same in a fresh process, with its whole wall time."""
    words = [sys.executable, __file__, "--probe", model, work, "--tokens", str(tokens)]
    start = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - start
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"error": f"exit {done.returncode}: {last[:200]}"}
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "process_seconds": wall}


def measure(runs: int, tokens: int) -> list[dict[str, Any]]:
    """Rounds of everything; the first, which also writes bytecode, does not count."""
    cases = [(model, work) for work in WORK for model in MODELS]
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {case: [] for case in cases}
    for turn in range(runs + 1):
        print(f"round {turn} of {runs}", file=sys.stderr, flush=True)
        for case in cases if turn else cases[:1]:
            result = once(*case, tokens)
            if turn:
                found[case].append(result)
    return [_row(model, work, results) for (model, work), results in found.items()]


def _row(model: str, work: str, results: list[Mapping[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"model": model, "work": work}
    wrong = next((one["error"] for one in results if "error" in one), None)
    if wrong is not None:
        return {**row, "error": wrong}
    for key, value in results[0].items():
        samples = [one[key] for one in results]
        row[key] = spread(samples) if isinstance(value, float) else max(samples)
    return {**row, "targets": TARGETS.get((model, work))}


HEADER = (
    "model",
    "work",
    "process s",
    "without starting Python and torch, s",
    "build s",
    "trace s",
    "summary s",
    "peak MB",
    "of it torch MB",
    "operators",
    "parameters",
    "MACs",
    "targets",
)


def _line(row: Mapping[str, Any]) -> list[str]:
    if "error" in row:
        return [row["model"], f"{row['work']}: **failed** ({row['error']})", *[""] * 11]
    names = ("process", "seconds_without_torch", "build", "trace", "summary")
    keys = [name if name.startswith("seconds") else f"{name}_seconds" for name in names]
    targets = row["targets"] or ()
    words = [f"{targets[0]:.0f} s"] if targets else []
    words += [f"{one / 1e6:,.0f} MB" for one in targets[1:]]
    return [
        row["model"],
        row["work"],
        *(f"{row[key]['median']:.2f}" for key in keys),
        f"{row['peak_bytes'] / 1e6:,.0f}",
        f"{row['torch_bytes'] / 1e6:,.0f}",
        f"{row['operators']:,}",
        f"{row['parameters']:,}",
        f"{row['macs']:,}",
        ", ".join(words),
    ]


_RULES = """\
Each row is of fresh processes, models taking turns, warm disk cache; medians of seconds, the
largest peak. `process` is the whole wall time, starting Python and importing torch included. Peak
is the resident size (`ru_maxrss`), what importing torch takes beside it. No weight is allocated:
what lies in memory of parameters is {bytes} (the small norms)."""


def markdown(data: Mapping[str, Any]) -> str:
    """The results file."""
    lines = [_line(row) for row in data["rows"]]
    held = max((row.get("allocated_parameter_bytes", 0) for row in data["rows"]), default=0)
    title = f"# Llama 3.1 at {data['tokens']:,} tokens, without its weights"
    rules = _RULES.format(bytes=f"{held / 1e6:,.1f} MB at most")
    return "\n\n".join((title, head(data["machine"]), rules, table(HEADER, lines))) + "\n"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="rounds that count (5)")
    parser.add_argument("--tokens", type=int, default=4096, metavar="T", help="length (4096)")
    parser.add_argument(
        "--output", type=Path, default=RESULTS, metavar="FOLDER", help="where the results go"
    )
    parser.add_argument("--probe", nargs=2, metavar=("MODEL", "WORK"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.probe:
        with contextlib.redirect_stdout(sys.stderr):
            found = probe(*given.probe, given.tokens)
        print(json.dumps(found))
        return
    if given.runs < 1 or given.tokens < 1:
        parser.error("--runs and --tokens want a whole number from 1 up")
    facts = describe(("torch-zoo", "torch"))
    rows = measure(given.runs, given.tokens)
    facts["load_after"] = os.getloadavg()[0]
    data = {
        "schema": "zoo.benchmark.llama/1",
        "machine": facts,
        "tokens": given.tokens,
        "rows": rows,
    }
    write(given.output, "llama", data, markdown(data))


if __name__ == "__main__":
    main()
