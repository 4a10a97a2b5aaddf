"""What does it cost to make many elements into few?

Counted: one pointwise FLOP for each input element, whatever the reduction: a maximum as a sum, a
variance as a mean. Running sums and products, histograms and tests over all elements count alike.
The elements that the result has do not matter, nor do the passes a kernel makes. Backward: one for
each element of the gradient that is spread.
"""

from __future__ import annotations

from zoo.analysis.costs.base import Specs, table
from zoo.analysis.costs.common import each, elements, streamed, with_in_place
from zoo.analysis.records import Cost, TensorSpec  # noqa: F401, TC001 - for the doctests


def reduced(inputs: Specs, outputs: Specs) -> Cost:
    """One FLOP for each element of the first operand.

    >>> reduced((TensorSpec((2, 3)),), (TensorSpec((2,)),))
    Cost(macs=0, flops=6, bytes_read=24, bytes_written=8)
    """
    return streamed(inputs, outputs, flops=elements(inputs[:1]))


def reduced_twice(inputs: Specs, outputs: Specs) -> Cost:
    """A reduction of the first operand and a scaling by its result: two FLOPs for each element.

    >>> reduced_twice((TensorSpec((2, 3)),), (TensorSpec((2, 3)),)).flops
    12
    """
    return streamed(inputs, outputs, flops=2 * elements(inputs[:1]))


def distance(inputs: Specs, outputs: Specs) -> Cost:
    """A reduction of the difference of two operands: two FLOPs for each element of the larger.

    >>> distance((TensorSpec((2, 3)), TensorSpec((2, 3))), (TensorSpec((2,)),)).flops
    12
    """
    return streamed(inputs, outputs, flops=2 * max(spec.numel for spec in inputs[:2]))


def trace(inputs: Specs, outputs: Specs) -> Cost:
    """The diagonal summed: one FLOP for each of its elements.

    >>> trace((TensorSpec((3, 5)),), (TensorSpec(()),)).flops
    3
    """
    return streamed(inputs, outputs, flops=min(inputs[0].shape, default=0))


_REDUCTIONS = """
    all amax amin aminmax _aminmax any argmax argmin count_nonzero linalg__powsum linalg_vector_norm
    linalg_norm linalg_matrix_norm frobenius_norm native_norm norm_except_dim logsumexp
    special_logsumexp max mean median min nanmean nanmedian nansum norm prod std std_mean sum
    sum_to_size var var_mean kthvalue _is_all_true _is_any_true segment_reduce hash_tensor
    _sparse_sum _sparse_csr_sum _sparse_csr_prod  allclose equal
    choose_qparams_optimized _choose_qparams_per_tensor trapezoid trapz
"""
_SCANS = """
    logcumsumexp _logcumsumexp cummax cummin _cummax_helper _cummin_helper
    cumulative_trapezoid diff
"""
_HISTOGRAMS = """
    bincount histc histogram histogramdd _histogramdd_bin_edges _histogramdd_from_bin_cts
    _histogramdd_from_bin_tensors
"""


def segments_backward(inputs: Specs, outputs: Specs) -> Cost:
    """Spreads each segment's gradient over its elements: one FLOP for each.

    >>> g, x = TensorSpec((2, 3)), TensorSpec((9, 3))
    >>> segments_backward((g, g, x), (x,)).flops
    27
    """
    return streamed(inputs, outputs, flops=elements(outputs))


FORMULAS = table(
    each(_REDUCTIONS, reduced),
    each(_SCANS, reduced),
    with_in_place("cumsum cumprod", reduced),
    each(_HISTOGRAMS, reduced),
    with_in_place("renorm", reduced_twice),
    each("dist pairwise_distance", distance),
    each("trace", trace),
    each("_segment_reduce_backward", segments_backward),
)
"""Reductions, running reductions and histograms."""
