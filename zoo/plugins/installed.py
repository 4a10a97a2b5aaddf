# ruff: noqa: PTH110, PTH118, PTH122, PTH123, PTH208
# (pathlib is a tenth of the time that `zoo list` may take)
"""Which plugins the installed distributions name, in the entry-point group `zoo`.

Says what `importlib.metadata.entry_points(group="zoo")` says, without importing it: that import
(email, zip files, sockets) takes longer than the rest of `zoo list`. Where something else than
folders is on `sys.path`, or another finder knows of distributions, `importlib.metadata` is asked.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

GROUP = "zoo"
SUFFIXES = (".dist-info", ".egg-info")


class EntryPoint(NamedTuple):
    """A plugin that a distribution names."""

    name: str
    """Name of the plugin."""
    value: str
    """`module` or `module:attribute` that holds its hooks."""
    metadata: str
    """Folder of the distribution's metadata."""

    @property
    def module(self) -> str:
        """Module that is imported."""
        return self.value.partition(":")[0].strip()

    def load(self) -> object:
        """Import the plugin. Raises whatever its module raises."""
        found: object = import_module(self.module)
        for attribute in filter(None, self.value.partition(":")[2].strip().split(".")):
            found = getattr(found, attribute)
        return found

    @property
    def distribution(self) -> Distribution:
        """The distribution that names it."""
        from importlib.metadata import PathDistribution
        from pathlib import Path

        return PathDistribution(Path(self.metadata))


def installed() -> tuple[EntryPoint, ...]:
    """Plugins of all distributions, by name. Of two copies of one the first counts."""
    found = _asked() if _needs_asking() else _scanned()
    return tuple(sorted(found))


def _needs_asking() -> bool:
    other = any(
        finder is not PathFinder and hasattr(finder, "find_distributions")
        for finder in sys.meta_path
    )
    return other or any(
        place.endswith((".zip", ".egg", ".whl")) and os.path.exists(place) for place in sys.path
    )


def _asked() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return [
        EntryPoint(one.name, one.value, str(getattr(one.dist, "_path", "")))
        for one in entry_points(group=GROUP)
    ]


def _scanned() -> list[EntryPoint]:
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for place in dict.fromkeys(sys.path):
        for name, folder in _distributions(place or "."):
            if name not in seen:
                seen.add(name)
                found.extend(_read(folder))
    return found


def _distributions(place: str) -> Iterator[tuple[str, str]]:
    """(normalised name, metadata folder) of the distributions in a folder."""
    try:
        names = os.listdir(place)
    except OSError:
        return
    for name in names:
        stem, suffix = os.path.splitext(name)
        if suffix in SUFFIXES:
            project = stem.partition("-")[0].lower().replace("-", "_").replace(".", "_")
            yield project, os.path.join(place, name)


def _read(folder: str) -> Iterator[EntryPoint]:
    try:
        with open(os.path.join(folder, "entry_points.txt"), encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError):
        return
    if f"[{GROUP}]" not in text:
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == GROUP and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield EntryPoint(name.strip(), value.partition("[")[0].strip(), folder)
