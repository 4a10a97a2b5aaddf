"""Figures that the docs take from a results file are those of the file."""

from __future__ import annotations

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
