"""Do the convolutional networks learn? On scikit-learn's digits, from a seed, in plain loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from tests.models.learning import one_thread
from zoo.models._init import XavierConv2d, XavierLinear
from zoo.models.anynet import anynet
from zoo.models.batchnorm_scratch import batchnorm_scratch
from zoo.models.blocks.inception import ConvNorm, classifier
from zoo.models.conv_scratch import ScratchConv2d, ScratchPool2d
from zoo.models.densenet import DenseNet
from zoo.models.densenet_cifar import densenet_cifar
from zoo.models.googlenet import Inception
from zoo.models.inception_bn import half_size, same_size
from zoo.models.inception_resnet import block_a as residual_inception
from zoo.models.inception_v3 import split
from zoo.models.lenet import lenet
from zoo.models.lenet_bn import lenet_bn
from zoo.models.mlp import mlp
from zoo.models.nin import nin_block
from zoo.models.preresnet import preresnet
from zoo.models.regnet import regnet
from zoo.models.resnet import Bottleneck, ResNet, head
from zoo.models.resnet_cifar import resnet_cifar
from zoo.models.resnext import ResNeXt
from zoo.models.vgg import vgg_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Digits(NamedTuple):
    """Images (N, 1, 28, 28) and labels (N,), of training and for the test."""

    images: Tensor
    labels: Tensor
    unseen: Tensor
    answers: Tensor


@pytest.fixture(scope="module")
def digits() -> Digits:
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    images = interpolate(images, size=(28, 28), mode="bilinear")
    labels = torch.tensor(data.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    train, test = order[:1437], order[1437:]
    return Digits(images[train], labels[train], images[test], labels[test])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def trained(model: nn.Module, digits: Digits, *, steps: int, rate: float) -> float:
    """Accuracy on images that the model did not see, after some steps of Adam."""
    model(digits.images[:2])
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        batch = torch.randint(0, len(digits.labels), (32,))
        optimizer.zero_grad()
        cross_entropy(model(digits.images[batch]), digits.labels[batch]).backward()
        optimizer.step()
    with torch.no_grad():
        right = model.eval()(digits.unseen).argmax(1) == digits.answers
    return right.float().mean().item()


def test_lenet_is_above_95_percent(digits: Digits) -> None:
    torch.manual_seed(0)
    assert trained(lenet(), digits, steps=500, rate=0.005) > 0.95


def flat() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), XavierLinear(10))


# Each family's own blocks and networks, a few channels wide.
LENETS: dict[str, Callable[[], nn.Module]] = {
    "mlp": mlp,
    "lenet_bn": lenet_bn,
    "batchnorm_scratch": batchnorm_scratch,
}
"""These have the book's image size."""
TOYS: dict[str, Callable[[], nn.Module]] = {
    "conv_scratch": lambda: nn.Sequential(
        ScratchConv2d(1, 8, 3, padding=1), nn.ReLU(), ScratchPool2d(2), flat()
    ),
    "vgg": lambda: nn.Sequential(vgg_block(1, 8), vgg_block(2, 16), flat()),
    "nin": lambda: nn.Sequential(nin_block(16, 5, strides=2), nin_block(16, 3), flat()),
    "googlenet": lambda: nn.Sequential(
        XavierConv2d(8, kernel_size=5, stride=2), Inception(8, (8, 8), (4, 8), 8), flat()
    ),
    "inception_bn": lambda: nn.Sequential(
        ConvNorm(8, 5), half_size((8, 8), (8, 8)), same_size(8, (8, 8), (8, 8), 8), head(10)
    ),
    "inception_v3": lambda: nn.Sequential(ConvNorm(16, 5, 2), split(16), classifier(10, 0.2)),
    "inception_resnet": lambda: nn.Sequential(
        ConvNorm(16, 5, 2), residual_inception(16, 8, 8), flat()
    ),
    "resnet": lambda: ResNet(((1, 4), (1, 8)), block=Bottleneck),
    "resnext": lambda: ResNeXt(((1, 16), (1, 32)), cardinality=4),
    "densenet": lambda: DenseNet((2, 2), growth_rate=8),
    "anynet": lambda: anynet(stem_channels=8, depths=(1, 1), channels=(16, 32), groups=8),
    "regnet": lambda: regnet(w0=8, wa=8.0, wm=2.0, depth=3, group_width=8, squeeze=0.25),
    "resnet_cifar": lambda: resnet_cifar(depth=8, width=8),
    "preresnet": lambda: preresnet(depth=11, bottleneck=True, width=4),
    "densenet_cifar": lambda: densenet_cifar(depth=10, growth_rate=8),
}
"""These get every second pixel."""


@pytest.mark.parametrize("name", [*LENETS, *TOYS])
def test_families_learn(name: str, digits: Digits) -> None:
    torch.manual_seed(0)
    if name in TOYS:
        small = {"images": digits.images[:, :, ::2, ::2], "unseen": digits.unseen[:, :, ::2, ::2]}
        digits = digits._replace(**small)
    majority = digits.answers.bincount().max().item() / len(digits.answers)
    assert trained({**LENETS, **TOYS}[name](), digits, steps=80, rate=0.01) > 2 * majority
