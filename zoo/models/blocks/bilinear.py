"""Bilinear interpolation as the kernel of a transposed convolution.

Long, Shelhamer and Darrell, "Fully convolutional networks for semantic segmentation", 2014,
section 3.3; Dive into Deep Learning, 14.11. With stride s, kernel 2 s and padding s / 2, each
output pixel is a mean of the input pixels around it, weighted by how near they are.
"""

from __future__ import annotations

import torch
from torch import Tensor


def bilinear_kernel(in_channels: int, out_channels: int, kernel_size: int) -> Tensor:
    """Weights with which a transposed convolution enlarges each channel on its own.

    Args:
        in_channels: I.
        out_channels: O; those above I stay empty.
        kernel_size: K.

    Returns:
        (I, O, K, K): a pyramid for each channel's own output, 0 for the others.
    """
    factor = (kernel_size + 1) // 2
    center = (kernel_size - 1) / 2 if kernel_size % 2 else factor - 0.5
    hat = 1 - (torch.arange(kernel_size) - center).abs() / factor  # (K,)
    own = torch.eye(in_channels, out_channels)[:, :, None, None]  # (I, O, 1, 1)
    return own * hat[:, None] * hat  # (I, O, K, K)
