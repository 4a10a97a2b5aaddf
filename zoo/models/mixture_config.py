"""What a decoder with a mixture of experts is built with, under the names of its config.json.

The keys of attention, norms and embeddings are those of `LlamaConfig`. Those of the experts, by
`model_type`:

    what                     mixtral                qwen3_moe
    experts                  num_local_experts      num_experts
    experts for a token      num_experts_per_tok    num_experts_per_tok
    width of an expert       intermediate_size      moe_intermediate_size
    shares add up to one     always                 norm_topk_prob
    blocks without experts   none                   mlp_only_layers, decoder_sparse_step

The classes are those of transformers 5.23.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from zoo.models._config import Config, check_counts, check_kind, check_needed, check_types, load
from zoo.models.llama_config import LlamaConfig
from zoo.models.llama_config import read as read_decoder

if TYPE_CHECKING:
    from collections.abc import Mapping

TINY: dict[str, object] = {
    "model_type": "mixtral",
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
}
"""A decoder that runs in a blink."""

DECODERS: Mapping[str, str] = {"": "mistral", "mixtral": "mistral", "qwen3_moe": "qwen3"}
"""The `model_type` of the decoder that each is without its experts."""

ALIASES: Mapping[str, str] = {"num_local_experts": "num_experts"}
QWEN: Mapping[str, object] = {"norm_topk_prob": False, "sliding_window": None, "head_dim": None}
MIXTRAL: Mapping[str, object] = {"sliding_window": None}
UNSAID: Mapping[str, Mapping[str, object]] = {"": MIXTRAL, "mixtral": MIXTRAL, "qwen3_moe": QWEN}
"""What a `model_type` means where its config does not say."""


@dataclass(frozen=True, slots=True)
class MixtureConfig:
    """Settings of the experts.

    Raises:
        ValueError: One is of the wrong type, out of range, or does not fit another.
    """

    num_experts: int
    """Experts of a block."""
    num_experts_per_tok: int
    """Experts that a token goes to."""
    moe_intermediate_size: int
    """Width inside an expert."""
    norm_topk_prob: bool = True
    """Whether the shares of a token's experts add up to one."""
    mlp_only_layers: list[int] | None = None
    """Blocks that have a plain MLP, counted from 0."""
    decoder_sparse_step: int = 1
    """Every how many blocks one has experts."""

    def __post_init__(self) -> None:
        check_types(self)
        check_counts(
            self,
            (
                "num_experts",
                "num_experts_per_tok",
                "moe_intermediate_size",
                "decoder_sparse_step",
            ),
        )
        if self.num_experts_per_tok > self.num_experts:
            raise ValueError(
                f"num_experts_per_tok is {self.num_experts_per_tok}, "
                f"more than num_experts, {self.num_experts}"
            )

    def mixes(self, layer: int) -> bool:
        """Whether a block, counted from 0, has experts."""
        plain = layer in (self.mlp_only_layers or ())
        return not plain and (layer + 1) % self.decoder_sparse_step == 0


def read(config: Config, given: Mapping[str, object]) -> tuple[LlamaConfig, MixtureConfig]:
    """Settings of a config.json.

    Args:
        config: The file, its folder, or what it holds. None: nothing, `given` has it all.
        given: Settings that win.

    Returns:
        Those of the decoder and those of its experts, checked.

    Raises:
        ValueError: It is not there, is not JSON, lacks a setting, or describes another
            architecture.
    """
    found = {**load(config), **given}
    kind = check_kind(found, [one for one in DECODERS if one])
    found = {**UNSAID[kind], **{ALIASES.get(name, name): one for name, one in found.items()}}
    if kind != "qwen3_moe":
        found.setdefault("moe_intermediate_size", found.get("intermediate_size"))
        if found.get("norm_topk_prob") is False:
            raise ValueError("norm_topk_prob is False, which a mixtral does not have")
    names = {field.name for field in fields(MixtureConfig)}
    check_needed(found, ("num_experts", "num_experts_per_tok", "moe_intermediate_size"))
    experts = {name: found.pop(name) for name in names & set(found)}
    decoder = read_decoder({**found, "model_type": DECODERS[kind]}, {})
    settings = MixtureConfig(**experts)  # type: ignore[arg-type]  # checked there
    check_grouped(decoder, settings)
    return decoder, settings


def check_grouped(decoder: LlamaConfig, experts: MixtureConfig) -> None:
    """Refuse what torch's grouped product, which computes the experts, does not take.

    Args:
        decoder: Settings of the decoder.
        experts: Settings of its experts.

    Raises:
        ValueError: The dtype is float64, or a row of a weight is no multiple of 16 bytes.
    """
    dtype = decoder.torch_dtype or "float32"
    if dtype == "float64":
        raise ValueError("torch_dtype is 'float64'; experts are float32, bfloat16 or float16")
    step = 4 if dtype == "float32" else 8  # of 16 bytes
    widths = {
        "hidden_size": decoder.hidden_size,
        "moe_intermediate_size": experts.moe_intermediate_size,
    }
    for name, width in widths.items():
        if width % step:
            raise ValueError(f"{name} is {width}; experts in {dtype} want a multiple of {step}")
