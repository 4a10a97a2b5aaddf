"""Convolution and pooling written out, and a network of them.

Dive into Deep Learning, 7.2 to 7.5. A window of h x w slides over the image. Instead of visiting
each of its positions in turn, each of its h * w elements is applied to all positions at once: the
element in row i and column j meets the image shifted by i rows and j columns. With several channels
what meets there is a matrix (output channels, input channels) and a vector of input channels a
pixel: a matrix product, which is all that a 1x1 convolution is.

    conv_scratch, for (B, 1, 28, 28)
    conv 8 5x5 pad 2, ReLU, max pool 2       (B, 8, 14, 14)
    conv 16 3x3 pad 1 stride 2, ReLU         (B, 16, 7, 7)
    conv 16 1x1, ReLU, average pool 7        (B, 16, 1, 1)
    linear 10                                (B, 10)
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from zoo.models._init import XavierLinear
from zoo.models._sizes import at_least_one

if TYPE_CHECKING:
    from collections.abc import Iterator


def corr2d(x: Tensor, kernel: Tensor) -> Tensor:
    """Cross-correlation (7.2): (H, W), (h, w) -> (H - h + 1, W - w + 1).

    Args:
        x: The image.
        kernel: The window, which is not flipped.

    Returns:
        Each window's elements times the kernel's, added up.

    Example:
        >>> corr2d(torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2))
        tensor([[19., 25.],
                [37., 43.]])
    """
    y = corr2d_multi_in_out(x[None], kernel[None, None])  # (1, H', W')
    return y[0]


def corr2d_multi_in(x: Tensor, kernel: Tensor) -> Tensor:
    """Several input channels (7.4): (C, H, W), (C, h, w) -> (H - h + 1, W - w + 1).

    Args:
        x: The channels of an image.
        kernel: A window for each.

    Returns:
        The sum of the channels' cross-correlations.
    """
    return corr2d_multi_in_out(x, kernel[None])[0]


def corr2d_multi_in_out(x: Tensor, kernel: Tensor) -> Tensor:
    """Several output channels (7.4): (C, H, W), (O, C, h, w) -> (O, H - h + 1, W - w + 1).

    Args:
        x: The channels of an image.
        kernel: A window for each pair of output and input channel.

    Returns:
        One image for each output channel.
    """
    return conv2d(x[None], kernel)[0]


def corr2d_1x1(x: Tensor, kernel: Tensor) -> Tensor:
    """A 1x1 convolution as a matrix product (7.4.3): (B, C, H, W), (O, C) -> (B, O, H, W).

    Args:
        x: Images.
        kernel: How much of each input channel is in each output channel.

    Returns:
        Images; each pixel is a product of the matrix and that pixel's channels.
    """
    batch, channels, height, width = x.shape
    pixels = x.reshape(batch, channels, height * width)  # (B, C, H * W)
    return (kernel @ pixels).reshape(batch, -1, height, width)  # (B, O, H, W)


def shifted(x: Tensor, window: tuple[int, int], stride: int) -> Iterator[tuple[int, int, Tensor]]:
    """What each element of a window meets, wherever the window lies.

    Args:
        x: Images (B, C, H, W).
        window: Its height and width, in pixels.
        stride: Its step, in pixels.

    Yields:
        tuple[int, int, Tensor]: Row and column of the element, and (B, C, H', W').

    Raises:
        ValueError: If the window is larger than the image.
    """
    height, width = x.shape[2:]
    rows, columns = height - window[0] + 1, width - window[1] + 1
    if rows < 1 or columns < 1:
        raise ValueError(f"a window of {window[0]}x{window[1]} on an image of {height}x{width}")
    for i in range(window[0]):
        for j in range(window[1]):
            yield i, j, x[:, :, i : i + rows : stride, j : j + columns : stride]


def conv2d(
    x: Tensor, kernel: Tensor, bias: Tensor | None = None, *, padding: int = 0, stride: int = 1
) -> Tensor:
    """A convolution as h * w matrix products (7.3 and 7.4): (B, C, H, W) -> (B, O, H', W').

    Args:
        x: Images.
        kernel: A window for each pair of channels, (O, C, h, w).
        bias: What is added to each output channel, (O,).
        padding: Rows and columns of zeros added on each side, in pixels.
        stride: Step of the window, in pixels.

    Returns:
        Images of H' = (H + 2 * padding - h) // stride + 1 rows; W' likewise.

    Raises:
        ValueError: If image and kernel differ in input channels, or the window is too large.
    """
    if x.shape[1] != kernel.shape[1]:
        raise ValueError(f"a kernel of {kernel.shape[1]} channels on images of {x.shape[1]}")
    height, width = kernel.shape[2:]
    parts = shifted(pad(x, (padding,) * 4), (height, width), stride)
    y = reduce(torch.add, (corr2d_1x1(part, kernel[:, :, i, j]) for i, j, part in parts))
    return y if bias is None else y + bias[:, None, None]  # (B, O, H', W')


def pool2d(
    x: Tensor, size: int, mode: Literal["max", "average"] = "max", *, stride: int | None = None
) -> Tensor:
    """What is largest in each window, or its mean (7.5): (B, C, H, W) -> (B, C, H', W').

    Args:
        x: Images.
        size: Height and width of the window, in pixels.
        mode: What is taken.
        stride: Step of the window, in pixels; its size by default.

    Returns:
        Images of H' = (H - size) // stride + 1 rows; W' likewise.
    """
    parts = [part for _, _, part in shifted(x, (size, size), stride or size)]
    if mode == "max":
        return reduce(torch.maximum, parts)  # (B, C, H', W')
    return reduce(torch.add, parts) / size**2  # (B, C, H', W')


class ScratchConv2d(nn.Module):
    """A convolution with weights of its own: (B, C, H, W) -> (B, out_channels, H', W').

    Args:
        in_channels: Channels C of the input.
        out_channels: Channels O of the output.
        size: Height and width of the window, in pixels.
        padding: Rows and columns of zeros added on each side, in pixels.
        stride: Step of the window, in pixels.

    Raises:
        ValueError: If there are no channels.
    """

    def __init__(
        self, in_channels: int, out_channels: int, size: int, *, padding: int = 0, stride: int = 1
    ) -> None:
        super().__init__()
        at_least_one(in_channels=in_channels, out_channels=out_channels)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, size, size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.xavier_uniform_(self.weight)
        self.padding = padding
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H', W')."""
        return conv2d(x, self.weight, self.bias, padding=self.padding, stride=self.stride)


class ScratchPool2d(nn.Module):
    """Pooling of windows that do not overlap: (B, C, H, W) -> (B, C, H // size, W // size).

    Args:
        size: Height and width of the window, in pixels.
        mode: What is taken of each.
    """

    def __init__(self, size: int, mode: Literal["max", "average"] = "max") -> None:
        super().__init__()
        self.size = size
        self.mode: Literal["max", "average"] = mode

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H // size, W // size)."""
        return pool2d(x, self.size, self.mode)


class ConvScratch(nn.Sequential):
    """Three convolutions and one linear layer. Shapes are for (B, in_channels, 28, 28).

    Args:
        num_classes: Width of the output.
        in_channels: Channels of the input.
    """

    def __init__(self, num_classes: int = 10, *, in_channels: int = 1) -> None:
        super().__init__()
        self.conv1 = ScratchConv2d(in_channels, 8, 5, padding=2)  # (B, 8, 28, 28)
        self.act1 = nn.ReLU()
        self.pool1 = ScratchPool2d(2, "max")  # (B, 8, 14, 14)
        self.conv2 = ScratchConv2d(8, 16, 3, padding=1, stride=2)  # (B, 16, 7, 7)
        self.act2 = nn.ReLU()
        self.conv3 = ScratchConv2d(16, 16, 1)  # (B, 16, 7, 7)
        self.act3 = nn.ReLU()
        self.pool2 = ScratchPool2d(7, "average")  # (B, 16, 1, 1)
        self.flatten = nn.Flatten()  # (B, 16)
        self.head = XavierLinear(num_classes)  # (B, classes)


def conv_scratch(num_classes: int = 10, *, in_channels: int = 1) -> ConvScratch:
    """A small network of convolutions and pools that are written out."""
    return ConvScratch(num_classes, in_channels=in_channels)
