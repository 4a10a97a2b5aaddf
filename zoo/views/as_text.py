"""A report for people: the model, its tree or table, totals, definitions, notes, and what broke.

No line is longer than `width`; without a width nothing is cut or wrapped. Colours change no
character. They are five ANSI codes written here, since `zoo list` must not wait for rich.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from zoo.views import wording
from zoo.views.cells import clean, cut, pad, width, wrap
from zoo.views.layout import GAP, Strip, fit, strip
from zoo.views.selection import Table, is_number
from zoo.views.tree import label, stems
from zoo.views.units import Units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.analysis.records import Column, Failure, Report

NARROWEST = 20
"""Cells that a terminal is taken to have at least."""
EXTRA = (
    *("detail", "batch", "input", "activation_bytes", "pointwise_flops", "output_shape"),
    *("unit", "percent", "theirs", "excess"),
)
"""Columns that are left out first, in this order; then the last ones, and the sorted one last."""
ONE_LINE = frozenset({"list"})
"""Tables for looking over: long words are cut there; in others they are wrapped."""
CODES = {
    "bold": "1",
    "dim": "2",
    "error": "31",
    "warning": "33",
    "info": "36",
}


@dataclass(frozen=True, slots=True)
class Look:
    """How a text is set."""

    width: int | None = 80
    """Cells of a line; None for as many as it takes."""
    color: bool = False
    """Whether to write ANSI colours."""
    units: Units = Units.SI
    """Prefixes of bytes."""
    ascii: bool = False
    """Whether to keep to ASCII."""

    @property
    def line(self) -> int | None:
        """Cells of a line that is long enough for a word and a figure."""
        return None if self.width is None else max(self.width, NARROWEST)

    @property
    def ellipsis(self) -> str:
        """Stands for what was cut."""
        return ".." if self.ascii else "…"

    def clean(self, text: str) -> str:
        """One harmless line, with `>=` as one letter where that can be shown."""
        return clean(text if self.ascii else text.replace(">=", "≥"), ascii=self.ascii)

    def paint(self, text: str, code: str) -> str:
        """The text in a colour of `CODES`, where colours are wanted."""
        return f"\x1b[{CODES[code]}m{text}\x1b[0m" if self.color and text else text

    def paragraph(self, text: str, first: str = "", code: str = "") -> list[str]:
        """Wrapped lines after `first`, which may be painted; later lines are indented as far."""
        indent = " " * width(first)
        room = None if self.line is None else self.line - len(indent)
        lines = wrap(clean(text, ascii=self.ascii), room)
        lead = self.paint(first, code) if code else first
        return [((indent if number else lead) + part).rstrip() for number, part in enumerate(lines)]


def to_text(report: Report, table: Table, look: Look) -> str:
    """The report with the rows and columns of `table`."""
    blocks = [
        _heading(report, look),
        _table(report, table, look),
        _totals(report, look),
        _meaning(report, table, look),
        _notes(report, look),
        _failure(report, report.failure, look) if report.failure else [],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _heading(report: Report, look: Look) -> list[str]:
    text = wording.heading(report)
    return [look.paint(line, "bold") for line in look.paragraph(text)] if text else []


def _table(report: Report, table: Table, look: Look) -> list[str]:
    """Titles, rows, and the names of columns that there was no room for."""
    prefixes = stems(table.rows, ascii=look.ascii) if table.tree else [""] * len(table.rows)
    strips = _strips(table, prefixes, look)
    if not table.rows or not strips:
        return ["nothing to show"]
    widths = fit(strips, look.line)
    wrapped = not table.modules and report.report not in ONE_LINE
    lines = [look.paint(line, "bold") for line in _header(strips, widths, look)]
    for number, row in enumerate(table.rows):
        texts = [part.cells[number] for part in strips]
        if wrapped:
            lines += _tall(texts, strips, widths)
            continue
        texts[0] = _first(texts[0], prefixes[number], widths[0], look, table)
        line = _line(texts, strips, widths, look)
        lines.append(_row_color(line, len(prefixes[number]), row.get("marks") or (), look))
    missing = [part.title for index, part in enumerate(strips) if index not in widths]
    if missing:
        said = f"no room for {', '.join(missing)} (see --columns)"
        lines += [look.paint(line, "dim") for line in look.paragraph(said)]
    return lines


def _strips(table: Table, prefixes: Sequence[str], look: Look) -> list[Strip]:
    """The table's columns as text, the one that names the row first."""
    strips = []
    tall = look.line is not None
    if table.modules:
        names = [
            prefix + look.clean(label(row, whole_path=not table.tree))
            for prefix, row in zip(prefixes, table.rows, strict=True)
        ]
        strips.append(strip("module", names, words=True))
    strips += [
        strip(
            look.clean(wording.title(column.name)),
            [look.clean(wording.cell(row, column, look.units)) for row in table.rows],
            words=_is_words(column, table),
            importance=_importance(column.name, number, table),
            tall=tall,
        )
        for number, column in enumerate(table.columns)
        if column.name != "marks"
    ]
    if any(row.get("marks") for row in table.rows):
        marks = [look.clean(", ".join(row.get("marks") or ())) for row in table.rows]
        strips.append(strip("marks", marks, words=True))
    return strips


def _importance(name: str, number: int, table: Table) -> int:
    """The lowest is left out first; marks, at 0, come between `EXTRA` and the others."""
    if name == table.sort:
        return 999
    if name in EXTRA:
        return EXTRA.index(name) - len(EXTRA)
    return len(table.columns) - number


def _is_words(column: Column, table: Table) -> bool:
    """Whether a column may be cut: figures and shapes may not."""
    values = [row.get(column.name) for row in table.rows]
    known = [value for value in values if value is not None]
    if column.name.endswith("shape"):
        return False
    return not all(map(is_number, known)) if known else not column.unit


def _header(strips: Sequence[Strip], widths: dict[int, int], look: Look) -> list[str]:
    """Titles, those of fewer lines at the bottom."""
    height = max(len(strips[index].heading) for index in widths)
    columns = [("",) * (height - len(part.heading)) + part.heading for part in strips]
    return [
        _line([part[-height:][row] for part in columns], strips, widths, look)
        for row in range(height)
    ]


def _line(
    texts: Sequence[str], strips: Sequence[Strip], widths: dict[int, int], look: Look | None
) -> str:
    """One line of a table."""
    parts = []
    for index, room in widths.items():
        text = cut(texts[index], room, look.ellipsis) if look else texts[index]
        parts.append(pad(text, room, right=not strips[index].words))
    return (" " * GAP).join(parts).rstrip()


def _tall(texts: Sequence[str], strips: Sequence[Strip], widths: dict[int, int]) -> list[str]:
    """A row whose words are wrapped, in as many lines as that takes."""
    columns = [
        wrap(text, widths[index]) if index in widths else [] for index, text in enumerate(texts)
    ]
    return [_line(part, strips, widths, None) for part in zip_longest(*columns, fillvalue="")]


def _first(text: str, stem: str, room: int, look: Look, table: Table) -> str:
    """A module's name in `room` cells: deep stems give way, long paths lose their beginning."""
    if width(text) <= room:
        return text
    if not table.tree:
        return cut(text, room, look.ellipsis, keep_end=table.modules)
    name = text[len(stem) :]
    stem = cut(stem, max(room - min(width(name), 12), 0), look.ellipsis, keep_end=True)
    return stem + cut(name, room - len(stem), look.ellipsis)


def _row_color(line: str, stem: int, marks: Sequence[str], look: Look) -> str:
    """A failed row stands out; others that have marks a little; stems are faint."""
    if "failed" in marks:
        return look.paint(line, "error")
    if "not called" in marks or "unused" in marks:
        return look.paint(line, "warning")
    return look.paint(line[:stem], "dim") + line[stem:]


def _totals(report: Report, look: Look) -> list[str]:
    """Labels, figures in full, and the same with a prefix where there is room."""
    totals = wording.totals(report, look.units)
    left = max((width(total.label) for total in totals), default=0)
    figures = [total for total in totals if total.is_figure]
    full = max((width(look.clean(total.exact)) for total in figures), default=0)
    short = max((width(total.short) for total in figures), default=0)
    fits = look.line is None or left + full + short + 2 * GAP <= look.line
    lines: list[str] = []
    for total in totals:
        lead = pad(look.clean(total.label), left + GAP)
        if total.is_figure and (look.line is None or left + GAP + full <= look.line):
            tail = " " * GAP + pad(total.short, short, right=True) if fits else ""
            lines.append((lead + pad(look.clean(total.exact), full, right=True) + tail).rstrip())
        elif look.line is None or width(lead) <= look.line // 2:
            lines += look.paragraph(total.exact, lead)
        else:
            lines += look.paragraph(f"{total.label}: {total.exact}")
    return lines


def _meaning(report: Report, table: Table, look: Look) -> list[str]:
    """Definitions and coverage."""
    said = " ".join(wording.definitions(report, table, look.units))
    lines = [look.paint(line, "dim") for line in look.paragraph(said)] if said else []
    covered = wording.coverage(report)
    return lines + (look.paragraph(covered) if covered else [])


def _notes(report: Report, look: Look) -> list[str]:
    remarks, hidden = wording.remarks(report.notes)
    lines: list[str] = []
    for remark in remarks:
        lines += look.paragraph(remark.text, f"{remark.severity}: ", remark.severity)
    if hidden:
        lines += look.paragraph(f"and {hidden} more: --format json")
    return lines


def _failure(report: Report, failure: Failure, look: Look) -> list[str]:
    """Which module, what it got and wanted, where, and what to try."""
    path, kind = wording.failed_at(report, failure)
    place = "the run" if path is None else path or "the model itself"
    lines = look.paragraph(place + (f" ({kind})" if kind else ""), "failed in ", "error")
    parts = {
        "": failure.message,
        "given": ", ".join(map(str, failure.inputs)),
        "op": failure.op,
        "at": failure.source,
        "try": failure.hint,
        "error": failure.error,
    }
    for name, text in parts.items():
        if text:
            lines += look.paragraph(text, pad(f"  {name}", 9) if name else "  ")
    return lines
