"""How many multiply-accumulates does a convolution take?

Counted: the kernel at every output position, or for a transposed convolution at every input
position; each costs the weight's own number of elements, which groups and depthwise have already
made smaller (Dumoulin & Visin, A guide to convolution arithmetic, arXiv:1603.07285, for the
positions). Stride, padding and dilation act through the positions only. Taps that fall on padding,
or outside of a transposed convolution's result, are counted, as in published figures.

Not counted: the bias, a fused activation or addition, the interpolation in a deformable
convolution. A quantised convolution with a packed weight does not say how large its kernel is and
has no formula.
"""

from __future__ import annotations

from math import prod

from zoo.analysis.costs.base import Inputs, Specs, argument, table  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import each, named
from zoo.analysis.records import TensorSpec  # noqa: TC001 - for the doctests


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
)
"""Convolutions of every rank, by every library."""
