"""Which rows and figures are shown, and in which order? The same for every format."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.analysis.report import Column
from zoo.errors import UnknownColumn
from zoo.views.units import unit_of

if TYPE_CHECKING:
    from zoo.analysis.records import Report, Row

IDENTITY = ("path", "type", "depth", "call")
"""Say which row it is. They stay, whatever columns are chosen."""
REMARKS = ("marks", "uncounted")
"""Say how to read a row's figures. They stay too."""
SHARE = Column("parameters_share", "%", "Share of the model's parameters.")
"""Made here from `parameters`, when asked for."""
TORCHINFO = {
    "input_size": "input_shape",
    "output_size": "output_shape",
    "num_params": "parameters",
    "params_percent": SHARE.name,
    "mult_adds": "macs",
    "trainable": "trainable_parameters",
}
"""torchinfo's `col_names` -> ours."""
ONLY_OF_STEPS = (
    "forward_macs",
    "backward_macs",
    "optimizer_macs",
    "ratio",
    "optimizer_pointwise_flops",
)
"""Figures of `flops` that text leaves out where a forward pass alone ran."""
_MODELS = "abcdefghijklmnopqrstuvwxyz"
_SIDE_BY_SIDE = ("parameters", "macs", "activation_bytes")
USUAL = {
    "compare": ("change", *(f"{one}_{name}" for name in _SIDE_BY_SIDE for one in _MODELS)),
    "crosscheck": (
        *("engine", "quantity", "unit", "theirs", "difference", "percent", "unexplained"),
        *("causes", "status"),
    ),
    "devices": (
        *("name", "memory_bytes", "usable_bytes", "bandwidth", "fp32", "fp16", "bf16"),
        "confidence",
    ),
    "summary": ("output_shape", "parameters", "macs", "pointwise_flops", "activation_bytes"),
    "flops": ("macs", "share", "forward_macs", "backward_macs", "pointwise_flops", "calls"),
    "sweep": (
        *("name", "batch", "input", "parameters", "macs", "activation_bytes", "peak_bytes"),
        *("status", "error"),
    ),
    "formula": ("output_shape", "parameters", "growth", "macs"),
    "transfer": (
        *("kind", "link", "what", "way", "bytes", "copies", "blocking", "count", "seconds"),
        *("when", "from", "to", "phase", "module", "source", "fix"),
        *("pinned_seconds", "pageable_seconds"),
        *("pinned_measured_seconds", "pageable_measured_seconds"),
        *("after", "before", "forward_bytes", "backward_bytes", "macs_before", "macs_after"),
        *("held_bytes_before", "held_bytes_after", "slowest_seconds"),
        *("replicas", "batch", "compute_seconds", "exchange_seconds", "ratio"),
        *("exposed_seconds", "speedup", "efficiency", "serial_efficiency"),
    ),
    "params": (
        *("role", "shape", "dtype", "tensors", "parameters", "parameter_bytes"),
        *("mean", "std", "norm", "zeros", "non_finite"),
    ),
}
"""Columns that text shows unless told; a report that is not here shows all of its own."""
_SAYS_NOTHING: Mapping[str, Callable[[Sequence[Row]], bool]] = {
    "blocking": lambda rows: all(row.get("blocking") for row in rows),
    "phase": lambda rows: all(row.get("phase") == "forward" for row in rows),
    "before": lambda rows: all(row.get("after") for row in rows),
    "macs_before": lambda rows: any("slowest_seconds" in row for row in rows),
    "macs_after": lambda rows: any("slowest_seconds" in row for row in rows),
}
"""When text leaves a column of `transfer` out."""


@dataclass(frozen=True, slots=True)
class Table:
    """What is left of a report's rows."""

    columns: tuple[Column, ...]
    """Figures, in reading order, without those of `IDENTITY` where rows are module calls."""
    rows: tuple[Row, ...]
    """Rows, in the order in which they are shown."""
    tree: bool
    """Whether the rows are a tree in the order of its calls."""
    modules: bool
    """Whether the rows are module calls, sorted or not."""
    sort: str | None = None
    """Our name of the column that the rows are sorted by."""


def select(
    report: Report,
    *,
    columns: Sequence[str] | None = None,
    depth: int | None = None,
    sort: str | None = None,
) -> Table:
    """Rows down to `depth`, sorted, with the named columns.

    Args:
        report: Where from.
        columns: Names, ours or torchinfo's; None for all.
        depth: Deepest level that is kept; rows without a depth are all kept.
        sort: A column's name; None keeps the order of the calls.

    Returns:
        The rows and columns that are left, and whether they are still a tree.

    Raises:
        UnknownColumn: The report has no such column.
    """
    modules = bool(report.rows) and all("path" in row and "depth" in row for row in report.rows)
    named = (
        report.report in (*USUAL, "memory", "freeze", "check")
        and report.report != "transfer"  # several columns say which row it is
        and bool(report.rows)
        and not modules
    )
    lead = report.columns[:1] if named else ()  # says which row it is, whatever is chosen
    chosen = report.columns if columns is None else _columns(report, columns)
    chosen = (*lead, *(column for column in chosen if column not in lead))
    by = None if sort is None else _column(report, sort)
    rows = [row for row in report.rows if depth is None or row.get("depth", 0) <= depth]
    if SHARE in (*chosen, by):
        rows = [{**row, SHARE.name: _share(row, report)} for row in rows]
    if by is not None:
        rows = _sorted(rows, by.name)
    if columns is not None:
        keep = {column.name for column in chosen} | {*IDENTITY, *REMARKS, *(["name"] * modules)}
        rows = [{key: value for key, value in row.items() if key in keep} for row in rows]
    if modules:
        chosen = tuple(column for column in chosen if column.name not in IDENTITY)
    return Table(
        columns=chosen,
        rows=tuple(rows),
        tree=modules and by is None,
        modules=modules,
        sort=by.name if by else None,
    )


def usual(report: Report, sort: str | None) -> tuple[str, ...] | None:
    """Columns that text shows where none are named: the usual ones, and the one to sort by."""
    if report.report not in USUAL:
        return None
    known = {column.name for column in report.columns}
    names = [name for name in USUAL[report.report] if name in known and name not in moot(report)]
    if sort is not None:
        by = _column(report, sort).name
        names += [by] * (by not in names)
    return tuple(names)


def moot(report: Report) -> tuple[str, ...]:
    """Columns that say nothing in this report: of a training step, where none was recorded."""
    if report.report == "transfer":
        return tuple(name for name, says in _SAYS_NOTHING.items() if says(report.rows))
    of_step = (report.totals.get(name) for name in ONLY_OF_STEPS[1:])
    return ONLY_OF_STEPS if report.report == "flops" and not any(of_step) else ()


def present(rows: Iterable[Row], names: Iterable[str]) -> list[str]:
    """Those of `names` that any row has."""
    keys = {key for row in rows for key in row}
    return [name for name in names if name in keys]


def is_number(value: object) -> bool:
    """Whether it is a figure; True and False are words."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _columns(report: Report, names: Sequence[str]) -> tuple[Column, ...]:
    """The named columns, each once."""
    return tuple(
        {found.name: found for found in (_column(report, name) for name in names)}.values()
    )


def _column(report: Report, asked: str) -> Column:
    """The column of that name, ours or torchinfo's."""
    declared = {column.name: column for column in report.columns}
    known = dict.fromkeys([*declared, *(key for row in report.rows for key in row)])
    if "parameters" in known:
        known[SHARE.name] = None
    name = asked if asked in known else TORCHINFO.get(asked, asked)
    if name not in known:
        raise UnknownColumn(asked, known)
    if name in declared:
        return declared[name]
    if name == SHARE.name:
        return SHARE
    figures = any(is_number(row.get(name)) for row in report.rows)
    return Column(name, unit_of(name) if figures else "", "")


def _share(row: Row, report: Report) -> float | None:
    """Percent of the model's parameters that are in this row."""
    own, total = row.get("parameters"), report.totals.get("parameters")
    if own is None or total is None:
        return None
    return 100 * own / total if total else 0.0


def _sorted(rows: list[Row], name: str) -> list[Row]:
    """Largest figures and shapes first, words in order, what is not known last."""
    known = [row for row in rows if _rank(row.get(name)) is not None]
    rest = [row for row in rows if _rank(row.get(name)) is None]
    return sorted(known, key=lambda row: _rank(row.get(name)) or (0, 0.0, "")) + rest


def _rank(value: Any) -> tuple[int, float, str] | None:
    """Where a value stands; None where it is not known."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if is_number(value):
        return 0, -value, ""
    if isinstance(value, (list, tuple)) and value and not isinstance(value[0], str):
        return 0, -_elements(value), ""
    if isinstance(value, (list, tuple)):
        return 1, 0, " ".join(map(str, value))
    return 1, 0, str(value)


def _elements(shape: Sequence[Any]) -> int:
    """Elements of a shape or of several; a dim without a number counts as one."""
    if any(isinstance(part, (list, tuple)) for part in shape):
        return sum(_elements(part) for part in shape)
    return math.prod(dim for dim in shape if isinstance(dim, int))


def plain(value: Any) -> Any:
    """A value as JSON has them: lists, keys that are words, None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value)
