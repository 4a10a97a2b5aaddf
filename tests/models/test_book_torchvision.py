"""Do the deep variants compute what torchvision's do, from the same weights?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from zoo.models import densenet, resnet, resnext, vgg

if TYPE_CHECKING:
    from collections.abc import Callable

# num_params of the weights' metadata in torchvision 0.29.1: 3 channels, 1,000 classes.
PUBLISHED: dict[Callable[[int], nn.Module], int] = {
    vgg.vgg11: 132863336,
    vgg.vgg13: 133047848,
    vgg.vgg16: 138357544,
    vgg.vgg19: 143667240,
    resnet.resnet50: 25557032,
    resnet.resnet101: 44549160,
    resnet.resnet152: 60192808,
    resnext.resnext50_32x4d: 25028904,
    resnext.resnext101_64x4d: 83455272,
    resnext.resnext101_32x8d: 88791336,
    densenet.densenet121: 7978856,
    densenet.densenet161: 28681000,
    densenet.densenet169: 14149480,
    densenet.densenet201: 20013928,
}
TWINS = [resnet.resnet50, resnext.resnext50_32x4d, densenet.densenet121]


@pytest.mark.parametrize("factory", PUBLISHED)
def test_published_parameters(factory: Callable[[int], nn.Module]) -> None:
    with torch.device("meta"):
        model = factory(1000)
        model(torch.empty(1, 3, 224, 224))
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[factory]


@pytest.mark.parametrize("factory", TWINS)
def test_same_weights_give_the_same_output(factory: Callable[[int], nn.Module]) -> None:
    torch.manual_seed(0)
    name = getattr(factory, "__name__", "")
    theirs = import_module("torchvision.models").get_model(name).eval()
    ours = factory(1000).eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        for buffer in theirs.buffers():  # statistics of a net that was trained are not 0 and 1
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5)
        before = ours(x)
        values = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
        ours.load_state_dict(dict(values))
        expected = theirs(x)
        torch.testing.assert_close(ours(x), expected, rtol=1e-5, atol=1e-5)
        assert not torch.allclose(before, expected, rtol=1e-2, atol=1e-2)
