"""Vision Transformers: published sizes, the outputs of torchvision's, and digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torchvision.models import VisionTransformer, get_model

import zoo
from tests.models.learning import fit, one_thread
from tests.models.measures import close, numel
from zoo.models import vit as models
from zoo.models.vit import BOOK, PatchEmbedding, ViT, ViTBlock, ViTMLP, ViTSizes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

D2L_ITEMS = ("vit-patch-embedding",)
ORACLE = Path(__file__).parents[1] / "oracles" / "d2l.json"
ITEMS: dict[str, dict[str, Any]] = {
    item["id"]: item for item in json.loads(ORACLE.read_text())["items"] if item["id"] in D2L_ITEMS
}
TWINS = {
    "vit_base_16": "vit_b_16",
    "vit_base_32": "vit_b_32",
    "vit_large_16": "vit_l_16",
    "vit_large_32": "vit_l_32",
    "vit_huge_14": "vit_h_14",
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small models are quicker so."""
    torch.manual_seed(0)
    with one_thread():
        yield


def on_meta(model: Callable[[], nn.Module], *shape: int) -> tuple[nn.Module, tuple[int, ...]]:
    """A model without weights, and the shape of what it gives."""
    with torch.device("meta"):
        built = model()
        return built, tuple(built(torch.empty(shape)).shape)


# What the book prints or asserts


def test_patch_embedding_of_the_book() -> None:
    item = ITEMS["vit-patch-embedding"]
    model = PatchEmbedding(**item["args"])
    assert list(model(torch.ones(item["inputs"]["X"])).shape) == item["outputs"]["Y"]
    assert numel(model) == item["derived_params"]


def test_blocks_of_the_book() -> None:
    x = torch.ones(2, 100, 24)
    assert ViTBlock(24, 48, 8, 0.5)(x).shape == x.shape
    assert ViTMLP(48, 24, 0.5)(x).shape == x.shape


# Parameters by the closed form, and as published


def count(sizes: ViTSizes, img: int, patch: int, classes: int, channels: int = 3) -> int:
    n, f = sizes.num_hiddens, sizes.mlp_num_hiddens
    block = 4 * n * n + 2 * n * f + f + n + 4 * n + (4 * n if sizes.use_bias else 0)
    tokens = (img // patch) ** 2 + 1
    embedding = channels * patch**2 * n + n + n + tokens * n
    return sizes.num_blks * block + embedding + 2 * n + n * classes + classes


@pytest.mark.parametrize(("channels", "classes"), [(1, 10), (3, 7)])
def test_parameters_of_the_book_s_sizes(channels: int, classes: int) -> None:
    model, shape = on_meta(lambda: models.vit(classes), 2, channels, 96, 96)
    assert shape == (2, classes)
    assert numel(model) == count(BOOK, 96, 16, classes, channels)


@pytest.mark.parametrize("name", TWINS)
def test_parameters_are_torchvision_s(name: str) -> None:
    model, shape = on_meta(getattr(models, name), 1, 3, 224, 224)
    assert shape == (1, 1000)
    with torch.device("meta"):
        assert numel(model) == numel(get_model(TWINS[name]))


def test_parameters_as_printed() -> None:
    """Table 1 of the paper: 86 M, 307 M and 632 M; transformers' base to the unit."""
    sizes = {"vit_base_16": 86567656, "vit_large_16": 304326632, "vit_huge_14": 632045800}
    for name, expected in sizes.items():
        assert zoo.params(name).totals["parameters"] == expected
    assert round(sizes["vit_huge_14"] / 1e6) == 632


def test_another_image_size_changes_the_positions_alone() -> None:
    small, _ = on_meta(models.vit_base_16, 1, 3, 224, 224)
    large, _ = on_meta(lambda: models.vit_base_16(img_size=384), 1, 3, 384, 384)
    assert numel(large) - numel(small) == (24**2 - 14**2) * 768


def test_macs_are_torchvision_s() -> None:
    """Also with attention's products, which run in one kernel there."""
    ours, theirs = (zoo.flops(name) for name in ("vit_base_32", "torchvision/vit_b_32"))
    assert ours.totals["macs"] == theirs.totals["macs"]
    assert round(ours.totals["macs"] / 1e9, 3) == 4.409  # torchvision's own figure


# Against torchvision and transformers, weights copied


def copied(theirs: VisionTransformer) -> dict[str, Tensor]:
    """torchvision's weights under our names."""
    state = theirs.state_dict()
    found = {
        "patch_embedding.conv.weight": state["conv_proj.weight"],
        "patch_embedding.conv.bias": state["conv_proj.bias"],
        "cls_token": state["class_token"],
        "pos_embedding": state["encoder.pos_embedding"],
        "ln.weight": state["encoder.ln.weight"],
        "ln.bias": state["encoder.ln.bias"],
        "head.weight": state["heads.head.weight"],
        "head.bias": state["heads.head.bias"],
    }
    parts = {
        "ln_1": "ln1",
        "ln_2": "ln2",
        "mlp.0": "mlp.dense1",
        "mlp.3": "mlp.dense2",
        "self_attention.out_proj": "attention.W_o",
    }
    for number in range(len(theirs.encoder.layers)):
        there, here = f"encoder.layers.encoder_layer_{number}", f"blks.{number}"
        for kind in ("weight", "bias"):
            for part, name in parts.items():
                found[f"{here}.{name}.{kind}"] = state[f"{there}.{part}.{kind}"]
            packed = state[f"{there}.self_attention.in_proj_{kind}"]
            for name, value in zip("qkv", packed.chunk(3), strict=True):
                found[f"{here}.attention.W_{name}.{kind}"] = value
    return found


def stir(model: nn.Module) -> None:
    """Norms start at 1 and 0, and torchvision's head at 0."""
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1 or "head" in name or "token" in name:
            nn.init.normal_(parameter, std=0.3)


def agree(ours: ViT, theirs: VisionTransformer, x: Tensor) -> None:
    with torch.no_grad():
        stir(theirs)
        ours.eval().load_state_dict(copied(theirs))
        expected = theirs.eval()(x)
        assert float(expected.std()) > 0.1
        close(ours(x), expected)


def test_a_small_one_is_torchvision_s() -> None:
    theirs = VisionTransformer(32, 8, 3, 4, 24, 48, num_classes=11)
    agree(ViT(ViTSizes(3, 24, 48, 4), 32, 8, 11), theirs, torch.rand(2, 3, 32, 32))


def test_base_is_torchvision_s() -> None:
    agree(models.vit_base_16(), get_model("vit_b_16"), torch.rand(1, 3, 224, 224))


# Inputs that do not fit


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="images are 64x96, the model was built for 96x96"):
        PatchEmbedding()(torch.zeros(1, 3, 64, 96))


def test_a_patch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="an image of 96 pixels does not split into 17s"):
        PatchEmbedding(96, 17)


# It learns


def test_digits() -> None:
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16  # (1797, 1, 8, 8)
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images))
    known, new = order[:1400], order[1400:]
    model = ViT(ViTSizes(2, 48, 96, 4), img_size=8, patch_size=4, dropout=0.0)
    model(images[:1])

    def loss() -> Tensor:
        some = known[torch.randint(0, len(known), (64,))]
        return nn.functional.cross_entropy(model(images[some]), labels[some])

    fit(model, loss, steps=300, rate=3e-3, last_rate=0.0)
    with torch.no_grad():
        right = model.eval()(images[new]).argmax(dim=1) == labels[new]
    commonest = float(labels[new].bincount().max()) / len(new)
    assert float(right.float().mean()) > 0.93 > 5 * commonest
