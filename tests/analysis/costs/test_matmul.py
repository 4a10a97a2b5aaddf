"""Matrix products, against loops, against each other and against torch."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from zoo.analysis.costs import DEFAULT, matmul
from zoo.analysis.costs.base import Inputs
from zoo.analysis.costs.einsum import einsum
from zoo.analysis.records import TensorSpec

SIZE = st.integers(1, 50)


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def test_as_many_macs_as_a_loop_makes():
    m, k, n = 3, 4, 5
    count = sum(1 for _ in product(range(m), range(n), range(k)))
    assert matmul.mm((TensorSpec((m, k)), TensorSpec((k, n))), ()) == count


@given(SIZE, SIZE, SIZE, SIZE)
def test_doubling_any_size_doubles_the_macs(b, m, k, n):
    def macs(b: int, m: int, k: int, n: int) -> int:
        return matmul.bmm((TensorSpec((b, m, k)), TensorSpec((b, k, n))), ())

    one = macs(b, m, k, n)
    assert {macs(2 * b, m, k, n), macs(b, 2 * m, k, n), macs(b, m, 2 * k, n)} == {2 * one}
    assert macs(b, m, k, 2 * n) == 2 * one


@given(SIZE, SIZE, SIZE)
def test_one_product_has_one_cost_under_all_its_names(m, k, n):
    a, b, c, w = TensorSpec((m, k)), TensorSpec((k, n)), TensorSpec((m, n)), TensorSpec((n, k))
    expected = m * k * n
    assert DEFAULT["aten.addmm"]((TensorSpec((n,)), a, b), (c,)) == expected
    assert DEFAULT["aten.linear"]((a, w), (c,)) == expected
    assert DEFAULT["aten.matmul"]((a, b), (c,)) == expected
    assert DEFAULT["aten._scaled_mm"]((a, b, TensorSpec(()), TensorSpec(())), (c,)) == expected
    assert DEFAULT["aten._grouped_mm"]((a, b), (c,)) == expected
    one = TensorSpec((1, m, k)), TensorSpec((1, k, n)), TensorSpec((1, m, n))
    assert DEFAULT["aten.bmm"](one[:2], one[2:]) == expected
    assert DEFAULT["aten.tensordot"](Inputs((a, b), {"dims_self": [1]}), (c,)) == expected
    assert einsum(Inputs((a, b), {"equation": "ab, bc"}), (c,)).macs == expected


CALLS = [
    ("mm", lambda: meta(3, 4) @ meta(4, 5)),
    ("broadcast", lambda: meta(2, 1, 3, 4) @ meta(6, 4, 5)),
    ("vectors", lambda: torch.nn.functional.linear(meta(4), meta(5, 4))),
    ("baddbmm", lambda: torch.baddbmm(meta(2, 3, 5), meta(2, 3, 4), meta(2, 4, 5))),
    ("einsum", lambda: torch.einsum("bhqd,bhkd->bhqk", meta(2, 3, 4, 5), meta(2, 3, 6, 5))),
    ("chain", lambda: torch.einsum("ij,jk,kl->il", meta(2, 3), meta(3, 4), meta(4, 5))),
    ("ellipsis", lambda: torch.einsum("...ij,...jk", meta(7, 2, 3), meta(7, 3, 4))),
    ("summed first", lambda: torch.einsum("ijx,jk->ik", meta(2, 3, 9), meta(3, 4))),
    ("tensordot", lambda: torch.tensordot(meta(2, 3, 4), meta(3, 4, 5), 2)),
]


@pytest.mark.parametrize("call", [call for _, call in CALLS], ids=[name for name, _ in CALLS])
def test_agrees_with_torch_whole_or_taken_apart(call, observe):
    with FlopCounterMode(display=False) as counter:
        call()
    expected = counter.get_total_flops() // 2
    assert expected > 0
    assert sum(seen.cost.macs for seen in observe(call)) == expected

    def undecomposed() -> None:
        with torch.inference_mode():
            call()

    assert sum(seen.cost.macs for seen in observe(undecomposed)) == expected


def test_what_torch_leaves_out_is_counted(observe):
    def both() -> None:
        torch.mv(meta(3, 4), meta(4))
        torch.dot(meta(4), meta(4))

    with FlopCounterMode(display=False) as counter:
        both()
    assert counter.get_total_flops() == 0
    assert sum(seen.cost.macs for seen in observe(both)) == 12 + 4


def test_an_outer_product_has_no_macs(observe):
    seen = observe(lambda: torch.outer(meta(3), meta(4)))
    assert sum(s.cost.macs for s in seen) == 0
    assert sum(s.cost.flops for s in seen) == 12
    assert (
        einsum(
            Inputs((TensorSpec((3,)), TensorSpec((4,))), {"equation": "i,j->ij"}),
            (TensorSpec((3, 4)),),
        ).macs
        == 0
    )


def test_bilinear_is_two_products(observe):
    layer = torch.nn.Bilinear(3, 4, 5, bias=False, device="meta")
    (seen,) = [s for s in observe(lambda: layer(meta(2, 3), meta(2, 4))) if "trilinear" in s.op]
    first = sum(1 for _ in product(range(2), range(5), range(3), range(4)))
    then = sum(1 for _ in product(range(2), range(5), range(4)))
    assert seen.cost.macs == first + then


def test_distances_are_a_product_where_torch_makes_them_one():
    x, y = TensorSpec((26, 8)), TensorSpec((3, 8))
    d = (TensorSpec((26, 3)),)
    assert matmul.pairwise_distance(Inputs((x, y), {"p": 2.0}), d).macs == 26 * 3 * 8
    few = Inputs((y, y), {"p": 2.0})
    assert matmul.pairwise_distance(few, (TensorSpec((3, 3)),)).macs == 0
    forbidden = Inputs((x, y), {"p": 2.0, "compute_mode": 2})
    assert matmul.pairwise_distance(forbidden, d).flops == 26 * 3 * 8


def test_two_of_four_sparsity_halves_the_macs():
    stored, meta_, x = TensorSpec((4, 8)), TensorSpec((4, 1)), TensorSpec((16, 5))
    out = (TensorSpec((4, 5)),)
    sparse = DEFAULT["aten._sparse_semi_structured_mm"]((stored, meta_, x), out)
    assert 2 * sparse == DEFAULT["aten.mm"]((TensorSpec((4, 16)), x), out)
