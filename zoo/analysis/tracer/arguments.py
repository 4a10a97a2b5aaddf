"""An operator's arguments by name, and the tensors in a module's arguments and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import FunctionType
from typing import Any

from torch import Tensor, nn
from torch._ops import HigherOrderOperator

from zoo.analysis.tracer.blank import replace_tensors


def nested_tensors(value: Any, depth: int = 0) -> Iterator[Tensor]:
    """Tensors in a module's arguments or results; looks into containers and plain objects too."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from nested_tensors(item, depth + 1)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from nested_tensors(item, depth + 1)
    elif depth < 4 and not isinstance(value, type | nn.Module | FunctionType):
        for item in _attributes(value):
            yield from nested_tensors(item, depth + 1)


def _attributes(value: Any) -> list[Any]:
    """What a dataclass or an object of the user's holds."""
    if is_dataclass(value):
        return [getattr(value, one.name, None) for one in fields(value)]
    held = getattr(value, "__dict__", None)
    return list(held.values()) if isinstance(held, dict) else []


class LazyArguments(Mapping[str, Any]):
    """An operator's arguments by the names of its schema, put together when first asked for."""

    def __init__(
        self,
        func: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        spec: Callable[[Tensor], Any],
    ) -> None:
        self._call = (func, args, kwargs, spec)
        self._values: dict[str, Any] | None = None

    def _all(self) -> dict[str, Any]:
        if self._values is None:
            func, args, kwargs, spec = self._call
            values: dict[str, Any] = {}
            if isinstance(func, HigherOrderOperator):
                return values
            for position, declared in enumerate(func._schema.arguments):
                if position < len(args):
                    value = args[position]
                elif declared.name in kwargs:
                    value = kwargs[declared.name]
                else:
                    value = declared.default_value if declared.has_default_value() else None
                values[declared.name] = replace_tensors(value, spec)
            self._values = values
        return self._values

    def __getitem__(self, name: str) -> Any:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
