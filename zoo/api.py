"""The calls that the command line and Python users share.

    trace = zoo.trace("googlenet", (1, 1, 96, 96))
    report = zoo.summary(trace)
    report.totals["macs"]; print(report); report.to_json(); report.to_frame()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from zoo.analysis import records
from zoo.analysis.records import Column, ModelInfo, Trace

if TYPE_CHECKING:
    import click
    import pandas as pd
    from torch import nn

    from zoo.analysis.costs.base import CostFormula
    from zoo.catalog.catalog import Catalog
    from zoo.plugins.manager import Manager


@dataclass(frozen=True, slots=True)
class Report(records.Report):
    """A table that can show itself."""

    def __str__(self) -> str:
        from zoo.views import text

        return text(self)

    def to_json(self) -> str:
        """One JSON object, in the form of `--format json`."""
        from zoo.views import render

        return render(self, "json")

    def to_frame(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame, a row each, columns as in `rows`.

        Raises:
            MissingDependency: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            from zoo.errors import MissingDependency

            raise MissingDependency("pandas", "Report.to_frame()") from None
        return pd.DataFrame(list(self.rows))


def _shown(report: records.Report) -> Report:
    return Report(**{one.name: getattr(report, one.name) for one in fields(records.Report)})
