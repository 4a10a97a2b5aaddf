"""RNN: a state that each step renews from its input and from itself.

Elman, "Finding structure in time", 1990. Dive into Deep Learning, 9.4 to 9.6. Of each step, by the
book's names:

    H = tanh(X W_xh + H' W_hh + b_h)    H' is the state before the step

    X       (B, I)    W_xh   (I, H)
    H, H'   (B, H)    W_hh   (H, H)    b_h   (H,)

`rnn_scratch` is this loop. `rnn` is torch's layer, which has a second bias, adds both, and keeps
its weights transposed. T steps, B sequences, I inputs and H hidden units; steps come first, as in
the book.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def weight(rows: int, columns: int, sigma: float) -> nn.Parameter:
    """A weight of the book's: normal around 0.

    Args:
        rows: Length of what it multiplies.
        columns: Length of what comes out.
        sigma: Standard deviation.

    Returns:
        (rows, columns).
    """
    return nn.Parameter(nn.init.normal_(torch.empty(rows, columns), std=sigma))


def bias(length: int) -> nn.Parameter:
    """A bias of the book's: zeros.

    Args:
        length: As many.

    Returns:
        (length,).
    """
    return nn.Parameter(torch.zeros(length))


class RNNScratch(nn.Module):
    """One recurrent layer as a loop. (T, B, I) -> outputs (T, B, H), last state (B, H).

    Args:
        num_inputs: Inputs I of a step.
        num_hiddens: Hidden units H.
        sigma: Standard deviation of the weights at the start.
    """

    def __init__(self, num_inputs: int, num_hiddens: int, sigma: float = 0.01) -> None:
        super().__init__()
        self.num_hiddens = num_hiddens
        self.W_xh = weight(num_inputs, num_hiddens, sigma)
        self.W_hh = weight(num_hiddens, num_hiddens, sigma)
        self.b_h = bias(num_hiddens)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(T, B, I), (B, H) or None for zeros -> (T, B, H), (B, H)."""
        if state is None:
            state = inputs.new_zeros(inputs.shape[1], self.num_hiddens)  # (B, H)
        outputs = []
        for x in inputs:  # (B, I)
            state = torch.tanh(x @ self.W_xh + state @ self.W_hh + self.b_h)  # (B, H)
            outputs.append(state)
        return torch.stack(outputs), state  # (T, B, H), (B, H)


def rnn_scratch(num_inputs: int = 16, num_hiddens: int = 32, sigma: float = 0.01) -> RNNScratch:
    """The book's loop, with the sizes of its check."""
    return RNNScratch(num_inputs, num_hiddens, sigma)


def rnn(num_inputs: int = 16, num_hiddens: int = 32) -> nn.RNN:
    """The layer of torch."""
    return nn.RNN(num_inputs, num_hiddens)
