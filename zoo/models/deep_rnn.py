"""Deep recurrent networks: the outputs of a layer are the inputs of the next.

Dive into Deep Learning, 10.3; Graves, Mohamed and Hinton, "Speech recognition with deep recurrent
neural networks", 2013, equation 11. At step t, layer l has the state

    H(t, l) = layer(H(t, l-1), H(t-1, l))    H(t, 0) is the input of step t

From scratch, layers of one kind are stacked; concisely, torch's layer takes their number. T steps,
B sequences, I inputs, H hidden units; L layers, of which the first reads I inputs and the others H.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from zoo.models.gru import GRUScratch
from zoo.models.lstm import LSTMScratch
from zoo.models.rnn import RNNScratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Stacked(nn.Module):
    """Layers on top of each other. (T, B, I) -> outputs of the last (T, B, H), a state a layer.

    Args:
        layers: First to last. Each maps outputs of the one before it and a state of its own (None
            at the start) to outputs and its last state.
    """

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(
        self, inputs: Tensor, states: Sequence[Any] | None = None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """(T, B, I), a state a layer or None -> (T, B, H), a state a layer."""
        before = (None,) * len(self.layers) if states is None else states
        outputs, after = inputs, []
        for layer, state in zip(self.layers, before, strict=True):
            outputs, last = layer(outputs, state)  # (T, B, H)
            after.append(last)
        return outputs, tuple(after)


def _widths(num_inputs: int, num_hiddens: int, num_layers: int) -> list[int]:
    """How many inputs each layer reads."""
    if num_layers < 1:
        raise ValueError(f"a deep network needs 1 layer or more, got num_layers={num_layers}")
    return [num_inputs, *[num_hiddens] * (num_layers - 1)]


def deep_rnn_scratch(
    num_inputs: int = 16, num_hiddens: int = 32, num_layers: int = 2, sigma: float = 0.01
) -> Stacked:
    """RNNs from scratch, stacked."""
    widths = _widths(num_inputs, num_hiddens, num_layers)
    return Stacked(RNNScratch(width, num_hiddens, sigma) for width in widths)


def deep_gru_scratch(
    num_inputs: int = 16,
    num_hiddens: int = 32,
    num_layers: int = 2,
    sigma: float = 0.01,
    *,
    reset_after: bool = False,
) -> Stacked:
    """GRUs from scratch, stacked."""
    widths = _widths(num_inputs, num_hiddens, num_layers)
    return Stacked(
        GRUScratch(width, num_hiddens, sigma, reset_after=reset_after) for width in widths
    )


def deep_lstm_scratch(
    num_inputs: int = 16, num_hiddens: int = 32, num_layers: int = 2, sigma: float = 0.01
) -> Stacked:
    """LSTMs from scratch, stacked."""
    widths = _widths(num_inputs, num_hiddens, num_layers)
    return Stacked(LSTMScratch(width, num_hiddens, sigma) for width in widths)


def deep_rnn(
    num_inputs: int = 16, num_hiddens: int = 32, num_layers: int = 2, dropout: float = 0.0
) -> nn.RNN:
    """The RNN of torch, of several layers."""
    return nn.RNN(num_inputs, num_hiddens, num_layers, dropout=dropout)


def deep_gru(
    num_inputs: int = 16, num_hiddens: int = 32, num_layers: int = 2, dropout: float = 0.0
) -> nn.GRU:
    """The GRU of torch, of several layers."""
    return nn.GRU(num_inputs, num_hiddens, num_layers, dropout=dropout)


def deep_lstm(
    num_inputs: int = 16, num_hiddens: int = 32, num_layers: int = 2, dropout: float = 0.0
) -> nn.LSTM:
    """The LSTM of torch, of several layers."""
    return nn.LSTM(num_inputs, num_hiddens, num_layers, dropout=dropout)
