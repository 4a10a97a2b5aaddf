"""What a Gemma is built with, under the names of Hugging Face's config.json.

The classes are those of transformers 5.23: `gemma` and `gemma2`. The second caps scores and logits,
scales its scores by a number of its own, lets every other block see a window only, and has a norm
before and behind attention and MLP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zoo.models._config import (
    DTYPES,
    Config,
    check_above_zero,
    check_causal,
    check_counts,
    check_divides,
    check_kind,
    check_layer_types,
    check_one_of,
    check_types,
    filled,
    load,
    refuse,
    renamed,
)

TINY: dict[str, object] = {
    "model_type": "gemma2",
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "query_pre_attn_scalar": 16,
    "sliding_window": 8,
}
"""A decoder that runs in a blink."""

NEEDED = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
)
CLASSES: Mapping[str, Mapping[str, object]] = {
    "gemma": {},
    "gemma2": {
        "query_pre_attn_scalar": 256,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "sliding_window": 4096,
    },
}
"""What a `model_type` means where its config does not say."""

REFUSED: Mapping[str, str] = {
    "attention_bias": "biases of the projections",
    "attention_dropout": "dropout",
    "rope_scaling": "scaled rotary embeddings",
    "use_bidirectional_attention": "attention to later tokens",
    "quantization_config": "weights that are quantized",
    "vision_config": "more than a language model",
}
"""Keys that make another architecture of it, unless they are null, false, 0 or empty."""


@dataclass(frozen=True, slots=True)
class GemmaConfig:
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
    num_key_value_heads: int
    """Heads of keys and values."""
    head_dim: int = 256
    """Width of a head."""
    rms_norm_eps: float = 1e-6
    """What keeps a norm from dividing by 0."""
    rope_theta: float = 10000.0
    """Base of the rotary frequencies."""
    max_position_embeddings: int = 8192
    """Longest sequence that it was made for, in tokens. Longer ones run all the same."""
    tie_word_embeddings: bool = True
    """Whether the head's weight is the embedding's."""
    query_pre_attn_scalar: int | None = None
    """Scores are divided by its root; None: by that of `head_dim`."""
    attn_logit_softcapping: float | None = None
    """What scores of attention stay below; None: nothing."""
    final_logit_softcapping: float | None = None
    """What logits stay below; None: nothing."""
    sliding_window: int | None = None
    """How many tokens a token sees in blocks 0, 2, ..., itself included; None: all before it."""
    layer_types: list[str] | None = None
    """`full_attention` or `sliding_attention` for each block; None: every other one slides."""
    sandwich: bool = False
    """Whether attention and MLP have a norm behind them too."""
    torch_dtype: str | None = "float32"
    """Dtype of the weights: float32, bfloat16, float16, float64."""

    def __post_init__(self) -> None:
        check_types(self)
        check_counts(self, (*NEEDED, "head_dim", "sliding_window", "query_pre_attn_scalar"))
        check_above_zero(self, ("rope_theta", "attn_logit_softcapping", "final_logit_softcapping"))
        check_one_of(self, "torch_dtype", DTYPES)
        check_divides(self, "num_attention_heads", "num_key_value_heads")
        if self.head_dim % 2:
            raise ValueError(f"head_dim is {self.head_dim}; a rotary embedding wants an even one")
        check_layer_types(self.layer_types, self.num_hidden_layers)

    @property
    def scale(self) -> float:
        """What scores are multiplied with."""
        return float((self.query_pre_attn_scalar or self.head_dim) ** -0.5)

    def window(self, layer: int) -> int | None:
        """How many tokens a token sees in a block, counted from 0; None: all before it."""
        if self.layer_types is not None:
            slides = self.layer_types[layer] == "sliding_attention"
        else:
            slides = layer % 2 == 0
        return self.sliding_window if slides else None


def read(config: Config, given: Mapping[str, object]) -> GemmaConfig:
    """Settings of a config.json.

    Args:
        config: The file, its folder, or what it holds. None: nothing, `given` has it all.
        given: Settings that win.

    Returns:
        The settings, checked.

    Raises:
        ValueError: It is not there, is not JSON, lacks a setting, or describes another
            architecture.
    """
    found = renamed(load(config))
    rope = found.pop("rope_parameters", None)
    if isinstance(rope, Mapping):
        found["rope_theta"] = rope.get("rope_theta", 10000.0)
        found["rope_scaling"] = rope if rope.get("rope_type", "default") != "default" else None
    kind = check_kind(found, CLASSES)
    check_causal(found)
    refuse(found, REFUSED)
    activation = found.get("hidden_activation") or "gelu_pytorch_tanh"
    if activation != "gelu_pytorch_tanh":
        raise ValueError(
            f"hidden_activation is {activation!r}; this architecture has gelu_pytorch_tanh"
        )
    says = {**CLASSES.get(kind, {}), "sandwich": kind == "gemma2"}
    settings = {**says, **found, **renamed(given)}
    return filled(GemmaConfig, settings, NEEDED)
