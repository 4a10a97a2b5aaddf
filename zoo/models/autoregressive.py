"""Autoregression: the next value of a series from the last few.

Yule, "On a method of investigating periodicities in disturbed series", 1927. Dive into Deep
Learning, 9.1. A Markov model of order tau: the last tau values are taken to say all that the series
says of the next.

    linear            w . (x(t - tau), ..., x(t - 1)) + b
    with hidden units  linear, ReLU, linear
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Autoregressive(nn.Module):
    """The next value from a window of values. (B, tau) -> (B, 1).

    Args:
        tau: Values that are looked at.
        num_hiddens: Hidden units; 0 for a linear model.

    Raises:
        ValueError: A window of no values, or fewer than no hidden units.
    """

    def __init__(self, tau: int = 4, num_hiddens: int = 0) -> None:
        super().__init__()
        if tau < 1 or num_hiddens < 0:
            raise ValueError(f"it takes tau > 0, num_hiddens >= 0, got {tau} and {num_hiddens}")
        self.tau = tau
        if num_hiddens:
            self.net = nn.Sequential(
                nn.Linear(tau, num_hiddens), nn.ReLU(), nn.Linear(num_hiddens, 1)
            )
        else:
            self.net = nn.Sequential(nn.Linear(tau, 1))

    def windows(self, series: Tensor) -> tuple[Tensor, Tensor]:
        """Every window of a series, and the value that follows it.

        Args:
            series: (T,), T > tau.

        Returns:
            (T - tau, tau) and (T - tau, 1).
        """
        return series[:-1].unfold(0, self.tau, 1), series[self.tau :, None]

    def forward(self, x: Tensor) -> Tensor:  # (B, tau)
        """(B, tau) -> (B, 1)."""
        y: Tensor = self.net(x)  # (B, 1)
        return y

    def ahead(self, x: Tensor, steps: int) -> Tensor:
        """Go on from a window: what is predicted becomes what is looked at.

        Args:
            x: (B, tau).
            steps: Values to predict, K.

        Returns:
            (B, K).
        """
        for _ in range(steps):
            x = torch.cat((x, self(x[:, -self.tau :])), dim=1)  # one longer
        return x[:, self.tau :]


def autoregressive(tau: int = 4) -> Autoregressive:
    """The book's linear regression on the last four values."""
    return Autoregressive(tau)


def autoregressive_mlp(tau: int = 4, num_hiddens: int = 10) -> Autoregressive:
    """The same with a hidden layer."""
    return Autoregressive(tau, num_hiddens)
