"""Which architectures there are, and how a user's words lead to one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOME = {
    "Catalog": "zoo.catalog.catalog",
    "Entry": "zoo.catalog.catalog",
    "ModelCard": "zoo.catalog.card",
    "Resolved": "zoo.catalog.building",
    "resolve": "zoo.catalog.building",
}

if TYPE_CHECKING:
    from zoo.catalog.building import Resolved, resolve
    from zoo.catalog.card import ModelCard
    from zoo.catalog.catalog import Catalog, Entry

__all__ = ["Catalog", "Entry", "ModelCard", "Resolved", "resolve"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo.catalog' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
