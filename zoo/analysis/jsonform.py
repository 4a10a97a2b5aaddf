"""How a record becomes JSON and comes back the same.

The form is the record's own: an object for each dataclass with its fields' names, a list for each
tuple. Reading follows the fields' annotations, so what comes back has the same types. The whole
names its `schema`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

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
        read: T = _reader(cast("Any", kind))(data)
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


Reader = Callable[[Any], Any]


@cache
def _reader(kind: Any) -> Reader:
    """What makes a value of an annotation out of JSON; made once for each annotation."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        (inner,) = (_reader(one) for one in get_args(kind) if one is not NoneType)
        return lambda data: None if data is None else inner(data)
    if origin is tuple:
        item = _reader(get_args(kind)[0])
        return lambda data: tuple([item(one) for one in data])
    if origin is Literal or kind is Any:
        return lambda data: data
    if origin is not None and issubclass(origin, Mapping):
        value = _reader(get_args(kind)[1])
        return lambda data: {key: value(item) for key, item in data.items()}
    return _record_reader(kind) if is_dataclass(kind) else _plain_reader(kind)


def _record_reader(kind: Any) -> Reader:
    hints = get_type_hints(kind, {**vars(report), **vars(records)})
    readers = {one.name: _reader(hints[one.name]) for one in fields(kind)}
    return lambda data: kind(**{name: readers[name](item) for name, item in data.items()})


def _plain_reader(kind: type) -> Reader:
    """A word or number."""

    def read(data: Any) -> Any:
        if isinstance(data, kind):
            return data
        if kind is float and isinstance(data, int):
            return float(data)
        raise TypeError(f"{data!r} is no {kind.__name__}")

    return read
