"""What does it cost to bring elements into order, or to find them?

Counted as pointwise FLOPs, a comparison being one, by the usual bounds (Knuth, The Art of Computer
Programming, vol. 3, sections 5.3.1 and 6.2.1): sorting n elements n*ceil(log2 n), the largest k of
n with a heap n*ceil(log2 k) and at least n, a binary search in n sorted ones ceil(log2 n) for each
value. What the elements are, and how well a kernel does on them, does not matter.
"""

from __future__ import annotations

from zoo.analysis.costs.base import Inputs, Specs, argument, table  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import each, elements, log2_ceil, named, streamed
from zoo.analysis.records import Cost, TensorSpec


def _length(spec: TensorSpec, dim: int) -> int:
    return spec.shape[dim] if spec.shape else 1


def sort(inputs: Specs, outputs: Specs) -> Cost:
    """Sorts along `dim`, the last unless told: numel*ceil(log2 n).

    >>> sort((TensorSpec((2, 8)),), (TensorSpec((2, 8)), TensorSpec((2, 8), "int64"))).flops
    48
    """
    steps = log2_ceil(_length(inputs[0], argument(inputs, "dim", -1)))
    return streamed(inputs, outputs, flops=elements(inputs[:1]) * steps)


def sort_rows(inputs: Specs, outputs: Specs) -> Cost:
    """Sorts along the first dimension (`msort`).

    >>> sort_rows((TensorSpec((8, 2)),), (TensorSpec((8, 2)),)).flops
    48
    """
    return streamed(inputs, outputs, elements(inputs[:1]) * log2_ceil(_length(inputs[0], 0)))


def topk(inputs: Specs, outputs: Specs) -> Cost:
    """The largest k along a dimension: numel*ceil(log2 k), at least numel.

    >>> x = TensorSpec((2, 8))
    >>> topk(Inputs((x,), {"k": 4}), ()).flops, topk(Inputs((x,), {"k": 1}), ()).flops
    (32, 16)
    """
    steps = max(log2_ceil(argument(inputs, "k", _length(inputs[0], -1))), 1)
    return streamed(inputs, outputs, flops=elements(inputs[:1]) * steps)


def sort_all(inputs: Specs, outputs: Specs) -> Cost:
    """Sorts all elements of the first operand: n*ceil(log2 n), for `unique`.

    >>> sort_all((TensorSpec((2, 8)),), (TensorSpec((3,)),)).flops
    64
    """
    n = inputs[0].numel
    return streamed(inputs, outputs, flops=n * log2_ceil(n))


def neighbours(inputs: Specs, outputs: Specs) -> Cost:
    """Compares each element with the one before: n FLOPs, for `unique_consecutive`.

    >>> neighbours((TensorSpec((8,)),), (TensorSpec((3,)),)).flops
    8
    """
    return streamed(inputs, outputs, flops=elements(inputs[:1]))


def searched(inputs: Specs, outputs: Specs) -> Cost:
    """Looks each value up in sorted boundaries: ceil(log2 n) for each element of the result.

    >>> edges, x = TensorSpec((8,)), TensorSpec((5,))
    >>> searched(Inputs((edges, x), {"sorted_sequence": edges}), (TensorSpec((5,), "int64"),)).flops
    15
    """
    edges = argument(inputs, "boundaries")
    if not isinstance(edges, TensorSpec):
        edges = named(inputs, "sorted_sequence", 0)
    return streamed(inputs, outputs, flops=elements(outputs) * log2_ceil(_length(edges, -1)))


def member(inputs: Specs, outputs: Specs) -> Cost:
    """Whether each element is among others: sorts both together, n*ceil(log2 n).

    >>> member((TensorSpec((5,)), TensorSpec((3,))), (TensorSpec((5,), "bool"),)).flops
    24
    """
    n = elements(inputs)
    return streamed(inputs, outputs, flops=n * log2_ceil(n))


def multinomial(inputs: Specs, outputs: Specs) -> Cost:
    """(.., c) weights: their running sum, and a binary search for each draw.

    >>> multinomial((TensorSpec((2, 8)),), (TensorSpec((2, 3), "int64"),)).flops
    34
    """
    search = elements(outputs) * log2_ceil(_length(inputs[0], -1))
    return streamed(inputs, outputs, flops=elements(inputs[:1]) + search)


FORMULAS = table(
    each("sort argsort mode quantile nanquantile", sort),
    each("msort", sort_rows),
    each("topk", topk),
    each("_unique _unique2 unique_dim", sort_all),
    each("unique_consecutive unique_dim_consecutive", neighbours),
    each("searchsorted bucketize", searched),
    each("isin", member),
    each("multinomial", multinomial),
)
"""Sorting, searching and sampling by weight."""
