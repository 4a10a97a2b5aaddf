"""Cards of GPT: decoders that predict the next token.

`gpt` is a tiny one, and what is built from a config.json: `--set config=./config.json`. The others
carry the settings of their papers and released models; single settings are changed by name
(`--set n_layer=2`). No weights are downloaded. Parameters are counted once where embedding and head
are tied.
"""

from __future__ import annotations

from typing import Any

from zoo.catalog.card import ModelCard

FACTORY = "zoo.models.gpt:gpt"
ARXIV = "https://arxiv.org/abs/"

GPT = (
    "Radford, Narasimhan, Salimans and Sutskever, Improving Language Understanding by Generative "
    "Pre-Training"
)
GPT_2 = (
    "Radford, Wu, Child, Luan, Amodei and Sutskever, Language Models are Unsupervised Multitask "
    "Learners"
)
GPT_3 = "Brown et al., Language Models are Few-Shot Learners"
OPENAI = "https://openai.com/index/"
TAGS = ("transformer", "attention", "decoder", "language")

Settings = dict[str, Any]


def _settings(tokens: int, longest: int, *sizes: int, **more: Any) -> Settings:
    """Vocabulary, positions, then layers, width and heads."""
    names = ("n_layer", "n_embd", "n_head")
    found = {"model_type": "gpt2", "vocab_size": tokens, "n_positions": longest, **more}
    return {**found, **dict(zip(names, sizes, strict=True))}


def _gpt2(*sizes: int) -> Settings:
    return _settings(50257, 1024, *sizes)


def _gpt3(*sizes: int) -> Settings:
    return _settings(50257, 2048, *sizes)


PUBLISHED: tuple[tuple[str, int, Settings], ...] = (
    ("gpt-1", 116_534_784, _settings(40478, 512, 12, 768, 12, model_type="openai-gpt")),
    ("gpt2", 124_439_808, _gpt2(12, 768, 12)),
    ("gpt2-medium", 354_823_168, _gpt2(24, 1024, 16)),
    ("gpt2-large", 774_030_080, _gpt2(36, 1280, 20)),
    ("gpt2-xl", 1_557_611_200, _gpt2(48, 1600, 25)),
    ("gpt3-small", 125_226_240, _gpt3(12, 768, 12)),
    ("gpt3-medium", 355_871_744, _gpt3(24, 1024, 16)),
    ("gpt3-large", 760_300_032, _gpt3(24, 1536, 16)),
    ("gpt3-xl", 1_315_723_264, _gpt3(24, 2048, 16)),
    ("gpt3-2.7b", 2_651_553_280, _gpt3(32, 2560, 32)),
    ("gpt3-6.7b", 6_658_404_352, _gpt3(32, 4096, 32)),
    ("gpt3-13b", 12_853_386_240, _gpt3(40, 5120, 40)),
    ("gpt3-175b", 174_604_259_328, _gpt3(96, 12288, 96)),
)
"""Name, parameters and settings."""

PAPERS: dict[str, tuple[str, int, str, str]] = {
    "gpt-1": (GPT, 2018, f"{OPENAI}language-unsupervised/", "section 4.1"),
    "gpt2": (GPT_2, 2019, f"{OPENAI}better-language-models/", "table 2"),
    "gpt3": (GPT_3, 2020, f"{ARXIV}2005.14165", "table 2.1"),
}
"""Paper, year, link and table, by how a name begins."""


def _card(name: str, parameters: int, settings: Settings) -> ModelCard:
    found = next(found for start, found in PAPERS.items() if name.startswith(start))
    paper, year, link, table = found
    layers, width = settings["n_layer"], settings["n_embd"]
    return ModelCard(
        name,
        FACTORY,
        f"Language model: {parameters:,} parameters, {layers} layers of width {width:,}.",
        f"1,{settings['n_positions']}@ints:{settings['vocab_size']}",
        {"config": settings},
        TAGS,
        paper,
        year,
        link,
        table=table,
        book="11.9",
    )


CARDS: tuple[ModelCard, ...] = (
    ModelCard(
        "gpt",
        FACTORY,
        "GPT: causal attention, learned positions, GELU; tiny or by config.",
        "1,16@ints:256",
        tags=(*TAGS, "teaching"),
        paper=GPT,
        year=2018,
        link=f"{OPENAI}language-unsupervised/",
        table="section 4.1",
        book="11.9",
    ),
    *(_card(*one) for one in PUBLISHED),
)
