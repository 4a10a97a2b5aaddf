"""DCGAN: images from noise, and a network that tells them from real ones.

Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional
generative adversarial networks", 2015, section 3 and figure 1. Dive into Deep Learning, 20.2.
Channels and side of the image after each layer, with n = 64:

    generator      100, 1    8n, 4    4n, 8     2n, 16   n, 32    3, 64    tanh
    discriminator  3, 64     n, 32    2n, 16    4n, 8    8n, 4    1, 1

Every convolution has a 4x4 kernel; stride 2 and padding 1 double or halve the side, stride 1
without padding goes from 1 to 4 and back. No biases; weights start from N(0, 0.02). As in the
book, each block has a batch norm, the discriminator's first too, which the paper leaves out, and
the discriminator returns a score without sigmoid.
"""

from __future__ import annotations

from torch import Tensor, nn

STD = 0.02
"""Standard deviation of the weights at the start."""


def draw(model: nn.Module) -> None:
    """Draw the weights of the convolutions below `model` from N(0, 0.02)."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=STD)


class GBlock(nn.Module):
    """Transposed convolution, norm, ReLU. (B, in, H, W) -> (B, out, 2 H, 2 W) by default.

    Args:
        out_channels: Channels of the output.
        in_channels: Channels of the input.
        kernel_size: Side of the kernel.
        strides: Pixels of the output to a pixel of the input.
        padding: Pixels cut off each side of the output.
    """

    def __init__(
        self,
        out_channels: int,
        in_channels: int = 3,
        kernel_size: int = 4,
        strides: int = 2,
        padding: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(
            in_channels, out_channels, kernel_size, strides, padding, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:  # (B, in, H, W)
        """(B, in, H, W) -> (B, out, (H - 1) * strides + kernel - 2 * padding, likewise of W)."""
        y: Tensor = self.activation(self.norm(self.conv(x)))
        return y


class DBlock(nn.Module):
    """Convolution, norm, leaky ReLU. (B, in, H, W) -> (B, out, H / 2, W / 2) by default.

    Args:
        out_channels: Channels of the output.
        in_channels: Channels of the input.
        kernel_size: Side of the kernel.
        strides: Pixels of the input to a pixel of the output.
        padding: Pixels added to each side of the input.
        alpha: Slope of the activation below 0.
    """

    def __init__(
        self,
        out_channels: int,
        in_channels: int = 3,
        kernel_size: int = 4,
        strides: int = 2,
        padding: int = 1,
        alpha: float = 0.2,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, strides, padding, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.activation = nn.LeakyReLU(alpha)

    def forward(self, x: Tensor) -> Tensor:  # (B, in, H, W)
        """(B, in, H, W) -> (B, out, (H + 2 * padding - kernel) / strides + 1, likewise of W)."""
        y: Tensor = self.activation(self.norm(self.conv(x)))
        return y


class Generator(nn.Sequential):
    """Noise to an image within -1 and 1. (B, latent, 1, 1) -> (B, image_channels, 64, 64).

    Args:
        width: Channels n before the last layer.
        latent: Numbers of noise for each image.
        image_channels: Channels of the image.
    """

    def __init__(self, width: int = 64, latent: int = 100, image_channels: int = 3) -> None:
        super().__init__(
            GBlock(8 * width, latent, strides=1, padding=0),  # (B, 8n, 4, 4)
            GBlock(4 * width, 8 * width),  # (B, 4n, 8, 8)
            GBlock(2 * width, 4 * width),  # (B, 2n, 16, 16)
            GBlock(width, 2 * width),  # (B, n, 32, 32)
            nn.ConvTranspose2d(width, image_channels, 4, 2, 1, bias=False),  # (B, 3, 64, 64)
            nn.Tanh(),
        )
        draw(self)


class Discriminator(nn.Sequential):
    """An image to a score, high for real ones. (B, image_channels, 64, 64) -> (B, 1, 1, 1).

    Args:
        width: Channels n after the first block.
        image_channels: Channels of the image.
    """

    def __init__(self, width: int = 64, image_channels: int = 3) -> None:
        super().__init__(
            DBlock(width, image_channels),  # (B, n, 32, 32)
            DBlock(2 * width, width),  # (B, 2n, 16, 16)
            DBlock(4 * width, 2 * width),  # (B, 4n, 8, 8)
            DBlock(8 * width, 4 * width),  # (B, 8n, 4, 4)
            nn.Conv2d(8 * width, 1, 4, bias=False),  # (B, 1, 1, 1)
        )
        draw(self)


def dcgan_generator(width: int = 64, latent: int = 100, image_channels: int = 3) -> Generator:
    """The book's generator of 64x64 images."""
    return Generator(width, latent, image_channels)


def dcgan_discriminator(width: int = 64, image_channels: int = 3) -> Discriminator:
    """The book's discriminator of 64x64 images."""
    return Discriminator(width, image_channels)
