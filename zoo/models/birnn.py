"""BiRNN: the sentiment of a text from a bidirectional LSTM's first and last step.

Graves and Schmidhuber, "Framewise phoneme classification with bidirectional LSTM and other neural
network architectures", 2005, for the network; Dive into Deep Learning, 16.2, for its use. With V
tokens, embedding E = 100, N = 100 hidden units in each direction, 2 layers, 2 classes:

    embedding   V E
    LSTM        2 (4 N (E + N) + 8 N)  and  2 (4 N (2 N + N) + 8 N)
    decoder     4 N * 2 + 2

V = 49,346 are the words of the IMDb reviews that occur at least five times, which makes 5,338,602
parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models._init import xavier_recurrent, xavier_uniform


class BiRNN(nn.Module):
    """Embedding, bidirectional LSTM, and a linear layer on its first and last step.

    Args:
        vocab_size: Tokens V.
        embed_size: Width E of a token.
        num_hiddens: Width N of the LSTM, in each direction.
        num_layers: LSTM layers.
        num_classes: Width of the output.
    """

    def __init__(
        self,
        vocab_size: int = 49346,
        embed_size: int = 100,
        num_hiddens: int = 100,
        num_layers: int = 2,
        num_classes: int = 2,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.encoder = nn.LSTM(embed_size, num_hiddens, num_layers, bidirectional=True)
        self.decoder = nn.Linear(4 * num_hiddens, num_classes)
        xavier_recurrent(self.encoder)
        xavier_uniform(self.decoder)

    def encode(self, tokens: Tensor) -> Tensor:  # (B, T)
        """Token ids -> the first and the last step of both directions: (B, T) -> (B, 4 N)."""
        embedded = self.embedding(tokens.T)  # (T, B, E)
        steps, _ = self.encoder(embedded)  # (T, B, 2 N)
        return torch.cat((steps[0], steps[-1]), dim=1)  # (B, 4 N)

    def forward(self, tokens: Tensor) -> Tensor:  # (B, T)
        """Token ids (B, T) -> scores (B, classes)."""
        scores: Tensor = self.decoder(self.encode(tokens))  # (B, classes)
        return scores


def birnn(
    vocab_size: int = 49346,
    embed_size: int = 100,
    num_hiddens: int = 100,
    num_layers: int = 2,
    num_classes: int = 2,
) -> BiRNN:
    """The book's, for the sentiment of film reviews."""
    return BiRNN(vocab_size, embed_size, num_hiddens, num_layers, num_classes)
