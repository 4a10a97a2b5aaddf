"""Published figures beside zoo's own: the table of docs/reference/published.md.

    python tools/published.py

Rows are read from tests/oracles/published/*.csv; ours are those of `zoo.summary`. A rounded figure
agrees where ours is within half of its last digit.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache
from math import log10
from pathlib import Path

import zoo

ROOT = Path(__file__).resolve().parent.parent
ORACLES = ROOT / "tests" / "oracles" / "published"
PAGE = ROOT / "docs" / "reference" / "published.md"
HEAD = """# Published figures

What papers and other projects print of models that are in zoo, beside what zoo counts. Written by
`python tools/published.py`, held by `pytest tests/test_catalog_published.py`. Figures without a
unit are printed to the last one, and ours are the same; rounded ones agree where ours is within
half of the last digit. Where a source cuts digits off, contradicts itself or counts something else,
its line says so, and ours may differ by that much. torchvision's own builders are held to their
published figures by `pytest tests/test_published.py` ([all models](gallery.md)).

Parameters are counted once where tensors are tied. MACs are multiply-accumulates.
"""
FIGURES = {"parameters": "parameters", "macs": "MACs"}


@dataclass(frozen=True, slots=True)
class Row:
    """A published figure."""

    model: str
    """`plugin/name`."""
    arguments: str
    """What it is built with beside its card's settings, as JSON; empty for nothing."""
    input: str
    """Words of `--input` with `;` between them; empty for the card's own."""
    figure: str
    """`parameters` or `macs`."""
    published: int
    """As printed, in ones."""
    rounding: int
    """Twice what ours may differ by: what its last digit stands for, more where `note` says why; 1
    where it is exact."""
    source: str
    """Where it is printed."""
    note: str
    """What differs on purpose, if anything does."""

    @property
    def named(self) -> str:
        """The model, with what it is built with."""
        settings = json.loads(self.arguments) if self.arguments else {}
        words = " ".join(f"{key}={json.dumps(value)}" for key, value in settings.items())
        return f"{self.model} {words}".strip()

    @property
    def printed(self) -> str:
        """The published figure with as many digits as its source gives."""
        if self.rounding == 1 or self.published % 1000:  # what is rounded ends in three zeros
            return f"{self.published:,}"
        power, unit = (9, "G") if self.published >= 10**9 else (6, "M")
        digits = max(0, power - int(log10(self.rounding)))
        return f"{self.published / 10**power:,.{digits}f} {unit}"


def rows() -> list[Row]:
    """All rows, by file."""
    found = []
    for path in sorted(ORACLES.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for one in csv.DictReader(file):
                numbers = {key: int(one.pop(key)) for key in ("published", "rounding")}
                found.append(Row(**one, **numbers))  # type: ignore[arg-type]
    return found


def ours(row: Row) -> int:
    """zoo's figure, exact."""
    return totals(row.model, row.arguments, row.input)[row.figure]


@cache
def totals(model: str, arguments: str, given: str) -> dict[str, int]:
    """zoo's figures of a model, from one run."""
    words = [word.strip() for word in given.split(";")] if given else []
    report = zoo.summary(model, *words, arguments=json.loads(arguments or "{}"))
    if report.failure or report.totals["uncounted"]:
        raise SystemExit(f"{model}: the run failed, or an operator has no formula")
    return {figure: int(report.totals[figure]) for figure in FIGURES}


def line(row: Row) -> str:
    """The table's line for a row."""
    source = f"{row.source}. {row.note}" if row.note else row.source
    cells = (row.named, FIGURES[row.figure], f"{ours(row):,}", row.printed, source)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def page() -> str:
    """The whole page."""
    head = "| name | figure | ours | published | source |\n| :-- | :-- | --: | --: | :-- |"
    return "\n".join([HEAD, head, *map(line, rows()), ""])


if __name__ == "__main__":
    PAGE.write_text(page())
