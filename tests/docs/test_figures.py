"""Figures that the docs take from a results file are those of the file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """Cells of the first table after a heading, by the first cell."""
    text = (ROOT / page).read_text().split(heading, 1)[1]
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("|"):
            first, *cells = (cell.strip(" *") for cell in line.strip("|").split("|"))
            found[first] = cells
        elif found:
            break
    return found


def test_errors_of_the_peers() -> None:
    shown = rows("docs/explanation/why-tools-disagree.md", "## Larger models, more tools")
    measured = rows("benchmarks/results/peers.md", "## MACs against the published figure")
    models = shown.pop("tool")
    shown.pop("---")
    assert measured["tool"][: len(models) - 1] == models[:-1]
    assert len(shown) == 8
    for tool, cells in shown.items():
        assert measured[tool][: len(cells)] == cells
    assert set(measured["zoo"]) == {"exact"}


def test_what_crosscheck_explains() -> None:
    """The page's table is that of the results, in which nothing above 0.1% is left."""
    shown = rows("docs/explanation/why-tools-disagree.md", "## How causes are computed")
    measured = rows("benchmarks/results/crosscheck.md", "## Explained")
    assert shown == {name: cells[: len(shown[name])] for name, cells in measured.items()}
    found = json.loads((ROOT / "benchmarks/results/crosscheck.json").read_text())["rows"]
    required = [one for one in found if one["engine"] in ("torchinfo", "fvcore", "FlopCounterMode")]
    assert len({one["model"] for one in required}) == 80
    assert len(required) == 80 * 5
    assert all(abs(one["unexplained_percent"]) <= 0.1 for one in required)


PUBLISHED = "benchmarks/results/published_memory"
MEMORY = "docs/explanation/predicted-and-measured-memory.md"


def test_errors_of_published_memory() -> None:
    shown = rows(MEMORY, "## Errors by source")
    assert shown == rows(f"{PUBLISHED}.md", "## By source")
    assert len(shown) > 5


def test_examples_of_published_memory() -> None:
    """Measured, predicted and both ratios of each example are those of a row of the results."""
    examples = rows(MEMORY, "## What is predicted well")
    del examples["model"], examples["---"]
    lines = (ROOT / f"{PUBLISHED}.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    found = {tuple(line[10:14]) for line in cells if len(line) == 16}
    assert len(examples) >= 6
    assert {tuple(one) for one in examples.values()} <= found


def test_no_published_row_is_hidden() -> None:
    """Each row of the facts is in the results: predicted, or with the reason why not."""
    with (ROOT / "tests/oracles/memory_measured.csv").open(newline="") as file:
        facts = list(csv.DictReader(file))
    lines = json.loads((ROOT / f"{PUBLISHED}.json").read_text())["rows"]
    assert [line["row"] for line in lines] == facts
    assert all(("predicted" in line) != ("not_rebuilt" in line) for line in lines)
    far = [one for one in lines if one.get("measured") and abs(one["ratio"] - 1) > 0.1]
    assert far
    assert all(one["cause"] for one in far)
