"""An operator's arguments by name, and the tensors in a module's arguments and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import FunctionType, NoneType
from typing import Any

import torch
from torch import Tensor, nn

from zoo.analysis.tracer.blank import replace_tensors, tensors_in

Declared = Sequence[tuple[str, Any]]
"""The arguments of an operator's schema: name and default, which is None where there is none."""

_PLAIN = frozenset(
    (NoneType, bool, int, float, str, torch.dtype, torch.device, torch.layout, torch.memory_format)
)
_LISTS = (list, tuple, set)
_OPAQUE = (type, nn.Module, FunctionType)


def operands(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """Tensors among an operator's arguments, in order."""
    found: list[Tensor] = []
    for value in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(value, Tensor):
            found.append(value)
        elif type(value) not in _PLAIN:
            found.extend(tensors_in(value))
    return found


def nested_tensors(value: Any) -> list[Tensor]:
    """Tensors in a module's arguments or results; looks into containers and plain objects too."""
    found: list[Tensor] = []
    _collect(value, found, 0)
    return found


def _collect(value: Any, found: list[Tensor], depth: int) -> None:
    if isinstance(value, Tensor):
        found.append(value)
    elif type(value) in _PLAIN:
        return
    elif isinstance(value, _LISTS):
        for item in value:
            _collect(item, found, depth + 1)
    elif isinstance(value, (dict, Mapping)):
        for item in value.values():
            _collect(item, found, depth + 1)
    elif depth < 4 and not isinstance(value, _OPAQUE):
        for item in _attributes(value):
            _collect(item, found, depth + 1)


def _attributes(value: Any) -> list[Any]:
    """What a dataclass or an object of the user's holds."""
    if is_dataclass(value):
        return [getattr(value, one.name, None) for one in fields(value)]
    held = getattr(value, "__dict__", None)
    return list(held.values()) if isinstance(held, dict) else []


def declared(schema: Any) -> Declared:
    """Names and defaults of a schema's arguments, which torch makes anew whenever it is asked."""
    return tuple(
        (one.name, one.default_value if one.has_default_value() else None)
        for one in schema.arguments
    )


class LazyArguments(Mapping[str, Any]):
    """An operator's arguments by the names of its schema, put together when first asked for."""

    __slots__ = ("_call", "_values")

    def __init__(
        self,
        names: Callable[[], Declared],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        spec: Callable[[Tensor], Any],
    ) -> None:
        self._call = (names, args, kwargs, spec)
        self._values: dict[str, Any] | None = None

    @property
    def asked(self) -> bool:
        """Whether any argument was asked for."""
        return self._values is not None

    def _all(self) -> dict[str, Any]:
        if self._values is None:
            names, args, kwargs, spec = self._call
            values: dict[str, Any] = {}
            for position, (name, default) in enumerate(names()):
                value = args[position] if position < len(args) else kwargs.get(name, default)
                values[name] = replace_tensors(value, spec)
            self._values = values
        return self._values

    def __getitem__(self, name: str) -> Any:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
