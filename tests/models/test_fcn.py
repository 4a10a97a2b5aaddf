"""FCN and transposed convolutions: torch's own, bilinear enlargement, pixels of digits."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits, load_sample_images
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, cross_entropy, interpolate

import zoo
from tests.models.learning import fit
from zoo.models._init import XavierConv2d
from zoo.models.blocks.bilinear import bilinear_kernel
from zoo.models.fcn import FCN, fcn
from zoo.models.transposed_conv_scratch import (
    TransposedConvScratch,
    kernel_matrix,
    spread,
    transposed_conv_scratch,
)

# transposed convolution


def test_the_books_examples() -> None:
    x = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    assert spread(x, x)[0, 0].tolist() == [[0, 0, 1], [0, 4, 6], [4, 12, 9]]
    twice = [[0, 0, 0, 1], [0, 0, 2, 3], [0, 2, 0, 3], [4, 6, 6, 9]]
    assert spread(x, x, stride=2)[0, 0].tolist() == twice
    layer = TransposedConvScratch(1, 1, 2, 1, 1)
    layer.weight.data.copy_(x)
    assert layer(x).tolist() == [[[[4]]]]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(4, 2, 1), (3, 1, 0), (2, 2, 0), (5, 3, 2), (1, 1, 0), (3, 4, 1)],
)
@pytest.mark.parametrize("bias", [False, True])
def test_from_scratch_is_torchs(kernel: int, stride: int, padding: int, bias: bool) -> None:
    torch.manual_seed(0)
    ours = TransposedConvScratch(3, 5, kernel, stride, padding, bias=bias)
    theirs = nn.ConvTranspose2d(3, 5, kernel, stride, padding, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(2, 3, 6, 7)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)
    ours(x).square().sum().backward()
    theirs(x).square().sum().backward()
    for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad, atol=1e-3, rtol=1e-4)


def test_from_scratch_costs_what_torchs_costs() -> None:
    theirs = nn.ConvTranspose2d(3, 3, 4, 2, 1, bias=False)
    macs = zoo.summary(theirs, "1,3,16,16").totals["macs"]
    assert zoo.summary("transposed_conv_scratch").totals["macs"] == macs == 3 * 3 * 16 * 16 * 16


@pytest.mark.parametrize(("height", "width"), [(3, 3), (4, 6), (2, 5)])
def test_as_a_product_with_a_matrix(height: int, width: int) -> None:
    torch.manual_seed(0)
    kernel, x = torch.rand(2, 3), torch.rand(height, max(width, 3))
    matrix = kernel_matrix(kernel, *x.shape)
    y = conv2d(x[None, None], kernel[None, None])
    torch.testing.assert_close(matrix @ x.flatten(), y.flatten())
    back = conv_transpose2d(y, kernel[None, None])
    torch.testing.assert_close((matrix.T @ y.flatten()).reshape(x.shape), back[0, 0])


def test_a_kernel_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel of 3 x 2 does not fit into an input of 2 x 5"):
        kernel_matrix(torch.rand(3, 2), 2, 5)


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (2, 3, 5, 9)])
def test_the_card_doubles_an_image(shape: tuple[int, ...]) -> None:
    y = transposed_conv_scratch()(torch.rand(shape))
    assert y.shape == (shape[0], 3, 2 * shape[2], 2 * shape[3])


# bilinear enlargement


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_bilinear_kernel_enlarges_as_interpolation_does(factor: int) -> None:
    photo = torch.tensor(load_sample_images().images[0][:32, :40]).permute(2, 0, 1)[None] / 255
    kernel = bilinear_kernel(3, 3, 2 * factor)
    ours = conv_transpose2d(photo, kernel, stride=factor, padding=factor // 2)
    theirs = interpolate(photo, scale_factor=factor, mode="bilinear", align_corners=False)
    edge = factor  # beyond the outermost centres, interpolation repeats the edge and this fades
    inner = (..., slice(edge, -edge), slice(edge, -edge))
    torch.testing.assert_close(ours[inner], theirs[inner], atol=1e-5, rtol=1e-5)


def test_a_bilinear_kernel_by_hand() -> None:
    hat = torch.tensor([0.25, 0.75, 0.75, 0.25])
    torch.testing.assert_close(
        bilinear_kernel(1, 2, 4), torch.stack((torch.outer(hat, hat), torch.zeros(4, 4)))[None]
    )
    odd = torch.tensor([0.5, 1.0, 0.5])
    torch.testing.assert_close(bilinear_kernel(1, 1, 3)[0, 0], torch.outer(odd, odd))


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(0, 1, 0), (3, 0, 0), (3, 1, -1)])
def test_a_layer_that_cannot_be_is_refused(kernel: int, stride: int, padding: int) -> None:
    with pytest.raises(ValueError, match=f"kernel {kernel}, stride {stride} and padding {padding}"):
        TransposedConvScratch(3, 3, kernel, stride, padding)


# the network


@pytest.mark.parametrize(
    ("shape", "classes"), [((1, 3, 320, 480), 21), ((2, 3, 64, 96), 5), ((2, 3, 32, 32), 2)]
)
def test_scores_have_the_size_of_the_image(shape: tuple[int, ...], classes: int) -> None:
    with torch.device("meta"):
        assert fcn(classes)(torch.empty(shape)).shape == (shape[0], classes, *shape[2:])


def test_parameters_beside_the_backbone() -> None:
    """A 1x1 convolution and a transposed one, with biases."""
    for classes in (2, 21):
        report = zoo.params("fcn", arguments={"num_classes": classes})
        beside = (512 * classes + classes) + (classes * classes * 64 * 64 + classes)
        assert report.totals["parameters"] == 11_176_512 + beside


def test_it_starts_as_enlargement() -> None:
    model = fcn(3)
    model(torch.rand(1, 3, 64, 64))
    assert torch.equal(model.transpose_conv.weight, bilinear_kernel(3, 3, 64))


def test_an_odd_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="a stride of 3 is odd"):
        FCN(nn.Identity(), 2, stride=3)


# learning


def marked(chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Digits drawn on pieces of a photo, and of each pixel: 0 photo, 1 of a zero, 2 of a one."""
    data = load_digits(n_class=2)
    digits, kinds = torch.tensor(data.images).float() / 16, torch.tensor(data.target)
    photo = torch.tensor(load_sample_images().images[0]).float().mean(-1) / 255
    ink = interpolate(digits[chosen][:, None], (32, 32), mode="bilinear")
    rows = torch.randint(photo.shape[0] - 32, (len(chosen),), generator=generator).tolist()
    columns = torch.randint(photo.shape[1] - 32, (len(chosen),), generator=generator).tolist()
    behind = [photo[r : r + 32, c : c + 32] for r, c in zip(rows, columns, strict=True)]
    drawn = ink > 0.5
    grey = 0.5 + 0.3 * torch.rand(ink.shape, generator=generator)
    images = torch.where(drawn, grey, torch.stack(behind)[:, None])
    return images, torch.where(drawn[:, 0], kinds[chosen][:, None, None] + 1, 0)


def overlap(said: Tensor, true: Tensor, kind: int) -> float:
    both = ((said == kind) & (true == kind)).sum().item()
    return both / ((said == kind) | (true == kind)).sum().item()


def test_it_tells_the_pixels_of_zeros_and_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    images, kinds = marked(torch.arange(300), generator)
    others, true = marked(torch.arange(300, 360), generator)

    def stage(channels: int, stride: int) -> tuple[nn.Module, ...]:
        convolution = XavierConv2d(channels, kernel_size=3, stride=stride, padding=1)
        return convolution, nn.LazyBatchNorm2d(), nn.ReLU()

    torch.manual_seed(0)
    net = FCN(nn.Sequential(*stage(16, 2), *stage(32, 2), *stage(32, 1)), 3, stride=4)
    net(images[:2])

    def loss() -> Tensor:
        chosen = torch.randint(len(images), (32,), generator=generator)
        return cross_entropy(net(images[chosen]), kinds[chosen])

    fit(net, loss, steps=100, rate=1e-2)
    said = net.eval()(others).argmax(1)
    majority = (true == 0).float().mean().item()
    assert (said == true).float().mean().item() > majority + 0.1
    for kind in (1, 2):  # a mask that guesses this kind everywhere overlaps by its share
        share = (true == kind).float().mean().item()
        assert overlap(said, true, kind) > share + 0.2
