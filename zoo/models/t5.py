"""T5: every task is a text that is read and a text that is written.

Raffel, Shazeer, Roberts, Lee, Narang, Matena, Zhou, Li and Liu, "Exploring the limits of transfer
learning with a unified text-to-text transformer", 2019, sections 2.1 and 3.7. A Transformer whose
norms stand before each layer, scale only and subtract no mean; no linear map has a bias. Scores of
attention are not scaled; instead of positions, a number is added to each score, learned for each
head and each distance between tokens, where long distances share one (`buckets`). Embeddings of
both sides and the head are one matrix, and the decoder's output is scaled by 1 / sqrt(width).

    settings      small     base    large        3b       11b
    layers          6+6    12+12    24+24     24+24     24+24
    width           512      768    1,024     1,024     1,024
    network       2,048    3,072    4,096    16,384    65,536
    heads of     8 * 64  12 * 64  16 * 64  32 * 128 128 * 128

with 32,128 tokens. Version 1.1 (Shazeer, "GLU variants improve transformer", 2020; the authors'
released models) has a gate by GELU in its network, and a head of its own without the scale.

B pairs of S tokens read and T written; width C, H heads of width D, V tokens. Parameters have the
names of published checkpoints, but for the head, which lies in the decoder.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention, silu

from zoo.models._config import signature
from zoo.models.blocks import encoder_decoder
from zoo.models.blocks.attention import valid_mask
from zoo.models.blocks.norms import RMSNorm
from zoo.models.t5_config import TINY, T5Config, read

if TYPE_CHECKING:
    from zoo.models._config import Config

Cache = tuple[Tensor, Tensor]
"""Keys and values, (B, H, T, D) each."""

State = tuple[Tensor, Tensor | None, tuple[tuple[Cache, Cache], ...] | None]
"""The encoding (B, S, C), lengths of the sources (B,), and of each block the keys and values of the
target's tokens so far and of the source; None before the first token. Nothing is changed in place:
a search may put rows in another order."""


def buckets(distance: Tensor, count: int, far: int) -> Tensor:
    """Which distances share a number: each short one has its own, long ones by their logarithm.

    Args:
        distance: In tokens, not negative; any shape.
        count: How many buckets there are; the first half are short distances.
        far: The distance from which on all are in the last one.

    Returns:
        Whole numbers from 0 to `count` - 1, of the same shape.

    Example:
        >>> buckets(torch.tensor([0, 7, 8, 15, 16, 127, 128, 500]), 16, 128).tolist()
        [0, 7, 8, 9, 10, 15, 15, 15]
    """
    short = count // 2
    share = (distance.float().clamp(min=1) / short).log() / log(far / short)
    long = short + (share * (count - short)).long()
    return torch.where(distance < short, distance, long.clamp(max=count - 1))


class Attention(nn.Module):
    """Attention without a scale, to the same sequence or to another one.

    Args:
        config: Settings.
        positions: Whether it has the numbers for distances, which all blocks share.
        causal: Whether a token sees those before it alone.
    """

    def __init__(self, config: T5Config, *, positions: bool = False, causal: bool = False) -> None:
        super().__init__()
        inner = config.num_heads * config.d_kv
        self.width, self.causal = config.d_kv, causal
        self.share = config.dropout_rate
        self.count = config.relative_attention_num_buckets
        self.far = config.relative_attention_max_distance
        self.q = nn.Linear(config.d_model, inner, bias=False)
        self.k = nn.Linear(config.d_model, inner, bias=False)
        self.v = nn.Linear(config.d_model, inner, bias=False)
        self.o = nn.Linear(inner, config.d_model, bias=False)
        if positions:
            self.relative_attention_bias = nn.Embedding(self.count, config.num_heads)
            nn.init.normal_(self.relative_attention_bias.weight, std=config.d_model**-0.5)
        nn.init.normal_(self.q.weight, std=inner_std(config))
        nn.init.normal_(self.k.weight, std=config.d_model**-0.5)
        nn.init.normal_(self.v.weight, std=config.d_model**-0.5)
        nn.init.normal_(self.o.weight, std=inner**-0.5)

    def positions(self, queries: int, keys: int) -> Tensor:
        """What is added to scores of the last queries for all keys, by their distance.

        Args:
            queries: How many tokens ask, Q.
            keys: How many tokens there are, K; those that ask are the last.

        Returns:
            (1, H, Q, K).
        """
        weight = self.relative_attention_bias.weight
        key = torch.arange(keys, device=weight.device)  # (K,)
        ahead = key - key[-queries:, None]  # (Q, K)
        if self.causal:
            bucket = buckets((-ahead).clamp(min=0), self.count, self.far)  # (Q, K)
        else:
            half = self.count // 2
            bucket = buckets(ahead.abs(), half, self.far) + (ahead > 0).long() * half  # (Q, K)
        bias = self.relative_attention_bias(bucket).permute(2, 0, 1)[None]  # (1, H, Q, K)
        if self.causal:
            bias = bias.masked_fill(ahead > 0, torch.finfo(bias.dtype).min)  # (1, H, Q, K)
        added: Tensor = bias
        return added

    def split(self, x: Tensor) -> Tensor:  # (B, T, H * D)
        """A head each: (B, T, H * D) -> (B, H, T, D)."""
        heads: Tensor = x.unflatten(-1, (-1, self.width))  # (B, T, H, D)
        return heads.transpose(1, 2)

    def forward(
        self, x: Tensor, over: Tensor | None, past: Cache | None, mask: Tensor | None
    ) -> tuple[Tensor, Cache]:
        """Ask.

        Args:
            x: Who asks, (B, Q, C).
            over: Whom to ask of whom `past` says nothing yet, (B, T, C); None: nobody.
            past: Keys and values of those before, (B, H, K - T, D) each; None: nobody.
            mask: Added to the scores, or true where a key counts; (B or 1, H or 1, Q or 1, K).

        Returns:
            (B, Q, C), and keys and values of all who were asked, (B, H, K, D) each.
        """
        k, v = self.remember(over, past)  # (B, H, K, D)
        q, share = self.split(self.q(x)), self.share if self.training else 0.0  # (B, H, Q, D)
        y = scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=share, scale=1.0)
        return self.o(y.transpose(1, 2).flatten(2)), (k, v)

    def remember(self, over: Tensor | None, past: Cache | None) -> Cache:
        """Keys and values of those before and of others: (B, T, C) -> (B, H, K, D) each."""
        if over is None:
            if past is None:
                raise ValueError("attention to nobody: neither tokens nor keys are given")
            return past
        k, v = self.split(self.k(over)), self.split(self.v(over))  # (B, H, T, D)
        if past is None:
            return k, v
        return torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)  # (B, H, K, D)


def inner_std(config: T5Config) -> float:
    """Standard deviation of the queries' weights at the start, which makes up for the scale."""
    return float((config.d_model * config.d_kv) ** -0.5)


class SelfLayer(nn.Module):
    """Attention to the same sequence, added to its input. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
        positions: Whether it has the numbers for distances.
        causal: Whether a token sees those before it alone.
    """

    def __init__(self, config: T5Config, *, positions: bool, causal: bool) -> None:
        super().__init__()
        self.SelfAttention = Attention(config, positions=positions, causal=causal)
        self.layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x: Tensor, bias: Tensor, past: Cache | None) -> tuple[Tensor, Cache]:
        """(B, T, C), (B or 1, H, T, K), keys and values so far -> (B, T, C), those after."""
        normed = self.layer_norm(x)  # (B, T, C)
        y, cache = self.SelfAttention(normed, normed, past, bias)  # (B, T, C)
        return x + self.dropout(y), cache


class CrossLayer(nn.Module):
    """Attention to what was read, added to its input. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.EncDecAttention = Attention(config)
        self.layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(
        self, x: Tensor, encoded: Tensor, mask: Tensor | None, cache: Cache | None
    ) -> tuple[Tensor, Cache]:
        """(B, T, C), (B, S, C), (B, 1, 1, S), keys and values of the source -> (B, T, C), those."""
        source = encoded if cache is None else None  # (B, S, C)
        y, cache = self.EncDecAttention(self.layer_norm(x), source, cache, mask)  # (B, T, C)
        return x + self.dropout(y), cache


class FeedForward(nn.Module):
    """Two linear maps, or a gate and two. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        gate, _, self.kind = config.feed_forward_proj.rpartition("-")
        narrow, wide = config.d_model, config.d_ff
        if gate:
            self.wi_0 = nn.Linear(narrow, wide, bias=False)
            self.wi_1 = nn.Linear(narrow, wide, bias=False)
        else:
            self.wi = nn.Linear(narrow, wide, bias=False)
        self.wo = nn.Linear(wide, narrow, bias=False)
        self.dropout = nn.Dropout(config.dropout_rate)
        self.gated = bool(gate)
        for layer in self.children():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

    def act(self, x: Tensor) -> Tensor:
        """The activation; any shape, which stays."""
        if self.kind == "relu":
            return x.relu()
        return silu(x) if self.kind == "silu" else gelu(x, approximate="tanh")

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        """(B, T, C) -> (B, T, C)."""
        y = self.act(self.wi_0(x) if self.gated else self.wi(x))  # (B, T, F)
        if self.gated:
            y = y * self.wi_1(x)  # (B, T, F)
        out: Tensor = self.wo(self.dropout(y))  # (B, T, C)
        return out


class FeedForwardLayer(nn.Module):
    """The network at each position, added to its input. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.DenseReluDense = FeedForward(config)
        self.layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        """(B, T, C) -> (B, T, C)."""
        out: Tensor = x + self.dropout(self.DenseReluDense(self.layer_norm(x)))  # (B, T, C)
        return out


class EncoderBlock(nn.Module):
    """One block of the encoder. (B, S, C) -> (B, S, C).

    Args:
        config: Settings.
        first: Whether it is the first, which has the numbers for distances.
    """

    def __init__(self, config: T5Config, *, first: bool) -> None:
        super().__init__()
        attention = SelfLayer(config, positions=first, causal=False)
        self.layer = nn.ModuleList([attention, FeedForwardLayer(config)])

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:  # (B, S, C)
        """(B, S, C), (B or 1, H, S, S) -> (B, S, C)."""
        y, _ = self.layer[0](x, bias, None)  # (B, S, C)
        out: Tensor = self.layer[1](y)  # (B, S, C)
        return out


class DecoderBlock(nn.Module):
    """One block of the decoder. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
        first: Whether it is the first, which has the numbers for distances.
    """

    def __init__(self, config: T5Config, *, first: bool) -> None:
        super().__init__()
        attention = SelfLayer(config, positions=first, causal=True)
        self.layer = nn.ModuleList([attention, CrossLayer(config), FeedForwardLayer(config)])

    def forward(
        self,
        x: Tensor,
        bias: Tensor,
        encoded: Tensor,
        mask: Tensor | None,
        past: tuple[Cache, Cache] | None,
    ) -> tuple[Tensor, tuple[Cache, Cache]]:
        """Write behind the tokens so far.

        Args:
            x: (B, T, C).
            bias: (1, H, T, K).
            encoded: (B, S, C).
            mask: True where a token of the source counts, (B, 1, 1, S); None: all do.
            past: Keys and values of the target so far and of the source; None: at the start.

        Returns:
            (B, T, C), and those keys and values after.
        """
        so_far, source = (None, None) if past is None else past
        y, so_far = self.layer[0](x, bias, so_far)  # (B, T, C)
        y, source = self.layer[1](y, encoded, mask, source)  # (B, T, C)
        return self.layer[2](y), (so_far, source)


def first_attention(block: nn.ModuleList) -> Attention:
    """The layer that has the numbers for distances, of either side's blocks."""
    return cast("Attention", block.get_submodule("0.layer.0.SelfAttention"))


class T5Encoder(encoder_decoder.Encoder):
    """Reads. (B, S) -> (B, S, C).

    Args:
        config: Settings.
        embedding: Of the tokens, which the decoder shares.
    """

    def __init__(self, config: T5Config, embedding: nn.Embedding) -> None:
        super().__init__()
        self.embed_tokens = embedding
        layers = range(config.num_layers)
        self.block = nn.ModuleList(EncoderBlock(config, first=not n) for n in layers)
        self.final_layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, src: Tensor, src_valid_len: Tensor | None = None) -> Tensor:  # (B, S)
        """(B, S), lengths (B,) -> (B, S, C)."""
        x = self.dropout(self.embed_tokens(src))  # (B, S, C)
        tokens = src.shape[1]
        bias = first_attention(self.block).positions(tokens, tokens)  # (1, H, S, S)
        if src_valid_len is not None:
            hidden = ~valid_mask(src_valid_len, tokens)[:, None]  # (B, 1, 1, S)
            bias = bias.masked_fill(hidden, torch.finfo(bias.dtype).min)  # (B, H, S, S)
        for block in self.block:
            x = block(x, bias)  # (B, S, C)
        encoded: Tensor = self.dropout(self.final_layer_norm(x))  # (B, S, C)
        return encoded


class T5Decoder(encoder_decoder.Decoder):
    """Writes. (B, T) and a state -> scores of each next token (B, T, V), the state after.

    Args:
        config: Settings.
        embedding: Of the tokens, which the encoder shares.
    """

    def __init__(self, config: T5Config, embedding: nn.Embedding) -> None:
        super().__init__()
        self.embed_tokens = embedding
        layers = range(config.decoder_layers)
        self.block = nn.ModuleList(DecoderBlock(config, first=not n) for n in layers)
        self.final_layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        nn.init.normal_(self.lm_head.weight, std=config.d_model**-0.5)
        self.scale = 1.0
        if config.tie_word_embeddings:
            self.lm_head.weight = embedding.weight
            self.scale = config.d_model**-0.5

    def init_state(self, encoded: Tensor, src_valid_len: Tensor | None = None) -> State:
        """Before the first token: (B, S, C), lengths (B,)."""
        return encoded, src_valid_len, None

    def forward(self, tgt: Tensor, state: State) -> tuple[Tensor, State]:  # (B, T)
        """(B, T), state -> (B, T, V), state."""
        encoded, valid_len, caches = state
        mask = None if valid_len is None else valid_mask(valid_len, encoded.shape[1])[:, None]
        x = self.dropout(self.embed_tokens(tgt))  # (B, T, C)
        keys = x.shape[1] if caches is None else x.shape[1] + caches[0][0][0].shape[2]
        bias = first_attention(self.block).positions(x.shape[1], keys)  # (1, H, T, K)
        after = []
        for number, block in enumerate(self.block):
            past = None if caches is None else caches[number]
            x, cache = block(x, bias, encoded, mask, past)  # (B, T, C)
            after.append(cache)
        x = self.dropout(self.final_layer_norm(x))  # (B, T, C)
        return self.lm_head(x * self.scale), (encoded, valid_len, tuple(after))


class T5(encoder_decoder.EncoderDecoder):
    """Encoder and decoder. (B, S), (B, T), lengths (B,) -> scores of next tokens (B, T, V).

    Args:
        config: Settings.
    """

    encoder: T5Encoder
    decoder: T5Decoder

    def __init__(self, config: T5Config) -> None:
        embedding = nn.Embedding(config.vocab_size, config.d_model)  # N(0, 1) at the start
        super().__init__(T5Encoder(config, embedding), T5Decoder(config, embedding))
        self.config = config
        self.to(getattr(torch, config.torch_dtype or "float32"))


def t5(config: Config = TINY, **settings: Any) -> T5:
    """Encoder and decoder from a Hugging Face config.json.

    Args:
        config: The file, its folder, or what it holds; None: `settings` has it all.
        **settings: Fields of `T5Config`, which win over `config`.

    Returns:
        The model, with weights drawn anew.
    """
    return T5(read(config, settings))


t5.__signature__ = signature(T5Config, TINY)  # type: ignore[attr-defined]  # each setting by its name
