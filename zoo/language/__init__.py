"""What language models need beside a network: tokens, sequences, scores and searches."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOME: dict[str, str] = {
    "Batches": "zoo.language.batches",
    "pad_texts": "zoo.language.padding",
    "truncate_pad": "zoo.language.padding",
}

if TYPE_CHECKING:
    from zoo.language.batches import Batches
    from zoo.language.padding import pad_texts, truncate_pad

__all__ = ["Batches", "pad_texts", "truncate_pad"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo.language' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
