"""LSTM: beside its state, a layer carries a memory that gates write, keep and read.

Hochreiter and Schmidhuber, "Long short-term memory", 1997; the forget gate is of Gers, Schmidhuber
and Cummins, "Learning to forget", 2000. Dive into Deep Learning, 10.1. Of each step, by the book's
names (* is elementwise):

    I  = sigmoid(X W_xi + H' W_hi + b_i)    input gate
    F  = sigmoid(X W_xf + H' W_hf + b_f)    forget gate
    O  = sigmoid(X W_xo + H' W_ho + b_o)    output gate
    C~ = tanh(X W_xc + H' W_hc + b_c)       input node
    C  = F * C' + I * C~                    memory
    H  = O * tanh(C)                        state

torch's layer computes the same; it has two biases where the book has one, and adds them. T steps, B
sequences, I inputs, H hidden units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models.rnn import bias, weight


class LSTMScratch(nn.Module):
    """One layer with a memory, as a loop. (T, B, I) -> outputs (T, B, H), last state, memory.

    Args:
        num_inputs: Inputs I of a step.
        num_hiddens: Hidden units H.
        sigma: Standard deviation of the weights at the start.
    """

    def __init__(self, num_inputs: int, num_hiddens: int, sigma: float = 0.01) -> None:
        super().__init__()
        self.num_hiddens = num_hiddens
        self.W_xi = weight(num_inputs, num_hiddens, sigma)
        self.W_hi = weight(num_hiddens, num_hiddens, sigma)
        self.b_i = bias(num_hiddens)
        self.W_xf = weight(num_inputs, num_hiddens, sigma)
        self.W_hf = weight(num_hiddens, num_hiddens, sigma)
        self.b_f = bias(num_hiddens)
        self.W_xo = weight(num_inputs, num_hiddens, sigma)
        self.W_ho = weight(num_hiddens, num_hiddens, sigma)
        self.b_o = bias(num_hiddens)
        self.W_xc = weight(num_inputs, num_hiddens, sigma)
        self.W_hc = weight(num_hiddens, num_hiddens, sigma)
        self.b_c = bias(num_hiddens)

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(T, B, I), two of (B, H) or None for zeros -> (T, B, H), two of (B, H)."""
        if state is None:
            zeros = inputs.new_zeros(inputs.shape[1], self.num_hiddens)  # (B, H)
            state = (zeros, zeros)
        h, c = state  # (B, H), (B, H)
        outputs = []
        for x in inputs:  # (B, I)
            enter = torch.sigmoid(x @ self.W_xi + h @ self.W_hi + self.b_i)  # (B, H)
            forget = torch.sigmoid(x @ self.W_xf + h @ self.W_hf + self.b_f)  # (B, H)
            leave = torch.sigmoid(x @ self.W_xo + h @ self.W_ho + self.b_o)  # (B, H)
            new = torch.tanh(x @ self.W_xc + h @ self.W_hc + self.b_c)  # (B, H)
            c = forget * c + enter * new  # (B, H)
            h = leave * torch.tanh(c)  # (B, H)
            outputs.append(h)
        return torch.stack(outputs), (h, c)  # (T, B, H), two of (B, H)


def lstm_scratch(num_inputs: int = 16, num_hiddens: int = 32, sigma: float = 0.01) -> LSTMScratch:
    """The book's loop."""
    return LSTMScratch(num_inputs, num_hiddens, sigma)


def lstm(num_inputs: int = 16, num_hiddens: int = 32) -> nn.LSTM:
    """The layer of torch."""
    return nn.LSTM(num_inputs, num_hiddens)
