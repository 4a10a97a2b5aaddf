"""How long does a sweep over all of torchvision take, and how much memory do its processes hold?

    python benchmarks/sweep.py [--pattern 'torchvision/*'] [--jobs 1 2] [--output FOLDER]

Each sweep is a fresh `zoo sweep` that writes a CSV file; a second one over the same file has
nothing left to do. Memory is sampled while it runs, over the process and all below it, in two ways:
resident memory counts pages that processes share in each of them, proportional memory counts them
once. Results go to `benchmarks/results/sweep.json` and `sweep.md`.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from machine import describe, head
from output import RESULTS, table, write

PERIOD = 0.05
"""Seconds between two samples of memory."""
TARGET_SECONDS, TARGET_BYTES = 180, 1.5e9


def family(root: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                after_name = (place / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended
                continue
            parents.setdefault(int(after_name[1]), []).append(int(place.name))
    found, waiting = [], [root]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += parents.get(one, [])
    return found


def held(process: int) -> tuple[int, int]:
    """Resident and proportional bytes of a process; 0 where it ended."""
    sums = {"Rss": 0, "Pss": 0}
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in sums:
                sums[name] = int(rest.split()[0]) * 1024
    except OSError:
        return 0, 0
    return sums["Rss"], sums["Pss"]


class Watch(threading.Thread):
    """Samples the memory of a process and all below it."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.process, self.ended = process, threading.Event()
        self.resident = self.proportional = self.most_processes = 0

    def run(self) -> None:
        while not self.ended.wait(PERIOD):
            every = [held(one) for one in family(self.process)]
            self.resident = max(self.resident, sum(one[0] for one in every))
            self.proportional = max(self.proportional, sum(one[1] for one in every))
            self.most_processes = max(self.most_processes, len(every))


def sweep(pattern: str, jobs: int, path: Path) -> dict[str, Any]:
    """One `zoo sweep` under measurement."""
    words = ["-m", "zoo.cli", "sweep", pattern, "--jobs", str(jobs), "--output", str(path)]
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True)
    watch = Watch(process.pid)
    watch.start()
    _, said = process.communicate()
    seconds = time.perf_counter() - start
    watch.ended.set()
    watch.join()
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "jobs": jobs,
        "seconds": seconds,
        "resident_bytes": watch.resident,
        "proportional_bytes": watch.proportional,
        "processes": watch.most_processes,
        "rows": len(rows),
        "failed": [row["name"] for row in rows if row["status"] != "ok"],
        "slowest": sorted(((float(row["seconds"]), row["name"]) for row in rows), reverse=True)[:5],
        "exit_code": process.returncode,
        "said": said.strip().splitlines()[-1:],
    }


def page(facts: dict[str, Any], found: list[dict[str, Any]], pattern: str) -> str:
    """The results as Markdown."""
    rows = [
        [
            one["what"],
            f"{one['seconds']:.1f} s",
            f"{one['resident_bytes'] / 1e9:.2f} GB",
            f"{one['proportional_bytes'] / 1e9:.2f} GB",
            str(one["processes"]),
            str(one["rows"]),
            str(len(one["failed"])),
        ]
        for one in found
    ]
    columns = ("sweep", "wall", "resident", "proportional", "processes", "rows", "failed")
    slowest = ", ".join(f"{name} {seconds:.2f} s" for seconds, name in found[0]["slowest"])
    return "\n\n".join(
        (
            f"# `zoo sweep {pattern!r}`",
            head(facts),
            table(columns, rows),
            "Resident memory counts pages that processes share in each of them, proportional memory"
            f" counts them once. Targets: {TARGET_SECONDS} s, {TARGET_BYTES / 1e9:g} GB.",
            f"Slowest: {slowest}.",
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pattern", default="torchvision/*")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    facts = describe(("torch-zoo", "torch", "torchvision"))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for jobs in options.jobs:
            path = Path(folder) / f"{jobs}.csv"
            found.append({"what": f"--jobs {jobs}", **sweep(options.pattern, jobs, path)})
            again = sweep(options.pattern, jobs, path)
        found.append({"what": "again, nothing left to do", **again})
    facts["load_after"] = os.getloadavg()[0]
    data = {**facts, "pattern": options.pattern, "sweeps": found}
    write(options.output, "sweep", data, page(facts, found, options.pattern) + "\n")


if __name__ == "__main__":
    main()
