"""What does it cost to normalise?

Counted: one pointwise FLOP for each input element, for statistics, scaling and affine parameters
together (Ioffe & Szegedy, arXiv:1502.03167; Ba et al., arXiv:1607.06450; Wu & He, arXiv:1803.08494;
Zhang & Sennrich, arXiv:1910.07467, for what is computed). Softmax normalises, too. Weight
normalisation is a norm and a scaling, two operators: two FLOPs for each element of the weight.

The scale and shift tensors, running statistics included, are read; those that training updates are
written in place, and their few bytes are not counted.
"""

from __future__ import annotations

from zoo.analysis.costs.base import Specs, table
from zoo.analysis.costs.common import each, elements, streamed
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
_QUANTISED = """
    batch_norm batch_norm_relu batch_norm1d batch_norm1d_relu batch_norm2d batch_norm2d_relu
    batch_norm3d batch_norm3d_relu group_norm instance_norm layer_norm softmax
"""

FORMULAS = table(
    each(_NORMS, normalised),
    each(_SOFTMAXES, normalised),
    each(_QUANTISED, normalised, "quantized"),
    each("_weight_norm _weight_norm_interface", weight_norm),
)
"""Norms and softmaxes."""
