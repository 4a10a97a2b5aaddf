"""Formulas of torch and fvcore, through the adapters."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils import flop_counter

from zoo.analysis.costs import DEFAULT, cost_of, wrap
from zoo.analysis.costs.base import Inputs, table
from zoo.analysis.records import TensorSpec
from zoo.errors import FormulaError

with warnings.catch_warnings():  # torch's own: fvcore scripts a loss when it is imported
    warnings.filterwarnings("ignore", "`torch.jit")
    from fvcore.nn import jit_handles

SIZE = st.integers(1, 30)
F = torch.nn.functional


def only(seen, op):
    (found,) = [s for s in seen if s.op.startswith(f"aten.{op}.")]
    return found


def convolution(transposed: bool):
    x = torch.empty(2, 4, 9, 9, device="meta")
    if transposed:
        return F.conv_transpose2d(x, torch.empty(4, 3, 3, 3, device="meta"), groups=2)
    return F.conv2d(x, torch.empty(6, 2, 3, 3, device="meta"), stride=2, groups=2)


@given(SIZE, SIZE, SIZE)
def test_a_product_from_three_hands(m, k, n):
    a, b, bias, out = (TensorSpec(s) for s in ((m, k), (k, n), (n,), (m, n)))
    expected = DEFAULT["aten.mm"]((a, b), (out,))
    assert wrap.from_flop_counter(flop_counter.mm_flop)((a, b), (out,)) == expected
    assert wrap.from_flop_counter(flop_counter.addmm_flop)((bias, a, b), (out,)) == expected
    assert wrap.from_fvcore(jit_handles.addmm_flop_jit)((bias, a, b), (out,)) == expected
    assert wrap.from_fvcore(jit_handles.matmul_flop_jit)((a, b), (out,)) == expected


@pytest.mark.parametrize("transposed", [False, True])
def test_a_convolution_from_three_hands(transposed, observe):
    seen = only(observe(lambda: convolution(transposed)), "convolution")
    torch_s = wrap.from_flop_counter(flop_counter.conv_flop)
    fvcore_s = wrap.from_fvcore(jit_handles.conv_flop_jit)
    assert torch_s(seen.inputs, seen.outputs) == seen.cost.macs > 0
    assert fvcore_s(seen.inputs, seen.outputs) == seen.cost.macs


def test_an_attention_from_two_hands(observe):
    q = torch.zeros(1, 4, 128, 64)
    (seen,) = observe(lambda: F.scaled_dot_product_attention(q, q, q))
    theirs = wrap.from_flop_counter(flop_counter.sdpa_flop)
    assert theirs(seen.inputs, seen.outputs) == seen.cost.macs == 8_388_608


def test_every_formula_of_torch_for_a_plain_product_is_taken(observe):
    q = torch.empty(2, 3, 4, device="meta")
    seen = only(observe(lambda: torch.baddbmm(q, q[..., :3], q)), "baddbmm")
    theirs = flop_counter.flop_registry[torch.ops.aten.baddbmm]
    assert wrap.from_flop_counter(theirs)(seen.inputs, seen.outputs) == seen.cost.macs


def test_an_einsum_of_fvcore_reads_the_list_of_operands():
    a, b = TensorSpec((2, 3, 4)), TensorSpec((2, 5, 4))
    inputs = Inputs((a, b), {"equation": "abc,adc->adb", "tensors": [a, b], "path": None})
    outputs = (TensorSpec((2, 5, 3)),)
    count = wrap.from_fvcore(jit_handles.einsum_flop_jit)(inputs, outputs)
    assert count == DEFAULT["aten.einsum"](inputs, outputs).macs == 120


def test_norms_of_fvcore_are_pointwise(observe):
    norm = torch.nn.LayerNorm(8, device="meta")
    seen = only(observe(lambda: norm(torch.empty(2, 8, device="meta"))), "native_layer_norm")
    handle = jit_handles.norm_flop_counter(2)
    cost = wrap.pointwise_from_fvcore(handle)(seen.inputs, seen.outputs)
    assert (cost.macs, cost.flops) == (0, 5 * 16)
    assert (cost.bytes_read, cost.bytes_written) == (seen.cost.bytes_read, seen.cost.bytes_written)


def test_a_batch_norm_of_fvcore_reads_constants_and_absent_tensors(observe):
    norm = torch.nn.BatchNorm1d(8, affine=False, device="meta").eval()
    seen = observe(lambda: norm(torch.empty(2, 8, device="meta")))[-1]
    handle = wrap.pointwise_from_fvcore(jit_handles.batchnorm_flop_jit)
    assert handle(seen.inputs, seen.outputs).flops == 16


def test_several_results_are_a_tuple_of_shapes():
    shapes = []

    def remember(x, *rest, out_shape=None):
        shapes.append(out_shape)
        return 0

    formula, x = wrap.from_flop_counter(remember), TensorSpec((2,))
    formula((x,), (x,))
    formula((x,), (x, x))
    assert shapes == [(2,), ((2,), (2,))]


def test_arguments_go_in_as_the_formula_takes_them():
    given_ = []

    def picky(x_shape, times, *, mode, out_shape=None):
        given_.append((x_shape, times, mode))
        return 2 * times

    x = TensorSpec((2, 3))
    inputs = Inputs((x,), {"x": x, "times": 7, "mode": "full", "unused": None})
    assert wrap.from_flop_counter(picky)(inputs, (x,)) == 7
    assert given_ == [((2, 3), 7, "full")]

    def open_ended(x_shape, out_shape=None, **rest):
        return 2 * rest["times"]

    assert wrap.from_flop_counter(open_ended)(inputs, (x,)) == 7


def test_a_wrapped_formula_serves_in_a_table():
    def scale_flop(x_shape, *, out_shape=None):
        return 2 * x_shape[0]

    mine = table(DEFAULT, {"mylib.scale": wrap.from_flop_counter(scale_flop)})
    x = TensorSpec((8, 3))
    cost = cost_of("mylib.scale.default", (x,), (x,), mine)
    assert (cost.macs, cost.bytes_read, cost.bytes_written) == (8, 96, 96)


def test_half_a_mac_is_rubbish():
    mine = {"mylib.scale": wrap.from_fvcore(lambda inputs, outputs: 0.5)}
    with pytest.raises(
        FormulaError, match=r"mylib.scale.default raised ValueError: 0.5 is no whole"
    ):
        cost_of("mylib.scale.default", (), (), mine)
