"""Attention: one figure for one attention, whichever kernel runs it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from zoo.analysis.costs import DEFAULT, cost_of
from zoo.analysis.costs.base import Inputs
from zoo.analysis.records import TensorSpec

HEADS_FIRST = """
    scaled_dot_product_attention _scaled_dot_product_attention_math
    _scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu
    _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
    _scaled_dot_product_fused_attention_overrideable _cudnn_attention_forward
""".split()
ROWS_FIRST = ["_flash_attention_forward", "_efficient_attention_forward"]
SIZE = st.integers(1, 40)


def swapped(spec: TensorSpec) -> TensorSpec:
    b, h, s, e = spec.shape
    return TensorSpec((b, s, h, e))


@given(SIZE, st.integers(1, 4), st.integers(1, 4), SIZE, SIZE, SIZE, SIZE)
def test_every_kernel_counts_alike(b, groups, kv_heads, sq, sk, e, ev):
    h = groups * kv_heads
    q, k = TensorSpec((b, h, sq, e)), TensorSpec((b, kv_heads, sk, e))
    v, out = TensorSpec((b, kv_heads, sk, ev)), TensorSpec((b, h, sq, ev))
    expected = b * h * (sq * sk * e + sq * sk * ev)
    for name in HEADS_FIRST:
        assert macs_of(name, (q, k, v), out) == expected
    for name in ROWS_FIRST:
        assert macs_of(name, (swapped(q), swapped(k), swapped(v)), swapped(out)) == expected


def macs_of(name: str, operands: tuple[TensorSpec, ...], out: TensorSpec) -> int:
    cost = cost_of(f"aten.{name}.default", operands, (out,), DEFAULT)
    assert cost is not None
    return cost.macs


def attention(causal: bool, gqa: bool = False):
    q = torch.empty(1, 4, 128, 64, device="meta")
    k = q[:, :2] if gqa else q
    return torch.nn.functional.scaled_dot_product_attention(
        q, k, k, is_causal=causal, enable_gqa=gqa
    )


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("gqa", [False, True])
def test_the_figure_of_design(causal, gqa, observe):
    """1*4*128*128*(64 + 64): causal in full, with fewer key heads the same."""
    seen = observe(lambda: attention(causal, gqa))
    assert sum(s.cost.macs for s in seen) == 8_388_608


@pytest.mark.parametrize("gqa", [False, True])
def test_fused_or_not_the_pointwise_flops_are_the_same(gqa, observe):
    apart = observe(lambda: attention(causal=False, gqa=gqa))
    q, k = TensorSpec((1, 4, 128, 64)), TensorSpec((1, 2 if gqa else 4, 128, 64))
    name = "aten._scaled_dot_product_flash_attention_for_cpu.default"
    fused = cost_of(name, (q, k, k), (q,), DEFAULT)
    assert fused.flops == sum(s.cost.flops for s in apart)


def test_the_cpu_kernel_that_torch_leaves_out(observe):
    q = torch.zeros(1, 4, 128, 64)
    (seen,) = observe(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q))
    assert seen.op == "aten._scaled_dot_product_flash_attention_for_cpu.default"
    assert seen.cost.macs == 8_388_608


def test_agrees_with_torch_taken_apart(observe):
    layer = torch.nn.MultiheadAttention(8, 2, batch_first=True, device="meta")
    x = torch.empty(2, 5, 8, device="meta")
    with FlopCounterMode(display=False) as counter:
        layer(x, x, x)
    layer.train()
    seen = observe(lambda: layer(x, x, x))
    macs = sum(s.cost.macs for s in seen)
    assert 2 * macs == counter.get_total_flops()
    spec = TensorSpec((2, 5, 8))
    assert DEFAULT["aten._native_multi_head_attention"]((spec,) * 3, (spec,)) == macs


def test_a_fused_encoder_layer_costs_what_its_parts_do(observe):
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    x = torch.zeros(2, 5, 8)
    (fused,) = observe(lambda: layer(x))
    assert fused.op == "aten._transformer_encoder_layer_fwd.default"
    layer.train()
    assert fused.cost.macs == sum(s.cost.macs for s in observe(lambda: layer(x)))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_sequences_end_to_end_are_bounded_from_above(lengths):
    total, longest, h, e = sum(lengths), max(lengths), 2, 8
    true = sum(h * length * length * 2 * e for length in lengths)
    packed = TensorSpec((total, h, e))
    starts = TensorSpec((len(lengths) + 1,), "int32")
    flash = Inputs((packed,) * 3, {"cum_seq_q": starts, "max_q": longest, "max_k": longest})
    bound = DEFAULT["aten._flash_attention_forward"](flash, (packed,))
    assert true <= bound <= len(lengths) * h * longest * longest * 2 * e
    if len(set(lengths)) == 1:
        assert bound == true
    rows = TensorSpec((1, total, h, e))
    arguments = {"cu_seqlens_q": starts, "max_seqlen_q": longest, "max_seqlen_k": longest}
    efficient = DEFAULT["aten._efficient_attention_forward"]
    assert efficient(Inputs((rows,) * 3, arguments), (rows,)) == bound
