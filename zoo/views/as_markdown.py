"""A report as GitHub Markdown: a table that renders in a pull request, then lists.

Modules go by their whole path, since a table has no tree. What Markdown would read as markup is
escaped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zoo.views import wording
from zoo.views.cells import clean
from zoo.views.selection import Table, is_number
from zoo.views.units import Units

if TYPE_CHECKING:
    from zoo.analysis.records import Failure, Report

_MARKUP = re.compile(r"[\\|`*<>~&]|(?<![^\W_])_|_(?![^\W_])")


def to_markdown(report: Report, table: Table, *, units: Units = Units.SI) -> str:
    """The report with the rows and columns of `table`."""
    heading = wording.heading(report)
    covered = wording.coverage(report)
    blocks = [
        [f"### {escape(heading)}"] if heading else [],
        _table(table, units),
        [
            f"- {escape(total.label)}: {escape(total.exact)}"
            + (f" ({escape(total.short)})" if total.short else "")
            for total in wording.totals(report, units)
        ],
        [escape(text) for text in wording.definitions(report, table, units)],
        [escape(covered)] if covered else [],
        _notes(report),
        _failure(report, report.failure) if report.failure else [],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def escape(text: str) -> str:
    r"""The text on one line, with nothing that Markdown would read as markup.

    >>> escape("a|b"), escape("__init__"), escape("conv_1")
    ('a\\|b', '\\_\\_init\\_\\_', 'conv_1')
    """
    return _MARKUP.sub(r"\\\g<0>", clean(text)).replace(r"\>=", "≥")


def _table(table: Table, units: Units) -> list[str]:
    """Titles, alignment, rows."""
    if not table.rows:
        return ["nothing to show"]
    columns = [column for column in table.columns if column.name != "marks"]
    marked = any(row.get("marks") for row in table.rows)
    lead = ["module", "type"] if table.modules else []
    right = [
        any(is_number(row.get(column.name)) for row in table.rows) or bool(column.unit)
        for column in columns
    ]
    titles = [
        *lead,
        *(escape(wording.title(column.name)) for column in columns),
        *["marks"] * marked,
    ]
    rules = [*[":--"] * len(lead), *("--:" if figure else ":--" for figure in right)]
    lines = [_line(titles), _line(rules + [":--"] * marked)]
    for row in table.rows:
        cells = [row["path"] or "(model)", row.get("type") or ""] if table.modules else []
        cells += [wording.cell(row, column, units) for column in columns]
        cells += [", ".join(row.get("marks") or ())] * marked
        lines.append(_line([escape(cell) for cell in cells]))
    return lines


def _line(cells: list[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def _notes(report: Report) -> list[str]:
    """Notes by code."""
    remarks, hidden = wording.remarks(report.notes)
    lines = [f"- **{remark.severity}**: {escape(remark.text)}" for remark in remarks]
    return lines + ([f"- and {hidden} more in the JSON report"] if hidden else [])


def _failure(report: Report, failure: Failure) -> list[str]:
    """Which module, what it got and wanted, where, and what to try."""
    path, kind = wording.failed_at(report, failure)
    place = "the run" if path is None else path or "the model itself"
    parts = {
        "given": ", ".join(map(str, failure.inputs)),
        "op": failure.op,
        "at": failure.source,
        "try": failure.hint,
        "error": failure.error,
    }
    head = f"{place} ({kind})" if kind else place
    lines = [f"**failed in {escape(head)}**: {escape(failure.message)}", ""]
    return lines + [f"- {name}: {escape(text)}" for name, text in parts.items() if text]
