"""What a decoder is built with, under the names of Hugging Face's config.json.

`read` takes such a file as it is published. A key that changes the architecture and that no switch
of `LlamaConfig` stands for is refused by name, so that nobody gets the figures of another model;
keys that change nothing here (token ids, caches, versions) are passed over.

    model_type    what its class does beyond its keys
    llama         as many key heads as heads where none are said
    mistral       a sliding window, of 4,096 tokens where none is said
    qwen2         biases on the projections of queries, keys and values; windows on request
    qwen3         norms of queries and keys; heads of 128 where none is said; windows on request

The classes are those of transformers 5.23.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.models._config import (
    DTYPES,
    Config,
    check_above_zero,
    check_causal,
    check_counts,
    check_kind,
    check_layer_types,
    check_one_of,
    check_types,
    filled,
    load,
    refuse,
    renamed,
    short,
)

TINY: dict[str, object] = {
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
"""A decoder that runs in a blink."""

ROPE_NEEDS: Mapping[str, tuple[str, ...]] = {
    "default": (),
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
}
"""Kinds of rotary embedding, and the numbers that each needs."""

WINDOW_ON_REQUEST = {"use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28}

CLASSES: Mapping[str, Mapping[str, object]] = {
    "llama": {},
    "mistral": {"sliding_window": 4096},
    "qwen2": {"qkv_bias": True, **WINDOW_ON_REQUEST},
    "qwen3": {"qk_norm": True, "head_dim": 128, **WINDOW_ON_REQUEST},
}
"""What a `model_type` means where its config does not say."""

SWITCHES: Mapping[str, tuple[str, ...]] = {
    "attention_bias": ("llama", "qwen3"),
    "mlp_bias": ("llama",),
    "qkv_bias": ("qwen2",),
    "qk_norm": ("qwen3",),
    "sliding_window": ("mistral", "qwen2", "qwen3"),
    "layer_types": ("qwen2", "qwen3"),
}
"""Switches, and the model types whose classes know them."""

ALIASES = {"sliding_window_size": "sliding_window"}
"""Another name of a key, which MLC has."""

NEEDED = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
)

REFUSED: Mapping[str, str] = {
    "num_experts": "a mixture of experts",
    "num_local_experts": "a mixture of experts",
    "n_routed_experts": "a mixture of experts",
    "moe_intermediate_size": "a mixture of experts",
    "q_lora_rank": "latent attention",
    "kv_lora_rank": "latent attention",
    "use_qk_norm": "norms of a kind that it does not name",
    "clip_qkv": "clipped queries, keys and values",
    "attention_chunk_size": "attention in chunks",
    "no_rope_layers": "layers without positions",
    "attn_logit_softcapping": "capped scores",
    "final_logit_softcapping": "capped logits",
    "query_pre_attn_scalar": "another scale of the scores",
    "attention_multiplier": "another scale of the scores",
    "use_parallel_residual": "attention and MLP side by side",
    "attention_dropout": "dropout",
    "hidden_dropout": "dropout",
    "resid_pdrop": "dropout",
    "embd_pdrop": "dropout",
    "add_cross_attention": "attention to an encoder",
    "is_encoder_decoder": "an encoder",
    "text_config": "more than a language model",
    "vision_config": "more than a language model",
    "quantization_config": "weights that are quantized",
    "num_nextn_predict_layers": "heads for several tokens",
}
"""Keys that make another architecture of it, unless they are null, false, 0 or empty."""

REFUSED_BUT_ONE: Mapping[str, str] = {
    "partial_rotary_factor": "positions in a part of each head",
    "embedding_multiplier": "scaled embeddings",
    "residual_multiplier": "scaled residuals",
    "logits_scaling": "scaled logits",
}
"""The same, unless they are 1 or null."""


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """Settings of a decoder.

    Raises:
        ValueError: One is of the wrong type, out of range, or does not fit another.
    """

    vocab_size: int
    """Tokens."""
    hidden_size: int
    """Width of the residual stream."""
    intermediate_size: int
    """Width inside the MLP."""
    num_hidden_layers: int
    """Blocks."""
    num_attention_heads: int
    """Heads of queries."""
    num_key_value_heads: int | None = None
    """Heads of keys and values; None: as many as of queries."""
    head_dim: int | None = None
    """Width of a head; None: hidden_size / num_attention_heads."""
    rms_norm_eps: float = 1e-6
    """What keeps a norm from dividing by 0."""
    rope_theta: float = 10000.0
    """Base of the rotary frequencies."""
    rope_scaling: dict[str, object] | None = None
    """How they are scaled: `rope_type` (or `type`) default, linear or llama3, with its numbers."""
    max_position_embeddings: int = 2048
    """Longest sequence that it was made for, in tokens. Longer ones run all the same."""
    tie_word_embeddings: bool = False
    """Whether the head's weight is the embedding's."""
    attention_bias: bool = False
    """Whether all four projections of attention have biases."""
    qkv_bias: bool = False
    """Whether those of queries, keys and values have."""
    mlp_bias: bool = False
    """Whether those of the MLP have."""
    qk_norm: bool = False
    """Whether each head's queries and keys are normalised."""
    sliding_window: int | None = None
    """How many tokens a token sees, itself included; None: all before it."""
    use_sliding_window: bool = True
    """Whether there is a window at all."""
    max_window_layers: int = 0
    """The first block with a window."""
    layer_types: list[str] | None = None
    """`full_attention` or `sliding_attention` for each block; None: as `max_window_layers` says."""
    hidden_act: str = "silu"
    """What the MLP's gate goes through: silu, also called swish."""
    torch_dtype: str | None = "float32"
    """Dtype of the weights: float32, bfloat16, float16, float64."""

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def width(self) -> int:
        """Width of a head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def rope(self) -> dict[str, Any]:
        """`rope_scaling`, with its kind under `rope_type`."""
        found: dict[str, Any] = dict(self.rope_scaling or {})
        kind = found.pop("type", "default")
        return {"rope_type": kind, **found}

    def window(self, layer: int) -> int | None:
        """How many tokens a token sees in a block.

        Args:
            layer: The block, counted from 0.

        Returns:
            Its window, the token itself included; None: all before it.
        """
        if not self.use_sliding_window:
            return None
        if self.layer_types is not None:
            return self.sliding_window if self.layer_types[layer] == "sliding_attention" else None
        return self.sliding_window if layer >= self.max_window_layers else None

    def __post_init__(self) -> None:
        check_types(self)
        check_counts(self, (*NEEDED, "num_key_value_heads", "head_dim", "sliding_window"))
        self._check_heads()
        self._check_rope()
        if self.hidden_act not in ("silu", "swish"):
            raise ValueError(f"hidden_act is {self.hidden_act!r}; this architecture has silu")
        check_one_of(self, "torch_dtype", DTYPES)
        check_layer_types(self.layer_types, self.num_hidden_layers)

    def _check_heads(self) -> None:
        heads, shared = self.num_attention_heads, self.key_heads
        if heads % shared:
            raise ValueError(
                f"num_attention_heads is {heads}, which num_key_value_heads, {shared}, "
                "does not divide"
            )
        if self.head_dim is None and self.hidden_size % heads:
            raise ValueError(
                f"hidden_size is {self.hidden_size}, which num_attention_heads, {heads}, "
                "does not divide, and there is no head_dim"
            )
        if self.width % 2:
            raise ValueError(f"head_dim is {self.width}; a rotary embedding wants an even one")

    def _check_rope(self) -> None:
        rope = self.rope
        kind = rope["rope_type"]
        if kind not in ROPE_NEEDS:
            raise ValueError(f"rope_scaling is of type {kind!r}; known: {', '.join(ROPE_NEEDS)}")
        check_above_zero(self, ("rope_theta",))
        for name in ROPE_NEEDS[kind]:
            value = rope.get(name)
            if not isinstance(value, int | float) or value <= 0:
                raise ValueError(f"rope_scaling of type {kind} wants a number {name} above 0")
        if kind == "llama3" and rope["high_freq_factor"] <= rope["low_freq_factor"]:
            raise ValueError("rope_scaling wants a high_freq_factor above its low_freq_factor")


def read(config: Config, given: Mapping[str, object]) -> LlamaConfig:
    """Settings of a config.json.

    Args:
        config: The file, its folder, or what it holds, which may lie under `config` beside a word
            on its source. None: nothing, `given` has it all.
        given: Settings that win.

    Returns:
        The settings, checked.

    Raises:
        ValueError: It is not there, is not JSON, lacks a setting, or describes another
            architecture.
    """
    found = _plain(load(config))
    kind = _refuse(found)
    settings = {**CLASSES.get(kind, {}), **found, **_plain(given)}
    shared = () if kind in ("", "llama") else ("num_key_value_heads",)
    return filled(LlamaConfig, settings, (*NEEDED, *shared))


def _refuse(found: Mapping[str, object]) -> str:
    """The `model_type`, or ""; ValueError where a config describes another model."""
    kind = check_kind(found, CLASSES)
    check_causal(found)
    refuse(found, REFUSED)
    refuse(found, REFUSED_BUT_ONE, unless=(None, 1))
    for key, kinds in SWITCHES.items():
        if kind and kind not in kinds and found.get(key):
            raise ValueError(f"{key} is {short(found[key])}, which a {kind} does not have")
    return kind


def _plain(found: Mapping[str, object]) -> dict[str, object]:
    """Settings under one name each: `rope_parameters` of transformers 5 are taken apart."""
    plain = renamed(found, ALIASES)
    if "rope_parameters" in plain:
        plain["rope_scaling"] = plain.pop("rope_parameters")
    scaling = plain.get("rope_scaling")
    if isinstance(scaling, Mapping):
        if any(isinstance(value, Mapping) for value in scaling.values()):
            raise ValueError("rope_parameters differ by layer, which is not known here")
        beside = {"rope_theta", "partial_rotary_factor"} & set(scaling)
        plain.update({name: scaling[name] for name in beside})
        plain["rope_scaling"] = {k: v for k, v in scaling.items() if k not in beside}
    return plain
