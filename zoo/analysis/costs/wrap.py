"""How is a formula written for another counter used here?

`from_flop_counter` takes a formula of `torch.utils.flop_counter`: it is called with shapes in the
place of tensors and returns FLOPs, two for each MAC. `from_fvcore` takes a handle of fvcore: it is
called with values of a traced graph and returns a number, or a Counter of them, one for each MAC.
`pointwise_from_fvcore` takes those handles that count elementwise work and norms, in pointwise
FLOPs; fvcore itself does not tell the two apart.

A formula that asks for more than tensors needs the call's arguments (`Inputs`). Not taken: formulas
of torch that are registered with `get_raw=True`, which want real tensors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.analysis.costs.base import CostFormula, Inputs, Specs
from zoo.analysis.costs.common import streamed
from zoo.analysis.records import Cost, TensorSpec


def from_flop_counter(fn: Callable[..., Any]) -> CostFormula:
    """A formula of `torch.utils.flop_counter` as one of MACs; half of what it returns.

    Arguments go in by position, as torch hands them over, those that `fn` takes by keyword only by
    keyword; defaults that it does not take are left out. Its `out_shape` is one shape, or a tuple
    of them for several results.

    Args:
        fn: Takes shapes and other arguments, and `out_shape=`; returns FLOPs.

    Returns:
        A formula that calls `fn` with shapes and gives MACs.

    >>> def scale_flop(x_shape, *, out_shape=None):
    ...     return 2 * x_shape[0]
    >>> from_flop_counter(scale_flop)((TensorSpec((8, 3)),), (TensorSpec((8, 3)),))
    8
    """
    result = "out_val" if "out_val" in (getattr(fn, "__kwdefaults__", None) or {}) else "out_shape"

    def formula(inputs: Specs, outputs: Specs) -> int:
        shapes = tuple(spec.shape for spec in outputs)
        args, kwargs = _bind(fn, _arguments(inputs))
        kwargs[result] = shapes[0] if len(shapes) == 1 else shapes
        return _whole(fn(*args, **kwargs)) // 2

    return formula


def from_fvcore(fn: Callable[[list[Any], list[Any]], Any]) -> CostFormula:
    """A handle of fvcore as a formula of MACs: what it returns, a Counter's values added up.

    Args:
        fn: Takes the values that an operator reads and writes in a traced graph.

    Returns:
        A formula that calls `fn` with such values and gives MACs.

    >>> def handle(inputs, outputs):
    ...     return {"rows": inputs[0].type().sizes()[0]}
    >>> from_fvcore(handle)((TensorSpec((8, 3)),), ())
    8
    """

    def formula(inputs: Specs, outputs: Specs) -> int:
        return _counted(fn, inputs, outputs)

    return formula


def pointwise_from_fvcore(fn: Callable[[list[Any], list[Any]], Any]) -> CostFormula:
    """A handle of fvcore that counts elementwise work or a norm, as a formula of pointwise FLOPs.

    Args:
        fn: Takes the values that an operator reads and writes in a traced graph.

    Returns:
        A formula that gives a `Cost`: pointwise FLOPs, and bytes read and written once.

    >>> def handle(inputs, outputs):
    ...     return 4 * inputs[0].type().sizes()[0]
    >>> pointwise_from_fvcore(handle)((TensorSpec((8,)),), ()).flops
    32
    """

    def formula(inputs: Specs, outputs: Specs) -> Cost:
        return streamed(inputs, outputs, flops=_counted(fn, inputs, outputs))

    return formula


def _arguments(inputs: Specs) -> Mapping[str, Any]:
    """All arguments of the call in the order of the schema, or the tensors where these are all."""
    if isinstance(inputs, Inputs) and inputs.arguments:
        return inputs.arguments
    return {f"#{position}": spec for position, spec in enumerate(inputs)}


def _whole(value: Any) -> int:
    """`value` as an int, where it is one."""
    number = int(value)
    if number != value:
        raise ValueError(f"{value!r} is no whole number")
    return number


def _shapes(value: Any) -> Any:
    """`value` with each tensor's shape in its place."""
    if isinstance(value, TensorSpec):
        return value.shape
    if isinstance(value, list | tuple):
        return [_shapes(item) for item in value]
    return value


def _bind(fn: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """What of `arguments` goes to `fn` by position, and what by name."""
    declared = inspect.signature(fn).parameters.values()
    parameters = [p for p in declared if p.name not in {"out_shape", "out_val"}]
    kinds = {p.kind for p in parameters}
    only = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    given = {name: _shapes(value) for name, value in arguments.items()}
    ordered = [name for name in given if name not in only]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        slots = len(ordered)
    else:
        slots = sum(p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters)
        slots += sum(p.kind is inspect.Parameter.POSITIONAL_ONLY for p in parameters)
    named = set(only)
    if inspect.Parameter.VAR_KEYWORD in kinds:
        named.update(ordered[slots:])
    return [given[name] for name in ordered[:slots]], {
        name: value for name, value in given.items() if name in named
    }


@dataclass(frozen=True, slots=True)
class _Type:
    """Stands in for the type of a value in a traced graph."""

    shape: tuple[int, ...] | None

    def kind(self) -> str:
        """As torch calls it."""
        return "TensorType" if self.shape is not None else "AnyType"

    def sizes(self) -> list[int] | None:
        """Lengths, where it is a tensor."""
        return list(self.shape) if self.shape is not None else None

    def dim(self) -> int | None:
        """Rank, where it is a tensor."""
        return len(self.shape) if self.shape is not None else None


@dataclass(frozen=True, slots=True)
class _Node:
    """Stands in for the node that makes a list."""

    values: tuple[_Value, ...]

    def inputs(self) -> list[_Value]:
        """The items of the list."""
        return list(self.values)


@dataclass(frozen=True, slots=True)
class _Value:
    """Stands in for a value in a traced graph, a tensor, a constant or a list of values."""

    content: Any

    def isCompleteTensor(self) -> bool:  # noqa: N802 - torch's name
        """Whether it is a tensor whose shape is known."""
        return isinstance(self.content, TensorSpec)

    def type(self) -> _Type:
        """Its shape, as torch wraps it."""
        return _Type(self.content.shape if isinstance(self.content, TensorSpec) else None)

    def toIValue(self) -> Any:  # noqa: N802 - torch's name
        """The constant; None for a tensor, as in a graph."""
        return None if isinstance(self.content, TensorSpec) else self.content

    def node(self) -> _Node:
        """The node that makes it, whose inputs are the list's items."""
        items = self.content if isinstance(self.content, list | tuple) else ()
        return _Node(tuple(map(_Value, items)))


_ONLY_IN_GRAPHS = ("benchmark", "deterministic", "cudnn_enabled", "allow_tf32")
"""What `_convolution`, which graphs hold, takes beyond `convolution`, which is dispatched."""


def _counted(fn: Callable[[list[Any], list[Any]], Any], inputs: Specs, outputs: Specs) -> int:
    """What `fn` returns for the call, added up."""
    arguments = dict(_arguments(inputs))
    if {"transposed", "output_padding", "groups"} <= arguments.keys():
        arguments |= {name: False for name in _ONLY_IN_GRAPHS if name not in arguments}
    counted = fn([*map(_Value, arguments.values())], [*map(_Value, outputs)])
    return _whole(sum(counted.values()) if isinstance(counted, Mapping) else counted)
