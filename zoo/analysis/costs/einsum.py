"""How many multiply-accumulates does a contraction of several tensors take?

`einsum` and `bilinear` are taken apart into products of two operands, left to right, as torch does
(aten/src/ATen/native/Linear.cpp). Each product costs the sizes of all its indices multiplied, where
an index is summed; indices of one operand only are summed beforehand and are no MACs. Where nothing
is summed the product is elementwise: no MACs, one pointwise FLOP for each element.

Not counted: those first sums, and traces over an index that an operand repeats.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from zoo.analysis.costs.base import Inputs, Specs, argument, table  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import each, streamed
from zoo.analysis.records import Cost, TensorSpec  # noqa: F401 - for the doctests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _labels(term: str, rank: int) -> list[str]:
    """One label for each dimension; those of an ellipsis are numbered from the last."""
    before, dots, after = term.partition("...")
    hidden = rank - len(before) - len(after) if dots else 0
    return [*before, *(f".{i}" for i in reversed(range(hidden))), *after]


def _parse(equation: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[list[str]], list[str]]:
    """The labels of each operand and of the result."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    operands = [
        _labels(term, len(shape)) for term, shape in zip(left.split(","), shapes, strict=True)
    ]
    seen = [label for labels in operands for label in labels]
    hidden = sorted({label for label in seen if label[0] == "."}, key=lambda dot: -int(dot[1:]))
    if not arrow:
        single = sorted(label for label in set(seen) if seen.count(label) == 1 and label[0] != ".")
        return operands, [*hidden, *single]
    before, dots, after = right.partition("...")
    return operands, [*before, *(hidden if dots else ()), *after]


def _product(a: set[str], b: set[str], kept: set[str], size: Mapping[str, int]) -> tuple[int, int]:
    """MACs and pointwise FLOPs of one product of two operands."""
    a, b = {label for label in a if label in b | kept}, {label for label in b if label in a | kept}
    work = prod(size[label] for label in a | b)
    return (0, work) if a | b <= kept else (work, 0)


def einsum(inputs: Specs, outputs: Specs) -> Cost:
    """Each product of two operands, left to right: the sizes of all its indices multiplied.

    An explicit `path` is followed only where it is the default.

    >>> x, w = TensorSpec((2, 3)), TensorSpec((3, 5))
    >>> einsum(Inputs((x, w), {"equation": "ik,kj->ij"}), (TensorSpec((2, 5)),)).macs
    30
    >>> einsum(Inputs((x, w), {"equation": "ik,kj->ikj"}), (TensorSpec((2, 3, 5)),)).flops
    30
    """
    operands, result = _parse(str(argument(inputs, "equation")), [spec.shape for spec in inputs])
    size: dict[str, int] = {}
    for labels, spec in zip(operands, inputs, strict=True):
        for label, length in zip(labels, spec.shape, strict=True):
            size[label] = max(size.get(label, 1), length)
    macs = flops = 0
    first, *rest = map(set, operands)
    for position, operand in enumerate(rest):
        kept = set(result).union(*rest[position + 1 :])
        more = _product(first, operand, kept, size)
        macs, flops = macs + more[0], flops + more[1]
        first = (first | operand) & kept
    cost = streamed(inputs, outputs, flops)
    return Cost(macs, cost.flops, cost.bytes_read, cost.bytes_written)


def bilinear(inputs: Specs, outputs: Specs) -> int:
    """(..., i), (..., j) and a weight (o, i, j) -> (..., o): i*j + j MACs for each element.

    First x1 with the weight, i*j, then with x2, j.

    >>> x1, x2, w = TensorSpec((4, 2)), TensorSpec((4, 3)), TensorSpec((5, 2, 3))
    >>> bilinear((x1, x2, w), (TensorSpec((4, 5)),))
    180
    """
    _, i, j = inputs[2].shape
    return outputs[0].numel * (i * j + j)


def trilinear(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """Three operands of one rank once expanded; sums over `sumdim`, first 1 with 2, then with 3.

    >>> x1, w, x2 = TensorSpec((4, 2)), TensorSpec((5, 2, 3)), TensorSpec((4, 3))
    >>> expands = {"expand1": [1, 3], "expand2": [0], "expand3": [1, 2], "sumdim": [2, 3]}
    >>> trilinear(Inputs((x1, w, x2), expands), (TensorSpec((4, 5)),))
    180
    """
    missing = [set(argument(inputs, f"expand{i}", [])) for i in (1, 2, 3)]
    summed = set(argument(inputs, "sumdim", []))
    rank = len(inputs[0].shape) + len(missing[0])
    size: dict[str, int] = {}
    operands = []
    for spec, absent in zip(inputs[:3], missing, strict=True):
        dims = [str(d) for d in range(rank) if d not in absent]
        operands.append(set(dims))
        for dim, length in zip(dims, spec.shape, strict=True):
            size[dim] = max(size.get(dim, 1), length)
    kept = {str(d) for d in range(rank) if d not in summed}
    first, _ = _product(operands[0], operands[1], kept | operands[2], size)
    left = (operands[0] | operands[1]) & (kept | operands[2])
    second, _ = _product(left, operands[2], kept, size)
    return first + second


FORMULAS = table(
    each("einsum", einsum),
    each("bilinear", bilinear),
    each("_trilinear", trilinear),
)
"""Contractions that are written down by their indices."""
