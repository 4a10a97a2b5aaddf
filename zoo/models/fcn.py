"""FCN: a class for every pixel, from convolutions alone.

Long, Shelhamer and Darrell, "Fully convolutional networks for semantic segmentation", 2014, section
3. Dive into Deep Learning, 14.11. On (B, 3, 320, 480):

    backbone         torchvision's ResNet-18 without its pool and linear layer    512, 10, 15
    final_conv       1x1 convolution to 21 classes                                 21, 10, 15
    transpose_conv   kernel 64, stride 32, padding 16                              21, 320, 480

21 are the classes of Pascal VOC with background. The transposed convolution starts as bilinear
interpolation, the 1x1 convolution from Xavier's distribution. The paper adds the scores of earlier
stages (FCN-16s, FCN-8s); the book, and this file, are FCN-32s.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from zoo.models._init import XavierConv2d
from zoo.models.blocks.bilinear import bilinear_kernel


class FCN(nn.Module):
    """A backbone, a 1x1 convolution to classes, and a transposed one back to pixels.

    Args:
        backbone: (B, C, H, W) -> features (B, F, H / stride, W / stride).
        num_classes: Channels of the output.
        stride: Pixels of the image to a pixel of the features; even.

    Raises:
        ValueError: `stride` is odd.
    """

    def __init__(self, backbone: nn.Module, num_classes: int = 21, stride: int = 32) -> None:
        super().__init__()
        if stride % 2:
            raise ValueError(f"a stride of {stride} is odd: give an even one")
        self.backbone = backbone
        self.final_conv = XavierConv2d(num_classes, kernel_size=1)
        self.transpose_conv = nn.ConvTranspose2d(
            num_classes, num_classes, kernel_size=2 * stride, stride=stride, padding=stride // 2
        )
        with torch.no_grad():
            kernel = bilinear_kernel(num_classes, num_classes, 2 * stride)
            self.transpose_conv.weight.copy_(kernel)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """(B, C, H, W) -> scores (B, classes, H, W), where H and W are multiples of the stride."""
        x = self.backbone(x)  # (B, F, H / 32, W / 32)
        x = self.final_conv(x)  # (B, classes, H / 32, W / 32)
        scores: Tensor = self.transpose_conv(x)  # (B, classes, H, W)
        return scores


def fcn(num_classes: int = 21) -> FCN:
    """The book's: FCN-32s on ResNet-18."""
    layers = list(resnet18(weights=None).children())
    return FCN(nn.Sequential(*layers[:-2]), num_classes)
