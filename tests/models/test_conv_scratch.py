"""Convolution and pooling from scratch compute what torch's do, and learn the book's edge."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as fn

import zoo
from zoo.models.conv_scratch import (
    ConvScratch,
    ScratchConv2d,
    ScratchPool2d,
    conv2d,
    conv_scratch,
    corr2d,
    corr2d_1x1,
    corr2d_multi_in,
    corr2d_multi_in_out,
    pool2d,
)


@given(
    sizes=st.tuples(*(st.integers(1, high) for high in (3, 4, 3))),
    image=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    window=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    padding=st.integers(0, 2),
    stride=st.integers(1, 3),
)
def test_conv2d_is_torchs(
    sizes: tuple[int, int, int],
    image: tuple[int, int],
    window: tuple[int, int],
    padding: int,
    stride: int,
) -> None:
    batch, wide, out = sizes
    x, kernel = torch.rand(batch, wide, *image), torch.rand(out, wide, *window)
    bias = torch.rand(out)
    expected = fn.conv2d(x, kernel, bias, padding=padding, stride=stride)
    ours = conv2d(x, kernel, bias, padding=padding, stride=stride)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


@given(
    image=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    size=st.integers(1, 4),
    stride=st.integers(1, 4) | st.none(),
)
def test_pool2d_is_torchs(image: tuple[int, int], size: int, stride: int | None) -> None:
    x = torch.rand(2, 3, *image)
    torch.testing.assert_close(pool2d(x, size, stride=stride), fn.max_pool2d(x, size, stride))
    mean = pool2d(x, size, "average", stride=stride)
    torch.testing.assert_close(mean, fn.avg_pool2d(x, size, stride))


def test_corr2d_of_one_two_and_three_kernels() -> None:
    """The book's numbers of 7.2 and 7.4."""
    image = torch.arange(9.0).reshape(3, 3)
    kernel = torch.arange(4.0).reshape(2, 2)
    x, k = torch.stack((image, image + 1)), torch.stack((kernel, kernel + 1))
    assert corr2d(image, kernel).tolist() == [[19, 25], [37, 43]]
    assert corr2d_multi_in(x, k).tolist() == [[56, 72], [104, 120]]
    kernels = torch.stack((k, k + 1, k + 2))
    assert kernels.shape == (3, 2, 2, 2)
    y = corr2d_multi_in_out(x, kernels)
    assert y[0].tolist() == [[56, 72], [104, 120]]
    assert y[2].tolist() == [[96, 128], [192, 224]]


def test_a_1x1_convolution_is_a_matrix_product() -> None:
    x, kernel = torch.rand(2, 3, 4, 5), torch.rand(6, 3)
    expected = fn.conv2d(x, kernel[:, :, None, None])
    torch.testing.assert_close(corr2d_1x1(x, kernel), expected)


def test_the_edge_kernel_is_learned_from_data() -> None:
    """7.2.4: from an image and its edges, without knowing the kernel."""
    torch.manual_seed(0)
    x = torch.ones(1, 1, 6, 8)
    x[..., 2:6] = 0
    edges = corr2d(x[0, 0], torch.tensor([[1.0, -1.0]]))[None, None]
    kernel = nn.Parameter(torch.randn(1, 1, 1, 2))
    losses = []
    for _ in range(20):
        loss = ((conv2d(x, kernel) - edges) ** 2).sum()
        (gradient,) = torch.autograd.grad(loss, kernel)
        with torch.no_grad():
            kernel -= 0.03 * gradient
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 100
    torch.testing.assert_close(kernel.flatten(), torch.tensor([1.0, -1.0]), rtol=0, atol=0.1)


def test_a_window_larger_than_the_image() -> None:
    with pytest.raises(ValueError, match="a window of 5x5 on an image of 4x9"):
        conv2d(torch.rand(1, 1, 4, 9), torch.rand(1, 1, 5, 5))
    with pytest.raises(ValueError, match="a window of 3x3 on an image of 2x2"):
        pool2d(torch.rand(1, 1, 2, 2), 3)


def test_channels_that_do_not_meet() -> None:
    with pytest.raises(ValueError, match="a kernel of 3 channels on images of 1"):
        conv_scratch(in_channels=3)(torch.rand(1, 1, 28, 28))
    with pytest.raises(ValueError, match="in_channels is 0; it wants a whole number from 1 up"):
        conv_scratch(in_channels=0)


def twin(model: ConvScratch) -> nn.Sequential:
    """The same network of torch's layers, with the same weights."""
    layers: list[nn.Module] = []
    for layer in model:
        if isinstance(layer, ScratchConv2d):
            out, wide, size, _ = layer.weight.shape
            torchs = nn.Conv2d(wide, out, size, stride=layer.stride, padding=layer.padding)
            torchs.load_state_dict(layer.state_dict())
            layers.append(torchs)
        elif isinstance(layer, ScratchPool2d):
            kind = nn.MaxPool2d if layer.mode == "max" else nn.AvgPool2d
            layers.append(kind(layer.size))
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


def test_the_network_is_that_of_torchs_layers_forward_and_backward() -> None:
    torch.manual_seed(0)
    model = conv_scratch(7, in_channels=2)
    x = torch.rand(3, 2, 28, 28)
    ours = model(x)
    torchs = twin(model)
    torch.testing.assert_close(ours, torchs(x), rtol=1e-5, atol=1e-5)
    inner = [model.conv1.weight, model.conv2.bias]
    theirs = [torchs.get_parameter("0.weight"), torchs.get_parameter("3.bias")]
    for mine, other in zip(
        torch.autograd.grad(ours.square().sum(), inner),
        torch.autograd.grad(torchs(x).square().sum(), theirs),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


def test_the_macs_of_the_matrix_products_are_those_of_the_convolutions() -> None:
    ours = zoo.summary("book/conv_scratch").totals
    model = conv_scratch()
    model(torch.rand(1, 1, 28, 28))
    theirs = zoo.summary(twin(model), (1, 1, 28, 28)).totals
    assert ours["macs"] == theirs["macs"]
    assert ours["parameters"] == theirs["parameters"] == 208 + 1168 + 272 + 170
