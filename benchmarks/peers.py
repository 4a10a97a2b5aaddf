"""zoo beside its peers: seconds, peak memory, MACs, and the error against the published figure.

    python benchmarks/peers.py [--runs N] [--models a,b] [--tools a,b] [--threads N]

Every measurement is a fresh process, and the tools take turns. Then zoo and torchinfo take turns in
one warm process. The results go to `benchmarks/results/peers.json` and `peers.md`; a tool that
crashes is a row with its error. One thread is the default, since two that share a busy core wait
for each other at every barrier, which multiplies the peers' seconds and not zoo's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cases import CASES
from counters import PEERS, TOOLS, VARIANTS, Tool
from machine import describe
from output import RESULTS, spread, write
from report import markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = Path(__file__).resolve().parent
TIMEOUT = 600
"""Seconds for one measurement of one tool."""
VERSIONS = ("torch", "torchvision", "transformers")
MEDIANS = ("seconds", "build_seconds", "analysis_seconds", "peak_bytes", "tool_import_bytes")


def ask(threads: int, script: str, *words: str) -> Mapping[str, Any]:
    """One measurement in a fresh process, with so many threads (0: torch's default)."""
    command = [sys.executable, str(HERE / script), *words]
    environment = {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {})}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            cwd=HERE,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer in {TIMEOUT} s"}
    try:
        found: Mapping[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"error": f"exit {done.returncode}: {last[:200]}"}
    return found


def cold(
    models: Sequence[str], tools: Sequence[Tool], runs: int, threads: int
) -> list[dict[str, Any]]:
    """Rounds of all tools on all models, and the medians of each pair."""
    answers: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for turn in range(runs):
        for model in models:
            for tool in tools:
                progress(f"round {turn + 1} of {runs}: {model}, {tool.name}")
                found = ask(threads, "probe.py", tool.name, model)
                answers.setdefault((model, tool.name), []).append(found)
    return [_row(model, TOOLS[tool], found) for (model, tool), found in answers.items()]


def _row(model: str, tool: Tool, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "model": model,
        "tool": tool.name,
        "called": tool.called,
        "built": tool.build,
        "variant": tool in VARIANTS,
    }
    failed = [one for one in answers if "error" in one]
    if failed:
        return {**row, **failed[0], "failed_runs": len(failed), "runs": len(answers)}
    first = {key: value for key, value in answers[0].items() if key not in MEDIANS}
    measured = {key: spread([one[key] for one in answers]) for key in MEDIANS}
    return {**row, **first, **measured, "runs": len(answers)}


def warm(models: Sequence[str], runs: int, threads: int) -> list[dict[str, Any]]:
    """Compare zoo with torchinfo on each model."""
    rows: list[dict[str, Any]] = []
    for model in models:
        progress(f"same process: {model}, {runs} rounds")
        rows.append({"model": model, **ask(threads, "warm.py", model, str(runs))})
    return rows


def progress(text: str) -> None:
    """Say on stderr what is being done."""
    print(text, file=sys.stderr, flush=True)


def chosen(words: str, known: Sequence[str]) -> list[str]:
    """Names from `a,b`."""
    names = [name.strip() for name in words.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown: {', '.join(unknown)}. Known: {', '.join(known)}."
        )
    return names


def at_least(least: int, word: str) -> int:
    """A number of rounds."""
    try:
        count = int(word)
    except ValueError:
        count = least - 1
    if count < least:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number from {least} up")
    return count


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--runs",
        type=lambda word: at_least(1, word),
        default=3,
        metavar="N",
        help="fresh processes for each tool and model (3)",
    )
    parser.add_argument(
        "--warm-runs",
        type=lambda word: at_least(0, word),
        default=10,
        metavar="N",
        help="rounds in one process, zoo against torchinfo; 0 for none (10)",
    )
    parser.add_argument(
        "--threads",
        type=lambda word: at_least(0, word),
        default=1,
        metavar="N",
        help="of torch; 0 for its default (1)",
    )
    parser.add_argument(
        "--models",
        type=lambda word: chosen(word, list(CASES)),
        default=list(CASES),
        metavar="A,B",
        help=f"of {', '.join(CASES)}",
    )
    parser.add_argument(
        "--tools",
        type=lambda word: chosen(word, list(TOOLS)),
        default=list(TOOLS),
        metavar="A,B",
        help=f"of {', '.join(TOOLS)}",
    )
    parser.add_argument(
        "--output", type=Path, default=RESULTS, metavar="FOLDER", help="where the results go"
    )
    return parser.parse_args()


def require(tools: Sequence[Tool]) -> None:
    """End with one line where a tool is not installed."""
    missing = sorted({tool.package or tool.name for tool in tools if tool.missing()})
    if missing:
        print(
            f"peers: not installed, or not whole: {', '.join(missing)}. "
            'Run `pip install -e ".[bench]"`, or name other tools with --tools.',
            file=sys.stderr,
        )
        raise SystemExit(2)


def main() -> None:
    """Measure, print, write."""
    given = options()
    tools = [TOOLS[name] for name in given.tools]
    require(tools)
    packages = dict.fromkeys([*VERSIONS, *(tool.package for tool in PEERS if tool.package)])
    facts = describe(packages)
    rows = cold(given.models, tools, given.runs, given.threads)
    compared = {"zoo", "torchinfo"} <= set(given.tools) and given.warm_runs
    pairs = warm(given.models, given.warm_runs, given.threads) if compared else []
    facts["threads"] = given.threads
    facts["load_after"] = os.getloadavg()[0]
    data = {"schema": "zoo.benchmark.peers/1", "machine": facts, "cold": rows, "warm": pairs}
    write(given.output, "peers", data, markdown(data))


if __name__ == "__main__":
    main()
