"""What language models need beside a network: tokens, sequences, scores and searches."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOME: dict[str, str] = {
    "AddK": "zoo.language.ngrams",
    "Batches": "zoo.language.batches",
    "BytePairs": "zoo.language.byte_pairs",
    "Candidate": "zoo.language.search",
    "HuffmanTree": "zoo.language.huffman_tree",
    "KneserNey": "zoo.language.ngrams",
    "Laplace": "zoo.language.ngrams",
    "MaskedTokens": "zoo.language.masking",
    "NGramModel": "zoo.language.ngrams",
    "Pairs": "zoo.language.pairs",
    "PretrainingBatch": "zoo.language.masking",
    "SentencePair": "zoo.language.masking",
    "TokenEmbedding": "zoo.language.token_embedding",
    "Vocabulary": "zoo.language.vocabulary",
    "beam_search": "zoo.language.search",
    "bleu": "zoo.language.overlap",
    "build_pairs": "zoo.language.pairs",
    "centers_and_contexts": "zoo.language.skip_gram_data",
    "clean": "zoo.language.tokens",
    "cooccurrences": "zoo.language.cooccurrence",
    "corpus_bleu": "zoo.language.overlap",
    "detach": "zoo.language.generation",
    "generate": "zoo.language.generation",
    "get_tokens_and_segments": "zoo.language.masking",
    "greedy_search": "zoo.language.search",
    "huffman": "zoo.language.huffman_tree",
    "keep_probabilities": "zoo.language.skip_gram_data",
    "mask_tokens": "zoo.language.masking",
    "nearest": "zoo.language.token_embedding",
    "negatives": "zoo.language.skip_gram_data",
    "noise_weights": "zoo.language.skip_gram_data",
    "pad_texts": "zoo.language.padding",
    "perplexity": "zoo.language.likelihood",
    "perplexity_of_scores": "zoo.language.likelihood",
    "pretraining_batch": "zoo.language.masking",
    "random_batches": "zoo.language.corpus_batches",
    "read_pairs": "zoo.language.pairs",
    "rereading": "zoo.language.search",
    "select_rows": "zoo.language.search",
    "sentence_pairs": "zoo.language.masking",
    "sequential_batches": "zoo.language.corpus_batches",
    "skip_gram_batch": "zoo.language.skip_gram_data",
    "subsample": "zoo.language.skip_gram_data",
    "subword_ids": "zoo.language.subword",
    "subwords": "zoo.language.subword",
    "tokenize": "zoo.language.tokens",
    "train_byte_pairs": "zoo.language.byte_pairs",
    "train_byte_pairs_on_bytes": "zoo.language.byte_pairs",
    "translate": "zoo.language.translation",
    "truncate_pad": "zoo.language.padding",
    "windows": "zoo.language.corpus_batches",
}

if TYPE_CHECKING:
    from zoo.language.batches import Batches
    from zoo.language.byte_pairs import BytePairs, train_byte_pairs, train_byte_pairs_on_bytes
    from zoo.language.cooccurrence import cooccurrences
    from zoo.language.corpus_batches import random_batches, sequential_batches, windows
    from zoo.language.generation import detach, generate
    from zoo.language.huffman_tree import HuffmanTree, huffman
    from zoo.language.likelihood import perplexity, perplexity_of_scores
    from zoo.language.masking import (
        MaskedTokens,
        PretrainingBatch,
        SentencePair,
        get_tokens_and_segments,
        mask_tokens,
        pretraining_batch,
        sentence_pairs,
    )
    from zoo.language.ngrams import AddK, KneserNey, Laplace, NGramModel
    from zoo.language.overlap import bleu, corpus_bleu
    from zoo.language.padding import pad_texts, truncate_pad
    from zoo.language.pairs import Pairs, build_pairs, read_pairs
    from zoo.language.search import Candidate, beam_search, greedy_search, rereading, select_rows
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
    from zoo.language.tokens import clean, tokenize
    from zoo.language.translation import translate
    from zoo.language.vocabulary import Vocabulary

__all__ = [
    "AddK",
    "Batches",
    "BytePairs",
    "Candidate",
    "HuffmanTree",
    "KneserNey",
    "Laplace",
    "MaskedTokens",
    "NGramModel",
    "Pairs",
    "PretrainingBatch",
    "SentencePair",
    "TokenEmbedding",
    "Vocabulary",
    "beam_search",
    "bleu",
    "build_pairs",
    "centers_and_contexts",
    "clean",
    "cooccurrences",
    "corpus_bleu",
    "detach",
    "generate",
    "get_tokens_and_segments",
    "greedy_search",
    "huffman",
    "keep_probabilities",
    "mask_tokens",
    "nearest",
    "negatives",
    "noise_weights",
    "pad_texts",
    "perplexity",
    "perplexity_of_scores",
    "pretraining_batch",
    "random_batches",
    "read_pairs",
    "rereading",
    "select_rows",
    "sentence_pairs",
    "sequential_batches",
    "skip_gram_batch",
    "subsample",
    "subword_ids",
    "subwords",
    "tokenize",
    "train_byte_pairs",
    "train_byte_pairs_on_bytes",
    "translate",
    "truncate_pad",
    "windows",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo.language' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
