"""Which architectures there are, by name.

An architecture's qualified name is `plugin/name`. A bare name is the book's, or else that of the
one plugin that has it. Two claims to one qualified name: the first keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.errors import AmbiguousModel, DuplicateModel, UnknownModel, UnknownPlugin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zoo.catalog.card import ModelCard

FIRST = "book"
"""The plugin that a bare name is looked up in first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An architecture of the catalog."""

    plugin: str
    """Name of the plugin that brought it."""
    card: ModelCard
    """What the plugin says about it."""
    folders: tuple[str, ...] = ()
    """Folders that its factory is imported from, beside those that Python knows."""

    @property
    def name(self) -> str:
        """Bare name."""
        return self.card.name

    @property
    def qualified(self) -> str:
        """`plugin/name`."""
        return f"{self.plugin}/{self.card.name}"


class Catalog:
    """Architectures by name, in the order of their plugins.

    Args:
        plugins: Names of all plugins, also of those that brought nothing.
        entries: Architectures.

    Raises:
        DuplicateModel: Two entries have one qualified name.
    """

    def __init__(self, plugins: Iterable[str] = (), entries: Iterable[Entry] = ()) -> None:
        self._entries: dict[str, dict[str, Entry]] = {plugin: {} for plugin in plugins}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Take in an architecture.

        Args:
            entry: The architecture.

        Raises:
            DuplicateModel: Its qualified name is taken; the first keeps it.
        """
        taken = self._entries.setdefault(entry.plugin, {}).setdefault(entry.name, entry)
        if taken is not entry:
            raise DuplicateModel(entry.qualified, taken.card.factory, entry.card.factory)

    @property
    def plugins(self) -> tuple[str, ...]:
        """Names of the plugins."""
        return tuple(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        for entries in self._entries.values():
            yield from entries.values()

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def find(self, name: str) -> Entry:
        """The architecture that `name` or `plugin/name` stands for.

        Args:
            name: The user's words.

        Returns:
            The architecture.

        Raises:
            UnknownModel: There is none.
            UnknownPlugin: No plugin is called so.
            AmbiguousModel: The bare name is in several plugins, and not in the book.
        """
        plugin, slash, bare = name.partition("/")
        if slash:
            return self._find_in(plugin, bare)
        owners = [plugin for plugin, entries in self._entries.items() if name in entries]
        if FIRST in owners:
            owners = [FIRST]
        if not owners:
            raise UnknownModel(name, (entry.name for entry in self))
        if len(owners) > 1:
            raise AmbiguousModel(name, (f"{owner}/{name}" for owner in owners))
        return self._entries[owners[0]][name]

    def _find_in(self, plugin: str, bare: str) -> Entry:
        entries = self._entries.get(plugin)
        if entries is None:
            raise UnknownPlugin(plugin, self._entries)
        if bare not in entries:
            elsewhere = (entry.qualified for entry in self if entry.name == bare)
            known = (entry.qualified for entry in entries.values())
            raise UnknownModel(f"{plugin}/{bare}", known, elsewhere)
        return entries[bare]

    def search(
        self, query: str | None = None, *, plugin: str | None = None, tag: str | None = None
    ) -> tuple[Entry, ...]:
        """Architectures that match, in the order of the catalog.

        Args:
            query: Part of the name, the qualified name or the summary, in any case; with `*`, `?`
                or `[` a pattern of the whole of one of these.
            plugin: Only this plugin's.
            tag: Only those with this tag.

        Returns:
            Their entries; empty where nothing matches.

        Raises:
            UnknownPlugin: No plugin is called `plugin`.
        """
        if plugin is not None and plugin not in self._entries:
            raise UnknownPlugin(plugin, self._entries)
        found = self if plugin is None else self._entries[plugin].values()
        return tuple(
            entry
            for entry in found
            if (tag is None or tag in entry.card.tags) and (not query or _matches(entry, query))
        )


def _matches(entry: Entry, query: str) -> bool:
    wanted, name = query.lower(), entry.qualified.lower()
    if any(mark in wanted for mark in "*?["):
        from fnmatch import fnmatchcase

        texts = (entry.name.lower(), name, entry.card.summary.lower())
        return any(fnmatchcase(text, wanted) for text in texts)
    return wanted in name or wanted in entry.card.summary.lower()
