"""How many multiply-accumulates does a convolution take?

Counted: the kernel at every output position, or for a transposed convolution at every input
position; each costs the weight's own number of elements, which groups and depthwise have already
made smaller (Dumoulin & Visin, A guide to convolution arithmetic, arXiv:1603.07285, for the
positions). Stride, padding and dilation act through the positions only. Taps that fall on padding,
or outside of a transposed convolution's result, are counted, as in published figures.

Backward: the gradient of the input and that of the weight each take the MACs of the forward, since
every product of an input element and a weight element is met once in each of the three. So groups
make all of them smaller alike. `output_mask` tells which are computed. The gradient of the bias is
a sum: one pointwise FLOP for each element of the result's gradient.

Not counted: the bias, a fused activation or addition, the interpolation in a deformable
convolution. A quantised convolution with a packed weight does not say how large its kernel is and
has no formula.
"""

from __future__ import annotations

from math import prod

from zoo.analysis.costs.base import Inputs, Specs, argument, read_bytes, table, written_bytes  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import each, named, wanted
from zoo.analysis.records import Cost, TensorSpec


def _at_positions(positions: TensorSpec, weight: TensorSpec) -> int:
    """The whole kernel at every position of `positions`, which has a batch dimension or has not."""
    spatial = len(weight.shape) - 2
    batch = positions.shape[0] if len(positions.shape) == len(weight.shape) else 1
    return batch * prod(positions.shape[len(positions.shape) - spatial :]) * weight.numel


def convolution(inputs: Specs, outputs: Specs) -> int:
    """From x (b, c_in, *s), w (c_out, c_in/g, *k) to y (b, c_out, *t).

    b*prod(t)*c_out*(c_in/g)*prod(k) MACs. Where `transposed`, w is (c_in, c_out/g, *k) and the
    positions are those of x.

    >>> x, w, y = TensorSpec((1, 3, 8, 8)), TensorSpec((4, 3, 3, 3)), TensorSpec((1, 4, 6, 6))
    >>> convolution((x, w), (y,))
    3888
    >>> convolution(Inputs((y, w), {"transposed": True}), (x,))
    3888
    """
    transposed = bool(argument(inputs, "transposed", default=False))
    return conv_transpose(inputs, outputs) if transposed else conv(inputs, outputs)


def conv(inputs: Specs, outputs: Specs) -> int:
    """The kernel at every output position. Of any rank, batched or not.

    >>> conv((TensorSpec((3, 10)), TensorSpec((4, 3, 3))), (TensorSpec((4, 8)),))
    288
    """
    return _at_positions(outputs[0], inputs[1])


def conv_transpose(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """The kernel at every input position. Of any rank, batched or not.

    >>> conv_transpose((TensorSpec((1, 4, 8)), TensorSpec((4, 3, 3))), (TensorSpec((1, 3, 10)),))
    288
    """
    return _at_positions(inputs[0], inputs[1])


def conv_tbc(inputs: Specs, outputs: Specs) -> int:
    """From x (t, b, c_in) with w (k, c_in, c_out) -> (t', b, c_out): k*c_in MACs for each element.

    >>> conv_tbc((TensorSpec((9, 2, 3)), TensorSpec((3, 3, 4))), (TensorSpec((7, 2, 4)),))
    504
    """
    k, c_in, _ = inputs[1].shape
    return outputs[0].numel * k * c_in


def onednn(inputs: Specs, outputs: Specs) -> int:
    """A fused convolution of oneDNN, whose other operand may stand before the weight.

    >>> x, w, y = TensorSpec((1, 3, 8)), TensorSpec((4, 3, 3)), TensorSpec((1, 4, 6))
    >>> onednn(Inputs((x, y, w), {"X": x, "other": y, "W": w}), (y,))
    216
    """
    return _at_positions(outputs[0], named(inputs, "W", 1))


def onednn_transpose(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """A fused transposed convolution of oneDNN.

    >>> onednn_transpose((TensorSpec((1, 4, 6)), TensorSpec((4, 3, 3))), (TensorSpec((1, 3, 8)),))
    216
    """
    return _at_positions(named(inputs, "X", 0), named(inputs, "W", 1))


def _gradients(
    grad: TensorSpec,
    x: TensorSpec,
    weight: TensorSpec,
    positions: TensorSpec,
    mask: tuple[int, ...],
) -> Cost:
    """Of the input, the weight and the bias, as `mask` has it; bytes written are left out."""
    of_x, of_weight, of_bias = mask
    read = grad.nbytes + of_x * weight.nbytes + of_weight * x.nbytes
    macs = (of_x + of_weight) * _at_positions(positions, weight)
    return Cost(macs, of_bias * grad.numel, read)


def convolution_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (b, c_out, *t), x and w: as much as `convolution`, for each of two gradients.

    Where `transposed`, the positions are those of x. Without `output_mask` all are computed.

    >>> g, x, w = TensorSpec((1, 4, 6, 6)), TensorSpec((1, 3, 8, 8)), TensorSpec((4, 3, 3, 3))
    >>> convolution_backward((g, x, w), (x, w)).macs
    7776
    >>> first = Inputs((g, x, w), {"output_mask": [False, True, True]})
    >>> convolution_backward(first, (w, TensorSpec((4,))))
    Cost(macs=3888, flops=144, bytes_read=1344, bytes_written=448)
    """
    grad, x, weight = named(inputs, "grad_output", 0), named(inputs, "input", 1), inputs[2]
    transposed = bool(argument(inputs, "transposed", default=False))
    cost = _gradients(grad, x, weight, x if transposed else grad, wanted(inputs, 3))
    return Cost(cost.macs, cost.flops, cost.bytes_read, written_bytes(outputs))


def mps_backward(inputs: Specs, outputs: Specs) -> Cost:
    """`convolution_backward`, with x before the gradient.

    >>> g, x, w = TensorSpec((1, 4, 6, 6)), TensorSpec((1, 3, 8, 8)), TensorSpec((4, 3, 3, 3))
    >>> mps_backward((x, g, w), (x, w)).macs
    7776
    """
    x, grad, weight = inputs[:3]
    cost = _gradients(grad, x, weight, grad, wanted(inputs, 3))
    return Cost(cost.macs, cost.flops, cost.bytes_read, written_bytes(outputs))


def mps_transpose_backward(inputs: Specs, outputs: Specs) -> Cost:
    """The same of a transposed convolution, whose bias has its gradient elsewhere.

    >>> x, g, w = TensorSpec((1, 4, 6, 6)), TensorSpec((1, 3, 8, 8)), TensorSpec((4, 3, 3, 3))
    >>> mps_transpose_backward((x, g, w), (x, w)).macs
    7776
    """
    x, grad, weight = inputs[:3]
    cost = _gradients(grad, x, weight, x, (*wanted(inputs, 2), 0))
    return Cost(cost.macs, cost.flops, cost.bytes_read, written_bytes(outputs))


def deform_conv2d_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad, x, w, offsets and mask: all gradients at once, two MACs for each of the forward.

    One product gives the gradient of the sampled values, which is spread over x, offsets and mask;
    the other is that of the weight.

    >>> g, x, w = TensorSpec((1, 4, 6, 6)), TensorSpec((1, 3, 8, 8)), TensorSpec((4, 3, 3, 3))
    >>> deform_conv2d_backward((g, x, w), (x, w)).macs
    7776
    """
    grad, weight = inputs[0], inputs[2]
    macs = 2 * _at_positions(grad, weight)
    return Cost(macs, grad.numel, read_bytes(inputs), written_bytes(outputs))


def conv_tbc_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (t', b, c_out), x and w (k, c_in, c_out), all gradients: twice `conv_tbc`.

    >>> g, x, w = TensorSpec((7, 2, 4)), TensorSpec((9, 2, 3)), TensorSpec((3, 3, 4))
    >>> conv_tbc_backward((g, x, w), (x, w)).macs
    1008
    """
    grad, (k, c_in, _) = inputs[0], inputs[2].shape
    macs = 2 * grad.numel * k * c_in
    return Cost(macs, grad.numel, read_bytes(inputs), written_bytes(outputs))


FORMULAS = table(
    each("convolution _convolution convolution_overrideable", convolution),
    each("conv1d conv2d conv3d _convolution_mode mkldnn_convolution", conv),
    each("cudnn_convolution cudnn_convolution_relu cudnn_convolution_add_relu", conv),
    each("miopen_convolution miopen_convolution_relu miopen_convolution_add_relu", conv),
    each("miopen_depthwise_convolution _conv_depthwise2d conv_depthwise3d", conv),
    each("thnn_conv2d _slow_conv2d_forward slow_conv3d slow_conv3d_forward", conv),
    each("slow_conv_dilated2d slow_conv_dilated3d", conv),
    each("_nnpack_spatial_convolution _mps_convolution", conv),
    each("conv_transpose1d conv_transpose2d conv_transpose3d", conv_transpose),
    each("slow_conv_transpose2d slow_conv_transpose3d cudnn_convolution_transpose", conv_transpose),
    each("miopen_convolution_transpose _mps_convolution_transpose", conv_transpose),
    each("conv_tbc", conv_tbc),
    each("_convolution_pointwise _convolution_pointwise_", onednn, "mkldnn"),
    each("_convolution_transpose_pointwise", onednn_transpose, "mkldnn"),
    each("deform_conv2d", conv, "torchvision"),
    each("convolution_backward convolution_backward_overrideable", convolution_backward),
    each("_slow_conv2d_backward", convolution_backward),
    each("mps_convolution_backward", mps_backward),
    each("mps_convolution_transpose_backward", mps_transpose_backward),
    each("conv_tbc_backward", conv_tbc_backward),
    each("_deform_conv2d_backward", deform_conv2d_backward, "torchvision"),
)
"""Convolutions of every rank, by every library."""
