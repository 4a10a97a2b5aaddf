"""Models of the catalog: listed, told of, built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.analysis.report import Column, ModelInfo
from zoo.api.shown import Report
from zoo.subjects import built, manager, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn


def create(name: str, *, weights: Any = None, **arguments: Any) -> nn.Module:
    """Build a real module, with its weights allocated.

    A model of lazy layers is run once on its default input, so that all parameters are there.

    Args:
        name: Words as for `trace`.
        weights: What the architecture's own `weights` argument takes (`"DEFAULT"` for torchvision,
            which downloads them); None draws new ones.
        **arguments: What it is built with.

    Returns:
        The module, in training mode.

    Raises:
        ZooError: The words lead nowhere, an argument does not fit, or the constructor raised.
    """
    return built(name, arguments if weights is None else {**arguments, "weights": weights})


LIST_COLUMNS = (
    Column("name", "", "What the model is called."),
    Column("plugin", "", "Which plugin brings it."),
    Column("summary", "", "What it is."),
    Column("tags", "", "Words to filter by."),
    Column("default_input", "", "What it runs on when nothing is said."),
    Column("year", "", "Year of its paper."),
)


def list_models(
    query: str | None = None, *, plugin: str | None = None, tag: str | None = None
) -> Report:
    """Models that match, a row each.

    Args:
        query: Part of the name or of the summary, or a pattern with `*`; None for all.
        plugin: Only this plugin's.
        tag: Only those with this tag.

    Returns:
        The report.

    Raises:
        UnknownPlugin: No plugin is called so.
    """
    rows = tuple(
        {
            "name": entry.name,
            "plugin": entry.plugin,
            "summary": entry.card.summary,
            "tags": list(entry.card.tags),
            "default_input": _one_or_list(entry.card.default_input),
            "year": entry.card.year,
        }
        for entry in manager().catalog().search(query, plugin=plugin, tag=tag)
    )
    return Report("list", ModelInfo(""), (), LIST_COLUMNS, rows, {"models": len(rows)})


INFO_COLUMNS = (Column("field", "", "What is said."), Column("value", "", "What it says."))


def info(name: str) -> Report:
    """What a model's card says, and the arguments that it takes.

    Args:
        name: `name` or `plugin/name`.

    Returns:
        The report, a row for each field.

    Raises:
        ZooError: No model is called so.
    """
    from zoo.catalog.described import described
    from zoo.catalog.locate import is_reference
    from zoo.errors import BadReference

    if is_reference(name):
        reason = "info tells of models of the catalog. Use `zoo summary` for your own"
        raise BadReference(name, reason + ", or name it in pyproject.toml ([tool.zoo.models]).")
    entry = manager().catalog().find(name)
    card = entry.card
    said = {
        "name": card.name,
        "plugin": entry.plugin,
        "summary": card.summary,
        "paper": card.paper,
        "year": card.year,
        "table": card.table,
        "book section": card.book,
        "link": card.link,
        "default input": ", ".join(words_of(card.default_input)) or None,
        "factory": card.factory,
        "tags": ", ".join(card.tags) or None,
        **{f"--set {argument}": text for argument, text in described(entry).items()},
    }
    rows = tuple({"field": key, "value": value} for key, value in said.items() if value is not None)
    model = ModelInfo(card.name, entry.plugin, card.factory, dict(card.arguments))
    return Report("info", model, (), INFO_COLUMNS, rows, {})


def read_settings(words: Iterable[str]) -> dict[str, Any]:
    """Read `name=value` words of `--set`.

    Args:
        words: One for each argument.

    Returns:
        The arguments, typed by how they are written.

    Raises:
        BadArgument: A word is no `name=value`, or its value cannot be read.
    """
    from zoo.catalog.arguments import parse_settings

    return parse_settings(words)


def _one_or_list(default: str | tuple[str, ...] | None) -> str | list[str] | None:
    return list(default) if isinstance(default, tuple) else default
