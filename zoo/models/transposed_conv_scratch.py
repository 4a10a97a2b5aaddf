"""Transposed convolution from scratch, and as a product with a matrix.

Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, chapter 4. Dive
into Deep Learning, 14.10. Each input pixel lays a copy of the kernel, scaled by its value, onto
the output, `stride` pixels from its neighbour's; where copies overlap they add up. Padding is cut
off the output. With kernel K, stride S and padding P:

    height out = (H - 1) S + K - 2 P

A convolution is a product with a sparse matrix; the transposed convolution of the same kernel is
the product with that matrix transposed (section 4.1 of the paper), which is where it has its name
from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def spread(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    """Lay a scaled copy of the kernel at every pixel.

    Args:
        x: (B, I, H, W).
        weight: (I, O, K, L).
        stride: Pixels of the output between copies of neighbouring pixels.

    Returns:
        (B, O, (H - 1) * stride + K, (W - 1) * stride + L).
    """
    batch, _, height, width = x.shape
    _, channels, rows, columns = weight.shape
    tall, wide = (height - 1) * stride + 1, (width - 1) * stride + 1
    y = x.new_zeros(batch, channels, tall + rows - 1, wide + columns - 1)
    for row in range(rows):
        for column in range(columns):
            copy = torch.einsum("bihw,io->bohw", x, weight[:, :, row, column])  # (B, O, H, W)
            y[:, :, row : row + tall : stride, column : column + wide : stride] += copy
    return y


def kernel_matrix(kernel: Tensor, height: int, width: int) -> Tensor:
    """The matrix of a convolution without padding on one channel: `m @ x.flatten()` is its result.

    Args:
        kernel: (K, L).
        height: H of its input.
        width: W of its input.

    Returns:
        ((H - K + 1) * (W - L + 1), H * W); its transpose is the matrix of the transposed
        convolution.

    Raises:
        ValueError: The kernel is larger than the input.
    """
    rows, columns = kernel.shape
    if rows > height or columns > width:
        raise ValueError(
            f"a kernel of {rows} x {columns} does not fit into an input of {height} x {width}"
        )
    places = [(i, j) for i in range(height - rows + 1) for j in range(width - columns + 1)]
    matrix = kernel.new_zeros(len(places), height, width)
    for place, (i, j) in enumerate(places):
        matrix[place, i : i + rows, j : j + columns] = kernel
    return matrix.flatten(1)


class TransposedConvScratch(nn.Module):
    """A transposed convolution made of products and sums.

    Args:
        in_channels: Channels I of the input.
        out_channels: Channels O of the output.
        kernel_size: Side K of the kernel.
        stride: Pixels of the output to a pixel of the input.
        padding: Pixels cut off each side of the output.
        bias: Whether each output channel has a bias.

    Raises:
        ValueError: The kernel or the stride is below 1, or the padding negative.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        kernel_size: int = 4,
        stride: int = 2,
        padding: int = 1,
        *,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if min(kernel_size, stride) < 1 or padding < 0:
            raise ValueError(
                f"kernel {kernel_size}, stride {stride} and padding {padding}: "
                "give a kernel and a stride of 1 or more, and a padding of 0 or more"
            )
        self.stride, self.padding = stride, padding
        weight = torch.empty(in_channels, out_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(nn.init.xavier_uniform_(weight))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:  # (B, I, H, W)
        """(B, I, H, W) -> (B, O, (H - 1) * stride + K - 2 * padding, likewise of W)."""
        y = spread(x, self.weight, self.stride)  # (B, O, (H - 1) S + K, (W - 1) S + K)
        height, width = y.shape[-2:]
        y = y[:, :, self.padding : height - self.padding, self.padding : width - self.padding]
        return y if self.bias is None else y + self.bias[:, None, None]


def transposed_conv_scratch(
    in_channels: int = 3,
    out_channels: int = 3,
    kernel_size: int = 4,
    stride: int = 2,
    padding: int = 1,
    *,
    bias: bool = False,
) -> TransposedConvScratch:
    """The layer that doubles an image in the book: kernel 4, stride 2, padding 1."""
    return TransposedConvScratch(in_channels, out_channels, kernel_size, stride, padding, bias=bias)
