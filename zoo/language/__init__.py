"""What language models need beside a network: tokens, sequences, scores and searches."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOME: dict[str, str] = {
    "Vocabulary": "zoo.language.vocabulary",
    "clean": "zoo.language.tokens",
    "tokenize": "zoo.language.tokens",
}

if TYPE_CHECKING:
    from zoo.language.tokens import clean, tokenize
    from zoo.language.vocabulary import Vocabulary

__all__ = ["Vocabulary", "clean", "tokenize"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo.language' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
