"""A report that can show itself: what every call of `zoo.api` gives back."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from zoo.analysis import report as plain

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Report(plain.Report):
    """A table that can show itself."""

    def __str__(self) -> str:
        from zoo.views import text

        return text(self, width=None)

    def to_json(self) -> str:
        """One JSON object, in the form of `--format json`."""
        from zoo.views import render

        return render(self, "json")

    def to_frame(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame, a row each, columns as in `rows`.

        Returns:
            A frame with as many rows as the report.

        Raises:
            MissingDependency: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            from zoo.errors import MissingDependency

            raise MissingDependency("pandas", "Report.to_frame()") from None
        return pd.DataFrame.from_records([dict(row) for row in self.rows])


def shown(report: plain.Report) -> Report:
    """An analysis's report as one that can show itself."""
    values = {one.name: getattr(report, one.name) for one in fields(plain.Report)}
    return Report(**values)
