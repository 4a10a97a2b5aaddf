"""How results are summarised and written: medians, Markdown tables, a JSON and a Markdown file."""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RESULTS = Path(__file__).resolve().parent / "results"


def spread(samples: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles, with the samples they are of."""
    low, middle, high = (
        statistics.quantiles(samples, n=4, method="inclusive")
        if len(samples) > 1
        else [*samples] * 3
    )
    return {
        "median": middle,
        "quartiles": [low, high],
        "samples": [round(one, 6) for one in samples],
    }


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [header, [":--", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(folder: Path, name: str, data: Mapping[str, Any], text: str) -> None:
    """Write `name.json` and `name.md`, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, content in (("json", json.dumps(data, indent=1) + "\n"), ("md", text)):
        unfinished = folder / f".{name}.{suffix}"
        unfinished.write_text(content)
        unfinished.replace(folder / f"{name}.{suffix}")
    print(text)
    print(f"written: {os.path.relpath(folder / name)}.json and .md")
