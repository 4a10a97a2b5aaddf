"""What is read and written, and what pointwise work is counted."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from zoo.analysis.costs import DEFAULT, cost_of
from zoo.analysis.costs.base import Inputs
from zoo.analysis.records import Cost, TensorSpec

SHAPE = st.lists(st.integers(1, 12), min_size=1, max_size=4).map(tuple)


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def one(seen, op: str):
    (found,) = [s for s in seen if s.op.startswith(f"aten.{op}.")]
    return found.cost


def test_a_lookup_reads_its_rows_and_not_the_table(observe):
    ids = torch.zeros(2, 3, dtype=torch.long, device="meta")
    cost = one(observe(lambda: nn.Embedding(50_000, 8, device="meta")(ids)), "embedding")
    assert cost == Cost(0, 0, 6 * 8 * 4 + 6 * 8, 6 * 8 * 4)


def test_a_bag_sums_its_rows(observe):
    ids = torch.zeros(2, 3, dtype=torch.long, device="meta")
    seen = observe(lambda: nn.EmbeddingBag(50_000, 8, mode="sum", device="meta")(ids))
    bag = next(s.cost for s in seen if s.op.startswith("aten._embedding_bag"))
    assert bag.macs == 0
    assert bag.flops == 6 * 8
    assert bag.bytes_read < 1_000


def test_making_is_writing(observe):
    assert one(observe(lambda: torch.zeros(2, 3, device="meta")), "zeros") == Cost(0, 0, 0, 24)
    assert one(observe(lambda: torch.empty(2, 3, device="meta")), "empty") == Cost()
    assert one(observe(lambda: meta(2, 3).normal_()), "normal_") == Cost(0, 6, 0, 24)


def test_in_place_writes_too(observe):
    x, y = meta(2, 3), meta(2, 3)
    assert one(observe(lambda: x.add_(y)), "add_") == Cost(0, 6, 48, 24)
    assert one(observe(lambda: x.copy_(y)), "copy_") == Cost(0, 0, 24, 24)
    assert one(observe(x.zero_), "zero_") == Cost(0, 0, 0, 24)
    lists = one(observe(lambda: torch._foreach_mul_([x, y], 2.0)), "_foreach_mul_")
    assert lists == Cost(0, 12, 48, 48)


def test_a_conversion_moves_and_computes_nothing(observe):
    assert one(observe(lambda: meta(2, 3).half()), "_to_copy") == Cost(0, 0, 24, 12)


def test_putting_rows_leaves_the_rest_alone(observe):
    x, ids = meta(100, 8), torch.zeros(2, dtype=torch.long, device="meta")

    def put() -> None:
        x[ids] = meta(2, 8)

    assert one(observe(put), "index_put_") == Cost(0, 0, 64 + 16, 64)
    assert one(observe(lambda: x[ids]), "index") == Cost(0, 0, 64 + 16, 64)


def test_a_mask_puts_all_at_most():
    x, mask, value = TensorSpec((4, 8)), TensorSpec((4,), "bool"), TensorSpec(())
    inputs = Inputs((x, mask, value), {"indices": [mask]})
    assert DEFAULT["aten.index_put_"](inputs, (x,)).bytes_written == x.nbytes


@given(SHAPE)
def test_elementwise_by_results_and_reductions_by_operands(shape):
    x, row = TensorSpec(shape), TensorSpec(shape[-1:])
    assert cost_of("aten.add.Tensor", (x, row), (x,), DEFAULT).flops == x.numel
    assert cost_of("aten.sum.dim_IntList", (x,), (row,), DEFAULT).flops == x.numel
    assert cost_of("aten._softmax.default", (x,), (x,), DEFAULT).flops == x.numel
    norm = cost_of("aten.native_layer_norm.default", (x, row, row), (x, row, row), DEFAULT)
    assert norm.flops == x.numel


@given(SHAPE, st.sampled_from(sorted(DEFAULT["aten.add"].__globals__["FORMULAS"])))
def test_twice_the_elements_is_twice_the_work(shape, name):
    if "foreach" in name or "fused" in name:
        return
    x, xx = TensorSpec(shape), TensorSpec((2 * shape[0], *shape[1:]))
    small, large = DEFAULT[name]((x, x), (x,)), DEFAULT[name]((xx, xx), (xx,))
    assert (2 * small.flops, 2 * small.bytes_read) == (large.flops, large.bytes_read)


def test_a_pool_reads_its_windows(observe):
    x = meta(1, 2, 8, 8)
    pool = one(observe(lambda: nn.MaxPool2d(3, 2, 1)(x)), "max_pool2d_with_indices")
    assert pool.flops == 2 * 4 * 4 * 9
    disjoint = one(observe(lambda: nn.AvgPool2d(2)(x)), "avg_pool2d")
    assert disjoint.flops == x.numel()


def test_a_fourier_transform_by_rows_is_one_by_columns_too(observe):
    z = torch.empty(8, 8, dtype=torch.complex64, device="meta")
    whole = one(observe(lambda: torch.fft.fft2(z)), "_fft_c2c").flops
    rows = one(observe(lambda: torch.fft.fft(z)), "_fft_c2c").flops
    columns = one(observe(lambda: torch.fft.fft(z, dim=0)), "_fft_c2c").flops
    assert whole == rows + columns == 2 * 8 * 5 * 8 * 3


def test_a_real_transform_is_half_a_complex_one(observe):
    x, z = meta(4, 16), torch.empty(4, 16, dtype=torch.complex64, device="meta")
    whole = one(observe(lambda: torch.fft.fft(z)), "_fft_c2c").flops
    assert 2 * one(observe(lambda: torch.fft.rfft(x)), "_fft_r2c").flops == whole
    assert 2 * one(observe(lambda: torch.fft.irfft(z[:, :9])), "_fft_c2r").flops == whole


def test_a_solve_is_a_decomposition_and_two_triangular_solves(observe):
    a, b = meta(6, 6), meta(6, 2)
    whole = one(observe(lambda: torch.linalg.solve(a, b)), "_linalg_solve_ex").flops
    lu = one(observe(lambda: torch.linalg.lu_factor(a)), "linalg_lu_factor_ex").flops
    half = observe(lambda: torch.linalg.solve_triangular(a, b, upper=True))
    assert whole == lu + 2 * one(half, "linalg_solve_triangular").flops
