"""Cards of T5: text to text, encoder and decoder.

`t5` is a tiny one, and what is built from a config.json: `--set config=./config.json`. The others
carry the settings of the released models; single settings are changed by name
(`--set num_layers=2`). No weights are downloaded. Parameters are counted once where embeddings and
head are tied.
"""

from __future__ import annotations

from typing import Any

from zoo.catalog.card import ModelCard

FACTORY = "zoo.models.t5:t5"
PAPER = (
    "Raffel, Shazeer, Roberts, Lee, Narang, Matena, Zhou, Li and Liu, Exploring the Limits of "
    "Transfer Learning with a Unified Text-to-Text Transformer"
)
LINK = "https://arxiv.org/abs/1910.10683"
GLU = "Shazeer, GLU Variants Improve Transformer"
GLU_LINK = "https://arxiv.org/abs/2002.05202"
TAGS = ("transformer", "attention", "encoder", "decoder", "language")

Settings = dict[str, Any]
NAMES = ("num_layers", "d_model", "d_ff", "num_heads", "d_kv")


def _t5(*sizes: int, **more: Any) -> Settings:
    """Layers, width, network, heads and their width."""
    found = dict(zip(NAMES, sizes, strict=True))
    return {"model_type": "t5", "vocab_size": 32128, **found, **more}


def _gated(*sizes: int) -> Settings:
    return _t5(*sizes, feed_forward_proj="gated-gelu", tie_word_embeddings=False)


PUBLISHED: tuple[tuple[str, int, Settings], ...] = (
    ("t5-small", 60_506_624, _t5(6, 512, 2048, 8, 64)),
    ("t5-base", 222_903_552, _t5(12, 768, 3072, 12, 64)),
    ("t5-large", 737_668_096, _t5(24, 1024, 4096, 16, 64)),
    ("t5-3b", 2_851_598_336, _t5(24, 1024, 16384, 32, 128)),
    ("t5-11b", 11_307_321_344, _t5(24, 1024, 65536, 128, 128)),
    ("t5-v1.1-small", 76_961_152, _gated(8, 512, 1024, 6, 64)),
    ("t5-v1.1-base", 247_577_856, _gated(12, 768, 2048, 12, 64)),
    ("t5-v1.1-large", 783_150_080, _gated(24, 1024, 2816, 16, 64)),
    ("t5-v1.1-xl", 2_849_757_184, _gated(24, 2048, 5120, 32, 64)),
    ("t5-v1.1-xxl", 11_135_332_352, _gated(24, 4096, 10240, 64, 64)),
)
"""Name, parameters and settings."""


def _inputs(words: int, read: int, written: int) -> tuple[str, ...]:
    """Ids of a text to read and one to write, and the length of the first."""
    return (
        f"src=1,{read}@ints:{words}",
        f"tgt=1,{written}@ints:{words}",
        f"src_valid_len=1@ints:{read + 1}",
    )


def _card(name: str, parameters: int, settings: Settings) -> ModelCard:
    layers, width = settings["num_layers"], settings["d_model"]
    gated = not settings.get("tie_word_embeddings", True)
    return ModelCard(
        name,
        FACTORY,
        f"Text to text: {parameters:,} parameters, {layers} and {layers} layers of width "
        f"{width:,}{', gated' if gated else ''}.",
        _inputs(32128, 512, 128),
        {"config": settings},
        TAGS,
        GLU if gated else PAPER,
        2020 if gated else 2019,
        GLU_LINK if gated else LINK,
        table=None if gated else "section 3.7",
        book="11.9",
    )


CARDS: tuple[ModelCard, ...] = (
    ModelCard(
        "t5",
        FACTORY,
        "T5: reads a text and writes one, positions by distance; tiny or by config.",
        _inputs(256, 16, 8),
        tags=(*TAGS, "teaching"),
        paper=PAPER,
        year=2019,
        link=LINK,
        table="section 3.7",
        book="11.9",
    ),
    *(_card(*one) for one in PUBLISHED),
)
