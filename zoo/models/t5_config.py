"""What T5 is built with, under the names of Hugging Face's config.json.

`read` takes such a file as it is published. Where only `feed_forward_proj` tells that a config is
of version 1.1, its `tie_word_embeddings` says whether the head is the embedding. Keys that change
nothing here (token ids, caches, versions, `n_positions`) are passed over; keys that make another
architecture are refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.models._config import (
    DTYPES,
    Config,
    check_counts,
    check_kind,
    check_one_of,
    check_shares,
    check_types,
    filled,
    load,
    refuse,
    renamed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

TINY: dict[str, object] = {
    "vocab_size": 256,
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 128,
    "num_layers": 2,
    "num_heads": 4,
}
"""An encoder and a decoder that run in a blink."""

FEED_FORWARD = ("relu", "gated-gelu", "gated-relu", "gated-silu")
NEEDED = ("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads")

REFUSED: Mapping[str, str] = {
    "num_experts": "a mixture of experts",
    "is_decoder": "a decoder alone",
    "quantization_config": "weights that are quantized",
}
"""Keys that make another architecture of it, unless they are null, false, 0 or empty."""


@dataclass(frozen=True, slots=True)
class T5Config:
    """Settings of an encoder and a decoder.

    Raises:
        ValueError: One is of the wrong type, out of range, or does not fit another.
    """

    vocab_size: int
    """Tokens."""
    d_model: int
    """Width of the residual stream."""
    d_kv: int
    """Width of a head."""
    d_ff: int
    """Width inside the network at each position."""
    num_layers: int
    """Blocks of the encoder."""
    num_heads: int
    """Heads of attention."""
    num_decoder_layers: int | None = None
    """Blocks of the decoder; None: as many as of the encoder."""
    relative_attention_num_buckets: int = 32
    """How many distances between tokens are told apart."""
    relative_attention_max_distance: int = 128
    """The distance, in tokens, from which on all are alike."""
    dropout_rate: float = 0.1
    """Share of elements that is left out in training."""
    layer_norm_epsilon: float = 1e-6
    """What keeps a norm from dividing by 0."""
    feed_forward_proj: str = "relu"
    """relu, or of two maps: gated-gelu (by tanh), gated-relu, gated-silu."""
    tie_word_embeddings: bool = True
    """Whether the head is the embedding, and is given its input scaled by 1 / sqrt(d_model)."""
    torch_dtype: str | None = "float32"
    """Dtype of the weights: float32, bfloat16, float16, float64."""

    @property
    def decoder_layers(self) -> int:
        """Blocks of the decoder."""
        return self.num_decoder_layers or self.num_layers

    def __post_init__(self) -> None:
        check_types(self)
        check_counts(self, (*NEEDED, "num_decoder_layers"))
        check_shares(self, ("dropout_rate",))
        check_one_of(self, "feed_forward_proj", FEED_FORWARD)
        check_one_of(self, "torch_dtype", DTYPES)
        buckets, far = self.relative_attention_num_buckets, self.relative_attention_max_distance
        if buckets < 4 or buckets % 4:
            raise ValueError(
                f"relative_attention_num_buckets is {buckets}; it wants a multiple of 4"
            )
        if far <= buckets // 2:
            raise ValueError(
                f"relative_attention_max_distance is {far}; with {buckets} buckets it wants "
                f"more than {buckets // 2}"
            )


def read(config: Config, given: Mapping[str, object]) -> T5Config:
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
    settings = {**renamed(load(config)), **renamed(given)}
    check_kind(settings, ("t5",))
    refuse(settings, REFUSED)
    return filled(T5Config, settings, NEEDED)
