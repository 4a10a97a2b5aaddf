"""Norms that torch has not, or not as these models want them.

Zhang and Sennrich, "Root mean square layer normalization", 2019, equation 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Divides by the root of the mean square over the last dim. (..., C) -> (..., C).

    Args:
        width: C.
        eps: Added to the mean square.
        dtype: Of the weight. The norm itself is computed in float32.
    """

    def __init__(self, width: int, eps: float, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:  # (..., C)
        """(..., C) -> (..., C)."""
        wide = x.float()  # (..., C)
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)  # (..., 1)
        normed: Tensor = self.weight * (wide * scale).to(x.dtype)  # (..., C)
        return normed
