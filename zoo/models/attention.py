"""Attention mechanisms as models of their own, with the sizes that the book tries them at.

Dive into Deep Learning, 11.3 and 11.5; the blocks and their papers are in
`zoo/models/blocks/attention.py`.

                    queries    keys        values      heads
    dot product     2, 1, 2    2, 10, 2    2, 10, 4
    additive        2, 1, 20   2, 10, 2    2, 10, 4    meet in 8 hidden units
    multi-head      2, 4, 100  2, 6, 100   2, 6, 100   5 of 20 each
"""

from __future__ import annotations

from zoo.models.blocks.attention import (
    AdditiveAttention,
    DotProductAttention,
    MultiHeadAttention,
)


def dot_product_attention(dropout: float = 0.5) -> DotProductAttention:
    """Scaled dot product attention."""
    return DotProductAttention(dropout)


def additive_attention(num_hiddens: int = 8, dropout: float = 0.1) -> AdditiveAttention:
    """Additive attention."""
    return AdditiveAttention(num_hiddens, dropout)


def multi_head_attention(
    num_hiddens: int = 100, num_heads: int = 5, dropout: float = 0.5, *, bias: bool = False
) -> MultiHeadAttention:
    """Multi-head attention."""
    return MultiHeadAttention(num_hiddens, num_heads, dropout, bias=bias)
