"""Shapes and parameters of the book's vision, generative and text applications, by d2l.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.models.measures import numel
from zoo import TensorSpec
from zoo.language.batches import Batches
from zoo.language.padding import pad_texts
from zoo.models.birnn import BiRNN
from zoo.models.blocks.anchors import multibox_prior
from zoo.models.blocks.bilinear import bilinear_kernel
from zoo.models.dcgan import DBlock, GBlock, dcgan_discriminator, dcgan_generator
from zoo.models.decomposable_attention import decomposable_attention
from zoo.models.fcn import fcn
from zoo.models.textcnn import TextCNN
from zoo.models.tiny_ssd import (
    TinySSD,
    base_network,
    class_predictor,
    down_sample_block,
    join_predictions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

D2L_ITEMS = (
    "fcn-backbone",
    "fcn-full",
    "fcn-upsample",
    "transposed-conv-roundtrip",
    "anchors",
    "ssd-cls-1",
    "ssd-cls-2",
    "ssd-concat",
    "ssd-downsample",
    "ssd-base",
    "tinyssd",
    "finetune-hotdog",
    "dcgan-gblock",
    "dcgan-gblock-s1",
    "dcgan-generator",
    "dcgan-dblock",
    "dcgan-discriminator",
    "imdb-features",
    "birnn",
    "textcnn",
    "snli-batch",
    "decomposable-attention",
)
ORACLE = Path(__file__).parents[1] / "oracles" / "d2l.json"
ITEMS: dict[str, dict[str, Any]] = {
    item["id"]: item for item in json.loads(ORACLE.read_text())["items"] if item["id"] in D2L_ITEMS
}


def arguments(name: str, *leave_out: str) -> dict[str, Any]:
    """Settings of an item, with tuples for lists."""
    args = {key: value for key, value in ITEMS[name]["args"].items() if key not in leave_out}
    return {key: tuple(v) if isinstance(v, list) else v for key, v in args.items()}


def printed_layers(model: nn.Module, x: Tensor) -> list[list[object]]:
    """The book's name of each child and the shape of its output, in call order."""
    names = {"GBlock": "G_block", "DBlock": "D_block"}
    found: list[list[object]] = []
    for child in model.children():
        x = child(x)
        kind = type(child).__name__
        found.append([names.get(kind, kind), list(x.shape)])
    return found


def upsample() -> nn.Module:
    layer = nn.ConvTranspose2d(3, 3, 4, 2, 1, bias=False)
    layer.weight.data.copy_(bilinear_kernel(3, 3, 4))
    return layer


def predictor(name: str) -> nn.Module:
    args = ITEMS[name]["args"]
    return class_predictor(args["num_anchors"], args["num_classes"])


MODELS: dict[str, Callable[[], nn.Module]] = {
    "fcn-backbone": lambda: fcn().backbone,
    "fcn-full": lambda: fcn(**arguments("fcn-full")),
    "transposed-conv-roundtrip": lambda: nn.Sequential(
        nn.Conv2d(10, 20, 5, padding=2, stride=3),
        nn.ConvTranspose2d(20, 10, 5, padding=2, stride=3),
    ),
    "ssd-cls-1": lambda: predictor("ssd-cls-1"),
    "ssd-cls-2": lambda: predictor("ssd-cls-2"),
    "ssd-downsample": lambda: down_sample_block(ITEMS["ssd-downsample"]["args"]["out_channels"]),
    "ssd-base": lambda: base_network(tuple(ITEMS["ssd-base"]["args"]["num_filters"][1:])),
    "dcgan-gblock": lambda: GBlock(**arguments("dcgan-gblock")),
    "dcgan-gblock-s1": lambda: GBlock(**arguments("dcgan-gblock-s1")),
    "dcgan-dblock": lambda: DBlock(**arguments("dcgan-dblock")),
    "dcgan-generator": lambda: dcgan_generator(*arguments("dcgan-generator").values()),
    "dcgan-discriminator": lambda: dcgan_discriminator(*arguments("dcgan-discriminator").values()),
}
PRINTED = [name for name in MODELS if "layers" in ITEMS[name]]


@pytest.mark.parametrize("name", MODELS)
def test_model(name: str) -> None:
    item = ITEMS[name]
    with torch.device("meta"):
        model = MODELS[name]()
        assert list(model(torch.empty(item["inputs"]["X"])).shape) == item["outputs"]["Y"]
    if "derived_params" in item:
        assert numel(model) == item["derived_params"]


@pytest.mark.parametrize("name", PRINTED)
def test_printed_layers(name: str) -> None:
    item = ITEMS[name]
    with torch.device("meta"):
        assert printed_layers(MODELS[name](), torch.empty(item["inputs"]["X"])) == item["layers"]


def test_fcn_upsample_doubles_a_photo() -> None:
    item = ITEMS["fcn-upsample"]
    layer = upsample()
    doubled = layer.to("meta")(torch.empty(item["inputs"]["X"], device="meta"))
    assert list(doubled[0].permute(1, 2, 0).shape) == item["outputs"]["Y_hwc"]
    assert numel(layer) == item["derived_params"]


def test_anchors_of_a_photo() -> None:
    item = ITEMS["anchors"]
    photo = torch.empty(item["inputs"]["X"], device="meta")
    assert list(multibox_prior(photo, **item["args"]).shape) == item["outputs"]["Y"]


def test_ssd_concat() -> None:
    with torch.device("meta"):
        scales = [
            MODELS[name]()(torch.empty(ITEMS[name]["inputs"]["X"]))
            for name in ("ssd-cls-1", "ssd-cls-2")
        ]
        assert list(join_predictions(scales).shape) == ITEMS["ssd-concat"]["outputs"]["Y"]


def test_tinyssd() -> None:
    item = ITEMS["tinyssd"]
    args = item["args"]
    with torch.device("meta"):
        net = TinySSD(args["num_classes"], args["sizes"], args["ratios"])
        answers = net(torch.empty(item["inputs"]["X"]))
        sides = [scale.shape[-1] for scale in scales(net, torch.empty(item["inputs"]["X"]))]
    named = dict(zip(item["outputs"], answers, strict=True))
    assert {name: list(tensor.shape) for name, tensor in named.items()} == item["outputs"]
    assert numel(net) == item["derived_params"]
    assert sides == args["feature_maps"]
    channels = [net.get_parameter(f"boxes.{n}.weight").shape[0] for n in range(5)]
    assert channels == [4 * args["num_anchors"]] * 5


def scales(net: TinySSD, x: Tensor) -> list[Tensor]:
    found = []
    for block in net.blocks:
        x = block(x)
        found.append(x)
    return found


def test_finetune_hotdog() -> None:
    """The row of one class in the last layer, which a new classifier may begin with."""
    item = ITEMS["finetune-hotdog"]
    weight = zoo.create("torchvision/resnet18").get_parameter("fc.weight")
    assert weight.shape[0] == 1000
    assert list(weight.split(1)[934].shape) == item["outputs"]["row"]


# text


def test_birnn() -> None:
    item = ITEMS["birnn"]
    settings = arguments("birnn", "cell", "bidirectional")
    model = BiRNN(**settings)
    trace = zoo.trace(model, TensorSpec(tuple(item["inputs"]["tokens"]), "int64"))
    calls = {call.path: call for call in trace.calls}
    outputs = {
        "outputs": calls["encoder"].outputs[0],
        "encoding": calls["decoder"].inputs[0],
        "Y": calls["decoder"].outputs[0],
    }
    assert {name: list(spec.shape) for name, spec in outputs.items()} == item["outputs"]
    assert numel(model) == item["derived_params"]
    assert type(model.encoder).__name__ == item["args"]["cell"]
    assert model.encoder.bidirectional is item["args"]["bidirectional"]


def test_textcnn() -> None:
    item = ITEMS["textcnn"]
    with torch.device("meta"):
        model = TextCNN(**arguments("textcnn"))
        tokens = torch.empty(item["inputs"]["tokens"], dtype=torch.int64)
        assert list(model(tokens).shape) == item["outputs"]["Y"]
    assert numel(model) == item["derived_params"]
    assert not model.constant_embedding.weight.requires_grad


def test_decomposable_attention() -> None:
    item = ITEMS["decomposable-attention"]
    args = item["args"]
    with torch.device("meta"):
        model = decomposable_attention(
            embed_size=args["embed_size"],
            num_hiddens=args["num_hiddens"],
            num_outputs=args["num_outputs"],
        )
        pair = [torch.empty(shape, dtype=torch.int64) for shape in item["inputs"].values()]
        assert list(model(*pair).shape) == item["outputs"]["Y"]
    widths = {
        "num_inputs_attend": model.attend.f[1].in_features,
        "num_inputs_compare": model.compare.g[1].in_features,
        "num_inputs_agg": model.aggregate.h[1].in_features,
    }
    assert widths == {name: args[name] for name in widths}
    e, n, classes = args["embed_size"], args["num_hiddens"], args["num_outputs"]
    attend = (e * n + n) + (n * n + n)  # as the item's note has it
    compare = 2 * (n * n + n)
    aggregate = (2 * n * n + n) + (n * n + n) + (n * classes + classes)
    assert numel(model) - numel(model.embedding) == attend + compare + aggregate


def words() -> list[str]:
    """English that every Python brings: its own documentation."""
    from pydoc_data.topics import topics

    return re.findall(r"[a-z]+", " ".join(topics.values()).lower())


def chunks(number: int, seed: int, longest: int) -> list[Sequence[str]]:
    """Pieces of the documentation, of different lengths."""
    corpus = words()
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(corpus) - longest, (number,), generator=generator).tolist()
    lengths = torch.randint(1, longest + 1, (number,), generator=generator).tolist()
    return [corpus[a : a + b] for a, b in zip(starts, lengths, strict=True)]


def ids(tokens: Sequence[str]) -> list[int]:
    return [2 + len(token) for token in tokens]


def test_imdb_features() -> None:
    """As many texts as IMDb has reviews for training."""
    wanted = ITEMS["imdb-features"]["outputs"]
    texts = chunks(25_000, seed=0, longest=20)
    texts[7] = words()[:700]
    features, lengths = pad_texts(
        texts, ids, ITEMS["imdb-features"]["args"]["num_steps"], padding=1
    )
    assert list(features.shape) == wanted["features"]
    assert lengths[7] == 500
    assert features[7].tolist() == ids(texts[7][:500])
    assert features[8].tolist() == ids(texts[8]) + [1] * (500 - len(texts[8]))
    batches = Batches((features, torch.arange(25_000) % 2), 64, torch.Generator().manual_seed(0))
    assert len(batches) == wanted["num_batches_64"]
    x, y = next(iter(batches))
    assert list(x.shape) == wanted["batch_X"]
    assert list(y.shape) == wanted["batch_y"]


def test_snli_batch() -> None:
    args, wanted = ITEMS["snli-batch"]["args"], ITEMS["snli-batch"]["outputs"]
    premises, _ = pad_texts(chunks(300, seed=0, longest=80), ids, args["num_steps"], padding=1)
    hypotheses, _ = pad_texts(chunks(300, seed=1, longest=80), ids, args["num_steps"], padding=1)
    batches = Batches((premises, hypotheses, torch.arange(300) % 3), args["batch_size"])
    found = dict(zip(wanted, next(iter(batches)), strict=True))
    assert {name: list(tensor.shape) for name, tensor in found.items()} == wanted
    assert [len(labels) for *_, labels in batches] == [128, 128, 44]


def test_every_item_is_there() -> None:
    assert sorted(ITEMS) == sorted(D2L_ITEMS)
