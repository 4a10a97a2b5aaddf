"""LeNet with batch normalization before every sigmoid.

Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal
covariate shift", 2015, algorithm 1. Dive into Deep Learning, 8.5 (concise implementation). The
first convolution is not padded here, so 256 features are flattened, not LeNet's 400.

    conv 6 5x5, batch norm, sigmoid, average pool 2
    conv 16 5x5, batch norm, sigmoid, average pool 2
    linear 120, batch norm, sigmoid, linear 84, batch norm, sigmoid, linear 10
"""

from __future__ import annotations

from torch import nn

from zoo.models._init import XavierConv2d, XavierLinear


class BNLeNet(nn.Sequential):
    """LeNet whose hidden layers are normalised. Shapes are for (B, C, 28, 28); B > 1 in training.

    Args:
        num_classes: Width of the output.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = XavierConv2d(6, kernel_size=5)  # (B, 6, 24, 24)
        self.bn1 = nn.LazyBatchNorm2d()
        self.act1 = nn.Sigmoid()
        self.pool1 = nn.AvgPool2d(kernel_size=2, stride=2)  # (B, 6, 12, 12)
        self.conv2 = XavierConv2d(16, kernel_size=5)  # (B, 16, 8, 8)
        self.bn2 = nn.LazyBatchNorm2d()
        self.act2 = nn.Sigmoid()
        self.pool2 = nn.AvgPool2d(kernel_size=2, stride=2)  # (B, 16, 4, 4)
        self.flatten = nn.Flatten()  # (B, 256)
        self.fc1 = XavierLinear(120)  # (B, 120)
        self.bn3 = nn.LazyBatchNorm1d()
        self.act3 = nn.Sigmoid()
        self.fc2 = XavierLinear(84)  # (B, 84)
        self.bn4 = nn.LazyBatchNorm1d()
        self.act4 = nn.Sigmoid()
        self.fc3 = XavierLinear(num_classes)  # (B, classes)


def lenet_bn(num_classes: int = 10) -> BNLeNet:
    """LeNet with batch normalization."""
    return BNLeNet(num_classes)
