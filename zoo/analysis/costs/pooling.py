"""What does pooling cost?

A pooled element is a reduction of its window: one pointwise FLOP for each element of each window,
so that elements in several windows count several times. Windows that divide their input between
them, as the adaptive ones nearly do, take one FLOP for each input element. Unpooling moves elements
and takes none.
"""

from __future__ import annotations

from math import prod

from zoo.analysis.costs.base import Inputs, Specs, argument, table  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import each, elements, streamed
from zoo.analysis.records import Cost, TensorSpec  # noqa: F401, TC001 - for the doctests


def _pooled(inputs: Specs, outputs: Specs, rank: int) -> Cost:
    sizes = argument(inputs, "kernel_size")
    if sizes is None:
        return streamed(inputs, outputs, flops=elements(inputs[:1]))
    sizes = tuple(sizes) if isinstance(sizes, list | tuple) else (sizes,)
    window = prod(sizes) ** (rank if len(sizes) == 1 else 1)
    return streamed(inputs, outputs, flops=elements(outputs[:1]) * window)


def pool1d(inputs: Specs, outputs: Specs) -> Cost:
    """(b, c, l) -> (b, c, l'): k FLOPs for each element of the first result.

    >>> x, y = TensorSpec((1, 2, 8)), TensorSpec((1, 2, 4))
    >>> pool1d(Inputs((x,), {"kernel_size": [3]}), (y,)).flops
    24
    """
    return _pooled(inputs, outputs, 1)


def pool2d(inputs: Specs, outputs: Specs) -> Cost:
    """(b, c, h, w) -> (b, c, h', w'): k*k FLOPs for each element of the first result.

    >>> x, y = TensorSpec((1, 2, 8, 8)), TensorSpec((1, 2, 4, 4))
    >>> pool2d(Inputs((x,), {"kernel_size": [3, 3]}), (y,)).flops
    288
    """
    return _pooled(inputs, outputs, 2)


def pool3d(inputs: Specs, outputs: Specs) -> Cost:
    """(b, c, d, h, w) -> (b, c, d', h', w'): k*k*k FLOPs for each element of the first result.

    >>> x, y = TensorSpec((1, 2, 4, 4, 4)), TensorSpec((1, 2, 2, 2, 2))
    >>> pool3d(Inputs((x,), {"kernel_size": [2]}), (y,)).flops
    128
    """
    return _pooled(inputs, outputs, 3)


def adaptive(inputs: Specs, outputs: Specs) -> Cost:
    """Windows that share the input out: one FLOP for each input element.

    >>> adaptive((TensorSpec((1, 2, 7, 7)),), (TensorSpec((1, 2, 1, 1)),)).flops
    98
    """
    return streamed(inputs, outputs, flops=elements(inputs[:1]))


FORMULAS = table(
    each("avg_pool1d max_pool1d max_pool1d_with_indices quantized_max_pool1d", pool1d),
    each("avg_pool2d max_pool2d max_pool2d_with_indices mkldnn_max_pool2d", pool2d),
    each("quantized_max_pool2d fractional_max_pool2d", pool2d),
    each("avg_pool3d max_pool3d max_pool3d_with_indices mkldnn_max_pool3d", pool3d),
    each("quantized_max_pool3d fractional_max_pool3d", pool3d),
    each("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d", adaptive),
    each("_adaptive_avg_pool2d _adaptive_avg_pool3d mkldnn_adaptive_avg_pool2d", adaptive),
    each("adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d", adaptive),
    each("max_unpool2d max_unpool3d", streamed),
    each("max_pool1d", pool1d, "quantized"),
    each("max_pool2d", pool2d, "quantized"),
)
"""Pooling."""
