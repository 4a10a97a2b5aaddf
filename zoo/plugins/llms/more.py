"""Cards of decoders beside Llama: mixtures of experts, and Gemma.

`mixtral` and `gemma` are tiny ones, and what is built from a config.json: `--set
config=./config.json`. The others carry the settings of their config.json.
"""

from __future__ import annotations

from typing import Any

from zoo.catalog.card import ModelCard
from zoo.plugins.llms.llama import dims

ARXIV = "https://arxiv.org/abs/"
MIXTRAL = "Jiang et al., Mixtral of Experts"
QWEN_3 = "Yang et al., Qwen3 Technical Report"
GEMMA = "Gemma Team, Gemma: Open Models Based on Gemini Research and Technology"
GEMMA_2 = "Gemma Team, Gemma 2: Improving Open Language Models at a Practical Size"

Settings = dict[str, Any]


def _mixtral(*numbers: int, tokens: int) -> Settings:
    return {
        "model_type": "mixtral",
        **dims(*numbers),
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1000000.0,
        "max_position_embeddings": tokens,
        "torch_dtype": "bfloat16",
    }


def _qwen(*numbers: int, wide: int) -> Settings:
    """`wide`: width of an expert."""
    return {
        "model_type": "qwen3_moe",
        **dims(151936, *numbers),
        "head_dim": 128,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": wide,
        "norm_topk_prob": True,
        "rope_theta": 1000000.0,
        "max_position_embeddings": 40960,
        "torch_dtype": "bfloat16",
    }


def _gemma(kind: str, *numbers: int, **more: int) -> Settings:
    return {
        "model_type": kind,
        **dims(256000, *numbers),
        "head_dim": 256,
        "max_position_embeddings": 8192,
        "torch_dtype": "bfloat16",
        **more,
    }


MIXTURES: tuple[tuple[str, int, int, Settings], ...] = (
    (
        "mixtral-8x7b",
        46_702_792_704,
        12_879_925_248,
        _mixtral(32000, 4096, 14336, 32, 32, 8, tokens=32768),
    ),
    (
        "mixtral-8x22b",
        140_620_634_112,
        39_152_031_744,
        _mixtral(32000, 6144, 16384, 56, 48, 8, tokens=65536),
    ),
    ("qwen3-30b-a3b", 30_532_122_624, 3_353_032_704, _qwen(2048, 6144, 48, 32, 4, wide=768)),
    ("qwen3-235b-a22b", 235_093_634_560, 22_190_763_520, _qwen(4096, 12288, 94, 64, 4, wide=1536)),
)
"""Name, parameters, those that a token meets, and settings."""

GEMMAS: tuple[tuple[str, int, Settings], ...] = (
    ("gemma-2b", 2_506_172_416, _gemma("gemma", 2048, 16384, 18, 8, 1)),
    ("gemma-7b", 8_537_680_896, _gemma("gemma", 3072, 24576, 28, 16, 16)),
    ("gemma-2-2b", 2_614_341_888, _gemma("gemma2", 2304, 9216, 26, 8, 4)),
    ("gemma-2-9b", 9_241_705_984, _gemma("gemma2", 3584, 14336, 42, 16, 8)),
    (
        "gemma-2-27b",
        27_227_128_320,
        _gemma("gemma2", 4608, 36864, 46, 32, 16, head_dim=128, query_pre_attn_scalar=144),
    ),
)
"""Name, parameters and settings."""

TAGS = ("transformer", "attention", "decoder", "language")


def _mixture(name: str, parameters: int, active: int, settings: Settings) -> ModelCard:
    paper, year, place, table = (
        (MIXTRAL, 2024, "2401.04088", "table 1")
        if name.startswith("mixtral")
        else (QWEN_3, 2025, "2505.09388", "table 2")
    )
    return ModelCard(
        name,
        "zoo.models.mixture:mixture",
        f"Language model of experts: {parameters:,} parameters, {active:,} for each token.",
        f"1,4096@ints:{settings['vocab_size']}",
        {"config": settings},
        (*TAGS, "experts"),
        paper,
        year,
        f"{ARXIV}{place}",
        table,
    )


def _gemma_card(name: str, parameters: int, settings: Settings) -> ModelCard:
    second = settings["model_type"] == "gemma2"
    layers, width = settings["num_hidden_layers"], settings["hidden_size"]
    return ModelCard(
        name,
        "zoo.models.gemma:gemma",
        f"Language model: {parameters:,} parameters, {layers} layers of width {width:,}.",
        f"1,4096@ints:{settings['vocab_size']}",
        {"config": settings},
        TAGS,
        GEMMA_2 if second else GEMMA,
        2024,
        f"{ARXIV}2408.00118" if second else f"{ARXIV}2403.08295",
        "table 1",
    )


CARDS: tuple[ModelCard, ...] = (
    ModelCard(
        "mixtral",
        "zoo.models.mixture:mixture",
        "Mixture of experts in a Llama-style decoder; tiny or by config.",
        "1,16@ints:256",
        tags=(*TAGS, "experts", "teaching"),
        paper=MIXTRAL,
        year=2024,
        link=f"{ARXIV}2401.04088",
        table="table 1",
    ),
    *(_mixture(*one) for one in MIXTURES),
    ModelCard(
        "gemma",
        "zoo.models.gemma:gemma",
        "Gemma 2: GeGLU, capped scores, norms before and behind; tiny or by config.",
        "1,16@ints:256",
        tags=(*TAGS, "teaching"),
        paper=GEMMA_2,
        year=2024,
        link=f"{ARXIV}2408.00118",
        table="table 1",
    ),
    *(_gemma_card(*one) for one in GEMMAS),
)
