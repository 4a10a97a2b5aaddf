"""What a cost formula is, and how formulas are put together.

A formula takes the specs of an operator's tensors and returns MACs (int) or a whole `Cost`. It is
found by the operator's name with its overload (`aten.add.Tensor`), or else without (`aten.add`).
Tables are read-only; merging is explicit and later tables win.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from zoo.analysis.records import Cost, TensorSpec

Specs = Sequence[TensorSpec]
CostFormula = Callable[[Specs, Specs], "int | Cost | None"]
"""(input specs, output specs) -> MACs, a `Cost`, or None where it cannot be told. Specs are the
tensors among the operator's arguments in order; what else it was called with, `argument` reads."""


class Inputs(tuple[TensorSpec, ...]):
    """An operator's input specs, with all its arguments by name.

    `arguments` maps the names of the operator's schema to values, a `TensorSpec` in each tensor's
    place, defaults filled in.
    """

    arguments: Mapping[str, Any]

    def __new__(  # noqa: D102 - the class docstring says it
        cls, specs: Iterable[TensorSpec], arguments: Mapping[str, Any]
    ) -> Inputs:
        self = super().__new__(cls, tuple(specs))
        self.arguments = arguments
        return self


def argument(inputs: Specs, name: str, default: Any = None) -> Any:
    """Argument `name` of the call, or else `default`; a plain tuple has none."""
    if isinstance(inputs, Inputs):
        value = inputs.arguments.get(name, default)
        return default if value is None else value
    return default


def table(*parts: Mapping[str, CostFormula]) -> Mapping[str, CostFormula]:
    """One read-only table of several; later parts win."""
    merged: dict[str, CostFormula] = {}
    for part in parts:
        merged.update(part)
    return MappingProxyType(merged)


def read_bytes(inputs: Specs) -> int:
    """Bytes of all operands, each once."""
    return sum(spec.nbytes for spec in inputs)


def written_bytes(outputs: Specs) -> int:
    """Bytes of all results."""
    return sum(spec.nbytes for spec in outputs)
