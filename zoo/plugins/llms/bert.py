"""Cards of BERT: encoders that predict masked words.

`bert` is a tiny one, and what is built from a config.json: `--set config=./config.json`. Heads are
a setting: `--set 'heads=["mlm"]'`. Single settings are changed by name. No weights are downloaded.
Parameters are counted once where embedding and head are tied.
"""

from __future__ import annotations

from typing import Any

from zoo.catalog.card import ModelCard

FACTORY = "zoo.models.bert:bert"
BOOK_FACTORY = "zoo.models.bert:bert_book"
PAPER = (
    "Devlin, Chang, Lee and Toutanova, BERT: Pre-training of Deep Bidirectional Transformers for "
    "Language Understanding"
)
LINK = "https://arxiv.org/abs/1810.04805"
BOOK = "https://d2l.ai/chapter_natural-language-processing"
TAGS = ("transformer", "attention", "encoder", "language")


def _inputs(words: int, batch: int, tokens: int, masked: int = 0) -> tuple[str, ...]:
    """Ids of words and segments, lengths, and which are masked where some are."""
    shape = f"{batch},{tokens}"
    found = (
        f"tokens={shape}@ints:{words}",
        f"segments={shape}@ints:2",
        f"valid_lens={batch}@ints:{tokens + 1}",
    )
    return (*found, f"pred_positions={batch},{masked}@ints:{tokens}") if masked else found


def _settings(hidden: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "model_type": "bert",
        "vocab_size": 30522,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * hidden,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "heads": ["pooler"],
    }


PUBLISHED: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("bert-base-uncased", 109_482_240, _settings(768, 12, 12)),
    ("bert-large-uncased", 335_141_888, _settings(1024, 24, 16)),
)
"""Name, parameters with the pooler and no other head, and settings."""

_SMALL = {"num_hiddens": 128, "ffn_num_hiddens": 256, "num_heads": 2, "num_blks": 2}


def _card(name: str, parameters: int, settings: dict[str, Any]) -> ModelCard:
    layers, width = settings["num_hidden_layers"], settings["hidden_size"]
    return ModelCard(
        name,
        FACTORY,
        f"BERT: {parameters:,} parameters with its pooler, {layers} layers of width {width:,}.",
        _inputs(30522, 1, 512),
        {"config": settings},
        TAGS,
        PAPER,
        2018,
        LINK,
        table="section 3",
        book="11.9",
    )


CARDS: tuple[ModelCard, ...] = (
    ModelCard(
        "bert",
        FACTORY,
        "BERT: an encoder with heads for masked words and next sentences; tiny or by config.",
        _inputs(256, 1, 16, masked=3),
        tags=(*TAGS, "teaching"),
        paper=PAPER,
        year=2018,
        link=LINK,
        table="section 3",
        book="11.9",
    ),
    ModelCard(
        "bert_book",
        BOOK_FACTORY,
        "BERT of the book: two blocks, heads for masked words and next sentences.",
        _inputs(10000, 2, 8, masked=3),
        tags=(*TAGS, "book"),
        paper=PAPER,
        year=2018,
        link=f"{BOOK}-pretraining/bert.html",
        book="15.8",
    ),
    ModelCard(
        "bert_small",
        BOOK_FACTORY,
        "BERT that the book pretrains: two blocks of width 128, 20,256 words.",
        _inputs(20256, 2, 64, masked=10),
        {"vocab_size": 20256, **_SMALL},
        (*TAGS, "book", "teaching"),
        PAPER,
        2018,
        f"{BOOK}-pretraining/bert-pretraining.html",
        book="15.10",
    ),
    ModelCard(
        "bert_classifier",
        BOOK_FACTORY,
        "BERT of the book for pairs of sentences: entailment, contradiction or neither.",
        _inputs(60005, 2, 128),
        {
            "vocab_size": 60005,
            "num_hiddens": 256,
            "ffn_num_hiddens": 512,
            "dropout": 0.1,
            "max_len": 512,
            "heads": ("classes",),
        },
        (*TAGS, "book"),
        PAPER,
        2018,
        f"{BOOK}-applications/natural-language-inference-bert.html",
        book="16.7",
    ),
    *(_card(*one) for one in PUBLISHED),
)
