"""What GPT is built with, under the names of Hugging Face's config.json.

`read` takes such a file as it is published, of GPT-2 (`gpt2`) or of the first GPT (`openai-gpt`,
whose norms come after the sums). Keys that change nothing here (token ids, caches, versions) are
passed over; keys that make another architecture are refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.models._config import (
    DTYPES,
    Config,
    check_counts,
    check_divides,
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
    "n_positions": 128,
    "n_embd": 64,
    "n_layer": 2,
    "n_head": 4,
}
"""A decoder that runs in a blink."""

CLASSES: Mapping[str, Mapping[str, object]] = {
    "gpt2": {},
    "openai-gpt": {"n_positions": 512, "pre_norm": False},
}
"""What a `model_type` means where its config does not say."""

ALIASES = {"afn": "activation_function", "block_size": "n_positions"}
"""Other names of a key: of the first GPT, of nanoGPT."""

ACTIVATIONS = ("gelu_new", "gelu", "gelu_pytorch_tanh", "relu")
NEEDED = ("vocab_size", "n_embd", "n_layer", "n_head")

REFUSED: Mapping[str, str] = {
    "add_cross_attention": "attention to an encoder",
    "scale_attn_by_inverse_layer_idx": "scores that are scaled by layer",
    "multi_query": "one head of keys for all",
    "quantization_config": "weights that are quantized",
}
"""Keys that make another architecture of it, unless they are null, false, 0 or empty."""


@dataclass(frozen=True, slots=True)
class GptConfig:
    """Settings of a decoder.

    Raises:
        ValueError: One is of the wrong type, out of range, or does not fit another.
    """

    vocab_size: int
    """Tokens."""
    n_embd: int
    """Width of the residual stream."""
    n_layer: int
    """Blocks."""
    n_head: int
    """Heads of attention."""
    n_positions: int = 1024
    """Longest sequence, in tokens."""
    n_inner: int | None = None
    """Width inside the MLP; None: four times `n_embd`."""
    activation_function: str = "gelu_new"
    """gelu_new (by tanh), gelu or relu."""
    resid_pdrop: float = 0.1
    """Share of elements that is left out in training, before each sum."""
    embd_pdrop: float = 0.1
    """The same of the embeddings."""
    attn_pdrop: float = 0.1
    """The same of the shares of attention."""
    layer_norm_epsilon: float = 1e-5
    """What keeps a norm from dividing by 0."""
    bias: bool = True
    """Whether linear maps and norms have biases; nanoGPT's can do without."""
    pre_norm: bool = True
    """Whether a norm stands before each layer, and one at the end; the first GPT's stand after."""
    tie_word_embeddings: bool = True
    """Whether the head's weight is the embedding's."""
    torch_dtype: str | None = "float32"
    """Dtype of the weights: float32, bfloat16, float16, float64."""

    @property
    def inner(self) -> int:
        """Width inside the MLP."""
        return self.n_inner or 4 * self.n_embd

    def __post_init__(self) -> None:
        check_types(self)
        check_counts(self, (*NEEDED, "n_positions", "n_inner"))
        check_shares(self, ("resid_pdrop", "embd_pdrop", "attn_pdrop"))
        check_one_of(self, "activation_function", ACTIVATIONS)
        check_one_of(self, "torch_dtype", DTYPES)
        check_divides(self, "n_embd", "n_head")


def read(config: Config, given: Mapping[str, object]) -> GptConfig:
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
    found = {**renamed(load(config), ALIASES), **renamed(given, ALIASES)}
    kind = check_kind(found, CLASSES)
    refuse(found, REFUSED)
    refuse(found, {"scale_attn_weights": "scores without a scale"}, unless=(None, True))
    if kind == "openai-gpt" and found.get("activation_function") == "gelu":
        found["activation_function"] = "gelu_new"  # the first GPT's gelu is the one by tanh
    settings = {**CLASSES.get(kind, {}), **found}
    return filled(GptConfig, settings, NEEDED)
