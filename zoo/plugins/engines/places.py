"""Inputs by name as inputs in their places, and the other way round: some tools take one kind."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


def in_places(
    model: nn.Module, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, ...]:
    """All inputs in the order of `forward`'s arguments, with the defaults of those between.

    Args:
        model: Whose `forward` is asked.
        inputs: What it gets in order.
        kwargs: What it gets by name.

    Returns:
        The inputs.

    Raises:
        TypeError: One of them can be given by name only.
    """
    if not kwargs:
        return inputs
    bound = inspect.signature(model.forward).bind(*inputs, **kwargs)
    last = max(list(bound.signature.parameters).index(name) for name in bound.arguments)
    bound.apply_defaults()
    if bound.kwargs.keys() & kwargs.keys():
        raise TypeError(f"it takes no inputs by name, and {', '.join(bound.kwargs)} is one")
    return bound.args[: last + 1]


def by_name(model: nn.Module, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """All inputs by the names of `forward`'s arguments.

    Args:
        model: Whose `forward` is asked.
        inputs: What it gets in order.
        kwargs: What it gets by name.

    Returns:
        The inputs.

    Raises:
        TypeError: One of them has no name.
    """
    bound = inspect.signature(model.forward).bind(*inputs, **kwargs)
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            raise TypeError(f"it takes one input in its place or all by name, and *{name} has none")
        found.update(value if kind is inspect.Parameter.VAR_KEYWORD else {name: value})
    return found
