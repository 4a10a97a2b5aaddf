"""Recurrent language models: the scores of each next token, from a state of all tokens before it.

Mikolov, Karafiat, Burget, Cernocky and Khudanpur, "Recurrent neural network based language model",
2010, equations 1 to 6. Dive into Deep Learning, 9.5 (from scratch) and 9.6 (concise).

    one-hot vectors, or an embedding      (T, B, V) or (T, B, E)
    recurrent layers                      (T, B, H)
    linear to the vocabulary              (T, B, V)

With `tied`, the output layer's weight is the embedding's (Press and Wolf, "Using the output
embedding to improve language models", 2016), so that E must be H. B sequences of T tokens out of V,
E elements a token, H hidden units. A model takes and gives its state: the next T tokens go on where
the last ended. Cut the state from its past before the next step of training
(`zoo.language.detach`).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import one_hot

from zoo.models.blocks.recurrent import Hidden, recurrent, reordered
from zoo.models.rnn import RNNScratch, bias, weight


class RNNLMScratch(nn.Module):
    """A language model on one-hot vectors. (B, T) -> scores (B, T, V), state.

    Args:
        rnn: Maps (T, B, V) and a state (None at the start) to (T, B, H) and its last state.
        num_hiddens: H.
        vocab_size: Tokens V.
        sigma: Standard deviation of the output layer's weight at the start.
    """

    def __init__(
        self, rnn: nn.Module, num_hiddens: int, vocab_size: int, sigma: float = 0.01
    ) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.rnn = rnn
        self.W_hq = weight(num_hiddens, vocab_size, sigma)
        self.b_q = bias(vocab_size)

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(B, T), a state or None -> (B, T, V), the state after."""
        x = one_hot(tokens.T, self.vocab_size).to(self.W_hq.dtype)  # (T, B, V)
        outputs, state = self.rnn(x, state)  # (T, B, H)
        scores = outputs @ self.W_hq + self.b_q  # (T, B, V)
        return scores.transpose(0, 1), state  # (B, T, V)


class RNNLM(nn.Module):
    """A language model of torch's layers. (B, T) -> scores (B, T, V), state.

    Args:
        vocab_size: Tokens V.
        num_hiddens: H.
        cell: `rnn`, `gru` or `lstm`.
        num_layers: Recurrent layers.
        embed_size: E; None for one-hot vectors in place of an embedding.
        tied: Whether the output layer has the embedding's weight.
        dropout: Probability with which an element is left out in training: of an embedding, between
            layers, and before the output layer.

    Raises:
        ValueError: No such cell, or weights that cannot be tied.
    """

    def __init__(
        self,
        vocab_size: int,
        num_hiddens: int,
        cell: str = "rnn",
        num_layers: int = 1,
        *,
        embed_size: int | None = None,
        tied: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if tied and embed_size != num_hiddens:
            raise ValueError(f"tied weights need embed_size = {num_hiddens}, got {embed_size}")
        self.vocab_size = vocab_size
        self.embedding = None if embed_size is None else nn.Embedding(vocab_size, embed_size)
        width = vocab_size if embed_size is None else embed_size
        self.rnn = recurrent(cell, width, num_hiddens, num_layers, dropout)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(num_hiddens, vocab_size)
        if tied and self.embedding is not None:
            self.embedding.weight = self.output.weight

    def reorder(self, state: Hidden, rows: Tensor) -> Hidden:
        """Some sequences of a state, (M,) of them, in a new order, as a beam search asks."""
        return reordered(state, rows)

    def embed(self, tokens: Tensor) -> Tensor:
        """(T, B) -> (T, B, E), or one-hot (T, B, V)."""
        if self.embedding is None:
            return one_hot(tokens, self.vocab_size).to(self.output.weight.dtype)
        x: Tensor = self.dropout(self.embedding(tokens))
        return x

    def forward(self, tokens: Tensor, state: Hidden | None = None) -> tuple[Tensor, Hidden]:
        """(B, T), a state or None -> (B, T, V), the state after."""
        x = self.embed(tokens.T)  # (T, B, E)
        outputs, after = self.rnn(x, state)  # (T, B, H)
        scores = self.output(self.dropout(outputs))  # (T, B, V)
        return scores.transpose(0, 1), after  # (B, T, V)


def rnn_lm_scratch(
    vocab_size: int = 28, num_hiddens: int = 32, sigma: float = 0.01
) -> RNNLMScratch:
    """The book's model of characters: 26 letters, the space and the unknown token."""
    rnn = RNNScratch(vocab_size, num_hiddens, sigma)
    return RNNLMScratch(rnn, num_hiddens, vocab_size, sigma)


def rnn_lm(
    vocab_size: int = 28,
    num_hiddens: int = 32,
    *,
    cell: str = "rnn",
    num_layers: int = 1,
    embed_size: int | None = None,
    tied: bool = False,
    dropout: float = 0.0,
) -> RNNLM:
    """The book's model of characters, of torch's layer."""
    return RNNLM(
        vocab_size,
        num_hiddens,
        cell,
        num_layers,
        embed_size=embed_size,
        tied=tied,
        dropout=dropout,
    )
