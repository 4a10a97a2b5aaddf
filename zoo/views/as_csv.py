"""A report's rows as CSV (RFC 4180, lines end in a newline alone, as in every other file here).

Figures are exact. A shape is `1x3x96x96`; several things in one cell are kept apart by `; `, since
marks and shapes have spaces and commas of their own. An empty cell is not known.
"""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from zoo.views.selection import IDENTITY, REMARKS, Table, present
from zoo.views.wording import listed


def to_csv(table: Table) -> str:
    """A line of column names, then one for each row."""
    names = [column.name for column in table.columns]
    first = [name for name in present(table.rows, IDENTITY) if name not in names]
    last = [name for name in present(table.rows, REMARKS) if name not in names]
    header = [*first, *names, *last]
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(
        [_cell(row.get(name), shape=name.endswith("shape")) for name in header]
        for row in table.rows
    )
    return file.getvalue().removesuffix("\n")


def _cell(value: Any, *, shape: bool = False) -> str:
    """One value; of a column of shapes, or not."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = listed(value, shape=shape) if isinstance(value, (list, tuple)) else str(value)
    return text.replace("\r\n", "\n").replace("\r", "\n")  # Python 3.11 leaves \r unquoted
