"""What real weights are like: as torch computes it, a piece at a time, and nothing is changed."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import zoo
from tests.fingerprint import fingerprint
from tests.strategies import models
from zoo.analysis import values as module
from zoo.analysis.params import Values
from zoo.analysis.values import _pieces, values


def agrees(found: Values, tensor: Tensor) -> None:
    wide = tensor.detach().to(torch.float64)
    cells = found.cells()
    assert cells["mean"] == pytest.approx(wide.mean().item(), abs=1e-12)
    if wide.numel() > 1:
        assert cells["std"] == pytest.approx(wide.std().item(), abs=1e-12)
    else:
        assert cells["std"] is None
    assert cells["norm"] == pytest.approx(wide.norm().item())
    assert cells["zeros"] == pytest.approx(100 * (wide == 0).double().mean().item())
    assert cells["non_finite"] == 0


@given(models)
def test_values_are_torchs(model: nn.Module) -> None:
    before = fingerprint(model)
    found = values(model)
    assert list(found) == [name for name, _ in model.named_parameters()]
    for name, parameter in model.named_parameters():
        agrees(found[name], parameter)
    assert fingerprint(model) == before


shapes = st.lists(st.integers(1, 9), max_size=4)


@given(shapes, st.integers(1, 20), st.randoms(use_true_random=False))
def test_pieces_are_small_and_hold_everything_once(
    shape: list[int], most: int, order: object
) -> None:
    tensor = torch.arange(math.prod(shape), dtype=torch.float64).reshape(shape)
    dims = list(range(tensor.dim()))
    order.shuffle(dims)  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", most)
        parts = list(_pieces(tensor.permute(dims)))
    assert all(part.numel() <= most for part in parts)
    assert all(part.untyped_storage().data_ptr() == tensor.data_ptr() for part in parts)
    seen = torch.cat([part.flatten() for part in parts])
    assert torch.equal(seen.sort().values, tensor.flatten())


@given(st.integers(1, 50))
def test_pieces_change_no_figure(most: int) -> None:
    torch.manual_seed(most)
    net = nn.Linear(13, 11)
    net.weight.data = net.weight.data.t().contiguous().t() * 1e-3 + 1e3  # far from zero, not dense
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", most)
        found = values(net)
    for name, parameter in net.named_parameters():
        agrees(found[name], parameter)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=6), min_size=1, max_size=5))
def test_joining_is_counting_all_at_once(lists: list[list[float]]) -> None:
    joined = Values()
    for part in lists:
        joined = joined.joined(module._of_piece(torch.tensor(part, dtype=torch.float64)))
    everything = torch.tensor(sum(lists, []), dtype=torch.float64)  # noqa: RUF017
    assert joined.elements == everything.numel()
    if everything.numel() > 1:
        assert joined.mean == pytest.approx(everything.mean().item(), rel=1e-9, abs=1e-6)
        assert joined.std == pytest.approx(everything.std().item(), rel=1e-6, abs=1e-6)
        assert joined.norm == pytest.approx(everything.norm().item())


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    net = nn.Linear(2, 2, bias=False)
    net.weight.data = torch.tensor([[1.0, math.nan], [0.0, math.inf]])
    report = zoo.params(net, (1, 2), values=True)
    (row,) = report.rows
    assert (row["mean"], row["norm"], row["zeros"], row["non_finite"]) == (0.5, 1.0, 25.0, 2)
    assert report.totals["non_finite"] == 2
    (note,) = report.notes
    assert (note.code, note.severity) == ("non-finite", "warning")
    assert "weight" in note.text


def test_nothing_finite_is_not_known() -> None:
    net = nn.Linear(2, 2, bias=False)
    net.weight.data.fill_(math.nan)
    (row,) = zoo.params(net, values=True).rows
    assert (row["mean"], row["std"], row["norm"], row["non_finite"]) == (None, None, None, 4)


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.int8]
)
def test_dtypes(dtype: torch.dtype) -> None:
    data = torch.tensor([[1.0, 0.0], [2.0, 3.0]]).to(dtype)
    net = nn.Module()
    net.weight = nn.Parameter(data, requires_grad=False)
    (found,) = values(net).values()
    agrees(found, data)


def test_half_precision_does_not_overflow() -> None:
    net = nn.Module()
    net.weight = nn.Parameter(torch.full((100, 100), 60_000.0, dtype=torch.float16))
    cells = values(net)["weight"].cells()
    assert cells["norm"] == pytest.approx(100 * float(torch.tensor(60_000.0).half()))


def test_complex_parameters_have_a_norm_and_no_mean() -> None:
    net = nn.Module()
    net.weight = nn.Parameter(torch.tensor([3 + 4j, 0j]))
    cells = values(net)["weight"].cells()
    assert (cells["mean"], cells["std"]) == (None, None)
    assert (cells["norm"], cells["zeros"]) == (5.0, 50.0)


def test_groups_join_their_parameters() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8))
    everything = torch.cat([p.detach().flatten() for p in net.parameters()]).double()
    report = zoo.params(net, (1, 4), by="module", values=True)
    assert report.rows[0]["std"] == pytest.approx(everything.std().item())
    assert (
        report.rows[0]["norm"] == report.totals["norm"] == pytest.approx(everything.norm().item())
    )
    roles = {row["role"]: row for row in zoo.params(net, by="role", values=True).rows}
    assert (roles["norm"]["mean"], roles["norm"]["zeros"]) == (0.5, 50.0)


def test_a_name_is_built_for_real() -> None:
    torch.manual_seed(0)
    report = zoo.params("lenet_bn", values=True)
    found = {row["name"]: row for row in report.rows}
    norms = [row for row in report.rows if row["role"] == "norm"]
    assert {row["mean"] for row in norms if row["name"].endswith("weight")} == {1.0}
    assert {row["zeros"] for row in norms if row["name"].endswith("bias")} == {100.0}
    assert found["fc1.weight"]["std"] > 0
    wide = zoo.params("lenet_bn", "1,1,32,32", values=True)
    assert wide.totals["parameters"] > report.totals["parameters"]


def test_tied_parameters_are_read_once() -> None:
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    net[1].weight = net[0].weight
    report = zoo.params(net, (1, 4), values=True)
    assert report.totals["norm"] == pytest.approx(net[0].weight.norm().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("net", "says"),
    [
        (nn.Linear(2, 2, device="meta"), "values of weight: it is on the meta device"),
        (nn.Sequential(nn.LazyLinear(2)), "values of 0.weight: it is lazy"),
    ],
)
def test_weights_without_values(net: nn.Module, says: str) -> None:
    with pytest.raises(zoo.ZooError, match=says):
        zoo.params(net, (1, 2), values=True)


def test_sparse_weights_are_refused() -> None:
    net = nn.Module()
    net.weight = nn.Parameter(torch.eye(2).to_sparse())
    with pytest.raises(zoo.ZooError, match="its layout is sparse_coo"):
        values(net)


def test_a_trace_has_no_values() -> None:
    with pytest.raises(zoo.ZooError, match="a trace holds no weights"):
        zoo.params(zoo.trace("lenet"), values=True)
