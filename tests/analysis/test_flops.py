"""Where MACs go: rows add up whatever they are grouped by, and causal halves are exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from tests.strategies import WIDTH, models
from zoo.analysis.flops import GROUPINGS, flops, visible
from zoo.analysis.records import Cost, ModelInfo, ModuleCall, OpCall, TensorSpec, Trace
from zoo.analysis.summary import summary
from zoo.analysis.tracer.run import run
from zoo.analysis.tracer.step import Training

if TYPE_CHECKING:
    from zoo.analysis.records import Phase, Report

FIGURES = ("macs", "forward_macs", "backward_macs", "flops", "pointwise_flops", "calls")


def step_of(model: nn.Module, *inputs: Any, **how: Any) -> Trace:
    return run(model, list(inputs), training=True, step=Training(**how))


def trainable(model: nn.Module) -> bool:
    """Whether a loss of all outputs reaches a parameter of it."""
    return any(p.requires_grad for p in model.parameters()) and bool(
        model.train()(torch.zeros(3, WIDTH)).requires_grad
    )


def check_sums(report: Report, by: str) -> None:
    totals = report.totals
    for figure in FIGURES:
        total = totals["operators"] if figure == "calls" else totals[figure]
        if by == "module":
            assert report.rows[0][figure] == total
        else:
            assert sum(row[figure] for row in report.rows) == total
    share = report.rows[0]["share"] if by == "module" else sum(r["share"] for r in report.rows)
    assert share == pytest.approx(100 if totals["macs"] else 0)
    parts = ("forward_macs", "backward_macs", "optimizer_macs")
    assert totals["macs"] == sum(totals[part] for part in parts)


@given(model=models)
def test_rows_add_up_in_inference(model: nn.Module) -> None:
    trace = run(model, [(3, WIDTH)])
    for by in GROUPINGS:
        report = flops(trace, by=by)
        check_sums(report, by)
        assert report.totals["ratio"] is None
        assert report.totals["backward_macs"] == 0


@given(model=models.filter(trainable), optimizer=st.sampled_from(["sgd", "adamw"]))
def test_rows_add_up_in_training(model: nn.Module, optimizer: str) -> None:
    trace = step_of(model, (3, WIDTH), optimizer=optimizer)
    assert trace.failure is None
    for by in GROUPINGS:
        report = flops(trace, by=by)
        check_sums(report, by)
        assert report.totals["optimizer_pointwise_flops"] > 0


@given(models)
def test_a_forward_pass_is_that_of_the_summary(model: nn.Module) -> None:
    """And a module's figures are its own and those of what is inside."""
    trace = run(model, [(3, WIDTH)])
    ours, theirs = flops(trace), summary(trace)
    for figure in ("macs", "flops", "pointwise_flops", "operators", "coverage"):
        assert ours.totals[figure] == theirs.totals[figure]
    macs = {row["call"]: row["macs"] for row in theirs.rows}
    assert all(macs[row["call"]] == row["macs"] for row in ours.rows)
    rows = ours.rows
    assert [row["call"] for row in rows] == [call.index for call in trace.calls]
    for call in trace.calls:
        own = [op.cost.macs for op in trace.ops if op.call == call.index and op.cost]
        inside = [rows[one.index]["macs"] for one in trace.calls if one.parent == call.index]
        assert rows[call.index]["macs"] == sum(own) + sum(inside)


@given(models.filter(trainable))
def test_a_summary_of_a_step_is_that_of_its_forward_pass(model: nn.Module) -> None:
    trace = step_of(model, (3, WIDTH))
    found = summary(trace).totals
    forward = [op for op in trace.ops if op.phase == "forward"]
    assert found["macs"] == flops(trace).totals["forward_macs"]
    assert found["operators"] == len(forward) < len(trace.ops)


def test_backward_is_two_products_for_each_layer_but_the_first() -> None:
    """Linear (m, k) x (k, n): m*k*n for the weight's gradient, as many for the input's."""
    net = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 4))
    report = flops(step_of(net, (5, 8)))
    one, two = 5 * 8 * 16, 5 * 16 * 4
    assert report.totals["forward_macs"] == one + two
    assert report.totals["backward_macs"] == one + 2 * two
    assert report.totals["ratio"] == (one + 2 * two) / (one + two)
    assert [row["backward_macs"] for row in report.rows] == [one + 2 * two, one, 2 * two]


def test_phases_are_in_their_order() -> None:
    rows = flops(step_of(nn.Linear(8, 4), (5, 8), optimizer="adamw"), by="phase").rows
    assert [row["phase"] for row in rows] == ["forward", "backward", "optimizer"]
    assert rows[0]["macs"] == rows[1]["macs"] == 5 * 8 * 4


def test_what_checkpointing_computes_again_is_backward() -> None:
    net = nn.Sequential(
        nn.Sequential(nn.Linear(8, 8), nn.ReLU()), nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    )
    plain, again = step_of(net, (5, 8)), step_of(net, (5, 8), checkpoint=("1",))
    before, after = flops(plain).totals, flops(again).totals
    assert after["forward_macs"] == before["forward_macs"]
    assert after["backward_macs"] == before["backward_macs"] + 5 * 8 * 8


def test_types_and_operators_are_sorted_by_their_macs() -> None:
    trace = zoo.trace("resnet18", (1, 3, 64, 64))
    by_type, by_operator = flops(trace, by="type"), flops(trace, by="operator")
    assert by_type.rows[0]["type"] == "Conv2d"
    assert by_type.rows[0]["module_calls"] == sum(c.type == "Conv2d" for c in trace.calls)
    assert by_operator.rows[0]["operator"] == "aten.convolution.default"
    for report in (by_type, by_operator):
        macs = [row["macs"] for row in report.rows]
        assert macs == sorted(macs, reverse=True)


def test_a_module_called_twice_has_two_rows() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(self.inner(x))

    rows = flops(run(Twice(), [(2, 8)])).rows
    assert [(row["path"], row["macs"], row["marks"]) for row in rows] == [
        ("", 256, []),
        ("inner", 128, []),
        ("inner", 128, ["recursive"]),
    ]


# causal attention


class Attention(nn.Module):
    def __init__(self, *, causal: bool = True, **options: Any) -> None:
        super().__init__()
        self.causal, self.options = causal, options

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal, **self.options)


@pytest.mark.parametrize(("queries", "keys"), [(6, 6), (4, 7), (7, 4), (1, 1), (1, 5), (128, 128)])
def test_half_counts_what_torchs_own_causal_mask_leaves(queries: int, keys: int) -> None:
    """The pairs are those of the mask in torch's documentation of the function."""
    mask = torch.ones(queries, keys, dtype=torch.bool).tril(diagonal=0)
    trace = run(Attention(), [(2, 4, queries, 8), (2, 4, keys, 8), (2, 4, keys, 8)])
    full, half = (flops(trace, causal=word).totals["macs"] for word in ("full", "half"))
    assert full == 2 * 4 * queries * keys * 16
    assert half == 2 * 4 * int(mask.sum()) * 16


def test_the_mask_is_the_one_that_the_kernel_applies() -> None:
    """A query sees the keys whose value changes what comes out."""
    torch.manual_seed(0)
    q, k, v = torch.randn(1, 1, 5, 8), torch.randn(1, 1, 3, 8), torch.randn(1, 1, 3, 8)
    before = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    seen = 0
    for key in range(3):
        other = v.clone()
        other[:, :, key] += 1
        after = F.scaled_dot_product_attention(q, k, other, is_causal=True)
        seen += int((after != before).any(dim=-1).sum())
    (op,) = [op for op in run(Attention(), [q, k, v]).ops if op.causal]
    assert visible(op) == (seen, 15)


def test_the_backward_pass_is_halved_too() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.proj = nn.Linear(8, 8, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            y = self.proj(x)
            return F.scaled_dot_product_attention(y, y, y, is_causal=True)

    trace = step_of(Block(), (1, 2, 16, 8))
    causal = [op for op in trace.ops if op.causal]
    assert {op.phase for op in causal} == {"forward", "backward"}
    full, half = (flops(trace, causal=word).totals for word in ("full", "half"))
    for phase in ("forward", "backward"):
        of_attention = sum(op.cost.macs for op in causal if op.phase == phase and op.cost)
        saved = of_attention - of_attention * (16 * 17 // 2) // 256
        assert saved > 0
        assert full[f"{phase}_macs"] - half[f"{phase}_macs"] == saved
    assert full["pointwise_flops"] == half["pointwise_flops"]


@pytest.mark.parametrize(
    ("word", "says"), [("full", "counted in full"), ("half", "17,408 of 32,768 MACs")]
)
def test_a_note_says_which_convention_was_used(word: str, says: str) -> None:
    trace = run(Attention(), [(1, 4, 16, 16)] * 3)
    (note,) = flops(trace, causal=word).notes
    assert (note.code, note.severity) == ("causal", "info")
    assert says in note.text


def test_without_a_causal_attention_nothing_is_said_or_halved() -> None:
    trace = run(Attention(causal=False), [(1, 4, 16, 16)] * 3)
    full, half = flops(trace), flops(trace, causal="half")
    assert full.notes == half.notes == ()
    assert full.totals == half.totals


def test_a_mask_that_is_a_tensor_is_counted_in_full() -> None:
    mask = torch.ones(16, 16, dtype=torch.bool).tril()
    trace = run(Attention(causal=False, attn_mask=mask), [(1, 4, 16, 16)] * 3)
    full, half = flops(trace), flops(trace, causal="half")
    assert full.totals["macs"] == half.totals["macs"] == 4 * 16 * 16 * 32


def op(name: str, *shapes: tuple[int, ...], phase: Phase = "forward") -> OpCall:
    specs = tuple(map(TensorSpec, shapes))
    return OpCall(0, name, 0, phase, specs, specs[:1], Cost(600), None, causal=True)


@pytest.mark.parametrize(
    ("name", "shapes", "pairs"),
    [
        ("aten._flash_attention_forward.default", [(1, 3, 2, 8)] * 3, (6, 9)),
        ("aten._flash_attention_backward.default", [(1, 3, 2, 8)] * 4, (6, 9)),
        (
            "aten._efficient_attention_forward.default",
            [(1, 5, 2, 8), *[(1, 3, 2, 8)] * 2],
            (12, 15),
        ),
        ("aten._scaled_dot_product_cudnn_attention_backward.default", [(1, 2, 3, 8)] * 4, (6, 9)),
        ("aten._flash_attention_forward.default", [(9, 2, 8)] * 3, None),
        ("aten._flash_attention_forward.default", [(1, 0, 2, 8)] * 3, None),
        ("mylib.scan.default", [(1, 3, 2, 8)] * 3, None),
    ],
)
def test_layouts_of_kernels(
    name: str, shapes: list[tuple[int, ...]], pairs: tuple[int, int] | None
) -> None:
    assert visible(op(name, *shapes)) == pairs


def test_a_causal_operator_of_unknown_shapes_is_counted_in_full_and_said() -> None:
    trace = Trace(
        model=ModelInfo("packed"),
        inputs=(),
        modules=(),
        calls=(ModuleCall(0, "", "Packed", 0, None, (), (), training=False),),
        ops=(op("aten._flash_attention_forward.default", *[(9, 2, 8)] * 3),),
        parameters=(),
        buffers=(),
    )
    report = flops(trace, causal="half")
    assert report.totals["macs"] == 600
    assert "1 of them in full" in report.notes[0].text


# what is not known, and bad words


@torch.library.custom_op("zoo_flops_tests::mystery", mutates_args=())
def mystery(x: Tensor) -> Tensor:
    return x.clone()


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return mystery(self.lin(x))


def test_an_operator_without_a_formula_is_not_zero() -> None:
    trace = run(Odd(), [(2, 8)])
    rows = {row["operator"]: row for row in flops(trace, by="operator").rows}
    unknown = rows["zoo_flops_tests.mystery.default"]
    assert (unknown["macs"], unknown["share"], unknown["calls"]) == (None, None, 1)
    report = flops(trace)
    assert report.rows[0]["uncounted"] == ["zoo_flops_tests.mystery.default"]
    assert report.totals["uncounted"] == ["zoo_flops_tests.mystery.default"]
    assert 0 < report.totals["coverage"] < 1
    assert "uncounted-op" in {note.code for note in report.notes}


def test_a_run_that_breaks_has_what_ran() -> None:
    report = flops(run(nn.Sequential(nn.Linear(8, 4), nn.Linear(5, 2)), [(3, 8)]))
    assert report.failure is not None
    assert report.totals["macs"] == 3 * 8 * 4
    assert [row["marks"] for row in report.rows] == [["failed"], [], ["failed"]]


@pytest.mark.parametrize("by", GROUPINGS)
def test_a_model_that_does_nothing(by: str) -> None:
    report = flops(run(nn.Identity(), [(2, 3)]), by=by)
    assert report.totals["macs"] == report.totals["operators"] == 0
    assert report.totals["coverage"] == 1.0
    assert "MACs" in str(zoo.flops(nn.Identity(), (2, 3), by=by))


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ({"by": "moduel"}, r"by 'moduel': no such grouping. Did you mean module\?"),
        ({"by": "colour"}, "Known: module, operator, type, phase."),
        ({"causal": "haf"}, r"causal 'haf': no such convention. Did you mean half\?"),
    ],
)
def test_words_that_are_not_known(word: dict[str, str], says: str) -> None:
    with pytest.raises(zoo.ZooError, match=says):
        zoo.flops("lenet", **word)


def test_words_are_read_before_anything_runs() -> None:
    class Never(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError

    with pytest.raises(zoo.ZooError, match="no such grouping"):
        zoo.flops(Never(), (1, 2), by="colour")
