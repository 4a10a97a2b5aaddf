"""Encoder and decoder: one sequence is read whole, another is written from what was read.

Sutskever, Vinyals and Le 2014, and Cho et al. 2014; Dive into Deep Learning, 10.6. In training the
decoder is given the right answer shifted by one token (teacher forcing). To predict, a search
gives it one token at a time and keeps its state between the calls.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._pytree import tree_map_only


def select_rows(state: Any, rows: Tensor, dim: int = 0) -> Any:
    """Some examples of a nested state, in a new order.

    Args:
        state: Tensors in tuples, lists or dictionaries; whatever else is in it stays as it is.
        rows: Which examples, (N,); one may occur several times.
        dim: Which dim of the tensors counts examples.

    Returns:
        The same nesting, of N examples.

    Example:
        >>> import torch
        >>> select_rows((torch.tensor([[1], [2]]), None), torch.tensor([1, 1]))
        (tensor([[2],
                [2]]), None)
    """
    return tree_map_only(Tensor, lambda tensor: tensor.index_select(dim, rows), state)


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
    """Writes a target sequence, from a state that begins with what the encoder says."""

    def init_state(self, encoded: Any, src_valid_len: Tensor | None = None) -> Any:
        """The state before the first token.

        Args:
            encoded: What the encoder returned.
            src_valid_len: Lengths of the source sequences, (B,).
        """
        raise NotImplementedError

    def forward(self, tgt: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Token ids (B, T) and a state -> scores of each next token (B, T, V), the state after."""
        raise NotImplementedError

    def reorder(self, state: Any, rows: Tensor) -> Any:
        """Some examples of a state, in a new order, as a beam search keeps its sequences.

        Args:
            state: What `init_state` or `forward` returned. Its tensors count examples in dim 0;
                a decoder whose tensors do not says so here.
            rows: Which examples, (N,).

        Returns:
            The state of N examples.
        """
        return select_rows(state, rows)


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
