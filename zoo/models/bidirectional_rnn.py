"""Bidirectional recurrent networks: one layer reads from the start, one from the end.

Schuster and Paliwal, "Bidirectional recurrent neural networks", 1997, section II. Dive into Deep
Learning, 10.4. An output joins what both layers say of its step:

    forwards     H> (t) = layer(X(t), H>(t-1))
    backwards    H< (t) = layer(X(t), H<(t+1))
    output       H> and H< side by side, 2H wide

Each output knows the whole sequence, so such a network fills gaps and labels, but cannot be asked
for the next token. T steps, B sequences, I inputs, H hidden units a direction.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.models.gru import GRUScratch
from zoo.models.lstm import LSTMScratch
from zoo.models.rnn import RNNScratch


class Bidirectional(nn.Module):
    """Two layers, one of which reads backwards. (T, B, I) -> (T, B, 2H), a state a direction.

    Args:
        forwards: Maps (T, B, I) and its state (None at the start) to (T, B, H) and its last state.
        backwards: The same, with weights of its own.
    """

    def __init__(self, forwards: nn.Module, backwards: nn.Module) -> None:
        super().__init__()
        self.forwards = forwards
        self.backwards = backwards

    def forward(
        self, inputs: Tensor, states: tuple[Any, Any] | None = None
    ) -> tuple[Tensor, tuple[Any, Any]]:
        """(T, B, I), a state a direction or None -> (T, B, 2H), a state a direction."""
        first, second = (None, None) if states is None else states
        ahead, first = self.forwards(inputs, first)  # (T, B, H)
        back, second = self.backwards(inputs.flip(0), second)  # (T, B, H), the last step first
        return torch.cat((ahead, back.flip(0)), dim=-1), (first, second)  # (T, B, 2H)


def bidirectional_rnn_scratch(
    num_inputs: int = 16, num_hiddens: int = 32, sigma: float = 0.01
) -> Bidirectional:
    """Two RNNs from scratch."""
    forwards = RNNScratch(num_inputs, num_hiddens, sigma)
    return Bidirectional(forwards, RNNScratch(num_inputs, num_hiddens, sigma))


def bidirectional_gru_scratch(
    num_inputs: int = 16,
    num_hiddens: int = 32,
    sigma: float = 0.01,
    *,
    reset_after: bool = False,
) -> Bidirectional:
    """Two GRUs from scratch."""
    forwards, backwards = (
        GRUScratch(num_inputs, num_hiddens, sigma, reset_after=reset_after) for _ in range(2)
    )
    return Bidirectional(forwards, backwards)


def bidirectional_lstm_scratch(
    num_inputs: int = 16, num_hiddens: int = 32, sigma: float = 0.01
) -> Bidirectional:
    """Two LSTMs from scratch."""
    forwards = LSTMScratch(num_inputs, num_hiddens, sigma)
    return Bidirectional(forwards, LSTMScratch(num_inputs, num_hiddens, sigma))


def bidirectional_rnn(num_inputs: int = 16, num_hiddens: int = 32, num_layers: int = 1) -> nn.RNN:
    """The RNN of torch, in both directions."""
    return nn.RNN(num_inputs, num_hiddens, num_layers, bidirectional=True)


def bidirectional_gru(num_inputs: int = 16, num_hiddens: int = 32, num_layers: int = 1) -> nn.GRU:
    """The GRU of torch, in both directions."""
    return nn.GRU(num_inputs, num_hiddens, num_layers, bidirectional=True)


def bidirectional_lstm(num_inputs: int = 16, num_hiddens: int = 32, num_layers: int = 1) -> nn.LSTM:
    """The LSTM of torch, in both directions."""
    return nn.LSTM(num_inputs, num_hiddens, num_layers, bidirectional=True)
