"""Fused kernels stand where torch itself would run them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence
from torch.profiler import profile

from tests.real_step import Watch
from zoo.analysis.summary import summary
from zoo.analysis.tracer.run import run

FUSED = "_scaled_dot_product_flash_attention_for_cpu"
Q = (2, 4, 10, 16)
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"k": (2, 4, 12, 16)}, {}),
    ({"k": (2, 4, 12, 16)}, {"is_causal": True}),
    ({"k": (2, 2, 12, 16)}, {"enable_gqa": True}),
    ({"k": (2, 4, 12, 16), "v": (2, 4, 12, 8)}, {}),
    ({"q": (4, 10, 16), "k": (4, 12, 16)}, {}),
    ({"k": (1, 4, 12, 16)}, {}),
    ({"k": (2, 4, 12, 16)}, {"attn_mask": torch.zeros(10, 12)}),
    ({"k": (2, 4, 12, 16)}, {"attn_mask": torch.ones(10, 12, dtype=torch.bool)}),
    ({"k": (2, 4, 12, 16)}, {"attn_mask": torch.zeros(4, 10, 12)}),
    ({"k": (2, 4, 12, 16)}, {"attn_mask": torch.zeros(2, 1, 10, 12)}),
    ({"k": (2, 4, 12, 16)}, {"dropout_p": 0.5}),
]


class Attention(nn.Module):
    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.options = options

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, **self.options)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("shapes", "options"), CASES)
def test_the_choice_is_torchs(shapes: dict[str, Any], options: dict[str, Any], train: bool) -> None:
    given = [shapes.get("q", Q), shapes["k"], shapes.get("v", shapes["k"])]
    model = Attention(options)
    with torch.set_grad_enabled(train), profile() as seen:
        real = model(*[torch.randn(shape, requires_grad=train) for shape in given])
    fused = any(FUSED in event.name for event in seen.events())
    trace = run(model, given)
    assert trace.failure is None, trace.failure
    assert trace.outputs is not None
    assert trace.outputs[0].shape == tuple(real.shape)
    assert any(FUSED in op.op for op in trace.ops) == fused


def test_the_layout_is_torchs() -> None:
    op = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
    from zoo.analysis.tracer.shapes import RULES

    for q in (torch.zeros(2, 4, 10, 16), torch.zeros(2, 10, 4, 16).transpose(1, 2)):
        real = op(q, q, q)
        mine = RULES[f"{FUSED}.default"](*[q.to("meta")] * 3)
        assert [(t.shape, t.stride(), t.dtype) for t in mine] == [
            (t.shape, t.stride(), t.dtype) for t in real
        ]


class Layer(nn.Module):
    """Attention inside torch's own Python code."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(64, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x, x, need_weights=False)[0]


def test_multihead_attention_is_fused_and_counts_the_same() -> None:
    fused = run(Layer(), [(1, 256, 64)])
    assert any(FUSED in op.op for op in fused.ops)
    apart = run(nn.MultiheadAttention(64, 4, batch_first=True), [(1, 256, 64)] * 3)
    assert not any(FUSED in op.op for op in apart.ops)
    macs = [summary(trace).totals["macs"] for trace in (fused, apart)]
    assert macs == [4 * 256 * 64 * 64 + 2 * 256 * 256 * 64] * 2
    scores = 4 * 256 * 256 * 4
    fused_bytes, apart_bytes = (
        summary(trace).totals["activation_bytes"] for trace in (fused, apart)
    )
    assert fused_bytes < scores < apart_bytes


LSTM = "mkldnn_rnn_layer"
LSTMS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"bias": False},
    {"proj_size": 3},
    {"dtype": torch.float64},
    {"dtype": torch.bfloat16},
    {"num_layers": 2, "dropout": 0.5},
]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("options", LSTMS)
def test_an_lstm_is_fused_where_torch_fuses_it(options: dict[str, Any], train: bool) -> None:
    model = nn.LSTM(8, 16, **options).train(train)
    x = torch.randn(5, 3, 8, dtype=options.get("dtype", torch.float32))
    with torch.set_grad_enabled(train), profile() as seen:
        y, (h, c) = model(x)
    trace = run(model, [x.shape], training=train)
    assert trace.failure is None, trace.failure
    assert trace.outputs is not None
    assert [spec.shape for spec in trace.outputs] == [tuple(t.shape) for t in (y, h, c)]
    real = sum(event.name == f"aten::{LSTM}" for event in seen.events())
    assert sum(LSTM in op.op for op in trace.ops) == real


@pytest.mark.parametrize("lengths", [[5, 5, 5], [5, 4, 2]])
def test_a_packed_lstm_is_fused_where_torch_fuses_it(lengths: list[int]) -> None:
    model = Packs(lengths)
    with torch.no_grad(), profile() as seen:
        real = model(torch.randn(5, 3, 8))
    trace = run(model, [(5, 3, 8)])
    assert trace.failure is None, trace.failure
    assert trace.outputs is not None
    assert trace.outputs[0].shape == tuple(real.shape)
    fused = sum(event.name == f"aten::{LSTM}" for event in seen.events())
    assert sum(LSTM in op.op for op in trace.ops) == fused


class Packs(nn.Module):
    def __init__(self, lengths: list[int]) -> None:
        super().__init__()
        self.inner, self.lengths = nn.LSTM(8, 16, num_layers=2), lengths

    def forward(self, x: Tensor) -> Tensor:
        packed, _ = self.inner(pack_padded_sequence(x, torch.tensor(self.lengths)))
        return packed.data


def test_an_lstm_costs_the_same_fused_or_not() -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True}
    fused, apart = (
        summary(run(nn.LSTM(8, 16, **options, dtype=dtype), [(5, 3, 8)])).totals
        for dtype in (torch.float32, torch.float64)
    )
    assert fused["macs"] == apart["macs"]
    assert fused["pointwise_flops"] == apart["pointwise_flops"]
    assert fused["operators"] < apart["operators"] / 4


def test_a_wrong_lstm_fails_as_torch_fails() -> None:
    failure = run(nn.LSTM(8, 16), [(5, 3, 7)]).failure
    assert failure is not None
    assert "it wants 8 features" in failure.message


CHECKS = {"aten.aminmax.default", "aten._local_scalar_dense.default"}
"""How the CPU's kernel refuses classes that there are not; it changes no figure."""


@pytest.mark.parametrize("turned", [False, True])
def test_one_hot_runs_the_operators_of_the_cpu(turned: bool) -> None:
    class OneHot(nn.Module):
        def forward(self, ids: Tensor) -> Tensor:
            return F.one_hot(ids.T if turned else ids, 7)

    ids = torch.zeros(3, 5, dtype=torch.int64)
    with Watch() as seen:
        OneHot()(ids)
    trace = run(OneHot(), [ids])
    real = [(one.op, one.outputs) for one in seen.ran if one.op not in CHECKS]
    ours = [(op.op, tuple(one.shape for one in op.outputs)) for op in trace.ops]
    assert ours == real
    assert trace.outputs is not None
    assert trace.outputs[0].shape == ((5, 3, 7) if turned else (3, 5, 7))


def test_the_mode_is_off_again_after_a_run() -> None:
    run(Layer(), [(1, 128, 64)])
    run(Layer(), [(1, 128, 63)])
    assert torch._C._len_torch_function_stack() == 0
    assert torch.zeros(2).device.type == "cpu"
