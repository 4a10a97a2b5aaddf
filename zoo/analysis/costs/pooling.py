"""What does pooling cost?

A pooled element is a reduction of its window: one pointwise FLOP for each element of each window,
so that elements in several windows count several times. Windows that divide their input between
them, as the adaptive ones nearly do, take one FLOP for each input element. Unpooling moves elements
and takes none.

Backward: an average hands its gradient to each element of its window, one FLOP for each; a maximum
to the one element that it remembers, one FLOP for each element of the gradient. A maximum that
remembers none searches its window again.
"""

from __future__ import annotations

from math import prod

from zoo.analysis.costs.base import Inputs, Specs, argument, table, written_bytes  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import each, elements, streamed
from zoo.analysis.records import Cost, TensorSpec  # noqa: F401 - for the doctests


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


def average2d_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (b, c, h', w') -> (b, c, h, w): k*k FLOPs for each element of grad.

    >>> g, x = TensorSpec((1, 2, 4, 4)), TensorSpec((1, 2, 8, 8))
    >>> average2d_backward(Inputs((g, x), {"kernel_size": [3, 3]}), (x,)).flops
    288
    """
    return _window_backward(inputs, outputs, 2)


def average3d_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (b, c, d', h', w') -> (b, c, d, h, w): k*k*k FLOPs for each element of grad.

    >>> g, x = TensorSpec((1, 2, 2, 2, 2)), TensorSpec((1, 2, 4, 4, 4))
    >>> average3d_backward(Inputs((g, x), {"kernel_size": [2]}), (x,)).flops
    128
    """
    return _window_backward(inputs, outputs, 3)


def _window_backward(inputs: Specs, outputs: Specs, rank: int) -> Cost:
    grad, *_ = inputs
    window = _pooled(inputs, (grad,), rank).flops
    return Cost(flops=window, bytes_read=grad.nbytes, bytes_written=written_bytes(outputs))


def adaptive_average_backward(inputs: Specs, outputs: Specs) -> Cost:
    """Windows that share the input out: one FLOP for each element of the input's gradient.

    >>> g, x = TensorSpec((1, 2, 1, 1)), TensorSpec((1, 2, 7, 7))
    >>> adaptive_average_backward((g, x), (x,))
    Cost(macs=0, flops=98, bytes_read=8, bytes_written=392)
    """
    return streamed(inputs[:1], outputs, flops=elements(outputs))


def maximum_backward(inputs: Specs, outputs: Specs) -> Cost:
    """One FLOP for each element of grad. Reads grad and the places; x only lends its form.

    >>> g, x = TensorSpec((1, 2, 4, 4)), TensorSpec((1, 2, 8, 8))
    >>> i = TensorSpec(g.shape, "int64")
    >>> maximum_backward(Inputs((g, x, i), {"indices": i}), (x,))
    Cost(macs=0, flops=32, bytes_read=384, bytes_written=512)
    """
    places = argument(inputs, "indices")
    read = inputs[:1] if places is None else (inputs[0], places)
    return streamed(read, outputs, flops=elements(inputs[:1]))


def searched_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad and x: each window is searched again, k*k FLOPs for each element of grad.

    >>> g, x = TensorSpec((1, 2, 4, 4)), TensorSpec((1, 2, 8, 8))
    >>> searched_backward(Inputs((g, x), {"kernel_size": [2, 2]}), (x,)).flops
    128
    """
    window = _pooled(inputs, inputs[:1], 2).flops
    return streamed(inputs, outputs, flops=window)


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
    each("avg_pool2d_backward", average2d_backward),
    each("avg_pool3d_backward", average3d_backward),
    each("_adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward", adaptive_average_backward),
    each("adaptive_avg_pool3d_backward", adaptive_average_backward),
    each("mkldnn_adaptive_avg_pool2d_backward", adaptive_average_backward),
    each("max_pool2d_with_indices_backward max_pool3d_with_indices_backward", maximum_backward),
    each("adaptive_max_pool2d_backward adaptive_max_pool3d_backward", maximum_backward),
    each("fractional_max_pool2d_backward fractional_max_pool3d_backward", maximum_backward),
    each("mkldnn_max_pool2d_backward mkldnn_max_pool3d_backward", maximum_backward),
    each("max_pool2d_backward", searched_backward),
    each("max_pool1d", pool1d, "quantized"),
    each("max_pool2d", pool2d, "quantized"),
)
"""Pooling."""
