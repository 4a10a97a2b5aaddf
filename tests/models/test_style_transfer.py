"""Style transfer: what is read of VGG-19, the three losses, and an image that is made from them."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor
from torchvision.models.vgg import cfgs, make_layers

import zoo
from tests.models.learning import one_thread, step
from zoo.models.style_transfer import (
    content_loss,
    gram,
    style_loss,
    style_transfer,
    tv_loss,
)


@pytest.mark.parametrize(("height", "width"), [(300, 450), (64, 80)])
def test_what_is_read(height: int, width: int) -> None:
    with torch.device("meta"):
        contents, styles = style_transfer()(torch.empty(2, 3, height, width))
    halved = [(height >> n, width >> n) for n in range(5)]
    assert [tuple(one.shape) for one in contents] == [(2, 512, *halved[3])]
    channels = (64, 128, 256, 512, 512)
    wanted = [(2, wide, *side) for wide, side in zip(channels, halved, strict=True)]
    assert [tuple(one.shape) for one in styles] == wanted


def test_parameters_are_those_of_thirteen_convolutions() -> None:
    widths = (3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512)
    count = sum(9 * a * b + b for a, b in pairwise(widths))
    assert zoo.params("style_transfer").totals["parameters"] == count


def test_features_are_those_of_torchvisions_vgg() -> None:
    """Outputs of convolutions, before the ReLU that torchvision's network writes over them."""
    torch.manual_seed(0)
    whole = make_layers(cfgs["E"])
    ours = style_transfer((0, 5), (7,))
    ours.layers.load_state_dict(whole[:8].state_dict())
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        contents, styles = ours(x)
        for read, layer in ((styles[0], 0), (styles[1], 5), (contents[0], 7)):
            torch.testing.assert_close(read, whole[: layer + 1](x))
            assert read.min() < 0


@pytest.mark.parametrize("layers", [(40,), (-1,), ()])
def test_layers_that_are_not_there_are_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="VGG-19 has layers 0 to 36"):
        style_transfer(layers, ())


def test_losses_by_hand() -> None:
    torch.manual_seed(0)
    a, b = torch.rand(1, 2, 3, 4), torch.rand(1, 2, 3, 4)
    flat = a[0].reshape(2, 12)
    torch.testing.assert_close(gram(a)[0], flat @ flat.T / 24)
    torch.testing.assert_close(content_loss(a, b), ((a - b) ** 2).mean())
    torch.testing.assert_close(style_loss(a, gram(b)), ((gram(a) - gram(b)) ** 2).mean())
    stripes = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    assert tv_loss(stripes).item() == 0.5


def test_style_does_not_see_where_something_is() -> None:
    features = torch.rand(1, 4, 5, 6)
    assert style_loss(features.flip(2).roll(2, 3), gram(features)) < 1e-12
    assert content_loss(features.flip(2), features) > 0.01


def test_an_image_takes_on_the_style_of_another() -> None:
    """Beginning with the content; features of a network that was never trained still tell."""
    photos = [
        torch.tensor(one[:48, :48]).permute(2, 0, 1) / 255 for one in load_sample_images().images
    ]
    content, style = (photo[None] for photo in photos)
    torch.manual_seed(0)
    net = style_transfer((0, 5), (7,))
    net(content)
    for parameter in net.parameters():
        parameter.requires_grad = False
    wanted = net(content).contents[0]
    grams = [gram(one) for one in net(style).styles]
    image = content.clone().requires_grad_()
    optimizer = torch.optim.Adam([image], 0.02)

    def losses() -> tuple[Tensor, Tensor]:
        contents, styles = net(image)
        pairs = zip(styles, grams, strict=True)
        return content_loss(contents[0], wanted), sum(style_loss(y, g) for y, g in pairs)

    before = losses()[1].item()
    with one_thread():
        for _ in range(25):
            of_content, of_style = losses()
            step(of_content / wanted.var() + 10 * of_style / before + tv_loss(image), optimizer)
    of_content, of_style = losses()
    assert of_style.item() < 0.5 * before
    assert of_content < content_loss(net(style).contents[0], wanted)  # it still shows the first
