"""GRU: gates say how much of the state is looked at, and how much of it is kept.

Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk and Bengio, "Learning phrase
representations using RNN encoder-decoder for statistical machine translation", 2014, section 2.3.
Dive into Deep Learning, 10.2. Of each step, by the book's names (* is elementwise):

    R  = sigmoid(X W_xr + H' W_hr + b_r)            reset gate
    Z  = sigmoid(X W_xz + H' W_hz + b_z)            update gate
    H~ = tanh(X W_xh + (R * H') W_hh + b_h)         candidate
    H  = Z * H' + (1 - Z) * H~

torch's layer (and cuDNN's) resets after the product with W_hh, not before, so that all products
with H' are one; its candidate has a second bias, inside:

    H~ = tanh(X W_xh + R * (H' W_hh + b_hh) + b_h)

`gru_scratch(reset_after=True)` is that one. T steps, B sequences, I inputs, H hidden units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models.rnn import bias, weight


class GRUScratch(nn.Module):
    """One gated layer as a loop. (T, B, I) -> outputs (T, B, H), last state (B, H).

    Args:
        num_inputs: Inputs I of a step.
        num_hiddens: Hidden units H.
        sigma: Standard deviation of the weights at the start.
        reset_after: Whether the reset gate works on the product with W_hh, as in torch, and not on
            the state, as in the paper and in the book.
    """

    def __init__(
        self, num_inputs: int, num_hiddens: int, sigma: float = 0.01, *, reset_after: bool = False
    ) -> None:
        super().__init__()
        self.num_hiddens = num_hiddens
        self.W_xr = weight(num_inputs, num_hiddens, sigma)
        self.W_hr = weight(num_hiddens, num_hiddens, sigma)
        self.b_r = bias(num_hiddens)
        self.W_xz = weight(num_inputs, num_hiddens, sigma)
        self.W_hz = weight(num_hiddens, num_hiddens, sigma)
        self.b_z = bias(num_hiddens)
        self.W_xh = weight(num_inputs, num_hiddens, sigma)
        self.W_hh = weight(num_hiddens, num_hiddens, sigma)
        self.b_h = bias(num_hiddens)
        self.b_hh = bias(num_hiddens) if reset_after else None

    def candidate(self, x: Tensor, state: Tensor, reset: Tensor) -> Tensor:
        """(B, I), (B, H), (B, H) -> what the state would be without the update gate, (B, H)."""
        if self.b_hh is None:
            seen = (reset * state) @ self.W_hh  # (B, H)
        else:
            seen = reset * (state @ self.W_hh + self.b_hh)  # (B, H)
        return torch.tanh(x @ self.W_xh + seen + self.b_h)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(T, B, I), (B, H) or None for zeros -> (T, B, H), (B, H)."""
        if state is None:
            state = inputs.new_zeros(inputs.shape[1], self.num_hiddens)  # (B, H)
        outputs = []
        for x in inputs:  # (B, I)
            reset = torch.sigmoid(x @ self.W_xr + state @ self.W_hr + self.b_r)  # (B, H)
            update = torch.sigmoid(x @ self.W_xz + state @ self.W_hz + self.b_z)  # (B, H)
            new = self.candidate(x, state, reset)  # (B, H)
            state = update * state + (1 - update) * new  # (B, H)
            outputs.append(state)
        return torch.stack(outputs), state  # (T, B, H), (B, H)


def gru_scratch(
    num_inputs: int = 16,
    num_hiddens: int = 32,
    sigma: float = 0.01,
    *,
    reset_after: bool = False,
) -> GRUScratch:
    """The book's loop; with `reset_after` it is what torch's layer computes."""
    return GRUScratch(num_inputs, num_hiddens, sigma, reset_after=reset_after)


def gru(num_inputs: int = 16, num_hiddens: int = 32) -> nn.GRU:
    """The layer of torch."""
    return nn.GRU(num_inputs, num_hiddens)
