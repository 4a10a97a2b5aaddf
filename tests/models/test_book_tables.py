"""Do the models have the shapes and parameters that Dive into Deep Learning prints or implies?

Every item of `oracles/d2l_cnn.json` is checked by one test below; the last test counts them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from zoo.models._init import XavierConv2d
from zoo.models.alexnet import alexnet
from zoo.models.densenet import DenseBlock, densenet, transition_block
from zoo.models.googlenet import Inception, googlenet
from zoo.models.lenet import lenet
from zoo.models.lenet_bn import lenet_bn
from zoo.models.mlp import mlp
from zoo.models.nin import nin
from zoo.models.resnet import Residual, head, resnet18
from zoo.models.resnext import ResNeXtBlock
from zoo.models.vgg import VGG, vgg11

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ORACLE = Path(__file__).parents[1] / "oracles" / "d2l_cnn.json"
ITEMS: dict[str, dict[str, Any]] = {
    item["id"]: item for item in json.loads(ORACLE.read_text())["items"]
}
NETS: dict[str, Callable[[int], nn.Module]] = {
    "lenet": lenet,
    "bn-lenet": lenet_bn,
    "alexnet": alexnet,
    "vgg11": vgg11,
    "nin": nin,
    "googlenet": googlenet,
    "resnet18": resnet18,
    "densenet": densenet,
}
INCEPTIONS = [name for name in ITEMS if name.startswith("inception")]
CONVOLUTIONS = [name for name in ITEMS if name.startswith("conv")]


def inception(name: str) -> Inception:
    args = ITEMS[name]["args"]
    return Inception(args["c1"], tuple(args["c2"]), tuple(args["c3"]), args["c4"])


def quarter() -> nn.Module:
    return VGG(tuple((n, c) for n, c in ITEMS["vgg11-quarter"]["args"]["arch"]))


def regnet() -> nn.Module:
    """RegNetX-32, whose stages are ResNeXt blocks: it shows their strided form."""
    args = ITEMS["regnetx32"]["args"]
    convolution = XavierConv2d(args["stem_channels"], kernel_size=3, stride=2, padding=1)
    stages = [nn.Sequential(convolution, nn.LazyBatchNorm2d(), nn.ReLU())]
    for depth, width in zip(args["depths"], args["channels"], strict=True):
        block = ResNeXtBlock(width, args["groups"], args["bot_mul"], use_1x1conv=True, strides=2)
        others = [ResNeXtBlock(width, args["groups"], args["bot_mul"]) for _ in range(depth - 1)]
        stages.append(nn.Sequential(block, *others))
    return nn.Sequential(*stages, head(args["num_classes"]))


BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "builders-mlp-256": mlp,
    "builders-mlp-8": lambda: mlp(1, hidden=(8,)),
    "vgg11-quarter": quarter,
    "residual-same": lambda: Residual(3),
    "residual-half": lambda: Residual(6, use_1x1conv=True, strides=2),
    "resnext-block": lambda: ResNeXtBlock(**ITEMS["resnext-block"]["args"]),
    "regnetx32": regnet,
    "dense-block": lambda: DenseBlock(**ITEMS["dense-block"]["args"]),
    "transition-block": lambda: transition_block(**ITEMS["transition-block"]["args"]),
}


@pytest.fixture(autouse=True)
def without_data() -> Iterator[None]:
    with torch.device("meta"):
        yield


def layers(model: nn.Module, x: Tensor) -> list[list[object]]:
    """Type and output shape of each child of the root, in call order."""
    seen: list[list[object]] = []

    def note(module: nn.Module, _: object, output: Tensor) -> None:
        seen.append([type(module).__name__, list(output.shape)])

    for child in model.children():
        child.register_forward_hook(note)
    model(x)
    return seen


def numel(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", [name for name in NETS if "layers" in ITEMS[name]])
def test_printed_layers(name: str) -> None:
    item = ITEMS[name]
    assert layers(NETS[name](10), torch.empty(item["inputs"]["X"])) == item["layers"]


def test_printed_layers_of_regnet() -> None:
    item = ITEMS["regnetx32"]
    assert layers(regnet(), torch.empty(item["inputs"]["X"])) == item["layers"]


@pytest.mark.parametrize("name", NETS)
def test_network(name: str) -> None:
    item = ITEMS[name]
    model = NETS[name](item["args"]["num_classes"])
    assert list(model(torch.empty(item["inputs"]["X"])).shape) == item["outputs"]["Y"]
    assert numel(model) == item["derived_params"]


@pytest.mark.parametrize("name", BLOCKS)
def test_block(name: str) -> None:
    item = ITEMS[name]
    block = BLOCKS[name]()
    assert list(block(torch.empty(item["inputs"]["X"])).shape) == item["outputs"]["Y"]
    assert numel(block) == item["derived_params"]


@pytest.mark.parametrize("name", INCEPTIONS)
def test_inception(name: str) -> None:
    item = ITEMS[name]
    block = inception(name)
    x = torch.empty(1, item["inputs"]["in_channels"], 12, 12)
    assert block(x).shape == (1, item["outputs"]["out_channels"], 12, 12)
    assert [branch(x).shape[1] for branch in block.children()] == item["outputs"]["branch_channels"]
    assert numel(block) == item["derived_params"]


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name: str) -> None:
    item = ITEMS[name]
    args: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in item["args"].items()}
    layer = XavierConv2d(**args)
    y = layer(torch.empty(1, 1, *item["inputs"]["X_hw"]))
    assert list(y.shape[2:]) == item["outputs"]["Y_hw"]
    assert type(layer) is nn.Conv2d
    if "derived_params" in item:
        assert numel(layer) == item["derived_params"]


def test_dense_block_of_the_network_adds_128_channels() -> None:
    item = ITEMS["dense-block-128"]
    added = DenseBlock(**item["args"])(torch.empty(1, 64, 8, 8)).shape[1] - 64
    assert added == item["outputs"]["channels_added"]


def test_groups_of_a_resnext_block_is_the_width_of_one() -> None:
    block = ResNeXtBlock(**ITEMS["resnext-block"]["args"])
    assert block.conv2.groups == 2


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="24 channels do not split into groups of 16"):
        ResNeXtBlock(24, 16, 1)


def test_every_item_is_checked() -> None:
    assert {*NETS, *BLOCKS, *INCEPTIONS, *CONVOLUTIONS, "dense-block-128"} == set(ITEMS)
