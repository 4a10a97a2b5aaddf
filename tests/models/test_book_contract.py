"""What every factory of the convolutional models promises, and how their weights start."""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from zoo.models._init import XavierConv2d, XavierLinear
from zoo.models.lenet_bn import lenet_bn
from zoo.models.resnet import Bottleneck

if TYPE_CHECKING:
    from collections.abc import Callable

SIDES = {
    "mlp:mlp": 28,
    "lenet:lenet": 28,
    "lenet_bn:lenet_bn": 28,
    "alexnet:alexnet": 224,
    "vgg:vgg11": 224,
    "vgg:vgg13": 224,
    "vgg:vgg16": 224,
    "vgg:vgg19": 224,
    "nin:nin": 224,
    "googlenet:googlenet": 96,
    "resnet:resnet18": 96,
    "resnet:resnet34": 96,
    "resnet:resnet50": 224,
    "resnet:resnet101": 224,
    "resnet:resnet152": 224,
    "resnext:resnext50_32x4d": 224,
    "resnext:resnext101_32x4d": 224,
    "resnext:resnext101_64x4d": 224,
    "resnext:resnext101_32x8d": 224,
    "densenet:densenet": 96,
    "densenet:densenet121": 224,
    "densenet:densenet169": 224,
    "densenet:densenet161": 224,
    "densenet:densenet201": 224,
    "densenet_cifar:densenet_cifar": 32,
    "inception_bn:inception_bn": 224,
    "inception_v3:inception_v3": 299,
    "inception_v4:inception_v4": 299,
    "inception_resnet:inception_resnet_v1": 299,
    "inception_resnet:inception_resnet_v2": 299,
    "anynet:anynet": 224,
    "anynet:regnetx32": 96,
    "regnet:regnet": 224,
    "regnet:regnetx": 224,
    "regnet:regnety": 224,
    "resnet_cifar:resnet_cifar": 32,
    "preresnet:preresnet": 32,
    "batchnorm_scratch:batchnorm_scratch": 28,
}

SMALL = [place for place, side in SIDES.items() if side < 224]
SMALL += ["nin:nin", "resnet:resnet50", "resnext:resnext50_32x4d", "inception_v3:inception_v3"]
SMALL += ["regnet:regnety"]


def factory(place: str) -> Callable[..., nn.Module]:
    module, attribute = place.split(":")
    found: Callable[..., nn.Module] = getattr(import_module(f"zoo.models.{module}"), attribute)
    return found


def is_xavier(weight: Tensor) -> bool:
    """Whether a weight has the bound and the spread of Xavier's uniform distribution."""
    receptive = weight[0, 0].numel()
    bound = math.sqrt(6 / ((weight.shape[0] + weight.shape[1]) * receptive))
    spread = weight.std().item() * math.sqrt(3) / bound
    largest = weight.abs().max().item() / bound  # rounded to float32, it may be 1 + 6e-8
    return 0.9 < largest < 1 + 1e-6 and 0.95 < spread < 1.05


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("place", SIDES)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_number_of_input_channels(place: str, channels: int) -> None:
    with torch.device("meta"):
        model = factory(place)()
        assert model(torch.empty(2, channels, SIDES[place], SIDES[place])).shape == (2, 10)
    assert all(tensor.is_meta for tensor in model.parameters())


@pytest.mark.parametrize("place", SIDES)
def test_number_of_classes(place: str) -> None:
    with torch.device("meta"):
        model = factory(place)(num_classes=7)
        assert model(torch.empty(2, 1, SIDES[place], SIDES[place])).shape == (2, 7)


@pytest.mark.parametrize("place", SIDES)
def test_nothing_lazy_is_left_after_a_call(place: str) -> None:
    with torch.device("meta"):
        model = factory(place)()
        model(torch.empty(2, 1, SIDES[place], SIDES[place]))
    lazy = nn.modules.lazy.LazyModuleMixin
    assert [name for name, layer in model.named_modules() if isinstance(layer, lazy)] == []


@pytest.mark.parametrize("place", SMALL)
def test_weights_are_xavier_after_the_first_call(place: str) -> None:
    model = factory(place)().eval()
    with torch.no_grad():
        model(torch.zeros(1, 3, 96, 96))
    weights = {
        name: layer.weight
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and layer.weight.numel() >= 2000
    }
    assert weights
    assert [name for name, weight in weights.items() if not is_xavier(weight)] == []


def test_torch_s_own_weights_would_be_told_apart() -> None:
    assert not is_xavier(nn.Linear(400, 120).weight)
    assert not is_xavier(nn.Conv2d(16, 32, kernel_size=3).weight)
    assert not is_xavier(nn.Conv2d(1, 96, kernel_size=11).weight)


def test_a_second_call_draws_nothing() -> None:
    layer = nn.Sequential(XavierConv2d(4, kernel_size=3), nn.Flatten(), XavierLinear(2))
    layer(torch.zeros(1, 1, 5, 5))
    before = [parameter.clone() for parameter in layer.parameters()]
    layer(torch.zeros(1, 1, 5, 5))
    assert all(map(torch.equal, before, layer.parameters()))


def test_a_state_dict_fills_a_model_that_never_ran() -> None:
    x = torch.rand(2, 1, 28, 28)
    trained, fresh = lenet_bn(), lenet_bn()
    trained(x)
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(trained.eval()(x), fresh.eval()(x))


def test_a_bottleneck_without_projection_adds_to_its_input() -> None:
    block = Bottleneck(4)
    x = torch.rand(2, 16, 5, 5)
    block(x)
    nn.init.zeros_(block.bn3.weight)
    assert torch.equal(block(x), x)
