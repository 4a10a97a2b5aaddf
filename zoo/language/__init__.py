"""What language models need beside a network: tokens, sequences, scores and searches."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOME: dict[str, str] = {
    "Batches": "zoo.language.batches",
    "BytePairs": "zoo.language.byte_pairs",
    "HuffmanTree": "zoo.language.huffman_tree",
    "TokenEmbedding": "zoo.language.token_embedding",
    "centers_and_contexts": "zoo.language.skip_gram_data",
    "cooccurrences": "zoo.language.cooccurrence",
    "huffman": "zoo.language.huffman_tree",
    "keep_probabilities": "zoo.language.skip_gram_data",
    "nearest": "zoo.language.token_embedding",
    "negatives": "zoo.language.skip_gram_data",
    "noise_weights": "zoo.language.skip_gram_data",
    "pad_texts": "zoo.language.padding",
    "skip_gram_batch": "zoo.language.skip_gram_data",
    "subsample": "zoo.language.skip_gram_data",
    "subword_ids": "zoo.language.subword",
    "subwords": "zoo.language.subword",
    "train_byte_pairs": "zoo.language.byte_pairs",
    "train_byte_pairs_on_bytes": "zoo.language.byte_pairs",
    "truncate_pad": "zoo.language.padding",
}

if TYPE_CHECKING:
    from zoo.language.batches import Batches
    from zoo.language.byte_pairs import BytePairs, train_byte_pairs, train_byte_pairs_on_bytes
    from zoo.language.cooccurrence import cooccurrences
    from zoo.language.huffman_tree import HuffmanTree, huffman
    from zoo.language.padding import pad_texts, truncate_pad
    from zoo.language.skip_gram_data import (
        centers_and_contexts,
        keep_probabilities,
        negatives,
        noise_weights,
        skip_gram_batch,
        subsample,
    )
    from zoo.language.subword import subword_ids, subwords
    from zoo.language.token_embedding import TokenEmbedding, nearest

__all__ = [
    "Batches",
    "BytePairs",
    "HuffmanTree",
    "TokenEmbedding",
    "centers_and_contexts",
    "cooccurrences",
    "huffman",
    "keep_probabilities",
    "nearest",
    "negatives",
    "noise_weights",
    "pad_texts",
    "skip_gram_batch",
    "subsample",
    "subword_ids",
    "subwords",
    "train_byte_pairs",
    "train_byte_pairs_on_bytes",
    "truncate_pad",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo.language' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
