"""GoogLeNet: four kernel sizes side by side.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke and Rabinovich, "Going deeper with
convolutions", 2014, table 1. Dive into Deep Learning, 8.4. As in the book there are no auxiliary
classifiers, no response normalisation and no dropout. Channels of the Inception blocks, in the
table's order:

          1x1   3x3: reduce, out   5x5: reduce, out   pool   sum
    3a     64          96   128          16    32       32    256
    3b    128         128   192          32    96       64    480
    4a    192          96   208          16    48       64    512
    4b    160         112   224          24    64       64    512
    4c    128         128   256          24    64       64    512
    4d    112         144   288          32    64       64    528
    4e    256         160   320          32   128      128    832
    5a    256         160   320          32   128      128    832
    5b    384         192   384          48   128      128   1024
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models._init import XavierConv2d, XavierLinear


class Inception(nn.Module):
    """Four branches on one input, their channels joined; height and width stay (figure 2b).

    Args:
        c1: Channels of the 1x1 branch.
        c2: Channels of the 3x3 branch: its 1x1 reduction, its output.
        c3: Channels of the 5x5 branch: its 1x1 reduction, its output.
        c4: Channels of the 1x1 convolution that follows the 3x3 max pool.
    """

    def __init__(self, c1: int, c2: tuple[int, int], c3: tuple[int, int], c4: int) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(XavierConv2d(c1, kernel_size=1), nn.ReLU())
        self.branch2 = nn.Sequential(
            XavierConv2d(c2[0], kernel_size=1),
            nn.ReLU(),
            XavierConv2d(c2[1], kernel_size=3, padding=1),
            nn.ReLU(),
        )
        self.branch3 = nn.Sequential(
            XavierConv2d(c3[0], kernel_size=1),
            nn.ReLU(),
            XavierConv2d(c3[1], kernel_size=5, padding=2),
            nn.ReLU(),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1),
            XavierConv2d(c4, kernel_size=1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """Join the branches: (B, C, H, W) -> (B, c1 + c2[1] + c3[1] + c4, H, W)."""
        one = self.branch1(x)  # (B, c1, H, W)
        three = self.branch2(x)  # (B, c2[1], H, W)
        five = self.branch3(x)  # (B, c3[1], H, W)
        pooled = self.branch4(x)  # (B, c4, H, W)
        return torch.cat((one, three, five, pooled), dim=1)


class GoogLeNet(nn.Sequential):
    """A stem, nine Inception blocks and one linear layer. Shapes are for (B, C, 96, 96).

    Args:
        num_classes: Width of the output.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.b1 = nn.Sequential(
            XavierConv2d(64, kernel_size=7, stride=2, padding=3),  # (B, 64, 48, 48)
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),  # (B, 64, 24, 24)
        )
        self.b2 = nn.Sequential(
            XavierConv2d(64, kernel_size=1),  # (B, 64, 24, 24)
            nn.ReLU(),
            XavierConv2d(192, kernel_size=3, padding=1),  # (B, 192, 24, 24)
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),  # (B, 192, 12, 12)
        )
        self.b3 = nn.Sequential(
            Inception(64, (96, 128), (16, 32), 32),  # (B, 256, 12, 12)
            Inception(128, (128, 192), (32, 96), 64),  # (B, 480, 12, 12)
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),  # (B, 480, 6, 6)
        )
        self.b4 = nn.Sequential(
            Inception(192, (96, 208), (16, 48), 64),  # (B, 512, 6, 6)
            Inception(160, (112, 224), (24, 64), 64),  # (B, 512, 6, 6)
            Inception(128, (128, 256), (24, 64), 64),  # (B, 512, 6, 6)
            Inception(112, (144, 288), (32, 64), 64),  # (B, 528, 6, 6)
            Inception(256, (160, 320), (32, 128), 128),  # (B, 832, 6, 6)
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),  # (B, 832, 3, 3)
        )
        self.b5 = nn.Sequential(
            Inception(256, (160, 320), (32, 128), 128),  # (B, 832, 3, 3)
            Inception(384, (192, 384), (48, 128), 128),  # (B, 1024, 3, 3)
            nn.AdaptiveAvgPool2d(1),  # (B, 1024, 1, 1)
            nn.Flatten(),  # (B, 1024)
        )
        self.head = XavierLinear(num_classes)  # (B, classes)


def googlenet(num_classes: int = 10) -> GoogLeNet:
    """GoogLeNet of the book."""
    return GoogLeNet(num_classes)
