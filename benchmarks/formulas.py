"""Formulas of `zoo formula` beside traces, at random points of their ranges.

    python benchmarks/formulas.py [--models a,b] [--points 20] [--output FOLDER]

Every architecture of the book, resnet50, vit_b_16 and swin_t of torchvision, a small GPT, and GPT-2
of transformers where that is installed. At each point the model is traced again with numbers, and
every total of the formula is compared. The results go to `benchmarks/results/formulas.json` and
`formulas.md`.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from machine import describe, head
from output import RESULTS, table, write

import zoo

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests import models_open

FIGURES = ("macs", "flops", "pointwise_flops", "parameters", "parameter_bytes", "activation_bytes")


def cases() -> dict[str, tuple[Any, str]]:
    """Models and their inputs."""
    book = [row["name"] for row in zoo.list_models().rows if row["plugin"] == "book"]
    found: dict[str, tuple[Any, str]] = {name: (name, "B,1,H,W") for name in book}
    for name in ("resnet50", "vit_b_16", "swin_t"):
        found[f"torchvision/{name}"] = (f"torchvision/{name}", "B,3,H,W")
    found["gpt"] = (models_open.GPT(), "B,T:int64")
    try:
        from transformers import GPT2Config, GPT2Model
    except ImportError:
        return found
    config = GPT2Config(n_layer=4, use_cache=False)
    found["transformers/gpt2, 4 layers"] = (GPT2Model(config).eval(), "B,T:int64")
    return found


def compared(model: Any, word: str, count: int) -> dict[str, Any]:
    """One model's formula held against traces."""
    began = time.perf_counter()
    report = zoo.formula(model, word)
    seconds = time.perf_counter() - began
    if report.failure is not None:
        return {"error": report.failure.error}
    hint, rng, points, peaks, wrong = report.totals["hint"], random.Random(5), 0, 0, []
    for _ in range(40_000):
        dims = {
            name: rng.choice([1, 2, here, rng.randint(1, 2 * here), rng.randint(here, here + 9)])
            for name, here in hint.items()
        }
        try:
            figures = report.evaluate(**dims)
        except zoo.ZooError:
            continue
        shape, colon, dtype = word.partition(":")
        lengths = ",".join(str(dims.get(one, one)) for one in shape.split(","))
        trace = zoo.trace(model, lengths + colon + dtype)
        totals = zoo.summary(trace).totals
        known = [name for name in FIGURES if figures[name] is not None]
        wrong += [(dims, name) for name in known if figures[name] != totals[name]]
        if figures["peak_bytes"] is not None:
            peaks += 1
            if figures["peak_bytes"] != zoo.memory(trace).totals["peak_bytes"]:
                wrong.append((dims, "peak_bytes"))
        points += 1
        if points == count:
            break
    kept = ("holds", "peak_holds", "macs")
    unknown = [name for name in (*FIGURES, "peak_bytes") if report.totals[name] is None]
    return {
        "seconds": seconds,
        "points": points,
        "peaks": peaks,
        "wrong": wrong,
        "unknown": unknown,
        **{name: report.totals[name] for name in kept},
    }


def main() -> None:
    """Compare, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models")
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULTS)
    asked = parser.parse_args()
    machine = describe(["torch", "torchvision", "transformers"])
    rows = {}
    for name, (model, word) in cases().items():
        if asked.models is None or name in asked.models.split(","):
            rows[name] = compared(model, word, asked.points)
            print(name, {k: v for k, v in rows[name].items() if k != "macs"}, flush=True)
    machine["load_after"] = os.getloadavg()[0]
    lines = [
        [
            name,
            f"{row.get('points', 0)}",
            f"{row.get('peaks', 0)}",
            f"{len(row['wrong'])}" if "wrong" in row else row["error"],
            ", ".join(row.get("unknown", ())),
            f"{row['seconds']:.2f}" if "seconds" in row else "-",
            "; ".join([*row.get("holds", ()), *row.get("peak_holds", ())]),
        ]
        for name, row in rows.items()
    ]
    header = ["model", "points", "with peak", "wrong figures", "not known", "seconds", "range"]
    text = "\n\n".join(["# Formulas beside traces", head(machine), table(header, lines)]) + "\n"
    write(asked.output, "formulas", {"machine": machine, "rows": rows}, text)


if __name__ == "__main__":
    main()
