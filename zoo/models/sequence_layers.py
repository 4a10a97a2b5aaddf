"""Three layers that map a sequence to one as long: by attention, by convolution, by recurrence.

Vaswani et al., "Attention is all you need", 2017, section 4 and table 1; Dive into Deep Learning,
11.6. For n tokens of width d, and a kernel of k tokens:

                      multiply-accumulates    steps that wait    longest path between two tokens
    self-attention    2 n^2 d + 4 n d^2       O(1)               O(1)
    convolution       k n d^2                 O(1)               O(n / k)
    recurrence        2 n d^2                 O(n)               O(n)

Self-attention has two products of all pairs, and four linear maps of each token; a recurrent layer
one map of its input and one of its state. The table of the paper leaves the factors out, and has
O(log n / log k) for convolutions that are dilated.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.models._sizes import at_least_one
from zoo.models.blocks.attention import MultiHeadAttention
from zoo.models.blocks.positional import PositionalEncoding


class SelfAttention(nn.Module):
    """Positions are added, then each token asks all tokens.

    Args:
        num_hiddens: Width d of a token.
        num_heads: Heads; `num_hiddens` is a multiple.
        dropout: Of tokens and of attention shares.
        max_len: Longest sequence that can be given.
    """

    def __init__(
        self, num_hiddens: int, num_heads: int, dropout: float = 0.0, max_len: int = 1000
    ) -> None:
        super().__init__()
        self.pos_encoding = PositionalEncoding(num_hiddens, dropout, max_len)
        self.attention = MultiHeadAttention(num_hiddens, num_heads, dropout)

    def forward(self, x: Tensor, valid_lens: Tensor | None = None) -> Tensor:
        """(B, n, d), lengths (B,) or (B, n) -> (B, n, d)."""
        tokens = self.pos_encoding(x)  # (B, n, d)
        out: Tensor = self.attention(tokens, tokens, tokens, valid_lens)  # (B, n, d)
        return out


class SequenceCNN(nn.Module):
    """Each token is computed from its neighbours: a convolution along the sequence.

    Args:
        num_hiddens: Width d of a token.
        kernel_size: Tokens k that one is computed from; odd, so that it stands in their middle.

    Raises:
        ValueError: `kernel_size` is even, or below 1.
    """

    def __init__(self, num_hiddens: int, kernel_size: int) -> None:
        super().__init__()
        at_least_one(num_hiddens=num_hiddens, kernel_size=kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(f"a kernel of {kernel_size} tokens has no middle: take an odd number")
        padding = kernel_size // 2
        self.conv = nn.Conv1d(num_hiddens, num_hiddens, kernel_size, padding=padding)

    def forward(self, x: Tensor) -> Tensor:  # (B, n, d)
        """(B, n, d) -> (B, n, d)."""
        y: Tensor = self.conv(x.transpose(1, 2))  # (B, d, n)
        return y.transpose(1, 2)  # (B, n, d)


class SequenceRNN(nn.Module):
    """Each token is computed from itself and the state before it: a recurrent layer.

    Args:
        num_hiddens: Width d of a token and of the state.
    """

    def __init__(self, num_hiddens: int) -> None:
        super().__init__()
        at_least_one(num_hiddens=num_hiddens)
        self.rnn = nn.RNN(num_hiddens, num_hiddens, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:  # (B, n, d)
        """(B, n, d) -> (B, n, d)."""
        y: Tensor = self.rnn(x)[0]  # (B, n, d)
        return y


def self_attention(
    num_hiddens: int = 64, num_heads: int = 4, dropout: float = 0.0, max_len: int = 1000
) -> SelfAttention:
    """Self-attention with positional encoding."""
    return SelfAttention(num_hiddens, num_heads, dropout, max_len)


def sequence_cnn(num_hiddens: int = 64, kernel_size: int = 3) -> SequenceCNN:
    """One convolution along a sequence."""
    return SequenceCNN(num_hiddens, kernel_size)


def sequence_rnn(num_hiddens: int = 64) -> SequenceRNN:
    """One recurrent layer."""
    return SequenceRNN(num_hiddens)
