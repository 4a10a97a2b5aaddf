"""What operators a function runs, seen below autograd, as a tracer would see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from zoo.analysis.costs import DEFAULT, cost_of
from zoo.analysis.costs.base import Inputs, Specs
from zoo.analysis.records import Cost, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Seen:
    """One operator that ran."""

    op: str
    inputs: Inputs
    outputs: Specs
    tags: frozenset[str]

    @property
    def cost(self) -> Cost | None:
        """By the default table."""
        return cost_of(self.op, self.inputs, self.outputs, DEFAULT, tags=self.tags)


def _spec(value: Any) -> Any:
    if isinstance(value, Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        return TensorSpec(tuple(value.shape), dtype, str(value.device))
    return value


def _specs(nest: Any) -> Iterator[TensorSpec]:
    return (_spec(leaf) for leaf in tree_leaves(nest) if isinstance(leaf, Tensor))


class _Observer(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Seen] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        schema = func._schema
        arguments = {}
        for position, declared in enumerate(schema.arguments):
            default = declared.default_value if declared.has_default_value() else None
            given = args[position] if position < len(args) else kwargs.get(declared.name, default)
            arguments[declared.name] = tree_map(_spec, given)
        tags = {str(tag).removeprefix("torch.Tag.") for tag in func.tags}
        if func.is_view:
            tags.add("view")
        op = f"{schema.name.replace('::', '.')}.{schema.overload_name or 'default'}"
        inputs = Inputs(_specs((args, kwargs)), arguments)
        self.seen.append(Seen(op, inputs, tuple(_specs(out)), frozenset(tags)))
        return out


def _observe_training(run: Callable[[], object]) -> list[Seen]:
    with _Observer() as observer:
        run()
    return observer.seen


def _observe(run: Callable[[], object]) -> list[Seen]:
    with torch.no_grad():
        return _observe_training(run)


@pytest.fixture
def observe() -> Callable[[Callable[[], object]], list[Seen]]:
    """Runs a function and gives the operators that it ran."""
    return _observe


@pytest.fixture
def observe_training() -> Callable[[Callable[[], object]], list[Seen]]:
    """The same with gradients, so that a backward pass can be a part of it."""
    return _observe_training
