"""zoo and torchinfo in one warm process: `python warm.py CASE RUNS` prints one JSON object.

Each time the model is built and analysed; one round before the first is thrown away, and the order
changes from round to round. Where zoo is slower, a profile of one more round of its is added.
"""

from __future__ import annotations

import contextlib
import cProfile
import gc
import json
import pstats
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cases import CASES, Case
from counters import TOOLS, quiet
from machine import ROOT
from output import spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TOP = 10


def compare(case: Case, runs: int) -> Mapping[str, Any]:
    """Seconds of both, their ratio, and a profile where zoo is slower."""
    import torch
    import torchvision  # noqa: F401 - imports are outside the time

    quiet()
    rounds = {name: _round(name, case) for name in ("zoo", "torchinfo")}
    wall: dict[str, list[float]] = {name: [] for name in rounds}
    cpu: dict[str, list[float]] = {name: [] for name in rounds}
    for turn in range(runs + 1):
        for name in list(rounds)[:: 1 if turn % 2 else -1]:
            start, busy = time.perf_counter(), time.process_time()
            rounds[name]()
            if turn:
                cpu[name].append(time.process_time() - busy)
                wall[name].append(time.perf_counter() - start)
    found: dict[str, Any] = {
        name: {"seconds": spread(wall[name]), "cpu_seconds": spread(cpu[name])} for name in rounds
    }
    found["threads"] = torch.get_num_threads()
    found["ratio"] = _ratio(found, "seconds")
    found["cpu_ratio"] = _ratio(found, "cpu_seconds")
    found["fastest_ratio"] = min(wall["zoo"]) / min(wall["torchinfo"])
    found["operators"], found["module_calls"] = _size(case)
    if found["ratio"] > 1:
        found["profile"] = profile(rounds["zoo"])
    return found


def _round(name: str, case: Case) -> Callable[[], float]:
    tool = TOOLS[name]
    count = tool.prepare()
    return lambda: count(tool.model(case), case)


def _ratio(found: Mapping[str, Any], what: str) -> float:
    a, b = (found[name][what]["median"] for name in ("zoo", "torchinfo"))
    return float(a / b)


def _size(case: Case) -> tuple[int, int]:
    """Operators and module calls of a run, as zoo records them."""
    import zoo

    trace = zoo.trace(
        case.zoo_name, case.shape, arguments={**case.arguments, **case.catalog_arguments}
    )
    return len(trace.ops), len(trace.calls)


def profile(work: Callable[[], float]) -> Mapping[str, Any]:
    """Own seconds by package and by function, under cProfile, which slows Python code down."""
    watched = cProfile.Profile()
    with collecting() as collected:
        watched.runcall(work)
    stats = pstats.Stats(watched).stats  # type: ignore[attr-defined]  # typeshed leaves it out
    packages: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, _) in stats.items():
        packages[_package(file, name)] += own
    total = sum(packages.values())
    top = sorted(stats.items(), key=lambda item: -item[1][2])[:TOP]
    return {
        "seconds": total,
        "garbage_collection_seconds": sum(collected),
        "share_by_package": {name: own / total for name, own in packages.most_common(5)},
        "top_by_own_time": [
            {"function": _place(*where), "calls": calls, "own_seconds": own, "total_seconds": whole}
            for where, (_, calls, own, whole, _) in top
        ],
    }


@contextlib.contextmanager
def collecting() -> Iterator[list[float]]:
    """Seconds of each garbage collection inside; a profile books them where they happen to fall."""
    seconds: list[float] = []
    started = 0.0

    def note(phase: str, _: object) -> None:
        nonlocal started
        if phase == "start":
            started = time.perf_counter()
        else:
            seconds.append(time.perf_counter() - started)

    gc.callbacks.append(note)
    try:
        yield seconds
    finally:
        gc.callbacks.remove(note)


def _package(file: str, name: str) -> str:
    """Whose code a function is."""
    if file == "~":
        return "torch (compiled)" if "torch" in name else "builtins"
    return _short(file).partition("/")[0].removesuffix(".py")


def _place(file: str, line: int, name: str) -> str:
    return name if file == "~" else f"{_short(file)}:{line} {name}"


def _short(file: str) -> str:
    """A path without what differs between machines."""
    if "site-packages/" in file:
        return file.rpartition("site-packages/")[2]
    path = Path(file)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else f"python/{path.name}"


def main() -> None:
    """Compare on the case that the command line names."""
    with contextlib.redirect_stdout(sys.stderr):
        found = compare(CASES[sys.argv[1]], int(sys.argv[2]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
