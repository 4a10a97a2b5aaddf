"""Generators and discriminators: shapes, first weights, and what they learn from one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import interpolate, softplus

import zoo
from tests.models.learning import one_thread, step
from zoo.models.dcgan import (
    DBlock,
    GBlock,
    dcgan_discriminator,
    dcgan_generator,
)
from zoo.models.gan import gan_discriminator, gan_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.mark.parametrize(("width", "latent", "channels"), [(64, 100, 3), (8, 16, 1)])
def test_shapes(width: int, latent: int, channels: int) -> None:
    with torch.device("meta"):
        image = dcgan_generator(width, latent, channels)(torch.empty(2, latent, 1, 1))
        assert image.shape == (2, channels, 64, 64)
        assert dcgan_discriminator(width, channels)(image).shape == (2, 1, 1, 1)


@pytest.mark.parametrize("width", [8, 64])
def test_parameters_by_closed_form(width: int) -> None:
    between = 16 * width * width * (8 * 4 + 4 * 2 + 2) + 2 * width * (8 + 4 + 2 + 1)
    generator = 100 * 8 * width * 16 + between + 16 * width * 3
    discriminator = 16 * 3 * width + between + 16 * 8 * width
    for name, count in (("generator", generator), ("discriminator", discriminator)):
        report = zoo.params(f"dcgan_{name}", arguments={"width": width})
        assert report.totals["parameters"] == count


@pytest.mark.parametrize(("kernel", "strides", "padding"), [(4, 2, 1), (4, 1, 0), (3, 2, 1)])
def test_blocks_of_other_sizes(kernel: int, strides: int, padding: int) -> None:
    x = torch.rand(2, 3, 9, 9)
    grown, shrunk = GBlock(7, 3, kernel, strides, padding), DBlock(7, 3, kernel, strides, padding)
    side = (9 - 1) * strides + kernel - 2 * padding
    assert grown(x).shape == (2, 7, side, side)
    side = (9 + 2 * padding - kernel) // strides + 1
    assert shrunk(x).shape == (2, 7, side, side)


def test_images_are_within_1_and_weights_start_small() -> None:
    torch.manual_seed(0)
    generator = dcgan_generator()
    image = generator(torch.randn(4, 100, 1, 1))
    assert image.abs().max() <= 1
    for model in (generator, dcgan_discriminator()):
        layers = [one for one in model.modules() if isinstance(one, nn.Conv2d | nn.ConvTranspose2d)]
        assert len(layers) == 5
        for layer in layers:
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert layer.bias is None


# learning


@pytest.fixture
def threads() -> Iterator[None]:
    with one_thread():
        yield


def real_or_not(score: Callable[[Tensor], Tensor], real: Tensor, made: Tensor) -> Tensor:
    """Cross entropy of a discriminator's scores."""
    loss: Tensor = softplus(-score(real)).mean() + softplus(score(made)).mean()
    return loss


def alike(images: Tensor, others: Tensor) -> float:
    """Correlation of two sets' mean images."""
    means = torch.stack((images.mean(0).flatten(), others.mean(0).flatten()))
    return torch.corrcoef(means)[0, 1].item()


@pytest.mark.usefixtures("threads")
def test_dcgan_draws_what_digits_have_in_common() -> None:
    digits = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 8 - 1
    real = interpolate(digits, (64, 64), mode="bilinear")
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(64, 16, 1, 1, generator=random)
    torch.manual_seed(0)
    generator, discriminator = dcgan_generator(8, 16, 1), dcgan_discriminator(8, 1)
    with torch.no_grad():
        untrained = generator(noise)
    of_g = torch.optim.Adam(generator.parameters(), 5e-3, betas=(0.5, 0.999))
    of_d = torch.optim.Adam(discriminator.parameters(), 2e-3, betas=(0.5, 0.999))

    def batch() -> tuple[Tensor, Tensor]:
        chosen = torch.randint(1500, (16,), generator=random)
        return real[chosen], generator(torch.randn(16, 16, 1, 1, generator=random))

    for _ in range(12):  # the discriminator alone
        x, made = batch()
        step(real_or_not(discriminator, x, made.detach()), of_d)
    with torch.no_grad():
        told = (discriminator(real[1500:]) > 0).float().mean() / 2
        told += (discriminator(untrained) < 0).float().mean() / 2
        before = discriminator(untrained).sigmoid().mean()
    assert told > 0.9  # guessing one kind is right for half

    for _ in range(12):  # the generator alone
        step(softplus(-discriminator(batch()[1])).mean(), of_g)
    with torch.no_grad():
        after = discriminator(generator(noise)).sigmoid().mean()
    assert after > before + 0.3

    for _ in range(80):  # one against the other
        x, made = batch()
        step(real_or_not(discriminator, x, made.detach()), of_d)
        step(softplus(-discriminator(made)).mean(), of_g)
    with torch.no_grad():
        trained = generator(noise)
    assert alike(untrained, real) < 0.3
    assert alike(trained, real) > 0.6


@pytest.mark.parametrize("rows", [8, 3])
def test_shapes_of_the_plane(rows: int) -> None:
    points = gan_generator()(torch.randn(rows, 2))
    assert points.shape == (rows, 2)
    assert gan_discriminator()(points).shape == (rows, 1)
    assert zoo.params("gan_generator").totals["parameters"] == 2 * 2 + 2
    assert zoo.params("gan_discriminator").totals["parameters"] == 15 + 18 + 4


@pytest.mark.usefixtures("threads")
def test_gan_learns_where_points_are_and_how_they_spread() -> None:
    """The book's Gaussian. Untrained, the generator's mean is as far off as 0 is."""
    torch.manual_seed(2)
    data = torch.randn(1000, 2) @ torch.tensor([[1, 2], [-0.1, 0.5]]) + torch.tensor([1.0, 2.0])
    generator, discriminator = gan_generator(), gan_discriminator()
    for parameter in (*generator.parameters(), *discriminator.parameters()):
        nn.init.normal_(parameter, std=0.02)
    of_g = torch.optim.Adam(generator.parameters(), 0.005)
    of_d = torch.optim.Adam(discriminator.parameters(), 0.05)
    for _ in range(24):
        for x in data.split(16):
            made = generator(torch.randn(len(x), 2))
            step(real_or_not(discriminator, x, made.detach()), of_d)
            step(softplus(-discriminator(made)).mean(), of_g)
    with torch.no_grad():
        made = generator(torch.randn(1000, 2))
    assert (made.mean(0) - data.mean(0)).norm() < 0.5 * data.mean(0).norm()
    assert torch.corrcoef(made.T)[0, 1] > 0.6  # the data's is 0.94, noise has none
    ratio = made.var(0) / data.var(0)
    assert ratio.min() > 0.4
    assert ratio.max() < 2
