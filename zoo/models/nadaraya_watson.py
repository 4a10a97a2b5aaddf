"""Nadaraya-Watson regression: attention without weights, by distance alone.

Nadaraya, "On estimating regression", 1964; Watson, "Smooth regression analysis", 1964. Dive into
Deep Learning, 11.2. The answer to a query is the mean of the values, each weighted by how near its
key is. With u the Euclidean distance of query and key divided by the width of the kernel:

    gaussian        exp(-u^2 / 2)
    boxcar          1 where u < 1, else 0
    constant        1: the plain mean
    epanechnikov    max(1 - u, 0), as the book has it; elsewhere 1 - u^2

A query that no key is near enough to gets the plain mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

if TYPE_CHECKING:
    from collections.abc import Callable


def boxcar(u: Tensor) -> Tensor:
    """1 where the distance is below 1, else 0."""
    return (u < 1).to(u.dtype)


def epanechnikov(u: Tensor) -> Tensor:
    """Falls from 1 at distance 0 to 0 at distance 1."""
    return (1 - u).clamp(min=0)


KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "boxcar": boxcar,
    "constant": torch.ones_like,
    "epanechnikov": epanechnikov,
}
"""Kernels that need not be scaled; the Gaussian is a softmax."""


class NadarayaWatson(nn.Module):
    """Weighted mean of values, by the distance of their keys.

    Args:
        kernel: gaussian, boxcar, constant or epanechnikov.
        width: Distance that counts as 1.
        learn_width: Whether the width is a parameter; it stays positive.

    Raises:
        ValueError: There is no such kernel, or the width is not positive.
    """

    def __init__(
        self, kernel: str = "gaussian", width: float = 1.0, *, learn_width: bool = False
    ) -> None:
        super().__init__()
        if kernel != "gaussian" and kernel not in KERNELS:
            raise ValueError(f"kernel {kernel!r} is none of gaussian, {', '.join(KERNELS)}")
        if width <= 0:
            raise ValueError(f"a kernel cannot be {width} wide: the width is above 0")
        self.kernel = kernel
        log_width = torch.tensor(width).log()
        if learn_width:
            self.log_width = nn.Parameter(log_width)
        else:
            self.register_buffer("log_width", log_width)

    def weights(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Shares of each key: (B, Q, D), (B, K, D) -> (B, Q, K), their sum over keys is 1."""
        apart = queries[:, :, None] - keys[:, None]  # (B, Q, K, D)
        u = apart.norm(dim=-1) / self.log_width.exp()  # (B, Q, K)
        if self.kernel == "gaussian":
            return softmax(-u.square() / 2, dim=-1)  # (B, Q, K)
        near = KERNELS[self.kernel](u)  # (B, Q, K)
        reached = near.sum(dim=-1, keepdim=True) > 0  # (B, Q, 1)
        near = torch.where(reached, near, 1.0)  # (B, Q, K)
        return near / near.sum(dim=-1, keepdim=True)  # (B, Q, K)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(B, Q, D), (B, K, D), (B, K, V) -> (B, Q, V)."""
        return self.weights(queries, keys) @ values


def nadaraya_watson(
    kernel: str = "gaussian", width: float = 1.0, *, learn_width: bool = False
) -> NadarayaWatson:
    """Attention pooling of the book."""
    return NadarayaWatson(kernel, width, learn_width=learn_width)
