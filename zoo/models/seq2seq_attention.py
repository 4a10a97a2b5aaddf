"""Sequence to sequence with attention: at every step the decoder looks at the source again.

Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate",
2014, section 3.1 and appendix A.1.2. Dive into Deep Learning, 11.4. The decoder's last state is the
query, the encoder's outputs are keys and values, and what the attention answers is joined to the
token's embedding. As in the book the encoder reads in one direction, where the paper's reads in
both, and keys are projected at every step, where the paper does so once. Sizes as in `seq2seq`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models._init import XavierLinear, xavier_recurrent
from zoo.models.blocks.attention import AdditiveAttention
from zoo.models.blocks.encoder_decoder import Decoder, EncoderDecoder
from zoo.models.blocks.recurrent import Hidden, recurrent, reordered
from zoo.models.seq2seq import Read, Seq2SeqEncoder

State = tuple[Tensor, Hidden, Tensor | None]
"""The encoder's outputs (B, S, N), the decoder's state (L, B, N), lengths of the sources (B,)."""


class Seq2SeqAttentionDecoder(Decoder):
    """Asks at each step which outputs of the encoder answer its state.

    Args:
        vocab_size: Tokens V of the target language.
        embed_size: Width E of a token.
        num_hiddens: Width N of the state, the encoder's, and of the attention.
        num_layers: Layers L of the network, the encoder's.
        dropout: Probability with which a share, or an element between two layers, is left out in
            training.
        cell: `gru`, `lstm` or `rnn`, the encoder's.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        num_hiddens: int,
        num_layers: int,
        dropout: float = 0.0,
        cell: str = "gru",
    ) -> None:
        super().__init__()
        self.attention = AdditiveAttention(num_hiddens, dropout)
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = recurrent(cell, embed_size + num_hiddens, num_hiddens, num_layers, dropout)
        xavier_recurrent(self.rnn)
        self.dense = XavierLinear(vocab_size)

    def init_state(self, encoded: Read, src_valid_len: Tensor | None = None) -> State:
        """Outputs (S, B, N) and state (L, B, N) of the encoder -> the former as (B, S, N)."""
        outputs, hidden = encoded
        return outputs.transpose(0, 1), hidden, src_valid_len

    def forward(self, tgt: Tensor, state: State) -> tuple[Tensor, State]:  # (B, T)
        """(B, T) and a state -> scores (B, T, V), the state after."""
        outputs, hidden, valid_len = state  # (B, S, N), (L, B, N), (B,)
        embedded = self.embedding(tgt.t())  # (T, B, E)
        written = []
        for token in embedded:  # (B, E)
            query = self.query(hidden)  # (B, 1, N)
            context = self.attention(query, outputs, outputs, valid_len)  # (B, 1, N)
            step = torch.cat((context.squeeze(1), token), dim=-1)[None]  # (1, B, N + E)
            answer, hidden = self.rnn(step, hidden)  # (1, B, N), (L, B, N)
            written.append(answer)
        scores = self.dense(torch.cat(written)).transpose(0, 1)  # (B, T, V)
        return scores, (outputs, hidden, valid_len)

    @staticmethod
    def query(hidden: Hidden) -> Tensor:
        """State of the top layer: (L, B, N) -> (B, 1, N)."""
        top = hidden[0] if isinstance(hidden, tuple) else hidden  # (L, B, N)
        return top[-1][:, None]

    def reorder(self, state: State, rows: Tensor) -> State:
        """Some examples of a state, (M,) of them, in a new order."""
        outputs, hidden, valid_len = state
        lengths = None if valid_len is None else valid_len.index_select(0, rows)
        return outputs.index_select(0, rows), reordered(hidden, rows), lengths


def seq2seq_attention(
    src_vocab_size: int = 10_000,
    tgt_vocab_size: int = 10_000,
    embed_size: int = 256,
    num_hiddens: int = 256,
    num_layers: int = 2,
    dropout: float = 0.2,
    cell: str = "gru",
) -> EncoderDecoder:
    """The book's translator with attention, for vocabularies of any size."""
    widths = (embed_size, num_hiddens, num_layers, dropout, cell)
    return EncoderDecoder(
        Seq2SeqEncoder(src_vocab_size, *widths), Seq2SeqAttentionDecoder(tgt_vocab_size, *widths)
    )
