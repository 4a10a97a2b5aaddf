"""What language models need beside a network: tokens, sequences, scores and searches."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOME: dict[str, str] = {
    "Candidate": "zoo.language.search",
    "Pairs": "zoo.language.pairs",
    "Vocabulary": "zoo.language.vocabulary",
    "beam_search": "zoo.language.search",
    "bleu": "zoo.language.overlap",
    "build_pairs": "zoo.language.pairs",
    "clean": "zoo.language.tokens",
    "corpus_bleu": "zoo.language.overlap",
    "greedy_search": "zoo.language.search",
    "read_pairs": "zoo.language.pairs",
    "rereading": "zoo.language.search",
    "select_rows": "zoo.language.search",
    "tokenize": "zoo.language.tokens",
    "translate": "zoo.language.translation",
}

if TYPE_CHECKING:
    from zoo.language.overlap import bleu, corpus_bleu
    from zoo.language.pairs import Pairs, build_pairs, read_pairs
    from zoo.language.search import Candidate, beam_search, greedy_search, rereading, select_rows
    from zoo.language.tokens import clean, tokenize
    from zoo.language.translation import translate
    from zoo.language.vocabulary import Vocabulary

__all__ = [
    "Candidate",
    "Pairs",
    "Vocabulary",
    "beam_search",
    "bleu",
    "build_pairs",
    "clean",
    "corpus_bleu",
    "greedy_search",
    "read_pairs",
    "rereading",
    "select_rows",
    "tokenize",
    "translate",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo.language' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
