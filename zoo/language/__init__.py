"""What language models need beside a network: tokens, sequences, scores and searches."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOME: dict[str, str] = {
    "AddK": "zoo.language.ngrams",
    "KneserNey": "zoo.language.ngrams",
    "Laplace": "zoo.language.ngrams",
    "NGramModel": "zoo.language.ngrams",
    "Vocabulary": "zoo.language.vocabulary",
    "clean": "zoo.language.tokens",
    "detach": "zoo.language.generation",
    "generate": "zoo.language.generation",
    "perplexity": "zoo.language.likelihood",
    "perplexity_of_scores": "zoo.language.likelihood",
    "random_batches": "zoo.language.batches",
    "sequential_batches": "zoo.language.batches",
    "tokenize": "zoo.language.tokens",
    "windows": "zoo.language.batches",
}

if TYPE_CHECKING:
    from zoo.language.batches import random_batches, sequential_batches, windows
    from zoo.language.generation import detach, generate
    from zoo.language.likelihood import perplexity, perplexity_of_scores
    from zoo.language.ngrams import AddK, KneserNey, Laplace, NGramModel
    from zoo.language.tokens import clean, tokenize
    from zoo.language.vocabulary import Vocabulary

__all__ = [
    "AddK",
    "KneserNey",
    "Laplace",
    "NGramModel",
    "Vocabulary",
    "clean",
    "detach",
    "generate",
    "perplexity",
    "perplexity_of_scores",
    "random_batches",
    "sequential_batches",
    "tokenize",
    "windows",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo.language' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
