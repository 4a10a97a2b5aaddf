"""Cards of the Llama family, by their published settings.

`llama` is a tiny one, and what is built from a config.json: `--set config=./config.json`. The
others carry the settings of their config.json that the architecture has; single settings are
changed by name (`--set num_hidden_layers=2`). No weights are downloaded. Parameters are counted
once where embedding and head are tied.
"""

from __future__ import annotations

from typing import Any

from zoo.catalog.card import ModelCard

FACTORY = "zoo.models.llama:llama"
ARXIV = "https://arxiv.org/abs/"

LLAMA = "Touvron et al., LLaMA: Open and Efficient Foundation Language Models"
LLAMA_2 = "Touvron et al., Llama 2: Open Foundation and Fine-Tuned Chat Models"
LLAMA_3 = "Grattafiori et al., The Llama 3 Herd of Models"
MISTRAL = "Jiang et al., Mistral 7B"
QWEN_2 = "Yang et al., Qwen2 Technical Report"
QWEN_3 = "Yang et al., Qwen3 Technical Report"
SMOLLM = "Ben Allal, Lozhkov, Bakouch, von Werra and Wolf, SmolLM - blazingly fast and powerful"

Settings = dict[str, Any]


def dims(*numbers: int) -> Settings:
    """Vocabulary, width, MLP, layers, heads and key heads."""
    names = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
    )
    return dict(zip(names, numbers, strict=True))


def _llama1(*sizes: int) -> Settings:
    """Width, MLP, layers and heads; each head has keys of its own."""
    return {
        "model_type": "llama",
        **dims(32000, *sizes, sizes[-1]),
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 2048,
        "torch_dtype": "float16",
    }


def _llama2(*sizes: int) -> Settings:
    return {
        "model_type": "llama",
        **dims(32000, *sizes),
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 4096,
        "torch_dtype": "float16",
    }


def _llama3(*sizes: int, factor: float | None = None, **more: Any) -> Settings:
    """`factor`: how many times the frequencies of 3.1 and 3.2 are stretched."""
    scaling = {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    return {
        "model_type": "llama",
        **dims(128256, *sizes),
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "rope_scaling": scaling if factor else None,
        "max_position_embeddings": 131072 if factor else 8192,
        "torch_dtype": "bfloat16",
        **more,
    }


def _qwen(kind: str, *sizes: int, **more: Any) -> Settings:
    return {
        "model_type": kind,
        **dims(*sizes),
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "max_position_embeddings": 32768 if kind == "qwen2" else 40960,
        "torch_dtype": "bfloat16",
        **more,
    }


_TIED = {"tie_word_embeddings": True}
_SMOLLM = {
    "model_type": "llama",
    **dims(49152, 576, 1536, 30, 9, 3),
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 2048,
    "torch_dtype": "bfloat16",
    **_TIED,
}
_MISTRAL = {
    "model_type": "mistral",
    **dims(32000, 4096, 14336, 32, 32, 8),
    "rms_norm_eps": 1e-5,
    "sliding_window": 4096,
    "max_position_embeddings": 32768,
    "torch_dtype": "bfloat16",
}

PUBLISHED: tuple[tuple[str, int, Settings], ...] = (
    ("smollm-135m", 134_515_008, _SMOLLM),
    ("llama-7b", 6_738_415_616, _llama1(4096, 11008, 32, 32)),
    ("llama-13b", 13_015_864_320, _llama1(5120, 13824, 40, 40)),
    ("llama-33b", 32_528_943_616, _llama1(6656, 17920, 60, 52)),
    ("llama-65b", 65_285_660_672, _llama1(8192, 22016, 80, 64)),
    ("llama-2-7b", 6_738_415_616, _llama2(4096, 11008, 32, 32, 32)),
    ("llama-2-13b", 13_015_864_320, _llama2(5120, 13824, 40, 40, 40)),
    ("llama-2-70b", 68_976_648_192, _llama2(8192, 28672, 80, 64, 8)),
    ("llama-3-8b", 8_030_261_248, _llama3(4096, 14336, 32, 32, 8)),
    ("llama-3.1-8b", 8_030_261_248, _llama3(4096, 14336, 32, 32, 8, factor=8.0)),
    ("llama-3.1-70b", 70_553_706_496, _llama3(8192, 28672, 80, 64, 8, factor=8.0)),
    ("llama-3.1-405b", 405_853_388_800, _llama3(16384, 53248, 126, 128, 8, factor=8.0)),
    ("llama-3.2-1b", 1_235_814_400, _llama3(2048, 8192, 16, 32, 8, factor=32.0, **_TIED)),
    ("llama-3.2-3b", 3_212_749_824, _llama3(3072, 8192, 28, 24, 8, factor=32.0, **_TIED)),
    ("mistral-7b-v0.1", 7_241_732_096, _MISTRAL),
    ("qwen2-0.5b", 494_032_768, _qwen("qwen2", 151936, 896, 4864, 24, 14, 2, **_TIED)),
    ("qwen2-1.5b", 1_543_714_304, _qwen("qwen2", 151936, 1536, 8960, 28, 12, 2, **_TIED)),
    ("qwen2-7b", 7_615_616_512, _qwen("qwen2", 152064, 3584, 18944, 28, 28, 4)),
    ("qwen3-0.6b", 596_049_920, _qwen("qwen3", 151936, 1024, 3072, 28, 16, 8, **_TIED)),
    ("qwen3-1.7b", 1_720_574_976, _qwen("qwen3", 151936, 2048, 6144, 28, 16, 8, **_TIED)),
    ("qwen3-8b", 8_190_735_360, _qwen("qwen3", 151936, 4096, 12288, 36, 32, 8)),
    ("qwen3-32b", 32_762_123_264, _qwen("qwen3", 151936, 5120, 25600, 64, 64, 8)),
)
"""Name, parameters and settings."""

PAPERS = {
    "smollm": (SMOLLM, 2024, "https://huggingface.co/blog/smollm"),
    "llama-2": (LLAMA_2, 2023, f"{ARXIV}2307.09288"),
    "llama-3": (LLAMA_3, 2024, f"{ARXIV}2407.21783"),
    "llama": (LLAMA, 2023, f"{ARXIV}2302.13971"),
    "mistral": (MISTRAL, 2023, f"{ARXIV}2310.06825"),
    "qwen2": (QWEN_2, 2024, f"{ARXIV}2407.10671"),
    "qwen3": (QWEN_3, 2025, f"{ARXIV}2505.09388"),
}
"""Paper, year and link, by how a name begins."""


def _card(name: str, parameters: int, settings: Settings) -> ModelCard:
    paper, year, link = next(found for start, found in PAPERS.items() if name.startswith(start))
    tokens = min(settings["max_position_embeddings"], 4096)
    layers, width = settings["num_hidden_layers"], settings["hidden_size"]
    return ModelCard(
        name,
        FACTORY,
        f"Language model: {parameters:,} parameters, {layers} layers of width {width:,}.",
        f"1,{tokens}@ints:{settings['vocab_size']}",
        {"config": settings},
        ("transformer", "attention", "decoder", "language"),
        paper,
        year,
        link,
    )


CARDS = (
    ModelCard(
        "llama",
        FACTORY,
        "Llama: RMSNorm, rotary embedding, grouped-query attention, SwiGLU; tiny or by config.",
        "1,16@ints:256",
        tags=("transformer", "attention", "decoder", "language", "teaching"),
        paper=LLAMA,
        year=2023,
        link=f"{ARXIV}2302.13971",
    ),
    *(_card(*one) for one in PUBLISHED),
)
