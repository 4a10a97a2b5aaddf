"""Gemma: a Llama-style decoder with wide heads, GeGLU and a scaled embedding.

Gemma Team, "Gemma: open models based on Gemini research and technology", 2024, table 1, and "Gemma
2: improving open language models at a practical size", 2024, table 1. Of each block:

    RMSNorm             its weight w multiplies by 1 + w
    GeGLU               Shazeer, "GLU variants improve transformer", 2020, equation 6
    capped scores       c * tanh(scores / c), Gemma 2, section 2
    capped logits       the same of the head's output

    settings             2B      7B    2-2B    2-9B   2-27B
    layers               18      28      26      42      46
    width             2,048   3,072   2,304   3,584   4,608
    MLP              16,384  24,576   9,216  14,336  36,864
    heads                 8      16       8      16      32
    key heads             1      16       4       8      16
    width of a head     256     256     256     256     128

The embedding is multiplied by the root of its width, and is the head too. B sequences of T tokens;
width C, H heads of queries and G of keys, of width D each, MLP of width F, V tokens. Parameters
have the names and shapes of published checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from zoo.models._config import signature
from zoo.models.gemma_config import TINY, GemmaConfig, read
from zoo.models.llama import STD, Linear, rotate

if TYPE_CHECKING:
    from zoo.models._config import Config


class RMSNorm(nn.Module):
    """Divides by the root of the mean square, multiplies by 1 + weight. (..., C) -> (..., C).

    Args:
        width: C.
        eps: Added to the mean square.
        dtype: Of the weight. The norm itself is computed in float32.
    """

    def __init__(self, width: int, eps: float, dtype: torch.dtype) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.zeros(width, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:  # (..., C)
        """(..., C) -> (..., C)."""
        wide = x.float()  # (..., C)
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)  # (..., 1)
        return (wide * scale * (1.0 + self.weight.float())).to(x.dtype)  # (..., C)


def capped(scores: Tensor, most: float | None) -> Tensor:
    """Scores squeezed to between -most and most; unchanged where there is no cap.

    >>> [round(float(one), 3) for one in capped(torch.tensor([0.1, 100.0]), 2.0)]
    [0.1, 2.0]
    """
    return scores if most is None else most * torch.tanh(scores / most)


class Attention(nn.Module):
    """Causal attention with grouped queries and capped scores. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
        dtype: Of the weights.
    """

    def __init__(self, config: GemmaConfig, dtype: torch.dtype) -> None:
        super().__init__()
        self.width, self.scale = config.head_dim, config.scale
        self.cap = config.attn_logit_softcapping
        inner = config.num_attention_heads * config.head_dim
        shared = config.num_key_value_heads * config.head_dim
        self.q_proj = Linear(config.hidden_size, inner, bias=False, dtype=dtype)
        self.k_proj = Linear(config.hidden_size, shared, bias=False, dtype=dtype)
        self.v_proj = Linear(config.hidden_size, shared, bias=False, dtype=dtype)
        self.o_proj = Linear(inner, config.hidden_size, bias=False, dtype=dtype)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """(B, T, C), angles (T, D), mask (T, T) of what is seen -> (B, T, C)."""
        q = self.q_proj(x).unflatten(-1, (-1, self.width)).transpose(1, 2)  # (B, H, T, D)
        k = self.k_proj(x).unflatten(-1, (-1, self.width)).transpose(1, 2)  # (B, G, T, D)
        v = self.v_proj(x).unflatten(-1, (-1, self.width)).transpose(1, 2)  # (B, G, T, D)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        y = self.attend(q, k, v, mask)  # (B, H, T, D)
        out: Tensor = self.o_proj(y.transpose(1, 2).flatten(2))  # (B, T, C)
        return out

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """(B, H, T, D), twice (B, G, T, D), (T, T) -> (B, H, T, D)."""
        if self.cap is None:
            return scaled_dot_product_attention(
                q, k, v, attn_mask=mask, scale=self.scale, enable_gqa=q.shape[1] != k.shape[1]
            )
        times = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(times, 1), v.repeat_interleave(times, 1)  # (B, H, T, D)
        scores = capped(q @ k.transpose(2, 3) * self.scale, self.cap)  # (B, H, T, T)
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)  # (B, H, T, T)
        return scores.softmax(-1, dtype=torch.float32).to(q.dtype) @ v  # (B, H, T, D)


class MLP(nn.Module):
    """GeGLU. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
        dtype: Of the weights.
    """

    def __init__(self, config: GemmaConfig, dtype: torch.dtype) -> None:
        super().__init__()
        narrow, wide = config.hidden_size, config.intermediate_size
        self.gate_proj = Linear(narrow, wide, bias=False, dtype=dtype)
        self.up_proj = Linear(narrow, wide, bias=False, dtype=dtype)
        self.down_proj = Linear(wide, narrow, bias=False, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        """(B, T, C) -> (B, T, C)."""
        y = gelu(self.gate_proj(x), approximate="tanh") * self.up_proj(x)  # (B, T, F)
        out: Tensor = self.down_proj(y)  # (B, T, C)
        return out


class Block(nn.Module):
    """Attention and MLP, each added to its input and given it normalised. (B, T, C) -> (B, T, C).

    Args:
        config: Settings; `sandwich` gives both a norm behind them.
        dtype: Of the weights.
    """

    def __init__(self, config: GemmaConfig, dtype: torch.dtype) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.rms_norm_eps
        self.input_layernorm = RMSNorm(width, eps, dtype)
        self.self_attn = Attention(config, dtype)
        self.post_attention_layernorm = RMSNorm(width, eps, dtype)
        self.mlp = MLP(config, dtype)
        self.pre_feedforward_layernorm: RMSNorm | None = None
        self.post_feedforward_layernorm: RMSNorm | None = None
        if config.sandwich:
            self.pre_feedforward_layernorm = RMSNorm(width, eps, dtype)
            self.post_feedforward_layernorm = RMSNorm(width, eps, dtype)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """(B, T, C), angles (T, D), mask (T, T) -> (B, T, C)."""
        before, behind = self.pre_feedforward_layernorm, self.post_feedforward_layernorm
        y = self.self_attn(self.input_layernorm(x), cos, sin, mask)  # (B, T, C)
        if before is None or behind is None:
            x = x + y
            plain: Tensor = x + self.mlp(self.post_attention_layernorm(x))  # (B, T, C)
            return plain
        x = x + self.post_attention_layernorm(y)  # (B, T, C)
        out: Tensor = x + behind(self.mlp(before(x)))  # (B, T, C)
        return out


class Decoder(nn.Module):
    """Embedding, blocks and the last norm. (B, T) -> (B, T, C).

    Args:
        config: Settings.
        dtype: Of the weights.
    """

    def __init__(self, config: GemmaConfig, dtype: torch.dtype) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, dtype=dtype)
        nn.init.normal_(self.embed_tokens.weight, std=STD)
        self.layers = nn.ModuleList(Block(config, dtype) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps, dtype)

    def forward(self, input_ids: Tensor) -> Tensor:  # (B, T)
        """(B, T) -> (B, T, C)."""
        config = self.config
        x = self.embed_tokens(input_ids)  # (B, T, C)
        x = x * torch.tensor(config.hidden_size**0.5, dtype=x.dtype)  # (B, T, C)
        positions = torch.arange(x.shape[1], device=x.device)  # (T,)
        even = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device=x.device)
        angles = positions[:, None] / config.rope_theta ** (even / config.head_dim)  # (T, D / 2)
        angles = torch.cat((angles, angles), -1)  # (T, D)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)  # (T, D)
        behind = positions[:, None] - positions  # (T, T)
        masks = {0: behind >= 0}  # by window; 0: none
        for number, layer in enumerate(self.layers):
            window = config.window(number) or 0
            if window not in masks:
                masks[window] = masks[0] & (behind < window)  # (T, T)
            x = layer(x, cos, sin, masks[window])  # (B, T, C)
        out: Tensor = self.norm(x)  # (B, T, C)
        return out


class Gemma(nn.Module):
    """A decoder and its head. Token ids (B, T) -> logits of the next token (B, T, V).

    Args:
        config: Settings.
    """

    def __init__(self, config: GemmaConfig) -> None:
        super().__init__()
        dtype: torch.dtype = getattr(torch, config.torch_dtype or "float32")
        self.cap = config.final_logit_softcapping
        self.model = Decoder(config, dtype)
        self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False, dtype=dtype)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, input_ids: Tensor) -> Tensor:  # (B, T)
        """(B, T) -> (B, T, V)."""
        return capped(self.lm_head(self.model(input_ids)), self.cap)  # (B, T, V)


def gemma(config: Config = TINY, **settings: Any) -> Gemma:
    """A decoder from a Hugging Face config.json.

    Args:
        config: The file, its folder, or what it holds; None: `settings` has it all.
        **settings: Fields of `GemmaConfig`, which win over `config`.

    Returns:
        The model, with weights drawn anew.
    """
    return Gemma(read(config, settings))


gemma.__signature__ = signature(GemmaConfig, TINY)  # type: ignore[attr-defined]  # each setting by its name
