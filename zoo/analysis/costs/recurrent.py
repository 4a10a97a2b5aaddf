"""How many multiply-accumulates does a recurrent layer take?

Counted: every weight matrix once for each step of each sequence, input, hidden and projection
weights of all layers and directions alike (Hochreiter & Schmidhuber 1997 for the LSTM, Cho et al.
arXiv:1406.1078 for the GRU, Sak et al. arXiv:1402.1128 for projections, as `torch.nn.LSTM` has
them). So an LSTM of 64 inputs and 64 units takes 4*64*(64 + 64) = 32,768 MACs a step.

Not counted: biases, gates and activations; a recurrent kernel is a contraction. The fused cells
`_thnn_fused_*` are the other half: their matrix products ran before them, so they have pointwise
FLOPs, as many as the elementwise operators they replace. Quantised layers with packed weights have
no formula.
"""

from __future__ import annotations

from math import prod

from zoo.analysis.costs.base import Specs, read_bytes, table, written_bytes
from zoo.analysis.costs.common import each, elements, streamed
from zoo.analysis.records import Cost, TensorSpec  # noqa: F401 - TensorSpec is for the doctests


def layers(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """From x (t, b, i), (b, t, i) or packed (rows, i): rows * the elements of all weights.

    Weights are the tensors of rank 2 after x: states have rank 3, biases and flat copies rank 1.

    >>> x, h, b = TensorSpec((10, 1, 64)), TensorSpec((1, 1, 64)), TensorSpec((256,))
    >>> w = TensorSpec((256, 64))
    >>> layers((x, h, h, w, w, b, b), (x, h, h))
    327680
    """
    weights = [spec for spec in inputs[1:] if len(spec.shape) == 2]
    return prod(inputs[0].shape[:-1]) * elements(weights)


def onednn_layer(inputs: Specs, outputs: Specs) -> Cost:
    """One layer in one direction, x then its two weights: rows * the elements of both.

    Its pointwise FLOPs are those of the cells that it replaces, 13 a unit (`fused_lstm_cell`), so
    that the figure does not depend on whether a device fuses. oneDNN runs LSTMs this way only.

    >>> x, w, b = TensorSpec((10, 1, 64)), TensorSpec((256, 64)), TensorSpec((256,))
    >>> h = TensorSpec((1, 64))
    >>> cost = onednn_layer((x, w, w, b, b, h, h), (x, h, h))
    >>> cost.macs, cost.flops
    (327680, 8320)
    """
    macs = prod(inputs[0].shape[:-1]) * elements(inputs[1:3])
    flops = 13 * outputs[0].numel
    return Cost(macs, flops, read_bytes(inputs), written_bytes(outputs))


def lstm_cell(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """From x (b, i), h (b, r), c (b, n), w_ih (4n, i), w_hh (4n, r): b*4n*(i + r) MACs.

    >>> x, h, w = TensorSpec((2, 3)), TensorSpec((2, 5)), TensorSpec((20, 3))
    >>> lstm_cell((x, h, h, w, TensorSpec((20, 5))), (h, h))
    320
    """
    return prod(inputs[0].shape[:-1]) * elements(inputs[3:5])


def cell(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """From x (b, i), h (b, n), w_ih (gn, i), w_hh (gn, n): b*gn*(i + n) MACs.

    Gates g: 3 for a GRU, 1 for a plain RNN.

    >>> x, h, w = TensorSpec((2, 3)), TensorSpec((2, 5)), TensorSpec((15, 3))
    >>> cell((x, h, w, TensorSpec((15, 5))), (h,))
    240
    """
    return prod(inputs[0].shape[:-1]) * elements(inputs[2:4])


def fused_lstm_cell(inputs: Specs, outputs: Specs) -> Cost:
    """Gates in, states out: 13 FLOPs a unit.

    Four sums, three sigmoids and a tanh, f*c + i*g (3), o*tanh(c) (2).

    >>> gates, c = TensorSpec((2, 20)), TensorSpec((2, 5))
    >>> fused_lstm_cell((gates, gates, c), (c, c, gates)).flops
    130
    """
    return streamed(inputs, outputs, flops=13 * inputs[2].numel)


def fused_gru_cell(inputs: Specs, outputs: Specs) -> Cost:
    """Gates in, state out: 10 FLOPs a unit.

    A sum and a sigmoid for r and z each (4), n = tanh(x + r*h) (3), (h - n)*z + n (3).

    >>> gates, h = TensorSpec((2, 15)), TensorSpec((2, 5))
    >>> fused_gru_cell((gates, gates, h), (h, gates)).flops
    100
    """
    return streamed(inputs, outputs, flops=10 * inputs[2].numel)


FORMULAS = table(
    each("lstm gru rnn_tanh rnn_relu _lstm_mps _cudnn_rnn miopen_rnn", layers),
    each("mkldnn_rnn_layer", onednn_layer),
    each("lstm_cell quantized_lstm_cell", lstm_cell),
    each("gru_cell rnn_tanh_cell rnn_relu_cell", cell),
    each("quantized_gru_cell quantized_rnn_tanh_cell quantized_rnn_relu_cell", cell),
    each("_thnn_fused_lstm_cell", fused_lstm_cell),
    each("_thnn_fused_gru_cell", fused_gru_cell),
)
"""Recurrent layers and cells."""
