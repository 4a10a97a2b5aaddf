"""Recurrent layers: the sum of their cells, in whatever kernel."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from zoo.analysis.costs import DEFAULT
from zoo.analysis.records import TensorSpec

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def macs_of_cells(kind, steps, i, n, *, layers=1, directions=1, proj=0):
    """Walks layers, directions and steps."""
    total = 0
    for layer in range(layers):
        width = i if layer == 0 else directions * (proj or n)
        for _ in range(directions):
            for _ in range(steps):
                total += GATES[kind] * n * (width + (proj or n)) + proj * n
    return total


def total(seen) -> int:
    return sum(s.cost.macs for s in seen)


def test_the_figure_of_design(observe):
    """An LSTM from 64 to 64 over 10 steps: 10 * 4*64*(64 + 64)."""
    layer, x = nn.LSTM(64, 64, device="meta"), torch.empty(10, 1, 64, device="meta")
    assert total(observe(lambda: layer(x))) == 327_680


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("fused", [False, True])
def test_a_layer_is_the_sum_of_its_cells(kind, layers, directions, device, fused, observe):
    layer = getattr(nn, kind)(
        3, 5, layers, bidirectional=directions == 2, batch_first=True, device=device
    )
    x = torch.zeros(2, 7, 3, device=device)
    expected = 2 * macs_of_cells(kind, 7, 3, 5, layers=layers, directions=directions)

    def run() -> None:
        with torch.inference_mode(fused):  # where composites reach the mode whole
            layer(x)

    assert total(observe(run)) == expected


def test_projections_are_counted(observe):
    layer = nn.LSTM(3, 5, 2, proj_size=4, device="meta")
    x = torch.empty(7, 2, 3, device="meta")
    assert total(observe(lambda: layer(x))) == 2 * macs_of_cells("LSTM", 7, 3, 5, layers=2, proj=4)


def test_packed_sequences_cost_their_own_rows(observe):
    layer = nn.GRU(3, 5)
    x = pack_padded_sequence(torch.zeros(7, 2, 3), [7, 4])
    assert total(observe(lambda: layer(x))) == macs_of_cells("GRU", 7 + 4, 3, 5)


@given(*[st.integers(1, 30)] * 4)
def test_one_kernel_counts_as_the_other(t, b, i, n):
    x, h, y = TensorSpec((t, b, i)), TensorSpec((1, b, n)), TensorSpec((t, b, n))
    w, r, bias = TensorSpec((4 * n, i)), TensorSpec((4 * n, n)), TensorSpec((4 * n,))
    whole = DEFAULT["aten.lstm"]((x, h, h, w, r, bias, bias), (y, h, h))
    flat = TensorSpec((w.numel + r.numel + 2 * bias.numel,))
    assert DEFAULT["aten._cudnn_rnn"]((x, w, r, bias, bias, flat, h, h), (y, h, h)) == whole
    state = TensorSpec((b, n))
    onednn = DEFAULT["aten.mkldnn_rnn_layer"]
    assert onednn((x, w, r, bias, bias, state, state), (y, h, h)).macs == whole
    cell = DEFAULT["aten.lstm_cell"]((TensorSpec((b, i)), state, state, w, r), (state, state))
    assert t * cell == whole


def test_a_fused_cell_counts_the_operators_it_replaces(observe):
    cell = nn.LSTMCell(3, 5, device="meta")
    x = torch.empty(2, 3, device="meta")
    seen = observe(lambda: cell(x))
    gates, state = TensorSpec((2, 20)), TensorSpec((2, 5))
    fused = DEFAULT["aten._thnn_fused_lstm_cell"]((gates, gates, state), (state, state, gates))
    assert fused.macs == 0
    assert fused.flops == sum(s.cost.flops for s in seen)

    gru = nn.GRUCell(3, 5, device="meta")
    gates = TensorSpec((2, 15))
    fused = DEFAULT["aten._thnn_fused_gru_cell"]((gates, gates, state), (state, gates))
    assert fused.flops == sum(s.cost.flops for s in observe(lambda: gru(x)))
