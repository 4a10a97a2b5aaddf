"""Folders that modules are importable from for a while.

`sys.path` is given back as it was. A module that was imported from such a folder is marked; when
another folder with a module of the same name is borrowed later (`a/layers.py`, `b/layers.py`), the
marked one makes way. Modules that Python imported by itself never do.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import invalidate_caches
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.catalog.where import STDLIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

MARK = "__zoo_folder__"
"""Attribute of a module that was imported from a borrowed folder: that folder."""


@contextmanager
def importable(folders: Sequence[str]) -> Iterator[None]:
    """Inside, modules of `folders` can be imported, and win over others not yet imported.

    Args:
        folders: Absolute paths, first wins. With none of them nothing is changed.
    """
    if not folders:
        yield
        return
    path, modules = sys.path[:], set(sys.modules)
    _make_way(folders)
    sys.path[:0] = folders
    invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if name.partition(".")[0] not in modules:
                _mark(sys.modules[name], folders)


def _mark(module: ModuleType, folders: Sequence[str]) -> None:
    file = getattr(module, "__dict__", {}).get("__file__")
    if not isinstance(file, str) or "site-packages" in file or file.startswith(STDLIB):
        return
    for folder in folders:
        if Path(file).is_relative_to(folder):
            module.__dict__[MARK] = folder
            return


def _make_way(folders: Sequence[str]) -> None:
    """Forget modules of other borrowed folders that one of `folders` has too."""
    strangers = [
        name
        for name, module in list(sys.modules.items())
        if getattr(module, "__dict__", {}).get(MARK, folders[0]) not in folders
    ]
    roots = {name.partition(".")[0] for name in strangers}
    shared = {root for root in roots if PathFinder.find_spec(root, list(folders)) is not None}
    for name in strangers:
        if name.partition(".")[0] in shared:
            del sys.modules[name]
