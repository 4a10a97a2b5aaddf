"""Parts of the Inceptions that came after GoogLeNet: branches on one input, and what is in them.

Ioffe and Szegedy 2015 (v2), Szegedy, Vanhoucke, Ioffe, Shlens and Wojna 2015 (v3), Szegedy, Ioffe,
Vanhoucke and Alemi 2016 (v4 and the residual ones). A block of any of them is a `Branches` of
sequences of `ConvNorm`; a branch that splits again ends in another `Branches`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models._init import XavierConv2d, XavierLinear

EPS = 1e-3
"""What all of them add to a batch norm's variance (the published weights' value)."""


class ConvNorm(nn.Sequential):
    """A convolution, a batch norm and ReLU: (B, C, H, W) -> (B, channels, H', W').

    Args:
        channels: Channels of the output.
        kernel: Height and width of the window, in pixels.
        stride: Step of the window, in pixels.
        valid: Whether the image is not padded; else H' = H / stride.
        bias: Whether the convolution has one, which the norm then takes away again.
    """

    def __init__(
        self,
        channels: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        *,
        valid: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (0, 0) if valid else (height // 2, width // 2)
        self.conv = XavierConv2d(
            channels, kernel_size=(height, width), stride=stride, padding=padding, bias=bias
        )
        self.norm = nn.BatchNorm2d(channels, eps=EPS)
        self.act = nn.ReLU(inplace=True)


class Branches(nn.ModuleList):
    """Modules on one input, their channels joined: (B, C, H, W) -> (B, sum of channels, H', W')."""

    def forward(self, x: Tensor) -> Tensor:
        """All branches must give one height and width."""
        return torch.cat([branch(x) for branch in self], dim=1)


class ScaledResidual(nn.Module):
    """Adds a small share of what branches make of the input (section 3.3 of the 2016 paper).

    Args:
        channels: Channels of the input, and of the output.
        branches: Their joined channels are brought to `channels` by a 1x1 convolution with a bias.
        scale: What that is multiplied by; at 1 a wide network's activations grow until it dies.
        act: Whether ReLU follows.
    """

    def __init__(
        self, channels: int, branches: nn.Module, scale: float, *, act: bool = True
    ) -> None:
        super().__init__()
        self.branches = branches
        self.project = XavierConv2d(channels, kernel_size=1)
        self.scale = scale
        self.act: nn.Module = nn.ReLU() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """(B, C, H, W) -> (B, C, H, W)."""
        change = self.project(self.branches(x))  # (B, C, H, W)
        y: Tensor = self.act(x + self.scale * change)  # (B, C, H, W)
        return y


def average_branch(channels: int) -> nn.Sequential:
    """A 3x3 average pool and a 1x1 convolution: (B, C, H, W) -> (B, channels, H, W).

    Args:
        channels: Channels of the output.

    Returns:
        The branch.
    """
    return nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), ConvNorm(channels, 1))


def classifier(num_classes: int, dropout: float) -> nn.Sequential:
    """Global average, dropout and a linear layer: (B, C, H, W) -> (B, classes).

    Args:
        num_classes: Width of the output.
        dropout: Probability with which a feature is left out in training.

    Returns:
        The head of all of these networks.
    """
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), XavierLinear(num_classes)
    )
