"""Sequence to sequence with recurrent networks: the encoder's last state is all the decoder gets.

Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk and Bengio, "Learning phrase
representations using RNN encoder-decoder for statistical machine translation", 2014, section 2.2,
and Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks", 2014. Dive
into Deep Learning, 10.7. As in the book the cells are GRUs, two layers of them, and the encoder
reads padding like any other token. Sizes of its translator, and those that its shapes are printed
for:

                  vocabulary   embedding   hidden   layers   dropout
    translator                       256      256        2       0.2
    shapes                10           8       16        2         0
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models._init import XavierLinear, xavier_recurrent
from zoo.models.blocks.encoder_decoder import Decoder, Encoder, EncoderDecoder
from zoo.models.blocks.recurrent import Hidden, recurrent, reordered

Read = tuple[Tensor, Hidden]
"""What was read: outputs of the top layer at each step (S, B, N), and the state at the end."""


class Seq2SeqEncoder(Encoder):
    """Embeds the tokens and reads them in order.

    Args:
        vocab_size: Tokens of the source language.
        embed_size: Width E of a token.
        num_hiddens: Width N of the state.
        num_layers: Layers L of the network.
        dropout: Probability with which an element between two layers is left out in training.
        cell: `gru`, `lstm` or `rnn`.
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
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = recurrent(cell, embed_size, num_hiddens, num_layers, dropout)
        xavier_recurrent(self.rnn)

    def forward(self, src: Tensor, src_valid_len: Tensor | None = None) -> Read:  # noqa: ARG002
        """(B, S) -> outputs of the top layer (S, B, N), state (L, B, N). Lengths do not count."""
        embedded = self.embedding(src.t())  # (S, B, E)
        read: Read = self.rnn(embedded)  # (S, B, N), (L, B, N)
        return read


class Seq2SeqDecoder(Decoder):
    """Starts from the encoder's state, and is given what was read at every step.

    Args:
        vocab_size: Tokens V of the target language.
        embed_size: Width E of a token.
        num_hiddens: Width N of the state, the encoder's.
        num_layers: Layers L of the network, the encoder's.
        dropout: Probability with which an element between two layers is left out in training.
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
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = recurrent(cell, embed_size + num_hiddens, num_hiddens, num_layers, dropout)
        xavier_recurrent(self.rnn)
        self.dense = XavierLinear(vocab_size)

    def init_state(self, encoded: Read, src_valid_len: Tensor | None = None) -> Read:  # noqa: ARG002
        """The encoder's outputs (S, B, N) and its state (L, B, N), as they are."""
        return encoded

    def forward(self, tgt: Tensor, state: Read) -> tuple[Tensor, Read]:  # (B, T)
        """(B, T), what was read and a state -> scores (B, T, V), the same with the state after."""
        outputs, hidden = state  # (S, B, N), (L, B, N)
        embedded = self.embedding(tgt.t())  # (T, B, E)
        context = outputs[-1].expand(embedded.shape[0], -1, -1)  # (T, B, N)
        written, hidden = self.rnn(torch.cat((embedded, context), dim=-1), hidden)  # (T, B, N)
        scores = self.dense(written).transpose(0, 1)  # (B, T, V)
        return scores, (outputs, hidden)

    def reorder(self, state: Read, rows: Tensor) -> Read:
        """Some examples of a state, (M,) of them, in a new order."""
        outputs, hidden = state
        return outputs.index_select(1, rows), reordered(hidden, rows)


def seq2seq(
    src_vocab_size: int = 10_000,
    tgt_vocab_size: int = 10_000,
    embed_size: int = 256,
    num_hiddens: int = 256,
    num_layers: int = 2,
    dropout: float = 0.2,
    cell: str = "gru",
) -> EncoderDecoder:
    """The book's translator, for vocabularies of any size."""
    widths = (embed_size, num_hiddens, num_layers, dropout, cell)
    return EncoderDecoder(
        Seq2SeqEncoder(src_vocab_size, *widths), Seq2SeqDecoder(tgt_vocab_size, *widths)
    )
