"""What BERT is built with, under the names of Hugging Face's config.json.

`read` takes such a file as it is published. A config does not say which heads a model has: they
are a setting of their own. Keys that change nothing here (token ids, versions) are passed over;
keys that make another architecture are refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 128,
    "heads": ["mlm", "nsp"],
}
"""An encoder with the heads of pretraining that runs in a blink."""

HEADS = ("pooler", "mlm", "nsp", "classes")
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
NEEDED = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
)

REFUSED: Mapping[str, str] = {
    "is_decoder": "causal attention",
    "add_cross_attention": "attention to an encoder",
    "embedding_size": "embeddings of another width",
    "quantization_config": "weights that are quantized",
}
"""Keys that make another architecture of it, unless they are null, false, 0 or empty."""


@dataclass(frozen=True, slots=True)
class BertConfig:
    """Settings of an encoder and its heads.

    Raises:
        ValueError: One is of the wrong type, out of range, or does not fit another.
    """

    vocab_size: int
    """Tokens."""
    hidden_size: int
    """Width of a token."""
    num_hidden_layers: int
    """Blocks."""
    num_attention_heads: int
    """Heads of attention."""
    intermediate_size: int
    """Width inside the network at each position."""
    max_position_embeddings: int = 512
    """Longest sequence, in tokens."""
    type_vocab_size: int = 2
    """Segments that are told apart."""
    hidden_act: str = "gelu"
    """gelu, gelu_new (by tanh) or relu, in the blocks and in the head for masked tokens."""
    hidden_dropout_prob: float = 0.1
    """Share of elements that is left out in training, before each sum and of the embeddings."""
    attention_probs_dropout_prob: float = 0.1
    """The same of the shares of attention."""
    layer_norm_eps: float = 1e-12
    """What keeps a norm from dividing by 0."""
    embedding_norm: bool = True
    """Whether embeddings are normalised; the book's are not, and have no dropout."""
    tie_word_embeddings: bool = True
    """Whether the weight of the head for masked tokens is the embedding's."""
    heads: list[str] = field(default_factory=lambda: ["pooler"])
    """What reads the encoding: pooler, mlm (masked tokens), nsp (next sentence), classes."""
    num_labels: int = 2
    """Classes of the head `classes`."""
    torch_dtype: str | None = "float32"
    """Dtype of the weights: float32, bfloat16, float16, float64."""

    @property
    def pooled(self) -> bool:
        """Whether a head reads the first token alone."""
        return bool({"pooler", "nsp", "classes"} & set(self.heads))

    def __post_init__(self) -> None:
        check_types(self)
        counts = ("max_position_embeddings", "type_vocab_size", "num_labels")
        check_counts(self, (*NEEDED, *counts))
        check_shares(self, ("hidden_dropout_prob", "attention_probs_dropout_prob"))
        check_one_of(self, "hidden_act", ACTIVATIONS)
        check_one_of(self, "torch_dtype", DTYPES)
        check_divides(self, "hidden_size", "num_attention_heads")
        for head in self.heads:
            if head not in HEADS:
                raise ValueError(f"heads has {head!r}; known: {', '.join(HEADS)}")


def read(config: Config, given: Mapping[str, object]) -> BertConfig:
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
    check_kind(settings, ("bert",))
    refuse(settings, REFUSED)
    refuse(
        settings,
        {"position_embedding_type": "positions of another kind"},
        unless=(None, "absolute"),
    )
    return filled(BertConfig, settings, NEEDED)
