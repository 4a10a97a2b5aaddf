"""Encoder and decoder: one sequence is read whole, another is written from what was read.

Sutskever, Vinyals and Le 2014, and Cho et al. 2014; Dive into Deep Learning, 10.6. In training the
decoder is given the right answer shifted by one token (teacher forcing). To predict, a search
gives it one token at a time and keeps its state between the calls.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy


def masked_loss(scores: Tensor, labels: Tensor, pad: int) -> Tensor:
    """Cross-entropy per token, padding left out (Dive into Deep Learning, 10.7.4).

    Args:
        scores: Of each token of the vocabulary, (B, T, V).
        labels: Ids of the right ones, (B, T).
        pad: Id that fills a short sequence up; where it is the label, scores do not matter.

    Returns:
        Mean of -log p over the labels that are no padding, in nats, ().
    """
    return cross_entropy(scores.flatten(0, 1), labels.flatten(), ignore_index=pad)


class Encoder(nn.Module):
    """Reads a source sequence."""

    def forward(self, src: Tensor, src_valid_len: Tensor | None = None) -> Any:
        """Token ids (B, S) and lengths (B,) -> what this encoder has to say of them."""
        raise NotImplementedError


class Decoder(nn.Module):
    """Writes a target sequence, from a state that begins with what the encoder says.

    A beam search puts the examples of a state in another order. A decoder in whose state another
    dim than the first is the batch has a method for it: `reorder(state, rows)`.
    """

    def init_state(self, encoded: Any, src_valid_len: Tensor | None = None) -> Any:
        """The state before the first token.

        Args:
            encoded: What the encoder returned.
            src_valid_len: Lengths of the source sequences, (B,).

        Returns:
            Tensors whose dim 0 is the batch, in tuples, lists or None where there is none.
        """
        raise NotImplementedError

    def forward(self, tgt: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Token ids (B, T) and a state -> scores of each next token (B, T, V), the state after."""
        raise NotImplementedError


class EncoderDecoder(nn.Module):
    """Encoder and decoder as one model.

    Args:
        encoder: Reads the source.
        decoder: Writes the target.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, src: Tensor, tgt: Tensor, src_valid_len: Tensor | None = None) -> Tensor:
        """(B, S), (B, T), (B,) -> scores of each next token, (B, T, V)."""
        encoded = self.encoder(src, src_valid_len)
        state = self.decoder.init_state(encoded, src_valid_len)
        scores: Tensor = self.decoder(tgt, state)[0]  # (B, T, V)
        return scores
