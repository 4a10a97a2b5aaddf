"""Which formats are there, and who writes each.

A format's module is loaded when it is asked for. No string that is returned ends in a newline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.errors import BadFormat
from zoo.views.units import Units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.analysis.records import Report

FORMATS = ("text", "json", "csv", "md")


def render(  # noqa: PLR0913 - each is a word of the command line
    report: Report,
    fmt: str,
    *,
    width: int | None = 80,
    color: bool = False,
    units: Units = Units.SI,
    columns: Sequence[str] | None = None,
    depth: int | None = None,
    sort: str | None = None,
    ascii: bool = False,
) -> str:
    """A report in one of `FORMATS`.

    `columns`, `depth` and `sort` choose what is shown in every format; `width`, `color` and `ascii`
    concern text alone, `units` text and Markdown. JSON and CSV hold exact figures.

    Args:
        report: What to show.
        fmt: One of `FORMATS`.
        width: Columns of the terminal; None where the text goes to a file, which cuts nothing.
        color: Whether to write ANSI colours.
        units: Whether bytes are shown in MB or in MiB.
        columns: Names of figures, ours or torchinfo's; None for the format's usual ones.
        depth: Deepest level to show. Deeper rows are in their ancestors' figures already.
        sort: A column: largest figures first, words in order. Makes a flat table of a tree.
        ascii: Whether to keep to ASCII, for terminals that show nothing else.

    Returns:
        The whole report, without a newline at its end.

    Raises:
        BadFormat: No view writes `fmt`.
        UnknownColumn: The report has no such column.
    """
    if fmt not in FORMATS:
        raise BadFormat(fmt, FORMATS)
    if fmt == "text":
        return text(
            report,
            width=width,
            color=color,
            units=units,
            columns=columns,
            depth=depth,
            sort=sort,
            ascii=ascii,
        )
    from zoo.views.selection import select

    table = select(report, columns=columns, depth=depth, sort=sort)
    if fmt == "json":
        from zoo.views.as_json import to_json

        return to_json(report, table)
    if fmt == "csv":
        from zoo.views.as_csv import to_csv

        return to_csv(table)
    from zoo.views.as_markdown import to_markdown

    return to_markdown(report, table, units=units)


def text(
    report: Report,
    *,
    width: int | None = 80,
    color: bool = False,
    units: Units = Units.SI,
    columns: Sequence[str] | None = None,
    depth: int | None = None,
    sort: str | None = None,
    ascii: bool = False,
) -> str:
    """A report for people to read; the arguments are those of `render`."""
    from zoo.views.as_text import Look, to_text
    from zoo.views.selection import select, usual

    chosen = usual(report, sort) if columns is None else columns
    table = select(report, columns=chosen, depth=depth, sort=sort)
    return to_text(report, table, Look(width=width, color=color, units=units, ascii=ascii))
