"""Llama: a decoder of pre-norm blocks, and the family of open language models built like it.

Touvron et al., "LLaMA: open and efficient foundation language models", 2023, section 2.2, and "The
Llama 3 herd of models", 2024, table 3. Of each block:

    RMSNorm             Zhang and Sennrich, "Root mean square layer normalization", 2019, equation 4
    rotary embedding    Su et al., "RoFormer", 2021, equation 34; its frequencies may be scaled
    grouped queries     Ainslie et al., "GQA", 2023: several heads share one of keys and values
    SwiGLU              Shazeer, "GLU variants improve transformer", 2020, equation 6

    x = x + o(attention(rope(q(norm(x))), rope(k(norm(x))), v(norm(x))))
    x = x + down(silu(gate(norm(x))) * up(norm(x)))

    settings          70B     405B    (Llama 3.1)
    layers             80      126
    width           8,192   16,384
    MLP            28,672   53,248
    heads              64      128
    key heads           8        8

B sequences of T tokens; width C, H heads of queries and G of keys, of width D each, MLP of width F,
V tokens. Parameters have the names and shapes of published checkpoints. A rotation pairs dims i and
i + D/2 of a head, as these are stored; the paper pairs 2i and 2i + 1. Switches make it Mistral
(a sliding window), Qwen2 (biases of q, k, v) or Qwen3 (norms of q and k).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from zoo.models._config import signature
from zoo.models.blocks.norms import RMSNorm
from zoo.models.llama_config import TINY, LlamaConfig, read

if TYPE_CHECKING:
    from zoo.models._config import Config

STD = 0.02
"""Standard deviation of the weights at the start."""


class Linear(nn.Linear):
    """`nn.Linear` whose weights start from N(0, 0.02), its biases from 0."""

    def reset_parameters(self) -> None:
        """Draw the weights."""
        nn.init.normal_(self.weight, std=STD)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def frequencies(config: LlamaConfig, device: torch.device) -> Tensor:  # (D / 2,)
    """Radians that each pair of a head's dims turns from one token to the next.

    `linear` divides all of them. `llama3` divides those of pairs that turn less than
    `low_freq_factor` times in the length that the model was first trained on, leaves those that
    turn more than `high_freq_factor` times, and blends in between.

    Args:
        config: Settings.
        device: Where.

    Returns:
        (D / 2,), in float32.
    """
    exponent = torch.arange(0, config.width, 2, dtype=torch.float32, device=device) / config.width
    frequency: Tensor = 1.0 / config.rope_theta**exponent  # (D / 2,)
    rope = config.rope
    if rope["rope_type"] == "default":
        return frequency
    if rope["rope_type"] == "linear":
        slower: Tensor = frequency / rope["factor"]
        return slower
    trained = rope.get("original_max_position_embeddings") or config.max_position_embeddings
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    turns = trained * frequency / (2 * math.pi)  # (D / 2,)
    kept: Tensor = ((turns - low) / (high - low)).clamp(0, 1)  # (D / 2,)
    return torch.lerp(frequency / rope["factor"], frequency, kept)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:  # (B, H, T, D)
    """Turn each pair of dims of a head by its angle.

    Args:
        x: (B, H, T, D).
        cos: (T, D), of the angles; the second half repeats the first.
        sin: (T, D).

    Returns:
        (B, H, T, D).
    """
    first, second = x.chunk(2, -1)  # (B, H, T, D / 2)
    return x * cos + torch.cat((-second, first), -1) * sin  # (B, H, T, D)


class Attention(nn.Module):
    """Causal attention with grouped queries. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
        dtype: Of the weights.
    """

    def __init__(self, config: LlamaConfig, dtype: torch.dtype) -> None:
        super().__init__()
        self.width = config.width
        bias = config.attention_bias
        inner = config.num_attention_heads * config.width
        shared = config.key_heads * config.width
        some = bias or config.qkv_bias
        self.q_proj = Linear(config.hidden_size, inner, bias=some, dtype=dtype)
        self.k_proj = Linear(config.hidden_size, shared, bias=some, dtype=dtype)
        self.v_proj = Linear(config.hidden_size, shared, bias=some, dtype=dtype)
        self.o_proj = Linear(inner, config.hidden_size, bias=bias, dtype=dtype)
        self.q_norm: RMSNorm | None = None
        self.k_norm: RMSNorm | None = None
        if config.qk_norm:
            self.q_norm = RMSNorm(config.width, config.rms_norm_eps, dtype)
            self.k_norm = RMSNorm(config.width, config.rms_norm_eps, dtype)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, C), angles (T, D), mask (T, T) of what is seen or None -> (B, T, C)."""
        q = self.q_proj(x).unflatten(-1, (-1, self.width))  # (B, T, H, D)
        k = self.k_proj(x).unflatten(-1, (-1, self.width))  # (B, T, G, D)
        v = self.v_proj(x).unflatten(-1, (-1, self.width)).transpose(1, 2)  # (B, G, T, D)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)  # (B, T, H, D), (B, T, G, D)
        q = rotate(q.transpose(1, 2), cos, sin)  # (B, H, T, D)
        k = rotate(k.transpose(1, 2), cos, sin)  # (B, G, T, D)
        y = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=q.shape[1] != k.shape[1]
        )  # (B, H, T, D)
        out: Tensor = self.o_proj(y.transpose(1, 2).flatten(2))  # (B, T, C)
        return out


class MLP(nn.Module):
    """SwiGLU. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
        dtype: Of the weights.
    """

    def __init__(self, config: LlamaConfig, dtype: torch.dtype) -> None:
        super().__init__()
        narrow, wide, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.gate_proj = Linear(narrow, wide, bias=bias, dtype=dtype)
        self.up_proj = Linear(narrow, wide, bias=bias, dtype=dtype)
        self.down_proj = Linear(wide, narrow, bias=bias, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        """(B, T, C) -> (B, T, C)."""
        y = silu(self.gate_proj(x)) * self.up_proj(x)  # (B, T, F)
        out: Tensor = self.down_proj(y)  # (B, T, C)
        return out


FeedForward = Callable[[int, LlamaConfig, torch.dtype], nn.Module]
"""Makes what stands where a block's MLP does, from the block's number and the settings."""


def plain(number: int, config: LlamaConfig, dtype: torch.dtype) -> MLP:  # noqa: ARG001
    """The MLP of every block."""
    return MLP(config, dtype)


class Block(nn.Module):
    """Attention and MLP, each added to its input and given it normalised. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
        dtype: Of the weights.
        mlp: What stands where the MLP does.
    """

    def __init__(self, config: LlamaConfig, dtype: torch.dtype, mlp: nn.Module) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, dtype)
        self.self_attn = Attention(config, dtype)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, dtype)
        self.mlp = mlp

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, C), angles (T, D), mask (T, T) or None -> (B, T, C)."""
        y: Tensor = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)  # (B, T, C)
        out: Tensor = y + self.mlp(self.post_attention_layernorm(y))  # (B, T, C)
        return out


class Decoder(nn.Module):
    """Embedding, blocks and the last norm. (B, T) -> (B, T, C).

    Args:
        config: Settings.
        dtype: Of the weights.
        feed_forward: What stands where the MLP of each block does; None: `MLP`.
    """

    def __init__(
        self, config: LlamaConfig, dtype: torch.dtype, feed_forward: FeedForward | None = None
    ) -> None:
        super().__init__()
        self.config = config
        make = feed_forward or plain
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, dtype=dtype)
        nn.init.normal_(self.embed_tokens.weight, std=STD)
        self.layers = nn.ModuleList(
            Block(config, dtype, make(number, config, dtype))
            for number in range(config.num_hidden_layers)
        )
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps, dtype)

    def forward(self, input_ids: Tensor) -> Tensor:  # (B, T)
        """(B, T) -> (B, T, C)."""
        x = self.embed_tokens(input_ids)  # (B, T, C)
        positions = torch.arange(x.shape[1], device=x.device)  # (T,)
        angles = positions[:, None] * frequencies(self.config, x.device)  # (T, D / 2)
        angles = torch.cat((angles, angles), -1)  # (T, D)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)  # (T, D)
        masks: dict[int, Tensor] = {}
        for number, layer in enumerate(self.layers):
            window = self.config.window(number)
            if window is not None and window < x.shape[1] and window not in masks:
                behind = positions[:, None] - positions  # (T, T)
                masks[window] = (behind >= 0) & (behind < window)  # (T, T)
            x = layer(x, cos, sin, masks.get(window or 0))  # (B, T, C)
        out: Tensor = self.norm(x)  # (B, T, C)
        return out


class Llama(nn.Module):
    """A decoder and its head. Token ids (B, T) -> logits of the next token (B, T, V).

    Args:
        config: Settings.
        feed_forward: What stands where the MLP of each block does; None: `MLP`.
    """

    def __init__(self, config: LlamaConfig, feed_forward: FeedForward | None = None) -> None:
        super().__init__()
        dtype: torch.dtype = getattr(torch, config.torch_dtype or "float32")
        self.config = config
        self.model = Decoder(config, dtype, feed_forward)
        self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False, dtype=dtype)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, input_ids: Tensor) -> Tensor:  # (B, T)
        """(B, T) -> (B, T, V)."""
        logits: Tensor = self.lm_head(self.model(input_ids))  # (B, T, V)
        return logits


def llama(config: Config = TINY, **settings: Any) -> Llama:
    """A decoder from a Hugging Face config.json.

    Args:
        config: The file, its folder, or what it holds; None: `settings` has it all.
        **settings: Fields of `LlamaConfig`, which win over `config`.

    Returns:
        The model, with weights drawn anew.
    """
    return Llama(read(config, settings))


llama.__signature__ = signature(LlamaConfig, TINY)  # type: ignore[attr-defined]  # each setting by its name
