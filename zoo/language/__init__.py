"""What language models need beside a network: tokens, sequences, scores and searches."""

from __future__ import annotations

from importlib import import_module

_HOME: dict[str, str] = {}

__all__: list[str] = []


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo.language' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
