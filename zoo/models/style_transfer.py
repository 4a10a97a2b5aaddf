"""Neural style transfer: what an image shows and how it is painted, read from one VGG.

Gatys, Ecker and Bethge, "Image style transfer using convolutional neural networks", 2016, section 2
and equations 1 to 7. Dive into Deep Learning, 14.12. Of VGG-19 (without its classifier), on
(B, 3, 300, 450), outputs of these convolutions are read:

    layer   name       features          read as
        0   conv1_1     64, 300, 450     style
        5   conv2_1    128, 150, 225     style
       10   conv3_1    256, 75, 112      style
       19   conv4_1    512, 37, 56       style
       25   conv4_4    512, 37, 56       content
       28   conv5_1    512, 18, 28       style

The network comes trained on something else (torchvision's `vgg19().features` has the same
parameters in the same order); what is trained here is the image. It minimises the sum of three
losses: content (weight 1), style (1e4) and total variation (10, which leaves no lonely bright or
dark pixels).
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from zoo.models._init import XavierConv2d

BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
"""Convolutions and channels of VGG-19's blocks; each ends in a max pool that halves the image."""

STYLE, CONTENT = (0, 5, 10, 19, 28), (25,)
"""Layers of VGG-19 that are read."""


class Features(NamedTuple):
    """What is read of an image."""

    contents: tuple[Tensor, ...]
    """Features that say what is where, (B, C, H, W) each."""
    styles: tuple[Tensor, ...]
    """Features whose statistics say how it is painted, (B, C, H, W) each."""


def vgg19_layers() -> list[nn.Module]:
    """The layers before VGG-19's classifier, numbered as in torchvision's `vgg19().features`."""
    layers: list[nn.Module] = []
    for convolutions, channels in BLOCKS:
        for _ in range(convolutions):
            layers += [XavierConv2d(channels, kernel_size=3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return layers


class StyleFeatures(nn.Module):
    """VGG-19 up to the last layer that is read.

    Args:
        style: Layers read for the style.
        content: Layers read for the content.

    Raises:
        ValueError: A layer is none of VGG-19, or there is none to read.
    """

    def __init__(self, style: tuple[int, ...] = STYLE, content: tuple[int, ...] = CONTENT) -> None:
        super().__init__()
        layers = vgg19_layers()
        wanted = (*style, *content)
        if not wanted or min(wanted) < 0 or max(wanted) >= len(layers):
            raise ValueError(f"layers {wanted} are read, VGG-19 has layers 0 to {len(layers) - 1}")
        self.style, self.content = style, content
        self.layers = nn.Sequential(*layers[: max(wanted) + 1])

    def forward(self, x: Tensor) -> Features:  # (B, 3, H, W)
        """(B, 3, H, W) -> contents and styles, each in order of the layers."""
        contents, styles = [], []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self.style:
                styles.append(x)
            if number in self.content:
                contents.append(x)
        return Features(tuple(contents), tuple(styles))


def gram(features: Tensor) -> Tensor:  # (B, C, H, W)
    """Which channels are strong together, wherever in the image: (B, C, H, W) -> (B, C, C)."""
    flat = features.flatten(2)  # (B, C, H * W)
    return flat @ flat.transpose(1, 2) / flat[0].numel()  # (B, C, C)


def content_loss(features: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference of features, (B, C, H, W) each -> a scalar."""
    return (features - wanted.detach()).square().mean()


def style_loss(features: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference of Gram matrices: (B, C, H, W), (B, C, C) -> a scalar."""
    return (gram(features) - wanted.detach()).square().mean()


def tv_loss(image: Tensor) -> Tensor:  # (B, C, H, W)
    """Mean difference of neighbouring pixels, of columns and of rows: (B, C, H, W) -> a scalar."""
    down = (image[:, :, 1:] - image[:, :, :-1]).abs().mean()
    across = (image[:, :, :, 1:] - image[:, :, :, :-1]).abs().mean()
    return (down + across) / 2


def style_transfer(
    style: tuple[int, ...] = STYLE, content: tuple[int, ...] = CONTENT
) -> StyleFeatures:
    """The book's reader of content and style, with weights drawn anew."""
    return StyleFeatures(style, content)
