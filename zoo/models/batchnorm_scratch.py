"""Batch normalization written out, in LeNet, and what is wrong with it.

Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal
covariate shift", 2015, algorithms 1 and 2. Dive into Deep Learning, 8.5 (implementation from
scratch). The layer computes what `nn.BatchNorm2d` does, but keeps its moving averages as plain
attributes, as one writes it at first. So they do not follow `model.to("cuda")`; `forward` copies
them to the input's device at the first step; nor are they saved in a state dict. `zoo transfer
batchnorm_scratch --device cuda` names the lines of these copies. The repair is `register_buffer`,
as in the layers of `lenet_bn`.

    conv 6 5x5, batch norm, sigmoid, average pool 2
    conv 16 5x5, batch norm, sigmoid, average pool 2
    linear 120, batch norm, sigmoid, linear 84, batch norm, sigmoid, linear 10
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models._init import XavierConv2d, XavierLinear


def batch_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    moving: tuple[Tensor, Tensor],
    *,
    training: bool,
    eps: float = 1e-5,
    momentum: float = 0.1,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Normalise each feature of (B, F), or each channel of (B, F, H, W), over all else.

    Args:
        x: Features or images.
        weight: What each feature is multiplied by afterwards, of shape (1, F) or (1, F, 1, 1).
        bias: What is added then, likewise.
        moving: Averages of mean and variance over earlier batches, likewise.
        training: Whether the batch's own mean and variance are used, and the averages moved.
        eps: What is added to the variance.
        momentum: Share of this batch in the averages.

    Returns:
        The result, of x's shape, and the averages after.

    Raises:
        ValueError: If in training a feature has one value only, which has no variance.
    """
    if not training:
        mean, var = moving
        return weight * (x - mean) / torch.sqrt(var + eps) + bias, moving
    count = x.numel() // x.shape[1]
    if count < 2:
        raise ValueError(f"batch norm in training wants 2 values a feature or more; got {count}")
    dims = [dim for dim in range(x.dim()) if dim != 1]
    mean = x.mean(dims, keepdim=True)  # (1, F) or (1, F, 1, 1)
    var = ((x - mean) ** 2).mean(dims, keepdim=True)  # likewise
    y = weight * (x - mean) / torch.sqrt(var + eps) + bias
    batch = mean.detach(), var.detach() * count / (count - 1)  # the variance without bias
    old_mean, old_var = ((1 - momentum) * old for old in moving)
    return y, (old_mean + momentum * batch[0], old_var + momentum * batch[1])


class ScratchBatchNorm(nn.Module):
    """Batch norm whose moving averages are no buffers.

    Args:
        features: Features of (B, F), or channels of (B, F, H, W).
        dims: Dims of the input, 2 or 4.
    """

    def __init__(self, features: int, dims: int) -> None:
        super().__init__()
        shape = (1, features) if dims == 2 else (1, features, 1, 1)
        self.weight = nn.Parameter(torch.ones(shape))
        self.bias = nn.Parameter(torch.zeros(shape))
        self.moving_mean = torch.zeros(shape)
        self.moving_var = torch.ones(shape)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F) or (B, F, H, W) -> the same."""
        if self.moving_mean.device != x.device:
            self.moving_mean = self.moving_mean.to(x.device)
            self.moving_var = self.moving_var.to(x.device)
        y, (self.moving_mean, self.moving_var) = batch_norm(
            x,
            self.weight,
            self.bias,
            (self.moving_mean, self.moving_var),
            training=self.training,
        )
        return y


class ScratchBNLeNet(nn.Sequential):
    """LeNet with batch norm from scratch. Shapes are for (B, C, 28, 28); B > 1 in training.

    Args:
        num_classes: Width of the output.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = XavierConv2d(6, kernel_size=5)  # (B, 6, 24, 24)
        self.bn1 = ScratchBatchNorm(6, 4)
        self.act1 = nn.Sigmoid()
        self.pool1 = nn.AvgPool2d(kernel_size=2, stride=2)  # (B, 6, 12, 12)
        self.conv2 = XavierConv2d(16, kernel_size=5)  # (B, 16, 8, 8)
        self.bn2 = ScratchBatchNorm(16, 4)
        self.act2 = nn.Sigmoid()
        self.pool2 = nn.AvgPool2d(kernel_size=2, stride=2)  # (B, 16, 4, 4)
        self.flatten = nn.Flatten()  # (B, 256)
        self.fc1 = XavierLinear(120)  # (B, 120)
        self.bn3 = ScratchBatchNorm(120, 2)
        self.act3 = nn.Sigmoid()
        self.fc2 = XavierLinear(84)  # (B, 84)
        self.bn4 = ScratchBatchNorm(84, 2)
        self.act4 = nn.Sigmoid()
        self.fc3 = XavierLinear(num_classes)  # (B, classes)


def batchnorm_scratch(num_classes: int = 10) -> ScratchBNLeNet:
    """LeNet with batch normalization from scratch."""
    return ScratchBNLeNet(num_classes)
