"""Words that text and Markdown share: titles, values, totals, definitions, coverage, notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.views.selection import Table, is_number, moot
from zoo.views.units import Units, exact, figure, percent, unit_of

if TYPE_CHECKING:
    from zoo.analysis.records import Column, Failure, InputSpec, Note, Report, Row

MOST_SHAPES = 5
"""Shapes of one cell that text and Markdown show; JSON and CSV have all."""
COVERAGE = ("coverage", "coverage_bytes", "uncounted")
"""Totals that the coverage line says."""
MOST_NOTES = 10
"""Groups of notes that are shown."""
_WORDS = {"macs": "MACs", "flops": "FLOPs"}
_SEVERITY = {"error": 0, "warning": 1, "info": 2}


def title(name: str) -> str:
    """A figure's name for people: `activation_bytes` is `activation memory`."""
    stem = name.removesuffix("_bytes")
    if stem != name:
        name = stem if stem.endswith("memory") else f"{stem}_memory"
    return " ".join(_WORDS.get(word, word) for word in name.split("_"))


def listed(value: Sequence[Any], *, shape: bool = False) -> str:
    """A shape as `1x3x96x96`, several shapes or words with `; ` between.

    `shape`: whether names are those of open dims, and no words.

    >>> listed([1, 6]), listed([[1, 6], []]), listed(["frozen", "tied"]), listed(["B", 6])
    ('1x6', '1x6; scalar', 'frozen; tied', 'Bx6')
    >>> listed(["B", "T"], shape=True), listed([["B"], ["B", "T"]])
    ('BxT', 'B; BxT')
    """
    if any(isinstance(part, (list, tuple)) for part in value):
        return "; ".join(
            (listed(part, shape=True) or "scalar") if isinstance(part, (list, tuple)) else str(part)
            for part in value
        )
    dims = shape or any(isinstance(part, int) for part in value)
    return ("x" if dims else "; ").join(map(str, value))


def brief(value: Sequence[Any], *, shape: bool = False) -> str:
    """`listed`, with the first shapes of many and how many there are besides.

    >>> brief([[1, 6]] * 3), brief([[1, 6]] * 9)
    ('1x6; 1x6; 1x6', '1x6; 1x6; 1x6; 1x6; 1x6 and 4 more')
    """
    rest = len(value) - MOST_SHAPES
    if rest <= 1 or not all(isinstance(part, (list, tuple)) for part in value):
        return listed(value, shape=shape)
    return f"{listed(value[:MOST_SHAPES])} and {rest} more"


def cell(row: Row, column: Column, units: Units) -> str:
    """A row's figure, with `>=` before what may be more."""
    value = row.get(column.name)
    if value is None or value != value:  # noqa: PLR0124 - NaN is not known either
        ran = row.get("call") is not None or row.get("uncounted")
        return "?" if ran and column.unit else "-"
    if not is_number(value):
        if isinstance(value, (list, tuple)) and not value:
            return "scalar" if column.name.endswith("shape") else ""
        if column.name.endswith("shape") and isinstance(value, (list, tuple)):
            return brief(value, shape=True)
        return words(value)
    if not column.unit or column.name == "year":
        return str(value)
    bound = ">=" if row.get("uncounted") and _counted(column.name, column.unit) else ""
    return bound + figure(value, column.unit, units)


def words(value: Any) -> str:
    """Anything that is not a figure."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "not known"
    if isinstance(value, Mapping) and "cause" in value:
        sign = "+" if value["amount"] > 0 else ""
        return f"{value['cause']} {sign}{figure(value['amount'])}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={words(part)}" for key, part in value.items())
    if isinstance(value, (list, tuple)) and any(isinstance(part, Mapping) for part in value):
        return "; ".join(map(words, value))
    return brief(value) if isinstance(value, (list, tuple)) else str(value)


@dataclass(frozen=True, slots=True)
class Total:
    """One line of the totals."""

    label: str
    """What it is."""
    exact: str
    """The figure in full, or words."""
    short: str
    """The figure with a prefix; empty where the full one is as short."""
    is_figure: bool
    """Whether `exact` is a number."""


def totals(report: Report, units: Units) -> list[Total]:
    """The totals in their order, without those of the coverage line."""
    by_name = {column.name: column.unit for column in report.columns}
    lines = []
    for name, value in report.totals.items():
        if name in COVERAGE or name in moot(report) or value in ([], {}):
            continue
        unit = by_name.get(name) or unit_of(name)
        if isinstance(value, (list, tuple)) and value and all(map(is_number, value)):
            figures = "; ".join(figure(part, unit, units) for part in value)
            lines.append(Total(title(name), figures, "", is_figure=False))
            continue
        if not is_number(value):
            lines.append(Total(title(name), words(value), "", is_figure=False))
            continue
        bound = ">=" if report.totals.get("uncounted") and _counted(name, unit) else ""
        full, short = exact(value, unit), figure(value, unit, units)
        short = "" if short == full else short
        lines.append(Total(title(name), bound + full, short, is_figure=True))
    return lines


def definitions(report: Report, table: Table, units: Units) -> list[str]:
    """What the figures that are shown mean, one sentence each."""
    shown = {column.name for column in table.columns} | set(report.totals)
    said = []
    if any(name.endswith("macs") for name in shown):
        said.append(
            "MACs: multiply-accumulates of contractions (convolution, matrix product, attention,"
            " recurrent cells)."
        )
    if any(name.endswith("flops") and not name.endswith("pointwise_flops") for name in shown):
        said.append("FLOPs = 2 x MACs.")
    if report.report == "flops" and report.totals.get("ratio") is not None:
        said.append("Ratio: MACs of the backward pass to those of the forward pass.")
    if "pointwise_flops" in shown:
        said.append(
            "Pointwise FLOPs: one per output element of elementwise operators, one per input"
            " element of reductions and normalisation."
        )
    if any(unit_of(name) == "B" for name in shown.difference(COVERAGE)):
        said.append(
            "KiB, MiB and GiB are powers of 1,024 B."
            if units is Units.BINARY
            else "kB, MB and GB are powers of 1,000 B."
        )
    return said


def coverage(report: Report) -> str | None:
    """Which operators a formula covers; None where the report does not say."""
    if "coverage" not in report.totals:
        return None
    share, names = report.totals["coverage"], report.totals.get("uncounted") or ()
    if share is None:
        return "coverage: not known"
    if share >= 1 and not names:
        ran = " that ran" if report.failure is not None else ""
        return f"coverage: every operator{ran} has a formula"
    line = f"coverage: a formula for {percent(100 * share)} of operator calls"
    in_bytes = report.totals.get("coverage_bytes")
    if in_bytes is not None:
        line += f", {percent(100 * in_bytes)} of bytes"
    return line + (f"; none for {some(names, 6)}" if names else "")


def some(names: Sequence[str], most: int) -> str:
    """The first names, and how many there are besides."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


@dataclass(frozen=True, slots=True)
class Remark:
    """Notes of one code."""

    severity: str
    """How much they matter."""
    text: str
    """The first note, and where the others are."""


def remarks(notes: Iterable[Note]) -> tuple[list[Remark], int]:
    """Notes by code, what matters most first, and how many notes are left out."""
    groups: dict[tuple[str, str], list[Note]] = {}
    for note in sorted(notes, key=lambda note: _SEVERITY[note.severity]):
        groups.setdefault((note.severity, note.code), []).append(note)
    parts = list(groups.values())
    hidden = sum(map(len, parts[MOST_NOTES:]))
    return [Remark(part[0].severity, _remark(part)) for part in parts[:MOST_NOTES]], hidden


def failed_at(report: Report, failure: Failure) -> tuple[str | None, str | None]:
    """Path and type of the module that did not return; None where no row tells."""
    for row in report.rows:
        if row.get("call") == failure.call:
            return row.get("path"), row.get("type")
    return None, None


def heading(report: Report) -> str:
    """The model and what it ran on; empty where the report is about no model."""
    name = report.model.name
    if name and report.model.plugin:
        name += f" ({report.model.plugin})"
    return ", ".join([name, *map(given, report.inputs)]) if name else ""


def given(part: InputSpec) -> str:
    """An input by its name and description; its device where that is not the processor."""
    device = "" if part.spec.device == "cpu" else f" on {part.spec.device}"
    return f"{part.name}: {part.spec}{device}"


def _remark(part: Sequence[Note]) -> str:
    """The first note of a code; the others by their place."""
    first = part[0]
    text = first.text
    if first.where and first.where not in text:
        text += f" ({first.where})"
    text += f" [{first.code}]"
    if len(part) > 1:
        places = [note.where for note in part[1:] if note.where]
        text += f" and {len(part) - 1} more like it"
        text += f": {some(places, 3)}" if places else ""
    return text


def _counted(name: str, unit: str) -> bool:
    """Whether an operator without a formula may be missing in it."""
    return unit in {"MAC", "FLOP", "MACs", "FLOPs"} or name in {"bytes_read", "bytes_written"}
