"""Transformer: encoder and decoder of attention alone.

Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, "Attention is all you
need", 2017, section 3 and table 3. Dive into Deep Learning, 11.7.

                blocks   width   inside   heads   dropout   vocabulary
    book             2     256       64       4       0.2   200, 200
    base             6     512    2,048       8       0.1   37,000, shared
    big              6   1,024    4,096      16       0.3   37,000, shared

Base and big have one table for the source's embedding, the target's and the last linear map
(section 3.4); the book has three. A token's embedding is multiplied by the root of the width; it
starts with the variance of 1 / width, so that its elements are as large as those of the positions.

Parameters, with width N, inside F and L blocks, attention without biases as in the book:

    encoder block    4 N^2 + 2 N F + F + N + 4 N
    decoder block    8 N^2 + 2 N F + F + N + 6 N
    shared table     37,000 N

That is 63.0 M for base and 214.2 M for big, where table 3 prints 65 M and 213 M: it rounds, and
says "about 37,000" of its vocabulary. B pairs of S source and T target tokens.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo.models._init import XavierLinear
from zoo.models._sizes import at_least_one
from zoo.models.blocks.encoder_decoder import Decoder, Encoder, EncoderDecoder
from zoo.models.blocks.positional import PositionalEncoding
from zoo.models.blocks.transformer import TransformerDecoderBlock, TransformerEncoderBlock

State = tuple[Tensor, Tensor | None, tuple[Tensor | None, ...]]
"""Of the decoder: what the encoder says (B, S, N), the sources' lengths (B,), and of each block the
inputs so far (B, P, N)."""


class _Blocks(nn.Module):
    """Embedding, positions and blocks, as encoder and decoder both have them.

    Args:
        vocab_size: Tokens that there are.
        num_hiddens: Width N of a token, the same on both sides.
        ffn_num_hiddens: Width inside the network at each position.
        num_heads: Heads; `num_hiddens` is a multiple.
        num_blks: Blocks.
        dropout: Of embeddings, attention shares and what is added.
        use_bias: Whether attention's linear maps have biases.
    """

    block: ClassVar[type[TransformerEncoderBlock | TransformerDecoderBlock]]
    """What is repeated."""

    def __init__(
        self,
        vocab_size: int,
        num_hiddens: int,
        ffn_num_hiddens: int,
        num_heads: int,
        num_blks: int,
        dropout: float = 0.0,
        *,
        use_bias: bool = False,
    ) -> None:
        super().__init__()
        at_least_one(vocab_size=vocab_size, num_hiddens=num_hiddens, num_blks=num_blks)
        self.scale = sqrt(num_hiddens)
        self.embedding = nn.Embedding(vocab_size, num_hiddens)
        nn.init.normal_(self.embedding.weight, std=1 / self.scale)
        self.pos_encoding = PositionalEncoding(num_hiddens, dropout)
        self.blks = nn.ModuleList(
            self.block(num_hiddens, ffn_num_hiddens, num_heads, dropout, use_bias=use_bias)
            for _ in range(num_blks)
        )

    def embed(self, tokens: Tensor, before: int = 0) -> Tensor:
        """Ids (B, T) of tokens that stand behind `before` others -> (B, T, N)."""
        embedded: Tensor = self.pos_encoding(self.embedding(tokens) * self.scale, before)
        return embedded


class TransformerEncoder(_Blocks, Encoder):
    """Embedding, positions and encoder blocks; built with what `_Blocks` is."""

    block = TransformerEncoderBlock

    def forward(self, src: Tensor, src_valid_len: Tensor | None = None) -> Tensor:
        """Token ids (B, S) and lengths (B,) -> (B, S, N)."""
        x = self.embed(src)  # (B, S, N)
        for block in self.blks:
            x = block(x, src_valid_len)  # (B, S, N)
        return x


class TransformerDecoder(_Blocks, Decoder):
    """Embedding, positions, decoder blocks and scores of the next of V tokens.

    It is given a whole target or goes on where its state ends: the scores are the same. It is built
    with what `_Blocks` is.
    """

    block = TransformerDecoderBlock

    def __init__(self, vocab_size: int, *sizes: Any, use_bias: bool = False) -> None:
        super().__init__(vocab_size, *sizes, use_bias=use_bias)
        self.dense: nn.Linear = XavierLinear(vocab_size)

    def init_state(self, encoded: Tensor, src_valid_len: Tensor | None = None) -> State:
        """The state before the first token: (B, S, N), lengths (B,) -> no inputs so far."""
        return encoded, src_valid_len, (None,) * len(self.blks)

    def forward(self, tgt: Tensor, state: State) -> tuple[Tensor, State]:
        """Token ids (B, T) and a state -> scores of each next token (B, T, V), the state after."""
        encoded, src_valid_len, pasts = state
        before = 0 if pasts[0] is None else pasts[0].shape[1]
        x = self.embed(tgt, before)  # (B, T, N)
        inputs: list[Tensor] = []
        for block, past in zip(self.blks, pasts, strict=True):
            x, seen = block(x, encoded, src_valid_len, past)  # (B, T, N), (B, P + T, N)
            inputs.append(seen)
        scores: Tensor = self.dense(x)  # (B, T, V)
        return scores, (encoded, src_valid_len, tuple(inputs))


def transformer(
    src_vocab_size: int = 200,
    tgt_vocab_size: int = 200,
    num_hiddens: int = 256,
    ffn_num_hiddens: int = 64,
    num_heads: int = 4,
    num_blks: int = 2,
    dropout: float = 0.2,
) -> EncoderDecoder:
    """Transformer of the book."""
    sizes = (num_hiddens, ffn_num_hiddens, num_heads, num_blks, dropout)
    return EncoderDecoder(
        TransformerEncoder(src_vocab_size, *sizes), TransformerDecoder(tgt_vocab_size, *sizes)
    )


def tied_transformer(
    vocab_size: int,
    num_hiddens: int,
    ffn_num_hiddens: int,
    num_heads: int,
    num_blks: int,
    dropout: float,
) -> EncoderDecoder:
    """Transformer of the paper: one table for both embeddings and the last linear map.

    Args:
        vocab_size: Tokens that there are, of both languages together.
        num_hiddens: Width of a token.
        ffn_num_hiddens: Width inside the network at each position.
        num_heads: Heads; `num_hiddens` is a multiple.
        num_blks: Blocks of the encoder, and of the decoder.
        dropout: Of embeddings, attention shares and what is added.

    Returns:
        The model, with weights drawn anew.
    """
    sizes = (vocab_size, num_hiddens, ffn_num_hiddens, num_heads, num_blks, dropout)
    encoder, decoder = TransformerEncoder(*sizes), TransformerDecoder(*sizes)
    decoder.embedding.weight = encoder.embedding.weight
    decoder.dense = nn.Linear(num_hiddens, vocab_size, bias=False)
    decoder.dense.weight = encoder.embedding.weight
    return EncoderDecoder(encoder, decoder)


def transformer_base(vocab_size: int = 37000, dropout: float = 0.1) -> EncoderDecoder:
    """Transformer base."""
    return tied_transformer(vocab_size, 512, 2048, 8, 6, dropout)


def transformer_big(vocab_size: int = 37000, dropout: float = 0.3) -> EncoderDecoder:
    """Transformer big."""
    return tied_transformer(vocab_size, 1024, 4096, 16, 6, dropout)
