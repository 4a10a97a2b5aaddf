"""On what a result was measured: processor, memory, load, versions, date and command."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).resolve().parent.parent


def describe(packages: Iterable[str]) -> dict[str, Any]:
    """Facts for the head of a results file, taken before the first measurement.

    Args:
        packages: Distributions whose versions matter.
    """
    return {
        "command": f"python benchmarks/{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}".strip(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "commit": _commit(),
        "load_before": os.getloadavg()[0],
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit measured, with a mark where the working tree of `zoo` differs from it."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "zoo"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + (" with changes" if changed.stdout.strip() else "")


def head(facts: Mapping[str, Any]) -> str:
    """The same as Markdown."""
    packages = ", ".join(f"{name} {found}" for name, found in facts["packages"].items() if found)
    commit = f", commit {facts['commit']}" if facts["commit"] else ""
    place = f"{facts['processor']}, {facts['cores']} cores, {facts['memory_bytes'] / 1e9:.1f} GB"
    load = f"{facts['load_before']:.2f} before, {facts['load_after']:.2f} after"
    return "\n".join(
        (
            f"`{facts['command']}`, {facts['date']}{commit}.",
            f"{place}; {facts['system']}; Python {facts['python']}; {packages}.",
            f"Load average {load} (the benchmark itself adds 1 to 2).",
        )
    )
