"""Pre-activation ResNets: nothing but addition on the way from the first block to the last.

He, Zhang, Ren and Sun, "Identity mappings in deep residual networks", 2016, figure 4e, section 4
and its appendix. For (B, C, 32, 32), with n blocks in each stage:

    stem     conv 16 3x3                              (B, 16, 32, 32)
    stage    n blocks of 16 channels, or 64           (B, 16, 32, 32), or 64
    stage    n blocks of 32 channels, or 128          (B, 32, 16, 16), or 128
    stage    n blocks of 64 channels, or 256          (B, 64, 8, 8), or 256
    head     norm, ReLU, global average, linear

    layers    20    56   110    6n + 2    norm, ReLU, 3x3, norm, ReLU, 3x3
    n          3     9    18
    layers   164   1001         9n + 2    norm, ReLU, 1x1, norm, ReLU, 3x3, norm, ReLU, 1x1
    n         18    111                   (bottleneck: the 1x1 at its end is 4 times as wide)

No convolution has a bias. The shortcut is the input itself; where shapes differ it is a 1x1
convolution of the input after its norm and ReLU. In the first block of all, norm and ReLU come
before the two paths part (section 4). Without shortcuts the same layers are a plain
network, which does not train when it is deep.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import relu

from zoo.models._init import XavierConv2d
from zoo.models.resnet import head


class PreBasic(nn.Module):
    """Two 3x3 convolutions added to their input.

    Args:
        channels: Channels of both, and of the output.
        strides: Step of the first and of the shortcut, in pixels.
        project: Whether the shortcut is a 1x1 convolution; needed where shapes differ.
        residual: Whether there is a shortcut.
    """

    expansion: ClassVar[int] = 1
    """Output channels per `channels`."""
    layers: ClassVar[int] = 2
    """Convolutions in it."""

    def __init__(
        self, channels: int, strides: int = 1, *, project: bool = False, residual: bool = True
    ) -> None:
        super().__init__()
        self.bn1 = nn.LazyBatchNorm2d()
        self.conv1 = XavierConv2d(channels, kernel_size=3, padding=1, stride=strides, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = XavierConv2d(channels, kernel_size=3, padding=1, bias=False)
        self.project: nn.Module | None = None
        if project and residual:
            self.project = projection(channels, strides)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """(B, C, H, W) -> (B, channels, H / strides, W / strides)."""
        ready = relu(self.bn1(x))  # (B, C, H, W)
        y: Tensor = self.conv1(ready)  # (B, N, H / s, W / s)
        y = self.conv2(relu(self.bn2(y)))  # (B, N, H / s, W / s)
        if self.project is not None:
            x = self.project(ready)  # (B, N, H / s, W / s)
        return y + x if self.residual else y  # (B, N, H / s, W / s)


class PreBottleneck(nn.Module):
    """Convolutions 1x1, 3x3 and 1x1 added to their input.

    Args:
        channels: Channels of the 3x3; the output has four times as many.
        strides: Step of the 3x3 and of the shortcut, in pixels.
        project: Whether the shortcut is a 1x1 convolution; needed where shapes differ.
        residual: Whether there is a shortcut.
    """

    expansion: ClassVar[int] = 4
    """Output channels per `channels`."""
    layers: ClassVar[int] = 3
    """Convolutions in it."""

    def __init__(
        self, channels: int, strides: int = 1, *, project: bool = False, residual: bool = True
    ) -> None:
        super().__init__()
        wide = channels * self.expansion
        self.bn1 = nn.LazyBatchNorm2d()
        self.conv1 = XavierConv2d(channels, kernel_size=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = XavierConv2d(channels, kernel_size=3, padding=1, stride=strides, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.conv3 = XavierConv2d(wide, kernel_size=1, bias=False)
        self.project: nn.Module | None = None
        if project and residual:
            self.project = projection(wide, strides)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """(B, C, H, W) -> (B, 4 * channels, H / strides, W / strides)."""
        ready = relu(self.bn1(x))  # (B, C, H, W)
        y: Tensor = self.conv1(ready)  # (B, N, H, W)
        y = self.conv2(relu(self.bn2(y)))  # (B, N, H / s, W / s)
        y = self.conv3(relu(self.bn3(y)))  # (B, 4N, H / s, W / s)
        if self.project is not None:
            x = self.project(ready)  # (B, 4N, H / s, W / s)
        return y + x if self.residual else y  # (B, 4N, H / s, W / s)


def projection(channels: int, strides: int) -> XavierConv2d:
    """A shortcut where shapes differ: (B, C, H, W) -> (B, channels, H / strides, W / strides).

    Args:
        channels: Channels of the output.
        strides: Step, in pixels.

    Returns:
        A 1x1 convolution.
    """
    return XavierConv2d(channels, kernel_size=1, stride=strides, bias=False)


class PreResNet(nn.Sequential):
    """A stem, three stages of blocks and a head: (B, C, H, W) -> (B, classes).

    Args:
        depth: Layers with weights: 6n + 2, of bottlenecks 9n + 2.
        num_classes: Width of the output.
        bottleneck: Whether blocks are bottlenecks.
        width: Channels of the first stage's 3x3s; the others have two and four times as many.
        residual: Whether there are shortcuts.

    Raises:
        ValueError: If no whole number of blocks gives the depth.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 10,
        *,
        bottleneck: bool = False,
        width: int = 16,
        residual: bool = True,
    ) -> None:
        super().__init__()
        block = PreBottleneck if bottleneck else PreBasic
        blocks, rest = divmod(depth - 2, 3 * block.layers)
        if rest or blocks < 1:
            form = "9n + 2, as 164 or 1001," if bottleneck else "6n + 2, as 20 or 110,"
            raise ValueError(f"depth is {form} with bottleneck={bottleneck}; got {depth}")
        self.b1 = XavierConv2d(width, kernel_size=3, padding=1, bias=False)  # (B, W, H, W)
        for stage in range(3):
            strides = 2 if stage else 1
            differs = stage > 0 or bottleneck
            channels = width * 2**stage
            first = block(channels, strides, project=differs, residual=residual)
            if stage == 0 and residual and not bottleneck:
                first.project = nn.Identity()  # of the input after its norm and ReLU
            others = [block(channels, residual=residual) for _ in range(blocks - 1)]
            self.add_module(f"b{stage + 2}", nn.Sequential(first, *others))
        self.head = nn.Sequential(nn.LazyBatchNorm2d(), nn.ReLU(), *head(num_classes))


def preresnet(
    num_classes: int = 10,
    *,
    depth: int = 20,
    bottleneck: bool = False,
    width: int = 16,
    residual: bool = True,
) -> PreResNet:
    """A pre-activation ResNet for small images."""
    return PreResNet(depth, num_classes, bottleneck=bottleneck, width=width, residual=residual)
