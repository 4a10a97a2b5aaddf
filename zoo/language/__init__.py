"""What language models need beside a network: tokens, sequences, scores and searches."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOME: dict[str, str] = {
    "MaskedTokens": "zoo.language.masking",
    "SentencePair": "zoo.language.masking",
    "PretrainingBatch": "zoo.language.masking",
    "Vocabulary": "zoo.language.vocabulary",
    "clean": "zoo.language.tokens",
    "get_tokens_and_segments": "zoo.language.masking",
    "mask_tokens": "zoo.language.masking",
    "pretraining_batch": "zoo.language.masking",
    "sentence_pairs": "zoo.language.masking",
    "tokenize": "zoo.language.tokens",
}

if TYPE_CHECKING:
    from zoo.language.masking import (
        MaskedTokens,
        PretrainingBatch,
        SentencePair,
        get_tokens_and_segments,
        mask_tokens,
        pretraining_batch,
        sentence_pairs,
    )
    from zoo.language.tokens import clean, tokenize
    from zoo.language.vocabulary import Vocabulary

__all__ = [
    "MaskedTokens",
    "PretrainingBatch",
    "SentencePair",
    "Vocabulary",
    "clean",
    "get_tokens_and_segments",
    "mask_tokens",
    "pretraining_batch",
    "sentence_pairs",
    "tokenize",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo.language' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
