"""Backward passes of real modules on the CPU, against what the layers' sizes say."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.flop_counter import FlopCounterMode

from zoo.analysis.costs import DEFAULT, cost_of
from zoo.analysis.costs.base import Inputs
from zoo.analysis.records import TensorSpec

SIZE = st.integers(1, 30)
SOME = [(True, True), (True, False), (False, True)]
"""Which of two gradients are asked for."""


def macs_by_phase(observe_training, forward) -> tuple[int, int]:
    """MACs of `forward`, which returns a tensor, and of its backward pass."""
    kept: list[Tensor] = []
    first = observe_training(lambda: kept.append(forward()))
    second = observe_training(lambda: kept[0].sum().backward())
    assert all(s.cost is not None for s in (*first, *second))
    return sum(s.cost.macs for s in first), sum(s.cost.macs for s in second)


@pytest.fixture(params=[True, False], ids=["onednn", "no onednn"])
def onednn(request):
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(request.param)
    yield request.param
    torch._C._set_mkldnn_enabled(before)


# convolutions


def conv_macs(layer: nn.Module, x: tuple[int, ...], y: tuple[int, ...]) -> int:
    """By the positions of the side that the kernel is laid on."""
    side = x if isinstance(layer, nn.modules.conv._ConvTransposeNd) else y
    per_position = layer.in_channels * layer.out_channels // layer.groups * prod(layer.kernel_size)
    return side[0] * prod(side[2:]) * per_position


CONVS = {
    "plain": {"kernel_size": 3},
    "padded": {"kernel_size": 3, "padding": 2, "bias": False},
    "strided": {"kernel_size": 3, "stride": 2},
    "dilated": {"kernel_size": 2, "dilation": 3},
    "grouped": {"kernel_size": 3, "groups": 2, "stride": 2, "padding": 1},
    "depthwise": {"kernel_size": 3, "groups": 4},
    "pointwise": {"kernel_size": 1},
}
RANKS = {1: (9,), 2: (9, 8), 3: (9, 8, 7)}


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("transposed", [False, True], ids=["", "transposed"])
@pytest.mark.parametrize("name", CONVS)
@pytest.mark.parametrize("of_input", [True, False], ids=["", "first layer"])
def test_a_convolution(rank, transposed, name, of_input, observe_training):
    check_convolution(rank, transposed, name, of_input, observe_training)


@pytest.mark.parametrize("transposed", [False, True], ids=["", "transposed"])
@pytest.mark.parametrize("name", CONVS)
def test_a_convolution_by_torchs_own_kernels(transposed, name, onednn, observe_training):
    check_convolution(2, transposed, name, True, observe_training)


def check_convolution(rank, transposed, name, of_input, observe_training):
    kind = getattr(nn, f"Conv{'Transpose' * transposed}{rank}d")
    layer, x = kind(4, 8, **CONVS[name]), torch.zeros(2, 4, *RANKS[rank], requires_grad=of_input)
    forward, backward = macs_by_phase(observe_training, lambda: layer(x))
    expected = conv_macs(layer, tuple(x.shape), tuple(layer(x).shape))
    assert forward == expected
    assert backward == expected * (2 if of_input else 1)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_weight_of_a_grouped_convolution_is_not_counted_groups_times(groups, observe_training):
    """FlopCounterMode takes groups out of the input's gradient and not out of the weight's."""
    layer, x = nn.Conv2d(4, 8, 3, groups=groups), torch.zeros(2, 4, 9, 9, requires_grad=True)
    forward, backward = macs_by_phase(observe_training, lambda: layer(x))
    with FlopCounterMode(display=False) as counter:
        layer(x).sum().backward()
    assert backward == 2 * forward
    assert counter.get_total_flops() == 2 * (forward + forward + groups * forward)


def test_a_bias_is_a_sum_and_a_mask_says_what_is_read(observe_training):
    layer, x = nn.Conv2d(3, 4, 3), torch.zeros(2, 3, 8, 8)
    (seen,) = (
        s
        for s in observe_training(lambda: layer(x).sum().backward())
        if s.op == "aten.convolution_backward.default"
    )
    gradient = 2 * 4 * 6 * 6
    assert seen.cost.flops == gradient
    assert seen.cost.bytes_read == 4 * (gradient + x.numel())
    assert seen.cost.bytes_written == 4 * (layer.weight.numel() + 4)


def test_a_frozen_convolution_passes_its_gradient_down(observe_training):
    layer, x = nn.Conv2d(4, 8, 3), torch.zeros(2, 4, 9, 9, requires_grad=True)
    layer.requires_grad_(requires_grad=False)
    forward, backward = macs_by_phase(observe_training, lambda: layer(x))
    assert backward == forward


@given(*[SIZE] * 7)
def test_backends_count_alike(b, c_in, c_out, h, w, k, l_):
    x, y, weight = (
        TensorSpec(s) for s in ((b, c_in, h, w), (b, c_out, k, l_), (c_out, c_in, 3, 2))
    )
    bias = TensorSpec((c_out,))
    whole = DEFAULT["aten.convolution_backward"]((y, x, weight), (x, weight, bias))
    assert whole.macs == 2 * b * k * l_ * c_out * c_in * 6
    assert DEFAULT["aten._slow_conv2d_backward"]((y, x, weight), (x, weight, bias)) == whole
    assert DEFAULT["aten.mps_convolution_backward"]((x, y, weight), (x, weight, bias)) == whole
    turned = Inputs((x, y, weight), {"transposed": True})
    transposed = DEFAULT["aten.convolution_backward"](turned, (y, weight, bias))
    mps = DEFAULT["aten.mps_convolution_transpose_backward"]((y, x, weight), (y, weight))
    assert transposed.macs == mps.macs == 2 * b * k * l_ * c_out * c_in * 6


# products


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
@pytest.mark.parametrize(("of_input", "of_weight"), SOME)
def test_a_linear_layer(shape, of_input, of_weight, observe_training):
    layer, x = nn.Linear(5, 7), torch.zeros(shape, requires_grad=of_input)
    layer.weight.requires_grad_(requires_grad=of_weight)
    forward, backward = macs_by_phase(observe_training, lambda: layer(x))
    expected = prod(shape[:-1]) * 5 * 7
    assert forward == expected
    assert backward == expected * (of_input + of_weight)


def test_a_bilinear_layer(observe_training):
    b, i, j, o = 2, 4, 5, 6
    layer, left, right = nn.Bilinear(i, j, o), torch.zeros(b, i), torch.zeros(b, j)
    left.requires_grad_()
    right.requires_grad_()
    forward, backward = macs_by_phase(observe_training, lambda: layer(left, right))
    assert forward == b * o * i * j + b * o * j
    of_left, of_right = b * o * i * j + b * i * j, b * o * i * j + b * o * j
    assert backward == of_left + of_right + b * o * i * j


@given(*[SIZE] * 3)
def test_a_fused_linear_layer_is_two_products(rows, k, n):
    x, g, w, bias = (TensorSpec(s) for s in ((rows, k), (rows, n), (n, k), (n,)))
    whole = DEFAULT["aten.linear_backward"]((x, g, w), (x, w, bias))
    of_x = DEFAULT["aten.mkldnn_linear_backward_input"]((g, w), (x,))
    of_w = DEFAULT["aten.mkldnn_linear_backward_weights"]((g, x, w), (w, bias))
    assert (whole.macs, whole.flops) == (of_x + of_w.macs, of_w.flops)
    mask = Inputs((g, x, w), {"mask": [True, False]})
    assert DEFAULT["aten.matmul_backward"](mask, (x,)) == of_x


# attention


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shared", [1, 2])
def test_a_fused_attention_takes_five_products(causal, shared, observe_training):
    b, h, s, t, e = 2, 4, 8, 8 if causal else 11, 16
    q = torch.zeros(b, h, s, e, requires_grad=True)
    k, v = (torch.zeros(b, h // shared, t, e, requires_grad=True) for _ in range(2))
    forward, backward = macs_by_phase(
        observe_training,
        lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=shared > 1),
    )
    assert forward == 2 * b * h * s * t * e
    assert backward == 5 * b * h * s * t * e


def test_an_attention_that_is_taken_apart_takes_four(observe_training):
    b, h, s, t, e, ev = 2, 4, 8, 11, 16, 12
    q, k, v = (torch.zeros(b, h, *x, requires_grad=True) for x in ((s, e), (t, e), (t, ev)))
    forward, backward = macs_by_phase(
        observe_training, lambda: F.scaled_dot_product_attention(q, k, v)
    )
    assert forward == b * h * s * t * (e + ev)
    assert backward == b * h * s * t * (2 * e + 2 * ev)


@pytest.mark.parametrize("weights", [False, True])
def test_multi_head_attention(weights, observe_training):
    b, s, d = 2, 5, 8
    layer, x = nn.MultiheadAttention(d, 2, batch_first=True), torch.zeros(b, s, d)
    x.requires_grad_()
    forward, backward = macs_by_phase(
        observe_training, lambda: layer(x, x, x, need_weights=weights)[0]
    )
    projections, scores = 4 * b * s * d * d, b * s * s * d
    assert forward == projections + 2 * scores
    assert backward == 2 * projections + (4 if weights else 5) * scores


HEADS_FIRST = """
    _scaled_dot_product_flash_attention_backward _scaled_dot_product_cudnn_attention_backward
    _scaled_dot_product_flash_attention_for_cpu_backward _cudnn_attention_backward
    _scaled_dot_product_efficient_attention_backward
    _scaled_dot_product_fused_attention_overrideable_backward
""".split()
ROWS_FIRST = ["_flash_attention_backward", "_efficient_attention_backward"]


@given(SIZE, st.integers(1, 4), st.integers(1, 4), SIZE, SIZE, SIZE, SIZE)
def test_every_attention_kernel_counts_alike(b, groups, kv_heads, sq, sk, e, ev):
    h = groups * kv_heads
    scores = b * h * sq * sk
    products = [scores * width for width in (e, ev, ev, e, e)]  # S, dP, dV, dQ, dK
    shapes = ((b, h, sq, ev), (b, h, sq, e), (b, kv_heads, sk, e), (b, kv_heads, sk, ev))
    for names, order in ((HEADS_FIRST, (0, 1, 2, 3)), (ROWS_FIRST, (0, 2, 1, 3))):
        specs = [TensorSpec(tuple(shape[i] for i in order)) for shape in shapes]
        for name in names:
            cost = cost_of(f"aten.{name}.default", specs, specs[1:], DEFAULT)
            assert cost.macs == sum(products)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_sequences_end_to_end_are_bounded_from_above(lengths):
    total, longest, h, e = sum(lengths), max(lengths), 2, 8
    true = sum(h * length * length * 5 * e for length in lengths)
    packed = TensorSpec((total, h, e))
    starts = TensorSpec((len(lengths) + 1,), "int32")
    call = Inputs((packed,) * 4, {"cum_seq_q": starts, "max_q": longest, "max_k": longest})
    bound = DEFAULT["aten._flash_attention_backward"](call, (packed,) * 3)
    assert true <= bound <= len(lengths) * h * longest * longest * 5 * e
    assert DEFAULT["aten._cudnn_attention_backward"](call, (packed,) * 3) == bound


# what is frozen


@pytest.mark.parametrize("trainable", [t for t in product([True, False], repeat=4) if any(t)])
def test_a_stack_by_what_is_trained(trainable, observe_training):
    """A weight's gradient where it is trained; an input's where something below is."""
    layers = [nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, 2, groups=4), nn.Flatten(), nn.Linear(36, 5)]
    layers.append(nn.Linear(5, 2))
    stack, x = nn.Sequential(*layers), torch.zeros(2, 3, 9, 9)
    macs = [2 * 7 * 7 * 4 * 3 * 9, 2 * 3 * 3 * 4 * 9, 2 * 36 * 5, 2 * 5 * 2]
    weighted = [layer for layer in layers if not isinstance(layer, nn.Flatten)]
    for layer, trained in zip(weighted, trainable, strict=True):
        layer.requires_grad_(requires_grad=trained)
    forward, backward = macs_by_phase(observe_training, lambda: stack(x))
    assert forward == sum(macs)
    of_weights = sum(one for one, trained in zip(macs, trainable, strict=True) if trained)
    of_inputs = sum(one for place, one in enumerate(macs) if any(trainable[:place]))
    assert backward == of_weights + of_inputs


# recurrent layers

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent_macs(kind, lengths, i, n, layers, directions) -> tuple[int, int, int]:
    """Forward MACs: of input weights in the first layer, in the others, and of hidden weights."""
    rows, gates = sum(lengths), GATES[kind]
    first = directions * rows * gates * n * i
    rest = (layers - 1) * directions * rows * gates * n * directions * n
    return first, rest, layers * directions * rows * gates * n * n


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("of_input", [True, False], ids=["", "first layer"])
@pytest.mark.parametrize("packed", [False, True], ids=["", "packed"])
def test_a_recurrent_layer(kind, layers, directions, of_input, packed, onednn, observe_training):
    b, t, i, n = 2, 4, 3, 5
    layer = getattr(nn, kind)(i, n, layers, bidirectional=directions == 2)
    x = torch.zeros(t, b, i, requires_grad=of_input)
    given_ = pack_padded_sequence(x, [4, 3]) if packed else x
    forward, backward = macs_by_phase(
        observe_training, lambda: layer(given_)[0][0] if packed else layer(given_)[0]
    )
    first, rest, hidden = recurrent_macs(
        kind, [4, 3] if packed else [t, t], i, n, layers, directions
    )
    assert forward == first + rest + hidden
    fused = kind == "LSTM" and onednn and not packed
    if fused:  # one kernel computes all gradients, asked for or not
        assert backward == 2 * (first + rest + hidden)
    else:  # each sequence's first state is zeros, and has no gradient
        unasked = layers * directions * b * GATES[kind] * n * n + (0 if of_input else first)
        if packed:  # the shorter one joins late on the way back: its zeros are a part of the state
            unasked -= (directions - 1) * layers * GATES[kind] * n * n
        assert backward == 2 * (first + rest + hidden) - unasked


@given(*[SIZE] * 4)
def test_one_recurrent_kernel_counts_as_the_other(t, b, i, n):
    x, h, y = TensorSpec((t, b, i)), TensorSpec((1, b, n)), TensorSpec((t, b, n))
    w, r, bias = TensorSpec((4 * n, i)), TensorSpec((4 * n, n)), TensorSpec((4 * n,))
    forward = DEFAULT["aten._cudnn_rnn"]((x, w, r, bias, bias, h, h), (y, h, h))
    weights = {"input": x, "weight": [w, r, bias, bias]}
    operands = (x, w, r, bias, bias, h, h, y, y)
    whole = DEFAULT["aten._cudnn_rnn_backward"](Inputs(operands, weights), ())
    assert whole == 2 * forward
    frozen = Inputs(operands, weights | {"output_mask": [True, True, True, False]})
    assert DEFAULT["aten._cudnn_rnn_backward"](frozen, ()) == forward
    state = TensorSpec((b, n))
    call = (x, w, r, bias, bias, state, state, y, state, state, y)
    assert DEFAULT["aten.mkldnn_rnn_layer_backward"](call, (x, w, r)).macs == whole


def flops_of_a_cell(kind, observe_training) -> tuple[int, list[int]]:
    """Elementwise FLOPs of one cell's backward, and those of the sums for its biases.

    In the midst of a sequence for an LSTM. A GRU's state goes back through a product, too: adding
    the two is no part of the cell.
    """
    n, b = 5, 2
    cell = getattr(nn, kind)(3, n, device="meta")
    x = torch.empty(b, 3, device="meta")
    midst = kind == "LSTMCell"
    state = [torch.empty(b, n, device="meta", requires_grad=midst) for _ in range(2)]
    out = cell(x, tuple(state) if midst else state[0])
    given_ = [torch.empty(b, n, device="meta") for _ in range(2)]
    ends = out if midst else [out]
    seen = observe_training(lambda: torch.autograd.backward(ends, given_[: len(ends)]))
    biases = [s for s in seen if s.op == "aten.sum.dim_IntList"]
    assert len(biases) == 2
    return sum(s.cost.flops for s in seen if s not in biases), [s.cost.flops for s in biases]


def test_a_fused_cell_counts_the_operators_it_replaces(observe_training):
    gates, state = TensorSpec((2, 20)), TensorSpec((2, 5))
    call = {"cx": state, "has_bias": False}
    fused = DEFAULT["aten._thnn_fused_lstm_cell_backward"]
    cell, biases = flops_of_a_cell("LSTMCell", observe_training)
    lstm = (state, state, state, state, gates)
    assert fused(Inputs(lstm, call), (gates, gates, state)).flops == cell
    with_bias = fused(Inputs(lstm, call | {"has_bias": True}), (gates, gates, state)).flops
    assert with_bias == cell + biases[0]  # one sum serves both

    gates = TensorSpec((2, 15))
    fused = DEFAULT["aten._thnn_fused_gru_cell_backward"]
    cell, biases = flops_of_a_cell("GRUCell", observe_training)
    call = Inputs((state, TensorSpec((2, 25))), {"grad_hy": state, "has_bias": True})
    assert fused(call, (gates, gates, state)).flops == cell + sum(biases)


# all other arithmetic


def one(seen, op: str):
    (found,) = [s for s in seen if s.op.startswith(f"aten.{op}.")]
    return found.cost


def test_a_lookup_has_no_products(observe_training):
    layer, ids = nn.Embedding(50, 8), torch.zeros(2, 3, dtype=torch.long)
    seen = observe_training(lambda: layer(ids).sum().backward())
    assert sum(s.cost.macs for s in seen) == 0
    cost = one(seen, "embedding_dense_backward")
    assert cost.flops == 6 * 8
    assert cost.bytes_written == 4 * 8 * (50 + 6)


@pytest.mark.parametrize(("of_input", "affine"), SOME)
@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
def test_a_norm_by_the_gradients_it_is_asked_for(kind, affine, of_input, observe_training):
    layer = {
        "batch": lambda: nn.BatchNorm2d(4, affine=affine),
        "layer": lambda: nn.LayerNorm(6, elementwise_affine=affine),
        "group": lambda: nn.GroupNorm(2, 4, affine=affine),
    }[kind]()
    x = torch.zeros(2, 4, 6, 6, requires_grad=of_input)
    seen = observe_training(lambda: layer(x).sum().backward())
    gradients = int(of_input) + 2 * affine
    assert one(seen, f"native_{kind}_norm_backward").flops == gradients * x.numel()


POINTWISE = {
    "threshold_backward": F.relu,
    "gelu_backward": F.gelu,
    "silu_backward": F.silu,
    "tanh_backward": torch.tanh,
    "sigmoid_backward": torch.sigmoid,
    "hardswish_backward": F.hardswish,
    "_softmax_backward_data": lambda x: F.softmax(x, -1),
    "_log_softmax_backward_data": lambda x: F.log_softmax(x, -1),
    "upsample_nearest2d_backward": lambda x: F.interpolate(x, scale_factor=2)[..., :4, :4],
    "max_pool2d_with_indices_backward": lambda x: F.max_pool2d(x, 1),
}


@pytest.mark.parametrize("op", POINTWISE)
def test_one_for_each_element_of_the_gradient(op, observe_training):
    x = torch.zeros(2, 3, 4, 4, requires_grad=True)
    cost = one(observe_training(lambda: POINTWISE[op](x).sum().backward()), op)
    scale = 4 if "nearest" in op else 1
    assert (cost.macs, cost.flops) == (0, scale * x.numel())


@pytest.mark.parametrize("window", [2, 3])
def test_an_average_hands_its_gradient_to_each_of_its_window(window, observe_training):
    x = torch.zeros(2, 3, 12, 12, requires_grad=True)
    cost = one(
        observe_training(lambda: F.avg_pool2d(x, window).sum().backward()), "avg_pool2d_backward"
    )
    assert cost.flops == x.numel()


@pytest.mark.parametrize(("mode", "taps"), [("nearest", 1), ("bilinear", 4), ("bicubic", 16)])
def test_an_interpolation_spreads_as_it_read(mode, taps, observe_training):
    x = torch.zeros(2, 3, 4, 4, requires_grad=True)
    seen = observe_training(lambda: F.interpolate(x, scale_factor=2, mode=mode).sum().backward())
    assert one(seen, f"upsample_{mode}2d_backward").flops == taps * 4 * x.numel()


def test_a_slice_is_put_into_zeros(observe_training):
    x = torch.zeros(10, 8, requires_grad=True)
    for op, cut in (("slice_backward", lambda: x[2:5]), ("select_backward", lambda: x[2])):
        part = cut().numel()
        seen = observe_training(lambda cut=cut: cut().sum().backward())
        cost = [s.cost for s in seen if s.op == f"aten.{op}.default"][-1]
        assert (cost.flops, cost.bytes_read) == (0, 4 * part)
        assert cost.bytes_written == 4 * (x.numel() + part)


def test_a_target_changes_one_element(observe_training):
    x, y = torch.zeros(6, 10, requires_grad=True), torch.zeros(6, dtype=torch.long)
    cost = one(observe_training(lambda: F.nll_loss(x, y).backward()), "nll_loss_backward")
    assert cost.flops == 6


def test_a_loss_by_its_predictions(observe_training):
    x, y = torch.zeros(6, 10, requires_grad=True), torch.zeros(6, 10)
    cost = one(observe_training(lambda: F.mse_loss(x, y).backward()), "mse_loss_backward")
    assert cost.flops == 60


@pytest.mark.parametrize(("of_x", "of_grid"), SOME)
def test_a_grid_has_a_gradient_of_its_own(of_x, of_grid, observe_training):
    x = torch.zeros(1, 3, 8, 8, requires_grad=of_x)
    grid = torch.zeros(1, 4, 4, 2, requires_grad=of_grid)
    seen = observe_training(lambda: F.grid_sample(x, grid, align_corners=False).sum().backward())
    taps = 4 * 3 * 4 * 4
    assert one(seen, "grid_sampler_2d_backward").flops == taps * (1 + of_x)
