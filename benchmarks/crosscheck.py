"""Does `zoo crosscheck` explain what other tools say of every torchvision classifier?

    python benchmarks/crosscheck.py [--models a,b] [--engines a,b] [--timeout S] [--output F]

Each model is built once, with its weights, and run on one picture; each tool is asked in a process
of its own. The results go to `benchmarks/results/crosscheck.json` and `crosscheck.md`: for each
tool, how many of its figures are explained to within 0.1% of zoo's, and each that is not.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine import describe, head
from output import RESULTS, table, write
from peers import progress
from torchvision import models

import zoo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIMIT = 0.1
"""Percent of zoo's figure that may stay unexplained."""
SIDES = {"inception_v3": 299}
"""Of the picture; 224 for others."""
IMPORTED = ("torchinfo", "fvcore.nn", "thop", "ptflops", "calflops")
"""Imported once, so that the copies of this process need not; torchlens refuses to be."""
KEPT = (
    *("engine", "quantity", "status", "unit", "theirs", "ours", "difference", "percent"),
    *("causes", "unexplained", "unexplained_percent", "unexplained_in", "reason", "seconds"),
)


def measured(name: str, engines: Sequence[str] | None, timeout: float) -> list[dict[str, Any]]:
    """The report's rows of one model."""
    side = SIDES.get(name, 224)
    model = models.get_model(name, weights=None).eval()
    report = zoo.crosscheck(model, (1, 3, side, side), engines=engines, timeout=timeout)
    return [{"model": name, **{key: row[key] for key in KEPT}} for row in report.rows]


def markdown(data: Mapping[str, Any]) -> str:
    """The results file."""
    rows = data["rows"]
    by_engine: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_engine[f"{row['engine']}, {row['quantity']}"].append(row)
    header = ["tool and quantity", "models", "answered", "equal to zoo", "explained exactly"]
    header += ["explained within 0.1%", "largest unexplained", "seconds"]
    lines = [_line(name, found) for name, found in by_engine.items()]
    parts = [
        "# Second opinions on torchvision's classifiers, explained",
        head(data["machine"]),
        f"{data['models']} models, one picture each, in {data['seconds']:,.0f} s.",
        "## Explained",
        table(header, lines),
        "## Not explained",
        _rest(rows),
        "## Causes",
        "What each cause makes of a tool's figure, in percent of zoo's, where it makes most.",
        table(["tool, quantity and cause", "models", "most", "model"], _causes(rows)),
    ]
    return "\n\n".join(parts) + "\n"


def _line(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    answered = [row for row in rows if row["theirs"] is not None]
    parts = [abs(row["unexplained_percent"]) for row in answered]
    return [
        name,
        str(len(rows)),
        str(len(answered)),
        str(sum(row["status"] == "ok" for row in answered)),
        str(sum(row["unexplained"] == 0 for row in answered)),
        str(sum(part <= LIMIT for part in parts)),
        f"{max(parts):.4f}%" if parts else "-",
        f"{sum(row['seconds'] or 0 for row in rows):,.0f}",
    ]


def _rest(rows: Sequence[Mapping[str, Any]]) -> str:
    found = [
        [row["model"], row["engine"], row["quantity"], row["status"], _why(row)]
        for row in rows
        if row["theirs"] is None or row["unexplained"]
    ]
    header = ["model", "tool", "quantity", "status", "unexplained, or why there is no figure"]
    return table(header, found) if found else "Nothing."


def _why(row: Mapping[str, Any]) -> str:
    if row["theirs"] is None:
        return row["reason"] or "-"
    return f"{row['unexplained']:,} ({row['unexplained_percent']:+.4f}%)"


def _causes(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    most: dict[str, tuple[float, str]] = {}
    count: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        for cause in row["causes"]:
            name = f"{row['engine']}, {row['quantity']}: {cause['cause']}"
            part = 100 * cause["amount"] / row["ours"]
            count[name] += 1
            if name not in most or abs(part) > abs(most[name][0]):
                most[name] = part, row["model"]
    return [
        [name, str(count[name]), f"{part:+.2f}%", model]
        for name, (part, model) in sorted(most.items())
    ]


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = models.list_models(module=models)
    parser.add_argument("--models", default=",".join(names), metavar="A,B")
    parser.add_argument("--engines", default=None, metavar="A,B")
    parser.add_argument("--timeout", type=float, default=180.0, metavar="S")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER")
    return parser.parse_args()


def main() -> None:
    """Measure, print, write."""
    given = options()
    warnings.simplefilter("ignore")
    for name in IMPORTED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    tools = (one.partition(".")[0] for one in IMPORTED)
    packages = ("torch", "torchvision", *tools, "torchlens")
    facts = describe(packages)
    engines = given.engines.split(",") if given.engines else None
    began = time.perf_counter()
    rows = []
    for number, name in enumerate(given.models.split(","), start=1):
        found = measured(name, engines, given.timeout)
        off = [row["engine"] for row in found if row["theirs"] is None or row["unexplained"]]
        progress(f"{number} {name}: {', '.join(off) or 'explained'}")
        rows += found
        gc.collect()
    facts["load_after"] = os.getloadavg()[0]
    data = {
        "schema": "zoo.benchmark.crosscheck/1",
        "machine": facts,
        "models": len({row["model"] for row in rows}),
        "seconds": time.perf_counter() - began,
        "rows": rows,
    }
    write(given.output, "crosscheck", data, markdown(data))


if __name__ == "__main__":
    main()
