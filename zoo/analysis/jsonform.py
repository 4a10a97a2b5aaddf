"""How a record becomes JSON and comes back the same.

The form is the record's own: an object for each dataclass with its fields' names, a list for each
tuple. Reading follows the fields' annotations, so what comes back has the same types. The whole
names its `schema`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from zoo.analysis import records, report
from zoo.errors import ZooError

T = TypeVar("T")


class BadRecord(ZooError):
    """JSON that is no record of this version."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"this is no saved trace: {reason}. Make it again with this version of zoo."
        )


def dumps(record: object) -> str:
    """A record as one line of JSON.

    Args:
        record: A dataclass of `zoo.analysis.records`.

    Returns:
        JSON without spaces or newlines between its parts.
    """
    return json.dumps(_plain(record), separators=(",", ":"), allow_nan=False)


def loads(text: str, kind: type[T]) -> T:
    """The record that `dumps` wrote.

    Args:
        text: JSON.
        kind: Class of the record.

    Returns:
        A record of class `kind`.

    Raises:
        BadRecord: Not JSON, another schema, or fields that do not fit.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadRecord(f"it is not JSON ({error})") from None
    wanted = next((f.default for f in fields(kind) if f.name == "schema"), None)  # type: ignore[arg-type]
    if wanted is not None and (not isinstance(data, dict) or data.get("schema") != wanted):
        found = data.get("schema") if isinstance(data, dict) else None
        raise BadRecord(f"its schema is {found!r}, not {wanted!r}")
    try:
        read: T = _read(data, kind)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise BadRecord(f"{type(error).__name__}: {error}") from None
    return read


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, {**vars(report), **vars(records)})


def _read(data: Any, kind: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        inner = [one for one in get_args(kind) if one is not NoneType]
        return None if data is None else _read(data, inner[0])
    if origin is tuple:
        (item, *_) = get_args(kind)
        return tuple(_read(one, item) for one in data)
    if origin is Literal or kind is Any:
        return data
    if origin is not None and issubclass(origin, Mapping):
        return {key: _read(item, get_args(kind)[1]) for key, item in data.items()}
    return _read_plain(data, kind)


def _read_plain(data: Any, kind: Any) -> Any:
    """A dataclass, or a word or number."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: _read(item, hints[name]) for name, item in data.items()})
    if kind is float and isinstance(data, int):
        return float(data)
    if not isinstance(data, kind):
        raise TypeError(f"{data!r} is no {kind.__name__}")
    return data
