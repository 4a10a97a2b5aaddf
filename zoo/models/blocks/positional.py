"""Sinusoidal positional encoding: where in its sequence a token stands, added to what it is.

Vaswani et al. 2017, section 3.5; Dive into Deep Learning, 11.6. At position t, elements 2j and
2j + 1 are sin and cos of t / 10000^(2j / N).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models._sizes import at_least_one


def sinusoids(length: int, width: int) -> Tensor:
    """The encoding of each position.

    Args:
        length: Positions T.
        width: Elements N of each.

    Returns:
        (T, N), within -1 and 1.
    """
    position = torch.arange(length, dtype=torch.float32)[:, None]  # (T, 1)
    even = torch.arange(0, width, 2, dtype=torch.float32)  # (N / 2)
    angle = position / 10000 ** (even / width)  # (T, N / 2)
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :width]  # (T, N)


class PositionalEncoding(nn.Module):
    """Adds the encoding of each position, then drops out.

    Args:
        num_hiddens: Width N of a token.
        dropout: Probability with which an element is left out in training.
        max_len: Longest sequence that can be given.
    """

    P: Tensor

    def __init__(self, num_hiddens: int, dropout: float = 0.0, max_len: int = 1000) -> None:
        super().__init__()
        at_least_one(num_hiddens=num_hiddens, max_len=max_len)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("P", sinusoids(max_len, num_hiddens), persistent=False)

    def forward(self, x: Tensor, before: int = 0) -> Tensor:
        """Add the encodings.

        Args:
            x: (B, T, N), tokens that stand behind `before` others.
            before: Position of the first of them.

        Returns:
            (B, T, N).

        Raises:
            ValueError: The last position has no encoding.
        """
        after, longest = before + x.shape[1], self.P.shape[0]
        if after > longest:
            raise ValueError(f"{after} tokens are more than the {longest} that have a position")
        y: Tensor = self.dropout(x + self.P[before:after])  # (B, T, N)
        return y
