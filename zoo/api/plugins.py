"""Plugins, their commands, and the installation's health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.analysis.report import Column, ModelInfo
from zoo.api.shown import Report, shown
from zoo.subjects import manager

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import click


PLUGIN_COLUMNS = (
    Column("name", "", "What the plugin is called."),
    Column("status", "", "`ok`, or `broken` where something it brings was left out."),
    Column("models", "1", "Models that it brings."),
    Column("version", "", "Version of its distribution."),
    Column("errors", "", "What is wrong with it."),
)
VERBOSE_COLUMNS = (
    Column("devices", "1", "Devices that it brings."),
    Column("distribution", "", "What pip calls it."),
    Column("hooks", "", "Hooks that it answers."),
    Column("source", "", "File that holds its hooks."),
)


def list_plugins(*, verbose: bool = False) -> Report:
    """Plugins and their health, a row each.

    Args:
        verbose: Whether to say also where each is and which hooks it answers.

    Returns:
        The report.
    """
    rows = tuple(
        {
            "name": one.name,
            "status": "broken" if one.errors else "ok",
            "models": one.models,
            "devices": one.devices,
            "version": one.version,
            "errors": list(one.errors),
            "distribution": one.distribution,
            "hooks": list(one.hooks),
            "source": one.source,
        }
        for one in manager().plugins()
    )
    columns = PLUGIN_COLUMNS + (VERBOSE_COLUMNS if verbose else ())
    broken = sum(row["status"] == "broken" for row in rows)
    totals = {"plugins": len(rows), "broken": broken}
    return Report("plugins", ModelInfo(""), (), columns, rows, totals)


def doctor() -> Report:
    """Whether this installation can do what it should, a row for each thing looked at.

    Returns:
        The report; a row's `status` is `ok`, `missing` or `broken`.
    """
    from zoo.health import doctor as examine

    return shown(examine(manager()))


def plugin_commands(taken: Iterable[str] = ()) -> Mapping[str, click.Command]:
    """Commands that plugins bring, by name.

    Args:
        taken: Names that they may not have.

    Returns:
        The commands.
    """
    return manager().commands(taken)
