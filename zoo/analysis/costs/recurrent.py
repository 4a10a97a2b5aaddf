"""How many multiply-accumulates does a recurrent layer take?

Counted: every weight matrix once for each step of each sequence, input, hidden and projection
weights of all layers and directions alike (Hochreiter & Schmidhuber 1997 for the LSTM, Cho et al.
arXiv:1406.1078 for the GRU, Sak et al. arXiv:1402.1128 for projections, as `torch.nn.LSTM` has
them). So an LSTM of 64 inputs and 64 units takes 4*64*(64 + 64) = 32,768 MACs a step.

Backward: two MACs for each of the forward, one for the gradient that goes back through the step and
one for the weight's. A kernel computes both for every step, also where nothing asks for the
gradient of the first state; where cuDNN is not asked for the weights' gradients it leaves these
out.

Not counted: biases, gates and activations; a recurrent kernel is a contraction. The fused cells
`_thnn_fused_*` are the other half: their matrix products ran before them, so they have pointwise
FLOPs, as many as the elementwise operators they replace. Quantised layers with packed weights have
no formula.
"""

from __future__ import annotations

from math import prod

from zoo.analysis.costs.base import Inputs, Specs, argument, read_bytes, table, written_bytes  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import each, elements, named, streamed, wanted
from zoo.analysis.records import Cost, TensorSpec


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


def layers_backward(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """From x, weights, states, output and gradients: twice `layers`, once with frozen weights.

    Weights are known by name: where a sequence is packed, results have rank 2 as weights do.

    >>> x, h, w = TensorSpec((10, 1, 64)), TensorSpec((1, 1, 64)), TensorSpec((256, 64))
    >>> arguments = {"weight": [w, w], "output_mask": [True, True, True, True]}
    >>> layers_backward(Inputs((x, w, w, h, h, x, x), arguments), (x, h, h, w, w))
    655360
    """
    weights = argument(inputs, "weight") or argument(inputs, "params") or inputs[1:]
    of_weights = wanted(inputs, 4)[3]
    matrices = [spec for spec in weights if len(spec.shape) == 2]
    return prod(named(inputs, "input", 0).shape[:-1]) * elements(matrices) * (1 + of_weights)


def onednn_layer_backward(inputs: Specs, outputs: Specs) -> Cost:
    """Twice `onednn_layer`; pointwise FLOPs as `fused_lstm_cell_backward`, 16 a unit.

    >>> x, w, b = TensorSpec((10, 1, 64)), TensorSpec((256, 64)), TensorSpec((256,))
    >>> h = TensorSpec((1, 64))
    >>> cost = onednn_layer_backward((x, w, w, b, b, h, h, x, h, h, x), (x, w, w, b, b, h, h))
    >>> cost.macs, cost.flops
    (655360, 10240)
    """
    x, result = inputs[0], named(inputs, "output", 7)
    macs = 2 * prod(x.shape[:-1]) * elements(inputs[1:3])
    flops = (12 + 4 * bool(argument(inputs, "has_biases", default=True))) * result.numel
    return Cost(macs, flops, read_bytes(inputs), written_bytes(outputs))


def fused_lstm_cell_backward(inputs: Specs, outputs: Specs) -> Cost:
    """Gradients of the states in, of the gates out: 12 FLOPs a unit, 4 more for the biases.

    Of h = o*tanh(c) two products and a tanh, the sum with what comes from the next step, of
    c = f*c + i*g four products, and the four activations. The bias of each gate is a sum.

    >>> c, gates = TensorSpec((2, 5)), TensorSpec((2, 20))
    >>> call = Inputs((c, c, c, c, gates), {"cx": c, "has_bias": False})
    >>> fused_lstm_cell_backward(call, (gates, gates, c)).flops
    120
    """
    return _cell_backward(inputs, outputs, named(inputs, "cx", 0), (12, 4))


def fused_gru_cell_backward(inputs: Specs, outputs: Specs) -> Cost:
    """Gradient of the state in, of the gates out: 9 FLOPs a unit, 6 more for both biases.

    Of (h - n)*z + n two products, a sign and a sum, of n = tanh(x + r*h) a tanh and two products,
    and two sigmoids.

    >>> h, saved, gates = TensorSpec((2, 5)), TensorSpec((2, 25)), TensorSpec((2, 15))
    >>> call = Inputs((h, saved), {"grad_hy": h, "has_bias": True})
    >>> fused_gru_cell_backward(call, (gates, gates, h)).flops
    150
    """
    return _cell_backward(inputs, outputs, named(inputs, "grad_hy", 0), (9, 6))


def _cell_backward(
    inputs: Specs, outputs: Specs, state: TensorSpec, flops: tuple[int, int]
) -> Cost:
    """So many FLOPs for each element of `state`, and so many more where there are biases."""
    biased = bool(argument(inputs, "has_bias", default=True))
    return streamed(inputs, outputs, flops=(flops[0] + biased * flops[1]) * state.numel)


FORMULAS = table(
    each("lstm gru rnn_tanh rnn_relu _lstm_mps _cudnn_rnn miopen_rnn", layers),
    each("mkldnn_rnn_layer", onednn_layer),
    each("lstm_cell quantized_lstm_cell", lstm_cell),
    each("gru_cell rnn_tanh_cell rnn_relu_cell", cell),
    each("quantized_gru_cell quantized_rnn_tanh_cell quantized_rnn_relu_cell", cell),
    each("_thnn_fused_lstm_cell", fused_lstm_cell),
    each("_thnn_fused_gru_cell", fused_gru_cell),
    each("_cudnn_rnn_backward miopen_rnn_backward lstm_mps_backward", layers_backward),
    each("mkldnn_rnn_layer_backward", onednn_layer_backward),
    each("_thnn_fused_lstm_cell_backward", fused_lstm_cell_backward),
    each("_thnn_fused_lstm_cell_backward_impl", fused_lstm_cell_backward),
    each("_thnn_differentiable_lstm_cell_backward", fused_lstm_cell_backward),
    each("_thnn_fused_gru_cell_backward", fused_gru_cell_backward),
    each("_thnn_differentiable_gru_cell_backward", fused_gru_cell_backward),
)
"""Recurrent layers and cells."""
