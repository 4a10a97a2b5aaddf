"""A report as one JSON object.

Its keys are `schema, report, model, inputs, columns, rows, totals, notes`, and `failure` where the
run broke. A list has one entry a line, so that two reports can be compared line by line. NaN and
infinity, which JSON does not have, are null.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from zoo.views.selection import Table, plain
from zoo.views.wording import failed_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.analysis.records import Failure, Report, TensorSpec


def to_json(report: Report, table: Table) -> str:
    """The report with the rows and columns of `table`."""
    frame = {
        "schema": report.schema,
        "report": report.report,
        "model": {
            "name": report.model.name,
            "plugin": report.model.plugin,
            "factory": report.model.factory,
            "arguments": report.model.arguments,
        },
        "inputs": [{"name": given.name, **_spec(given.spec)} for given in report.inputs],
        "columns": [
            {"name": column.name, "unit": column.unit, "meaning": column.meaning}
            for column in table.columns
        ],
        "rows": list(table.rows),
        "totals": report.totals,
        "notes": [
            {"severity": note.severity, "code": note.code, "text": note.text, "where": note.where}
            for note in report.notes
        ],
    }
    if report.failure is not None:
        frame["failure"] = _failure(report, report.failure)
    return "{" + ",\n ".join(f"{_line(key)}: {_block(part)}" for key, part in frame.items()) + "}"


def _block(value: Any) -> str:
    """A list over several lines, everything else on one."""
    if not isinstance(value, list) or not value:
        return _line(value)
    return "[\n  " + ",\n  ".join(map(_line, value)) + "]"


def _line(value: Any) -> str:
    """JSON on one line, in ASCII, which every terminal and file can hold."""
    return json.dumps(plain(value), allow_nan=False)


def _spec(spec: TensorSpec) -> Mapping[str, Any]:
    """A tensor's description."""
    return {"shape": spec.shape, "dtype": spec.dtype, "device": spec.device}


def _failure(report: Report, failure: Failure) -> Mapping[str, Any]:
    """Where and why the run broke."""
    path, kind = failed_at(report, failure)
    return {
        "path": path,
        "type": kind,
        "call": failure.call,
        "op": failure.op,
        "message": failure.message,
        "inputs": [_spec(spec) for spec in failure.inputs],
        "source": failure.source,
        "hint": failure.hint,
        "error": failure.error,
    }
