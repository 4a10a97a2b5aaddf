"""Do the models have the shapes and parameters that Dive into Deep Learning prints or implies?

Every item of `oracles/d2l.json` of the groups cnn and basics is checked by one test below, but for
those of the builder's guide (chapter 6) that are not networks; the last test counts them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.models.measures import numel
from zoo.models._init import XavierConv2d
from zoo.models.alexnet import alexnet
from zoo.models.anynet import Stage, anynet, regnetx32
from zoo.models.conv_scratch import corr2d_multi_in_out
from zoo.models.densenet import DenseBlock, densenet, transition_block
from zoo.models.googlenet import Inception, googlenet
from zoo.models.lenet import lenet
from zoo.models.lenet_bn import lenet_bn
from zoo.models.mlp import mlp
from zoo.models.nin import nin
from zoo.models.resnet import Residual, resnet18
from zoo.models.resnext import ResNeXtBlock
from zoo.models.vgg import VGG, vgg11, vgg_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ORACLE = Path(__file__).parents[1] / "oracles" / "d2l.json"
ITEMS: dict[str, dict[str, Any]] = {
    item["id"]: item
    for item in json.loads(ORACLE.read_text())["items"]
    if item["group"] in ("cnn", "basics")
}
D2L_ITEMS = (
    "lenet",
    "bn-lenet",
    "alexnet",
    "alexnet-fc-claims",
    "alexnet-last-layers-40M",
    "vgg11",
    "vgg11-quarter",
    "vgg-conv-params-5x5-vs-3x3",
    "vgg11-matrix-400MB",
    "nin",
    "googlenet",
    "inception-1",
    "inception-2",
    "inception-3",
    "inception-4",
    "inception-5",
    "residual-same",
    "residual-half",
    "resnet18",
    "resnext-block",
    "densenet",
    "dense-block",
    "dense-block-128",
    "transition-block",
    "regnetx32",
    "anynet-17-params",
    "conv-pad-3",
    "conv-pad-5x3",
    "conv-stride-2",
    "conv-stride-3x4",
    "conv-shrink-10-layers",
    "pool-3",
    "pool-3-s2-p1",
    "pool-2x3",
    "pool-multichannel",
    "multi-out-kernel",
    "mlp-megapixel",
    "builders-mlp-256",
    "builders-mlp-8",
)
"""Items that are checked here."""
NETS: dict[str, Callable[[int], nn.Module]] = {
    "lenet": lenet,
    "bn-lenet": lenet_bn,
    "alexnet": alexnet,
    "vgg11": vgg11,
    "nin": nin,
    "googlenet": googlenet,
    "resnet18": resnet18,
    "densenet": densenet,
    "regnetx32": regnetx32,
}
INCEPTIONS = [name for name in ITEMS if name.startswith("inception")]
CONVOLUTIONS = [name for name in ITEMS if name.startswith(("conv-pad", "conv-stride"))]
POOLS = [name for name in ITEMS if name.startswith("pool")]


def inception(name: str) -> Inception:
    args = ITEMS[name]["args"]
    return Inception(args["c1"], tuple(args["c2"]), tuple(args["c3"]), args["c4"])


def quarter() -> nn.Module:
    return VGG(tuple((n, c) for n, c in ITEMS["vgg11-quarter"]["args"]["arch"]))


BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "builders-mlp-256": mlp,
    "builders-mlp-8": lambda: mlp(1, hidden=(8,)),
    "vgg11-quarter": quarter,
    "residual-same": lambda: Residual(3),
    "residual-half": lambda: Residual(6, use_1x1conv=True, strides=2),
    "resnext-block": lambda: ResNeXtBlock(**ITEMS["resnext-block"]["args"]),
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


@pytest.mark.parametrize("name", [name for name in NETS if "layers" in ITEMS[name]])
def test_printed_layers(name: str) -> None:
    item = ITEMS[name]
    assert layers(NETS[name](10), torch.empty(item["inputs"]["X"])) == item["layers"]


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


@pytest.mark.parametrize("name", POOLS)
def test_pool(name: str) -> None:
    item = ITEMS[name]
    args: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in item["args"].items()}
    report = zoo.summary(nn.MaxPool2d(**args), tuple(item["inputs"]["X"]))
    assert report.rows[0]["output_shape"] == item["outputs"]["Y"]


def test_ten_convolutions_without_padding_shrink_the_image() -> None:
    item = ITEMS["conv-shrink-10-layers"]
    size, number = item["args"]["kernel_size"], item["args"]["layers"]
    layers = nn.Sequential(*(XavierConv2d(1, kernel_size=size) for _ in range(number)))
    report = zoo.summary(layers, (1, 1, *item["inputs"]["X_hw"]))
    assert report.rows[0]["output_shape"] == [1, 1, *item["outputs"]["Y_hw"]]


def test_a_kernel_of_several_output_channels() -> None:
    kernel = torch.empty(2, 2, 2)
    kernels = torch.stack((kernel, kernel + 1, kernel + 2))
    assert list(kernels.shape) == ITEMS["multi-out-kernel"]["outputs"]["K"]
    assert corr2d_multi_in_out(torch.empty(2, 3, 3), kernels).shape == (3, 2, 2)


def rows_of(name: str, *parameters: str) -> list[dict[str, Any]]:
    """Rows of a card's parameters, as `zoo.params` has them."""
    rows = {row["name"]: dict(row) for row in zoo.params(name).rows}
    return [rows[parameter] for parameter in parameters]


def test_hidden_layers_of_alexnet_take_most_of_its_memory_and_little_of_its_work() -> None:
    item = ITEMS["alexnet-fc-claims"]
    rows = rows_of("alexnet", "fc6.weight", "fc7.weight")
    assert [row["shape"][::-1] for row in rows] == item["args"]["matrices"]
    assert (
        round(sum(row["parameter_bytes"] for row in rows) / 2**20) == item["outputs"]["memory_MB"]
    )
    least = ITEMS["alexnet-last-layers-40M"]["outputs"]["params_more_than"]
    assert sum(row["parameters"] for row in rows) > least
    work = {row["path"]: row["macs"] for row in zoo.summary("alexnet").rows}
    flops = 2 * (work["fc6"] + work["fc7"])  # the book rounds 86 to 81 million
    assert flops / 1e6 == pytest.approx(item["outputs"]["MFLOPs"], rel=0.1)


def test_first_matrix_of_vgg11_takes_almost_400_mb() -> None:
    item = ITEMS["vgg11-matrix-400MB"]
    (row,) = rows_of("vgg11", "fc1.weight")
    assert row["shape"][::-1] == item["args"]["matrix"]
    limit = item["outputs"]["memory_MB_almost"]
    assert 0.95 * limit < row["parameter_bytes"] / 2**20 < limit


def test_three_3x3_convolutions_have_as_many_weights_as_one_5x5() -> None:
    said, channels = ITEMS["vgg-conv-params-5x5-vs-3x3"]["outputs"], 8
    for name, layers in (
        ("one_5x5_per_c2", nn.Sequential(XavierConv2d(channels, kernel_size=5))),
        ("three_3x3_per_c2", vgg_block(3, channels)),
    ):
        rows = zoo.params(layers, (1, channels, 16, 16), by="role").rows
        (kernels,) = [row["parameters"] for row in rows if row["role"] == "weight"]
        assert kernels == said[name] * channels**2


def test_a_dense_layer_on_a_megapixel_has_a_billion_weights() -> None:
    rows = zoo.params(nn.Linear(10**6, 10**3)).rows
    (matrix,) = [row["parameters"] for row in rows if row["name"] == "weight"]
    assert matrix == float(ITEMS["mlp-megapixel"]["outputs"]["params"])


def test_seventeen_numbers_choose_an_anynet() -> None:
    numbers = ITEMS["anynet-17-params"]["outputs"]["free_hyperparameters"]
    stages = sum(name.startswith("stage") for name, _ in anynet().named_children())
    assert 1 + stages * len(Stage._fields) == numbers


SINGLE = {
    "alexnet-fc-claims",
    "alexnet-last-layers-40M",
    "vgg-conv-params-5x5-vs-3x3",
    "vgg11-matrix-400MB",
    "dense-block-128",
    "anynet-17-params",
    "conv-shrink-10-layers",
    "multi-out-kernel",
    "mlp-megapixel",
}
"""Items that have a test of their own."""


def test_every_item_is_checked() -> None:
    others = {"builders-tied", "builders-lazy"}
    assert set(D2L_ITEMS) == set(ITEMS) - others
    assert len(D2L_ITEMS) == len(set(D2L_ITEMS))
    parametrised = {*NETS, *BLOCKS, *INCEPTIONS, *CONVOLUTIONS, *POOLS}
    assert parametrised <= set(D2L_ITEMS)
    assert set(D2L_ITEMS) - parametrised == SINGLE
