"""The Transformer's blocks: attention and a small network at each position, added to their input.

Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, "Attention is all you
need", 2017, section 3.1 and figure 1; Dive into Deep Learning, 11.7. The norm comes after the sum:

    encoder   y = norm(x + attention(x, x));                                        norm(y + ffn(y))
    decoder   y = norm(x + attention(x, x)), causal; z = norm(y + attention(y, encoded));
              norm(z + ffn(z))

B sequences of T tokens, S in the source; width N.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models._init import XavierLinear
from zoo.models._sizes import at_least_one
from zoo.models.blocks.attention import MultiHeadAttention


class PositionWiseFFN(nn.Module):
    """Two linear maps with ReLU between them, the same at each position (section 3.3).

    Args:
        ffn_num_hiddens: Width F between the two.
        ffn_num_outputs: Width N of the output.
    """

    def __init__(self, ffn_num_hiddens: int, ffn_num_outputs: int) -> None:
        super().__init__()
        at_least_one(ffn_num_hiddens=ffn_num_hiddens)
        self.dense1 = XavierLinear(ffn_num_hiddens)
        self.relu = nn.ReLU()
        self.dense2 = XavierLinear(ffn_num_outputs)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, I)
        """(B, T, I) -> (B, T, N)."""
        y: Tensor = self.relu(self.dense1(x))  # (B, T, F)
        out: Tensor = self.dense2(y)  # (B, T, N)
        return out


class AddNorm(nn.Module):
    """The sum of a layer's input and its output, normalised (section 3.1).

    Args:
        norm_shape: Width N over which is normalised, or the last dims.
        dropout: Probability with which an element of the layer's output is left out in training.
    """

    def __init__(self, norm_shape: int | list[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.ln = nn.LayerNorm(norm_shape)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """A layer's input (B, T, N) and output (B, T, N) -> (B, T, N)."""
        out: Tensor = self.ln(x + self.dropout(y))  # (B, T, N)
        return out


class TransformerEncoderBlock(nn.Module):
    """Self-attention, then the network at each position.

    Args:
        num_hiddens: Width N of a token.
        ffn_num_hiddens: Width inside the network at each position.
        num_heads: Heads; `num_hiddens` is a multiple.
        dropout: Of attention shares and of what is added.
        use_bias: Whether attention's linear maps have biases.
    """

    def __init__(
        self,
        num_hiddens: int,
        ffn_num_hiddens: int,
        num_heads: int,
        dropout: float = 0.0,
        *,
        use_bias: bool = False,
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(num_hiddens, num_heads, dropout, bias=use_bias)
        self.addnorm1 = AddNorm(num_hiddens, dropout)
        self.ffn = PositionWiseFFN(ffn_num_hiddens, num_hiddens)
        self.addnorm2 = AddNorm(num_hiddens, dropout)

    def forward(self, x: Tensor, valid_lens: Tensor | None = None) -> Tensor:
        """(B, T, N), lengths (B,) or (B, T) -> (B, T, N)."""
        y = self.addnorm1(x, self.attention(x, x, x, valid_lens))  # (B, T, N)
        out: Tensor = self.addnorm2(y, self.ffn(y))  # (B, T, N)
        return out


def causal_lens(x: Tensor, before: int = 0) -> Tensor:
    """How many keys each token sees: those before it and itself.

    Args:
        x: (B, T, N), tokens that stand behind `before` others.
        before: Keys that stand before the first of them.

    Returns:
        (B, T): before + 1, before + 2, ..., in each row.
    """
    batch, tokens = x.shape[:2]
    seen = torch.arange(before + 1, before + tokens + 1, device=x.device)  # (T,)
    return seen.repeat(batch, 1)  # (B, T)


class TransformerDecoderBlock(nn.Module):
    """Causal self-attention, attention to what was read, then the network at each position.

    Args:
        num_hiddens: Width N of a token.
        ffn_num_hiddens: Width inside the network at each position.
        num_heads: Heads; `num_hiddens` is a multiple.
        dropout: Of attention shares and of what is added.
        use_bias: Whether attention's linear maps have biases.
    """

    def __init__(
        self,
        num_hiddens: int,
        ffn_num_hiddens: int,
        num_heads: int,
        dropout: float = 0.0,
        *,
        use_bias: bool = False,
    ) -> None:
        super().__init__()
        self.attention1 = MultiHeadAttention(num_hiddens, num_heads, dropout, bias=use_bias)
        self.addnorm1 = AddNorm(num_hiddens, dropout)
        self.attention2 = MultiHeadAttention(num_hiddens, num_heads, dropout, bias=use_bias)
        self.addnorm2 = AddNorm(num_hiddens, dropout)
        self.ffn = PositionWiseFFN(ffn_num_hiddens, num_hiddens)
        self.addnorm3 = AddNorm(num_hiddens, dropout)

    def forward(
        self,
        x: Tensor,
        encoded: Tensor,
        src_valid_len: Tensor | None = None,
        past: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decode tokens that stand behind those of earlier calls.

        Args:
            x: (B, T, N).
            encoded: What the encoder says of the source, (B, S, N).
            src_valid_len: Lengths of the sources, (B,).
            past: This block's inputs of earlier calls, (B, P, N); None at the first.

        Returns:
            (B, T, N), and `past` for the next call, (B, P + T, N).
        """
        keys = x if past is None else torch.cat((past, x), dim=1)  # (B, P + T, N)
        seen = causal_lens(x, keys.shape[1] - x.shape[1])  # (B, T)
        y = self.addnorm1(x, self.attention1(x, keys, keys, seen))  # (B, T, N)
        z = self.addnorm2(y, self.attention2(y, encoded, encoded, src_valid_len))  # (B, T, N)
        out: Tensor = self.addnorm3(z, self.ffn(z))  # (B, T, N)
        return out, keys
