"""LeNet-5, as the book has it.

LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998,
figure 2. Dive into Deep Learning, 7.6. Unlike the paper's, pooling has no weights, the second
convolution sees every channel, and the output is linear instead of radial basis functions.

    conv 6 5x5 pad 2, sigmoid, average pool 2
    conv 16 5x5, sigmoid, average pool 2
    linear 120, sigmoid, linear 84, sigmoid, linear 10
"""

from __future__ import annotations

from torch import nn

from zoo.models._init import XavierConv2d, XavierLinear


class LeNet(nn.Sequential):
    """Two convolutions and three linear layers. Shapes are for (B, C, 28, 28).

    Args:
        num_classes: Width of the output.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = XavierConv2d(6, kernel_size=5, padding=2)  # (B, 6, 28, 28)
        self.act1 = nn.Sigmoid()
        self.pool1 = nn.AvgPool2d(kernel_size=2, stride=2)  # (B, 6, 14, 14)
        self.conv2 = XavierConv2d(16, kernel_size=5)  # (B, 16, 10, 10)
        self.act2 = nn.Sigmoid()
        self.pool2 = nn.AvgPool2d(kernel_size=2, stride=2)  # (B, 16, 5, 5)
        self.flatten = nn.Flatten()  # (B, 400)
        self.fc1 = XavierLinear(120)  # (B, 120)
        self.act3 = nn.Sigmoid()
        self.fc2 = XavierLinear(84)  # (B, 84)
        self.act4 = nn.Sigmoid()
        self.fc3 = XavierLinear(num_classes)  # (B, classes)


def lenet(num_classes: int = 10) -> LeNet:
    """LeNet-5 of the book."""
    return LeNet(num_classes)
