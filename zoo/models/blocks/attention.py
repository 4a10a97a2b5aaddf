"""Attention: which values answer a query, and in which shares.

Dive into Deep Learning, 11.3 and 11.5. Shares are a softmax over scores of a query and each key:

    scaled dot product   q . k / sqrt(d)             Vaswani et al. 2017, section 3.2.1
    additive             w . tanh(Wq q + Wk k)       Bahdanau, Cho and Bengio 2014, appendix A.1.2

Keys behind an example's valid length get no share. Multi-head attention (Vaswani et al. 2017,
section 3.2.2) does this in several subspaces side by side.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from zoo.models._init import XavierLinear
from zoo.models._sizes import at_least_one


def valid_mask(valid_lens: Tensor, keys: int) -> Tensor:
    """Which keys are within their example's valid length.

    Args:
        valid_lens: (B,), a length for each example, or (B, Q), one for each of its queries.
        keys: How many keys there are.

    Returns:
        Bools, (B, 1, K) or (B, Q, K): true where a key counts.
    """
    lengths = valid_lens[:, None, None] if valid_lens.dim() == 1 else valid_lens[:, :, None]
    return torch.arange(keys, device=valid_lens.device) < lengths


def masked_softmax(scores: Tensor, valid_lens: Tensor | None = None) -> Tensor:
    """Softmax over keys, with no share for keys behind the valid length.

    A hidden key has the lowest score that its dtype has. That is finite, so that a query with no
    valid key gets equal shares and not NaN.

    Args:
        scores: (B, Q, K).
        valid_lens: (B,) or (B, Q); None where all keys count.

    Returns:
        Shares, (B, Q, K): not negative, their sum over keys is 1.

    Example:
        >>> masked_softmax(torch.zeros(1, 1, 4), torch.tensor([2])).tolist()
        [[[0.5, 0.5, 0.0, 0.0]]]
    """
    if valid_lens is None:
        return softmax(scores, dim=-1)
    hidden = ~valid_mask(valid_lens, scores.shape[-1])  # (B, 1 or Q, K)
    return softmax(scores.masked_fill(hidden, torch.finfo(scores.dtype).min), dim=-1)


class Scored(nn.Module):
    """Values in the shares that scores give them; what a score is, a subclass says."""

    dropout: nn.Dropout
    """Leaves out shares in training."""

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """How well each key answers each query: (B, Q, Dq), (B, K, Dk) -> (B, Q, K)."""
        raise NotImplementedError

    def weights(self, queries: Tensor, keys: Tensor, valid_lens: Tensor | None = None) -> Tensor:
        """Shares of each key: (B, Q, Dq), (B, K, Dk), (B,) or (B, Q) -> (B, Q, K)."""
        return masked_softmax(self.scores(queries, keys), valid_lens)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, valid_lens: Tensor | None = None
    ) -> Tensor:
        """(B, Q, Dq), (B, K, Dk), (B, K, V), (B,) or (B, Q) -> (B, Q, V)."""
        shares: Tensor = self.dropout(self.weights(queries, keys, valid_lens))  # (B, Q, K)
        return shares @ values


class DotProductAttention(Scored):
    """Scaled dot product attention: queries and keys of one width.

    Args:
        dropout: Probability with which a share is left out in training.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(B, Q, D), (B, K, D) -> (B, Q, K)."""
        return queries @ keys.transpose(1, 2) / sqrt(queries.shape[-1])


class AdditiveAttention(Scored):
    """Additive attention: queries and keys may differ in width.

    Args:
        num_hiddens: Width in which both meet.
        dropout: Probability with which a share is left out in training.
    """

    def __init__(self, num_hiddens: int, dropout: float = 0.0) -> None:
        super().__init__()
        at_least_one(num_hiddens=num_hiddens)
        self.W_k = XavierLinear(num_hiddens, bias=False)
        self.W_q = XavierLinear(num_hiddens, bias=False)
        self.w_v = XavierLinear(1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(B, Q, Dq), (B, K, Dk) -> (B, Q, K)."""
        features = self.W_q(queries)[:, :, None] + self.W_k(keys)[:, None]  # (B, Q, K, N)
        scores: Tensor = self.w_v(features.tanh()).squeeze(-1)  # (B, Q, K)
        return scores


class MultiHeadAttention(nn.Module):
    """Scaled dot product attention in several subspaces of the width, joined by a linear map.

    Args:
        num_hiddens: Width N of the output, divided among the heads.
        num_heads: Heads H; `num_hiddens` is a multiple.
        dropout: Probability with which a share is left out in training.
        bias: Whether the four linear maps have biases.

    Raises:
        ValueError: `num_hiddens` is no multiple of `num_heads`, or one of them is below 1.
    """

    def __init__(
        self, num_hiddens: int, num_heads: int, dropout: float = 0.0, *, bias: bool = False
    ) -> None:
        super().__init__()
        at_least_one(num_hiddens=num_hiddens, num_heads=num_heads)
        if num_hiddens % num_heads:
            raise ValueError(f"{num_hiddens} hidden units cannot be shared by {num_heads} heads")
        self.num_heads = num_heads
        self.attention = DotProductAttention(dropout)
        self.W_q = XavierLinear(num_hiddens, bias=bias)
        self.W_k = XavierLinear(num_hiddens, bias=bias)
        self.W_v = XavierLinear(num_hiddens, bias=bias)
        self.W_o = XavierLinear(num_hiddens, bias=bias)

    def split(self, x: Tensor) -> Tensor:
        """A head each: (B, T, N) -> (B * H, T, N / H)."""
        heads = x.reshape(*x.shape[:2], self.num_heads, -1)  # (B, T, H, N / H)
        return heads.transpose(1, 2).flatten(0, 1)

    def join(self, x: Tensor) -> Tensor:
        """Heads side by side again: (B * H, T, N / H) -> (B, T, N)."""
        heads = x.reshape(-1, self.num_heads, *x.shape[1:])  # (B, H, T, N / H)
        return heads.transpose(1, 2).flatten(2)

    def _repeat(self, valid_lens: Tensor | None) -> Tensor | None:
        """An example's lengths for each of its heads: (B, ...) -> (B * H, ...)."""
        return None if valid_lens is None else valid_lens.repeat_interleave(self.num_heads, dim=0)

    def weights(self, queries: Tensor, keys: Tensor, valid_lens: Tensor | None = None) -> Tensor:
        """Shares of each key by head: (B, Q, Dq), (B, K, Dk), (B,) or (B, Q) -> (B, H, Q, K)."""
        queries, keys = self.split(self.W_q(queries)), self.split(self.W_k(keys))
        shares = self.attention.weights(queries, keys, self._repeat(valid_lens))
        return shares.reshape(-1, self.num_heads, *shares.shape[1:])

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, valid_lens: Tensor | None = None
    ) -> Tensor:
        """(B, Q, Dq), (B, K, Dk), (B, K, Dv), (B,) or (B, Q) -> (B, Q, N)."""
        q = self.split(self.W_q(queries))  # (B * H, Q, N / H)
        k = self.split(self.W_k(keys))  # (B * H, K, N / H)
        v = self.split(self.W_v(values))  # (B * H, K, N / H)
        y = self.attention(q, k, v, self._repeat(valid_lens))  # (B * H, Q, N / H)
        joined: Tensor = self.W_o(self.join(y))  # (B, Q, N)
        return joined
