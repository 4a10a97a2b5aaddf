"""The Inceptions after GoogLeNet: sizes, the auxiliary head, torchvision's Inception v3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import inception_v3 as theirs_v3

import zoo
from zoo.models.blocks.inception import Branches, ConvNorm, ScaledResidual
from zoo.models.inception_bn import inception_bn
from zoo.models.inception_resnet import inception_resnet_v1, inception_resnet_v2
from zoo.models.inception_v3 import inception_v3
from zoo.models.inception_v4 import inception_v4

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Published numbers of parameters: 3 channels, 1,000 classes.
PUBLISHED: list[tuple[Callable[..., nn.Module], Mapping[str, Any], int]] = [
    (inception_bn, {"bias": True}, 11295240),
    (inception_v3, {"aux_logits": True}, 27161264),
    (inception_v3, {}, 23834568),
    (inception_v4, {}, 42679816),
    (inception_resnet_v1, {"embedding": 512}, 23995624),
    (inception_resnet_v2, {}, 55843464),
]
# Shapes that the papers' figures print after each part, for the default input.
SIZES: dict[str, Sequence[tuple[str, tuple[int, ...]]]] = {
    "inception_bn": [
        ("stem", (192, 28, 28)),
        ("b3.0", (256, 28, 28)),
        ("b3.1", (320, 28, 28)),
        ("b3.2", (576, 14, 14)),
        ("b4.1", (576, 14, 14)),
        ("b4.4", (1056, 7, 7)),
        ("b5", (1024, 7, 7)),
    ],
    "inception_v3": [
        ("stem", (192, 35, 35)),
        ("a.0", (256, 35, 35)),
        ("a", (288, 35, 35)),
        ("reduce_a", (768, 17, 17)),
        ("b", (768, 17, 17)),
        ("reduce_b", (1280, 8, 8)),
        ("c", (2048, 8, 8)),
    ],
    "inception_v4": [
        ("stem", (384, 35, 35)),
        ("a", (384, 35, 35)),
        ("reduce_a", (1024, 17, 17)),
        ("b", (1024, 17, 17)),
        ("reduce_b", (1536, 8, 8)),
        ("c", (1536, 8, 8)),
    ],
    "inception_resnet_v1": [
        ("stem", (256, 35, 35)),
        ("a", (256, 35, 35)),
        ("reduce_a", (896, 17, 17)),
        ("b", (896, 17, 17)),
        ("reduce_b", (1792, 8, 8)),
        ("c", (1792, 8, 8)),
    ],
    "inception_resnet_v2": [
        ("stem", (320, 35, 35)),
        ("a", (320, 35, 35)),
        ("reduce_a", (1088, 17, 17)),
        ("b", (1088, 17, 17)),
        ("reduce_b", (2080, 8, 8)),
        ("last", (1536, 8, 8)),
    ],
}
HEADS = ("aux", "AuxLogits")
"""What the auxiliary head is called, by us and by torchvision."""
SMALLEST = 75
"""Pixels a side that all but Inception-BN need."""
FACTORIES: dict[str, Callable[..., nn.Module]] = {
    "inception_bn": inception_bn,
    "inception_v3": inception_v3,
    "inception_v4": inception_v4,
    "inception_resnet_v1": inception_resnet_v1,
    "inception_resnet_v2": inception_resnet_v2,
}


@pytest.mark.parametrize(("factory", "arguments", "published"), PUBLISHED)
def test_published_parameters(
    factory: Callable[..., nn.Module], arguments: Mapping[str, Any], published: int
) -> None:
    with torch.device("meta"):
        model = factory(1000, **arguments).eval()
        assert model(torch.empty(1, 3, 299, 299)).shape == (1, 1000)
    assert sum(parameter.numel() for parameter in model.parameters()) == published


@pytest.mark.parametrize("name", SIZES)
def test_shapes_of_the_figures(name: str) -> None:
    shapes = {row["path"]: row["output_shape"] for row in zoo.summary(f"book/{name}").rows}
    assert [(path, (1, *shape)) for path, shape in SIZES[name]] == [
        (path, tuple(shapes[path])) for path, _ in SIZES[name]
    ]


@pytest.mark.parametrize("name", ["inception_bn", "inception_v3", "inception_resnet_v1"])
def test_the_smallest_image_and_one_less(name: str) -> None:
    with torch.device("meta"):
        model = FACTORIES[name](num_classes=7).eval()
        smallest = 32 if name == "inception_bn" else SMALLEST
        assert model(torch.empty(2, 1, smallest, smallest)).shape == (2, 7)
        if name != "inception_bn":
            with pytest.raises(RuntimeError, match=r"Kernel size|Output size is too small"):
                model(torch.empty(2, 1, SMALLEST - 1, SMALLEST - 1))


@pytest.fixture(scope="module")
def twins() -> tuple[nn.Module, nn.Module]:
    """Our Inception v3 with torchvision's weights, which it has in the same order, and that."""
    torch.manual_seed(0)
    theirs: nn.Module = theirs_v3(weights=None, num_classes=20, init_weights=False).eval()
    with torch.no_grad():
        for buffer in theirs.buffers():  # statistics of a net that was trained are not 0 and 1
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5)
    ours = inception_v3(20, aux_logits=True).eval()
    values = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict(dict(values))
    return ours, theirs


def test_v3_with_torchvisions_weights_gives_torchvisions_output(
    twins: tuple[nn.Module, nn.Module],
) -> None:
    ours, theirs = twins
    x = torch.rand(2, 3, 107, 107)
    with torch.no_grad():
        expected = theirs(x)
        torch.testing.assert_close(ours(x), expected, rtol=1e-5, atol=1e-5)
        assert expected.std() > 1e-3


def test_v3s_auxiliary_head_gives_torchvisions_output(twins: tuple[nn.Module, nn.Module]) -> None:
    ours, theirs = (twin.get_submodule(name) for twin, name in zip(twins, HEADS, strict=True))
    features = torch.rand(2, 768, 17, 17)
    expected = theirs(features)
    torch.testing.assert_close(ours(features), expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 1e-3


@pytest.mark.parametrize("aux", [True, False])
def test_the_auxiliary_head_runs_in_training_only(aux: bool) -> None:
    with torch.device("meta"):
        model = inception_v3(aux_logits=aux)
        x = torch.empty(2, 3, 299, 299)
        results = model.train()(x)
        assert isinstance(results, tuple) is aux
        assert [tuple(y.shape) for y in (results if aux else (results,))] == [(2, 10)] * (1 + aux)
        assert isinstance(model.eval()(x), Tensor)


def test_a_step_trains_the_auxiliary_head() -> None:
    images = "2,3,299,299"  # one image is a single value for each channel of the head's last norm
    report = zoo.flops("book/inception_v3", images, train=True, arguments={"aux_logits": True})
    plain = zoo.flops("book/inception_v3", images, train=True)
    assert report.failure is None
    assert report.totals["backward_macs"] > plain.totals["backward_macs"]


def test_branches_are_joined_in_their_order() -> None:
    torch.manual_seed(0)
    branches = Branches([ConvNorm(3, 1), nn.MaxPool2d(3, stride=1, padding=1), ConvNorm(2, (1, 7))])
    x = torch.rand(2, 4, 5, 9)
    y = branches.eval()(x)
    assert y.shape == (2, 9, 5, 9)
    assert torch.equal(y[:, 3:7], branches[1](x))
    assert torch.equal(y[:, 7:], branches[2](x))


@pytest.mark.parametrize(("valid", "sides"), [(True, (5, 3)), (False, (5, 5))])
def test_valid_convolutions_are_not_padded(valid: bool, sides: tuple[int, int]) -> None:
    layer = ConvNorm(2, (1, 3), valid=valid)
    assert layer(torch.rand(2, 3, 5, 5)).shape == (2, 2, *sides)


def test_a_scaled_residual_adds_its_share() -> None:
    torch.manual_seed(0)
    block = ScaledResidual(4, nn.Identity(), 0.1, act=False)
    x = torch.rand(2, 4, 3, 3)
    expected = x + 0.1 * block.project(x)
    torch.testing.assert_close(block(x), expected)
    assert bool((ScaledResidual(4, nn.Identity(), -9.0)(x) >= 0).all())


def test_inception_resnets_end_in_a_block_without_relu() -> None:
    for factory in (inception_resnet_v1, inception_resnet_v2):
        blocks = [m for m in factory().modules() if isinstance(m, ScaledResidual)]
        assert [block.scale for block in blocks][-2:] == [0.2, 1.0]
        assert [type(block.act) for block in blocks][-2:] == [nn.ReLU, nn.Identity]
