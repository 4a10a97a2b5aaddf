"""How is a row written as one line, and read again?

CSV has a line of column names first. A line of JSON names its schema. Text never has a line break,
so that a row is a line, and a file that was cut off lacks the end of its last line alone.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from zoo.analysis.sweeps import COLUMNS, FLOATS, LISTS, OK

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "zoo.sweep/1"
NAMES = tuple(column.name for column in COLUMNS)
NUMBERS = frozenset(column.name for column in COLUMNS if column.unit)


class Csv:
    """Rows as CSV."""

    head = ",".join(NAMES) + "\n"
    """First line of a file."""
    start = head
    """How every file of this form begins."""

    @staticmethod
    def write(row: Mapping[str, Any]) -> str:
        """A row as a line."""
        file = io.StringIO(newline="")
        csv.writer(file, lineterminator="\n").writerow(_word(row[name]) for name in NAMES)
        return file.getvalue()

    @staticmethod
    def read(line: str) -> dict[str, Any]:
        """A line as a row; raises ValueError for one that is none."""
        (cells,) = csv.reader([line], strict=True)
        row = {name: _value(name, text) for name, text in zip(NAMES, cells, strict=True)}
        unknown = dict.fromkeys(LISTS) if row["status"] != OK else {}
        return {**row, **unknown}


class JsonLines:
    """Rows as JSON, an object each."""

    head = ""
    start = f'{{"schema": "{SCHEMA}", '

    @staticmethod
    def write(row: Mapping[str, Any]) -> str:
        """A row as a line."""
        cells = {name: _one_line(row[name]) for name in NAMES}
        return json.dumps({"schema": SCHEMA, **cells}) + "\n"

    @staticmethod
    def read(line: str) -> dict[str, Any]:
        """A line as a row; raises ValueError for one that is none."""
        row = json.loads(line)
        if not isinstance(row, dict) or row.pop("schema", None) != SCHEMA or tuple(row) != NAMES:
            raise ValueError("it has other keys")
        return row


def _word(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "; ".join(map(_word, value))
    return str(_one_line(value))


def _one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _value(name: str, text: str) -> Any:
    if name in LISTS:
        return text.split("; ") if text else []
    if not text:
        return None
    if name not in NUMBERS:
        return text
    return float(text) if name in FLOATS else int(text)
