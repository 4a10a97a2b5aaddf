"""How words and shapes with names in them become inputs with open dims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from zoo.analysis.inputs import OpenWord, is_open_dim, parse_open
from zoo.analysis.tracer.blank import META

if TYPE_CHECKING:
    from zoo.analysis.tracer.symbolic import Numbers, Session


def read(value: Any) -> Any:
    """Words and shapes of an input as `OpenWord`s; nests keep their form, others stay.

    Args:
        value: A word of `--input`, a shape of numbers and names, or a nest of these.

    Returns:
        The same with each word and shape read.

    Raises:
        InputError: A word that cannot be read.
    """
    if isinstance(value, OpenWord):
        return value
    if isinstance(value, str):
        return parse_open(value)
    if _is_shape(value):
        return OpenWord(None, tuple(value), None)
    if isinstance(value, Mapping):
        return type(value)({key: read(item) for key, item in value.items()})  # type: ignore[call-arg]
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(read(item) for item in value)
    return value


def _is_shape(value: Any) -> bool:
    if not isinstance(value, tuple | list) or hasattr(value, "_fields") or not value:
        return False
    return all(
        is_open_dim(one) or (isinstance(one, int) and not isinstance(one, bool)) for one in value
    )


def words_in(value: Any) -> list[OpenWord]:
    """All that `read` has read, in order."""
    if isinstance(value, OpenWord):
        return [value]
    if isinstance(value, Mapping):
        return [word for item in value.values() for word in words_in(item)]
    if isinstance(value, list | tuple):
        return [word for item in value for word in words_in(item)]
    return []


def made(value: Any, session: Session | Numbers, dtype: torch.dtype) -> Any:
    """Inputs with the session's dims, from what `read` gave.

    Args:
        value: Words, read, in their nests.
        session: The run's dims.
        dtype: Of floating point inputs whose dtype was not said.

    Returns:
        Blank tensors in the place of words.
    """
    if isinstance(value, OpenWord):
        shape = [session.size(one) if isinstance(one, str) else one for one in value.dims]
        kind = dtype if value.dtype is None else getattr(torch, value.dtype)
        return torch.empty(shape, dtype=kind, device=META)
    if isinstance(value, Mapping):
        return type(value)({k: made(v, session, dtype) for k, v in value.items()})  # type: ignore[call-arg]
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(made(item, session, dtype) for item in value)
    return value


def split_named(inputs: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Positional inputs, and words that name the argument they are."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for value in inputs:
        if isinstance(value, OpenWord) and value.name is not None:
            named[value.name] = value
        else:
            positional.append(value)
    return positional, named
