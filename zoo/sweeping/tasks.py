"""Which models are in a sweep, and on which inputs?

A word with `*`, `?` or `[` is a pattern of `plugin/name` or of the name alone; any other word is a
model, as everywhere. A model is there once for each batch, however many words lead to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from zoo.analysis.saved import is_saved
from zoo.catalog.locate import is_reference
from zoo.errors import SweepError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo.catalog.catalog import Catalog

Key = tuple[str, str, int | None]
"""What makes a row: model, inputs as they were asked for, batch."""
PATTERN = "*?["


@dataclass(frozen=True, slots=True)
class Task:
    """A model on its inputs: what becomes a row."""

    name: str
    """Words that lead to the model."""
    plugin: str | None
    """Which plugin brings it; None for the user's own."""
    inputs: tuple[str, ...] = ()
    """Words of its inputs; none for its default input."""
    batch: int | None = None
    """First dim of its inputs; None leaves them."""

    @property
    def key(self) -> Key:
        """What tells its row from others."""
        return self.name, "; ".join(self.inputs), self.batch


@dataclass(frozen=True, slots=True)
class How:
    """What all tasks of a sweep have in common."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the models are built with."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """More of what `zoo.trace` takes, where it is not as it is by itself."""

    def __str__(self) -> str:
        """One line that is the same for the same options."""
        parts = [f"set {key}={value!r}" for key, value in sorted(self.arguments.items())]
        parts += [f"{key}={_said(value)}" for key, value in sorted(self.options.items())]
        return "; ".join(parts)


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}:{part}" for key, part in sorted(value.items()))
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def tasks(
    words: Iterable[str],
    catalog: Catalog,
    inputs: Sequence[str] = (),
    batches: Sequence[int | None] = (None,),
) -> tuple[Task, ...]:
    """What is to be done.

    Args:
        words: Patterns and models.
        catalog: Where names are looked up.
        inputs: Words of the inputs of each model; none for each one's default input.
        batches: First dims, a row each; None leaves the inputs as they are.

    Returns:
        Tasks in the order of the words, and of the catalog within a pattern.

    Raises:
        SweepError: A pattern that nothing matches, or a saved trace.
        ZooError: A name that there is not.
    """
    found: dict[str, str | None] = {}
    for word in words:
        for name, plugin in _models(word, catalog):
            found.setdefault(name, plugin)
    return tuple(
        Task(name, plugin, tuple(inputs), batch)
        for name, plugin in found.items()
        for batch in batches
    )


def _models(word: str, catalog: Catalog) -> Iterable[tuple[str, str | None]]:
    if is_saved(word):
        raise SweepError(word, "it has run already, and a sweep runs models", "Name a model.")
    if is_reference(word):
        return [(word, None)]
    if not any(mark in word for mark in PATTERN):
        entry = catalog.find(word)
        return [(entry.qualified, entry.plugin)]
    wanted = word.lower()
    matching = [
        (entry.qualified, entry.plugin)
        for entry in catalog
        if any(fnmatchcase(name.lower(), wanted) for name in (entry.qualified, entry.name))
    ]
    if not matching:
        plugins = [f"{plugin}/*" for plugin in catalog.plugins]
        hint = did_you_mean(word, plugins, "See `zoo list`, and quote patterns in the shell.")
        raise SweepError(repr(word), "no model matches it", hint)
    return matching
