"""What do several families of formulas share?

Sizes, and the one way in which most operators touch memory: every operand read once, every result
written once, dense and contiguous. An operand that is handed over twice is read twice; strides are
not known, so an expanded operand counts as if it were stored in full.
"""

from __future__ import annotations

from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING

from zoo.analysis.costs.base import CostFormula, Inputs, Specs, argument, read_bytes, written_bytes  # noqa: F401 - for the doctests
from zoo.analysis.records import Cost, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping


def elements(specs: Specs) -> int:
    """Elements of all the tensors together.

    >>> elements((TensorSpec((2, 3)), TensorSpec((4,))))
    10
    """
    return sum(spec.numel for spec in specs)


def streamed(inputs: Specs, outputs: Specs, flops: int = 0) -> Cost:
    """`flops` pointwise FLOPs, every operand read and every result written once.

    >>> streamed((TensorSpec((2, 3)),), (TensorSpec((6,), "float16"),), flops=6)
    Cost(macs=0, flops=6, bytes_read=24, bytes_written=12)
    """
    return Cost(flops=flops, bytes_read=read_bytes(inputs), bytes_written=written_bytes(outputs))


def named(inputs: Specs, name: str, position: int) -> TensorSpec:
    """The tensor that the schema calls `name`, or else the one at `position` among the tensors.

    >>> x, w = TensorSpec((2,)), TensorSpec((3,))
    >>> named(Inputs((x, w), {"weight": w}), "weight", 0).shape, named((x, w), "weight", 0).shape
    ((3,), (2,))
    """
    found = argument(inputs, name)
    return found if isinstance(found, TensorSpec) else inputs[position]


def wanted(inputs: Specs, count: int, name: str = "output_mask") -> tuple[int, ...]:
    """Which of `count` gradients are computed, 1 or 0 each, by argument `name`; all without it.

    >>> wanted(Inputs((), {"output_mask": [True, False]}), 2), wanted((), 2)
    ((1, 0), (1, 1))
    """
    return tuple(int(bool(one)) for one in argument(inputs, name, (True,) * count))


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that `shapes` stretch to together.

    >>> broadcast((3, 1), (2, 1, 4))
    (2, 3, 4)
    """
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(
        next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True)
    )


def batch_of(shape: tuple[int, ...]) -> int:
    """Number of matrices in a stack of them.

    >>> batch_of((5, 2, 3, 4)), batch_of((3, 4))
    (10, 1)
    """
    return prod(shape[:-2])


def log2_ceil(n: int) -> int:
    """Steps of halving from `n` down to 1.

    >>> [log2_ceil(n) for n in (0, 1, 2, 8, 9)]
    [0, 0, 1, 3, 4]
    """
    return max(n - 1, 0).bit_length()


def each(names: str, formula: CostFormula, space: str = "aten") -> Mapping[str, CostFormula]:
    """`formula` under every one of `names`, words that follow `space`.

    >>> sorted(each("mm addmm.out", lambda inputs, outputs: 1))
    ['aten.addmm.out', 'aten.mm']
    """
    return MappingProxyType({f"{space}.{name}": formula for name in names.split()})


def with_in_place(
    names: str, formula: CostFormula, space: str = "aten"
) -> Mapping[str, CostFormula]:
    """`formula` under every one of `names` and under its in-place twin.

    >>> sorted(with_in_place("relu", lambda inputs, outputs: 1))
    ['aten.relu', 'aten.relu_']
    """
    return each(" ".join(f"{name} {name}_" for name in names.split()), formula, space)
