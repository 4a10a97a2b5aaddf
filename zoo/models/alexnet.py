"""AlexNet in one tower.

Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks",
2012, section 3.5 and figure 2. Dive into Deep Learning, 8.1. Unlike the paper's, it is not split
over two GPUs and has no response normalisation; the first convolution is padded by 1, which gives
54x54 of 224x224.

    conv 96 11x11 stride 4 pad 1, ReLU, max pool 3 stride 2
    conv 256 5x5 pad 2, ReLU, max pool 3 stride 2
    conv 384, 384, 256 3x3 pad 1, ReLU after each, max pool 3 stride 2
    linear 4096, ReLU, dropout, twice; linear 10
"""

from __future__ import annotations

from torch import nn

from zoo.models._init import XavierConv2d, XavierLinear


class AlexNet(nn.Sequential):
    """Five convolutions and three linear layers. Shapes are for (B, C, 224, 224).

    Args:
        num_classes: Width of the output.
        dropout: Share of the hidden linear units that a training step leaves out.
    """

    def __init__(self, num_classes: int = 10, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv1 = XavierConv2d(96, kernel_size=11, stride=4, padding=1)  # (B, 96, 54, 54)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(kernel_size=3, stride=2)  # (B, 96, 26, 26)
        self.conv2 = XavierConv2d(256, kernel_size=5, padding=2)  # (B, 256, 26, 26)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(kernel_size=3, stride=2)  # (B, 256, 12, 12)
        self.conv3 = XavierConv2d(384, kernel_size=3, padding=1)  # (B, 384, 12, 12)
        self.relu3 = nn.ReLU()
        self.conv4 = XavierConv2d(384, kernel_size=3, padding=1)  # (B, 384, 12, 12)
        self.relu4 = nn.ReLU()
        self.conv5 = XavierConv2d(256, kernel_size=3, padding=1)  # (B, 256, 12, 12)
        self.relu5 = nn.ReLU()
        self.pool5 = nn.MaxPool2d(kernel_size=3, stride=2)  # (B, 256, 5, 5)
        self.flatten = nn.Flatten()  # (B, 6400)
        self.fc6 = XavierLinear(4096)  # (B, 4096)
        self.relu6 = nn.ReLU()
        self.drop6 = nn.Dropout(dropout)
        self.fc7 = XavierLinear(4096)  # (B, 4096)
        self.relu7 = nn.ReLU()
        self.drop7 = nn.Dropout(dropout)
        self.fc8 = XavierLinear(num_classes)  # (B, classes)


def alexnet(num_classes: int = 10, *, dropout: float = 0.5) -> AlexNet:
    """AlexNet of the book."""
    return AlexNet(num_classes, dropout=dropout)
