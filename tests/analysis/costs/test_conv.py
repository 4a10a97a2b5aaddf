"""Convolutions, against loops that count each product."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from zoo.analysis.costs import DEFAULT
from zoo.analysis.costs.base import Inputs
from zoo.analysis.costs.conv import conv, conv_tbc, conv_transpose, convolution
from zoo.analysis.records import TensorSpec

SMALL = st.integers(1, 4)


def products_of_a_convolution(x, w, stride, padding, dilation, groups):
    """Walks each output element, each tap of its kernel; also gives the output's shape."""
    batch, _, *size = x
    c_out, c_in, *kernel = w
    lasts = [s + 2 * padding - dilation * (k - 1) - 1 for s, k in zip(size, kernel, strict=True)]
    positions = [range(0, last + 1, stride) for last in lasts]
    count = 0
    for _ in range(batch):
        for channel in range(c_out):
            group = channel // (c_out // groups)
            for _ in product(*positions):
                reads = range(group * c_in, (group + 1) * c_in)
                count += sum(1 for _ in product(reads, *map(range, kernel)))
    return count, (batch, c_out, *map(len, positions))


def products_of_a_transposed_convolution(x, w, groups):
    """Walks each input element, each output channel of its group, each tap it is spread over."""
    batch, c_in, *size = x
    _, c_out_of_group, *kernel = w
    count = 0
    for _ in range(batch):
        for _ in range(c_in):
            for _ in product(*map(range, size)):
                count += sum(1 for _ in product(range(c_out_of_group), *map(range, kernel)))
    assert c_in % groups == 0
    return count


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [(1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 1), (1, 1, 1, 2), (2, 1, 2, 4), (3, 0, 1, 2)],
)
def test_as_many_macs_as_a_loop_makes(rank, stride, padding, dilation, groups, observe):
    x, w = (2, 4, *(7, 6, 5)[:rank]), (8, 4 // groups, *(3, 2, 1)[:rank])
    expected, shape = products_of_a_convolution(x, w, stride, padding, dilation, groups)
    run = getattr(torch.nn.functional, f"conv{rank}d")
    meta = torch.empty(x, device="meta"), torch.empty(w, device="meta")
    (seen,) = observe(lambda: run(*meta, None, stride, padding, dilation, groups))
    assert seen.op == "aten.convolution.default"
    assert seen.outputs[0].shape == shape
    assert seen.cost.macs == expected
    assert seen.cost.flops == 0


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (2, 2), (1, 4)])
def test_as_many_macs_as_a_loop_makes_transposed(rank, stride, groups, observe):
    x, w = (2, 4, *(5, 3, 2)[:rank]), (4, 6 // groups if groups < 4 else 2, *(3, 2, 2)[:rank])
    expected = products_of_a_transposed_convolution(x, w, groups)
    run = getattr(torch.nn.functional, f"conv_transpose{rank}d")
    meta = torch.empty(x, device="meta"), torch.empty(w, device="meta")
    (seen,) = observe(lambda: run(*meta, stride=stride, groups=groups))
    assert seen.cost.macs == expected


@pytest.mark.parametrize("transposed", [False, True])
def test_agrees_with_torch_on_the_forward_pass(transposed, observe):
    layer = (torch.nn.ConvTranspose2d if transposed else torch.nn.Conv2d)(
        6, 9, (3, 5), stride=2, padding=1, groups=3, device="meta"
    )
    x = torch.empty(2, 6, 11, 13, device="meta")
    with FlopCounterMode(display=False) as counter:
        layer(x)
    assert 2 * sum(s.cost.macs for s in observe(lambda: layer(x))) == counter.get_total_flops()


@given(st.lists(st.integers(2, 9), min_size=1, max_size=3), SMALL, SMALL, SMALL)
def test_twice_the_batch_is_twice_the_macs(size, batch, c_in, c_out):
    w = TensorSpec((c_out, c_in, *(2 for _ in size)))
    one = TensorSpec((batch, c_in, *size)), TensorSpec((batch, c_out, *(s - 1 for s in size)))
    two = TensorSpec((2 * batch, c_in, *size)), TensorSpec((2 * batch, *one[1].shape[1:]))
    assert conv((two[0], w), two[1:]) == 2 * conv((one[0], w), one[1:])
    assert conv_transpose((two[0], w), two[1:]) == 2 * conv_transpose((one[0], w), one[1:])


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_groups_divide_the_macs(groups, c_in, c_out):
    x, y = TensorSpec((1, groups * c_in, 8)), TensorSpec((1, groups * c_out, 6))
    whole = TensorSpec((groups * c_out, groups * c_in, 3))
    grouped = TensorSpec((groups * c_out, c_in, 3))
    assert conv((x, whole), (y,)) == groups * conv((x, grouped), (y,))


def test_a_kernel_of_one_is_a_matrix_product():
    x, w, y = TensorSpec((1, 5, 6, 7)), TensorSpec((4, 5, 1, 1)), TensorSpec((1, 4, 6, 7))
    assert conv((x, w), (y,)) == DEFAULT["aten.mm"]((TensorSpec((42, 5)), TensorSpec((5, 4))), ())


def test_one_sample_without_a_batch_dimension_costs_the_same():
    w = TensorSpec((4, 3, 3, 3))
    batched = conv((TensorSpec((1, 3, 8, 8)), w), (TensorSpec((1, 4, 6, 6)),))
    assert conv((TensorSpec((3, 8, 8)), w), (TensorSpec((4, 6, 6)),)) == batched


def test_time_first_costs_the_same():
    t, b, c_in, c_out, k = 9, 2, 3, 4, 3
    tbc = conv_tbc(
        (TensorSpec((t, b, c_in)), TensorSpec((k, c_in, c_out))), (TensorSpec((t - 2, b, c_out)),)
    )
    bct = conv(
        (TensorSpec((b, c_in, t)), TensorSpec((c_out, c_in, k))), (TensorSpec((b, c_out, t - 2)),)
    )
    assert tbc == bct == prod((t - 2, b, c_out, c_in, k))


def test_every_library_counts_alike():
    x, w, y = TensorSpec((2, 4, 8, 8)), TensorSpec((4, 1, 3, 3)), TensorSpec((2, 4, 6, 6))
    inputs = Inputs((x, w), {"transposed": False, "X": x, "W": w})
    names = "convolution _convolution cudnn_convolution mkldnn_convolution conv2d _conv_depthwise2d"
    counts = {DEFAULT[f"aten.{name}"](inputs, (y,)) for name in names.split()}
    counts.add(DEFAULT["mkldnn._convolution_pointwise"](inputs, (y,)))
    assert counts == {convolution(inputs, (y,))}
