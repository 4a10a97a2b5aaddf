"""What tests ask of a module, and of two tensors that should be the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def numel(module: nn.Module) -> int:
    """Elements of all parameters, tied ones once."""
    return sum(parameter.numel() for parameter in module.parameters())


def close(ours: Tensor, theirs: Tensor) -> None:
    """Equal to 1e-5."""
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
