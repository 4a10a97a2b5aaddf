"""What does it cost to normalise?

Counted: one pointwise FLOP for each input element, for statistics, scaling and affine parameters
together (Ioffe & Szegedy, arXiv:1502.03167; Ba et al., arXiv:1607.06450; Wu & He, arXiv:1803.08494;
Zhang & Sennrich, arXiv:1910.07467, for what is computed). Softmax normalises, too. Weight
normalisation is a norm and a scaling, two operators: two FLOPs for each element of the weight.

Backward: one for each element for the gradient of the input, and one for each of the gradients of
scale and shift, which are sums over all elements; `output_mask` tells which are computed. Weight
normalisation: a product and its sum, two scalings and a difference, five for each element.

The scale and shift tensors, running statistics included, are read; those that training updates are
written in place, and their few bytes are not counted.
"""

from __future__ import annotations

from zoo.analysis.costs.base import Inputs, Specs, argument, table  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import each, elements, streamed, wanted
from zoo.analysis.records import Cost, TensorSpec  # noqa: F401, TC001 - for the doctests


def normalised(inputs: Specs, outputs: Specs) -> Cost:
    """One FLOP for each element of the first operand.

    >>> x, w = TensorSpec((2, 8)), TensorSpec((8,))
    >>> normalised((x, w, w), (x, TensorSpec((2, 1)), TensorSpec((2, 1))))
    Cost(macs=0, flops=16, bytes_read=128, bytes_written=80)
    """
    return streamed(inputs, outputs, flops=elements(inputs[:1]))


def weight_norm(inputs: Specs, outputs: Specs) -> Cost:
    """From v and g: g * v / |v|, a norm and a scaling (Salimans & Kingma, arXiv:1602.07868).

    >>> v, g = TensorSpec((4, 8)), TensorSpec((4, 1))
    >>> weight_norm((v, g), (v, g)).flops
    64
    """
    return streamed(inputs, outputs, flops=2 * elements(inputs[:1]))


def normalised_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad and x, in whichever order: a FLOP for each element and each gradient asked for.

    >>> x, w, m = TensorSpec((2, 8)), TensorSpec((8,)), TensorSpec((2, 1))
    >>> normalised_backward((x, x, m, m, w), (x, w, w)).flops
    48
    >>> frozen = Inputs((x, x, m, m, w), {"output_mask": [True, False, False]})
    >>> normalised_backward(frozen, (x,)).flops
    16
    """
    asked = sum(wanted(inputs, min(len(outputs), 3)))
    return streamed(inputs, outputs, flops=asked * elements(inputs[:1]))


def synchronised_backward(inputs: Specs, outputs: Specs) -> Cost:
    """The sums of a batch norm over several devices: those of grad and of grad*x, always both.

    >>> x, c = TensorSpec((2, 8)), TensorSpec((8,))
    >>> synchronised_backward((x, x, c, c, c), (c, c, c, c)).flops
    32
    """
    return streamed(inputs, outputs, flops=2 * elements(inputs[:1]))


def weight_norm_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad, v, g and |v|: the gradients of v and g.

    >>> v, g = TensorSpec((4, 8)), TensorSpec((4, 1))
    >>> weight_norm_backward((v, v, g, g), (v, g)).flops
    160
    """
    return streamed(inputs, outputs, flops=5 * elements(inputs[:1]))


_NORMS = """
    batch_norm _batch_norm_impl_index native_batch_norm _native_batch_norm_legit
    _native_batch_norm_legit_functional _native_batch_norm_legit_no_training _batch_norm_no_update
    _batch_norm_with_update _batch_norm_with_update_functional batch_norm_elemt batch_norm_stats
    batch_norm_gather_stats batch_norm_gather_stats_with_counts batch_norm_update_stats
    cudnn_batch_norm miopen_batch_norm quantized_batch_norm layer_norm native_layer_norm group_norm
    native_group_norm instance_norm rms_norm _fused_rms_norm
"""
_SOFTMAXES = """
    softmax _softmax log_softmax _log_softmax special_softmax special_log_softmax _safe_softmax
    _masked_softmax _sparse_softmax _sparse_log_softmax _nested_tensor_softmax_with_shape
"""
_NORMS_BACKWARD = """
    native_batch_norm_backward cudnn_batch_norm_backward miopen_batch_norm_backward
    batch_norm_backward batch_norm_backward_elemt _batch_norm_impl_index_backward
    native_layer_norm_backward native_group_norm_backward _fused_rms_norm_backward
"""
_SOFTMAXES_BACKWARD = """
    _softmax_backward_data _log_softmax_backward_data _masked_softmax_backward
    _sparse_softmax_backward_data _sparse_log_softmax_backward_data
"""
_QUANTISED = """
    batch_norm batch_norm_relu batch_norm1d batch_norm1d_relu batch_norm2d batch_norm2d_relu
    batch_norm3d batch_norm3d_relu group_norm instance_norm layer_norm softmax
"""

FORMULAS = table(
    each(_NORMS, normalised),
    each(_SOFTMAXES, normalised),
    each(_QUANTISED, normalised, "quantized"),
    each("_weight_norm _weight_norm_interface", weight_norm),
    each(_NORMS_BACKWARD, normalised_backward),
    each("batch_norm_backward_reduce", synchronised_backward),
    each(_SOFTMAXES_BACKWARD, normalised),
    each("_weight_norm_interface_backward", weight_norm_backward),
    each("_weight_norm_differentiable_backward", weight_norm_backward),
)
"""Norms and softmaxes."""
