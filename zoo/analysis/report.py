"""What an analysis says: a table with its totals, and what must be said beside it.

Part of `zoo.analysis.records`, and apart from the records of a run since `zoo list` needs no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from zoo.analysis.records import Failure, InputSpec

REPORT_SCHEMA = "zoo.report/1"

Severity = Literal["info", "warning", "error"]
Row = Mapping[str, Any]
"""Figures of a row, by the names of their columns."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader must know to read the figures right."""

    severity: Severity
    """How much it matters."""
    code: str
    """A word to filter by: `uncounted-op`, `data-dependent`, `unused-parameter`, ..."""
    text: str
    """One sentence."""
    where: str | None = None
    """Module path or `file:line`."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Where a model came from."""

    name: str
    """What the user called it, or the class's name."""
    plugin: str | None = None
    """The plugin that registered it; None for the user's own."""
    factory: str | None = None
    """`module:attribute` that built it."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that it was built with."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a figure in a table means."""

    name: str
    """Key of the figure in each row."""
    unit: str
    """`MAC`, `FLOP`, `B`, `1` for counts, `` for text."""
    meaning: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class Report:
    """A table with its totals and what must be said beside it."""

    report: str
    """Which analysis made it."""
    model: ModelInfo
    """What it is about."""
    inputs: tuple[InputSpec, ...]
    """What the model ran on."""
    columns: tuple[Column, ...]
    """The figures of a row, in reading order."""
    rows: tuple[Row, ...]
    """One mapping a row."""
    totals: Mapping[str, Any]
    """Figures of the whole."""
    notes: tuple[Note, ...] = ()
    """What a reader must know."""
    failure: Failure | None = None
    """Where the run broke; its rows end there."""
    schema: str = REPORT_SCHEMA
    """Form of this record."""
