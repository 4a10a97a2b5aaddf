"""What a model is built with: reading `--set name=value`, and checking it against the factory.

A value is typed by how it is written: `12` an int, `0.5` and `1e-3` floats, `true` and `false`
bools, `null` and `none` None, `[1,2]` and `{"a": 1}` JSON (or Python), `"12"` with quotes and all
else a string. It is then held to the annotation of the argument, where that is something zoo can
judge: int, float, bool, str, None, tuple, list, Sequence, dict, Literal and unions of these. Other
annotations are left to the factory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import BoundArguments, Parameter, Signature, formatannotation, signature, unwrap
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from zoo.errors import BadArgument, did_you_mean

WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "none": None}
_INT = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?|[+-]?inf|nan")
_BRACKETS = ("[", "{", "(", '"', "'")


def parse_settings(words: Iterable[str]) -> dict[str, Any]:
    """Read the words of `--set`.

    Args:
        words: `name=value` each.

    Returns:
        Values by name.

    Raises:
        BadArgument: One is not `name=value`, is given twice, or has a value that cannot be read.

    Example:
        >>> parse_settings(["depth=2", "act=relu", "sizes=[3, 5]", "bias=false", "norm=null"])
        {'depth': 2, 'act': 'relu', 'sizes': [3, 5], 'bias': False, 'norm': None}
    """
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise BadArgument(
                "--set", word, "it is not NAME=VALUE. Write for example --set depth=2."
            )
        if name in found:
            raise BadArgument("--set", name, "it is given twice. Give it once.")
        found[name] = parse_value(text, name)
    return found


def parse_value(text: str, name: str = "value") -> Any:
    """Read one value.

    Args:
        text: As the user wrote it.
        name: What it is for, in the error.

    Returns:
        What it means.

    Raises:
        BadArgument: It begins with a bracket or a quote and is neither JSON nor Python.

    Example:
        >>> [parse_value(text) for text in ("1", "-2.5", "TRUE", "none", "(1, 2)", "3x3", '"3"')]
        [1, -2.5, True, None, (1, 2), '3x3', '3']
    """
    word = text.strip()
    if word.lower() in WORDS:
        return WORDS[word.lower()]
    try:
        if _INT.fullmatch(word):
            return int(word)
        if _FLOAT.fullmatch(word):
            return float(word)
    except ValueError:
        raise BadArgument(
            "--set", name, "the number has too many digits. Give a smaller one."
        ) from None
    return _literal(word, name) if word.startswith(_BRACKETS) else text


def _literal(word: str, name: str) -> Any:
    """A value in JSON, or else in Python's own way."""
    import ast
    import json

    try:
        return json.loads(word)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(word)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        shown = word if len(word) <= 60 else word[:57] + "..."
        hint = 'Write for example [1,2], {"a": 1} or "text".'
        raise BadArgument("--set", name, f"{shown} is not JSON. {hint}") from None


class Misfit(Exception):
    """A value that an annotation does not allow."""


def fit(value: Any, wanted: Any) -> Any:
    """`value` as an argument annotated `wanted` takes it: the same, but lists become tuples.

    Args:
        value: What was given.
        wanted: The annotation.

    Returns:
        What the factory is called with.

    Raises:
        Misfit: It is of another type.

    Example:
        >>> fit([3, 3], tuple[int, int] | int), fit(1, float), fit("x", Any)
        ((3, 3), 1, 'x')
    """
    origin = get_origin(wanted)
    arms = get_args(wanted)
    if origin in (Union, UnionType):
        return _first_fit(value, arms)
    if origin is Annotated:
        return fit(value, arms[0])
    kind = (
        _KINDS.get(Literal if origin is Literal else (origin or wanted))
        if _hashable(wanted)
        else None
    )
    return value if kind is None else kind(value, arms)


def _hashable(wanted: Any) -> bool:
    try:
        hash(get_origin(wanted) or wanted)
    except TypeError:
        return False
    return True


def _first_fit(value: Any, arms: Sequence[Any]) -> Any:
    for arm in arms:
        try:
            return fit(value, arm)
        except Misfit:
            continue
    raise Misfit


def _where(holds: Callable[[Any], bool]) -> Callable[[Any, Sequence[Any]], Any]:
    def kind(value: Any, arms: Sequence[Any]) -> Any:  # noqa: ARG001
        if not holds(value):
            raise Misfit
        return value

    return kind


def _literal_kind(value: Any, arms: Sequence[Any]) -> Any:
    if not any(type(value) is type(arm) and value == arm for arm in arms):
        raise Misfit
    return value


def _tuple_kind(value: Any, arms: Sequence[Any]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise Misfit
    if not arms:
        return tuple(value)
    if len(arms) == 2 and arms[1] is Ellipsis:
        return tuple(fit(item, arms[0]) for item in value)
    wanted = () if arms == ((),) else arms
    if len(value) != len(wanted):
        raise Misfit
    return tuple(fit(item, arm) for item, arm in zip(value, wanted, strict=True))


def _list_kind(value: Any, arms: Sequence[Any]) -> Any:
    if not isinstance(value, list | tuple | range):
        raise Misfit
    items = [fit(item, arms[0]) for item in value] if arms else value
    return (
        type(value)(items)
        if isinstance(value, list | tuple) and type(value) in (list, tuple)
        else value
    )


def _mapping_kind(value: Any, arms: Sequence[Any]) -> Any:
    if not isinstance(value, Mapping):
        raise Misfit
    if len(arms) == 2:
        return {fit(key, arms[0]): fit(item, arms[1]) for key, item in value.items()}
    return value


def _has(value: Any, method: str) -> bool:
    return hasattr(type(value), method) and not isinstance(value, bool)


_KINDS: Mapping[Any, Callable[[Any, Sequence[Any]], Any]] = {
    int: _where(lambda value: _has(value, "__index__")),
    float: _where(lambda value: _has(value, "__float__") or _has(value, "__index__")),
    bool: _where(lambda value: isinstance(value, bool)),
    str: _where(lambda value: isinstance(value, str)),
    None: _where(lambda value: value is None),
    NoneType: _where(lambda value: value is None),
    Literal: _literal_kind,
    tuple: _tuple_kind,
    list: _list_kind,
    Sequence: _list_kind,
    Iterable: _list_kind,
    Collection: _list_kind,
    dict: _mapping_kind,
    Mapping: _mapping_kind,
}
"""Annotation, or its origin -> (value, the annotation's arguments) -> value, or Misfit."""


@dataclass(frozen=True, slots=True)
class Taker:
    """What a factory takes."""

    model: str
    """What the user calls it."""
    signature: Signature | None
    """None where Python does not know it: everything goes."""
    scope: Mapping[str, Any]
    """Names that annotations written as text are read with."""

    def annotation(self, parameter: Parameter) -> Any:
        """The parameter's annotation; `Parameter.empty` where there is none that can be read."""
        wanted = parameter.annotation
        if not isinstance(wanted, str):
            return wanted
        try:
            return eval(wanted, dict(self.scope))
        except Exception:  # noqa: BLE001  # names that exist for type checkers only
            return Parameter.empty

    def requires(self, name: str) -> bool:
        """Whether the factory cannot be called without the argument `name`."""
        found = self.signature.parameters.get(name) if self.signature else None
        return found is not None and found.default is found.empty

    def accept(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments as the factory takes them.

        Args:
            arguments: By name.

        Returns:
            What `call` takes.

        Raises:
            BadArgument: One is unknown, of the wrong type, or missing.
        """
        if self.signature is None:
            return dict(arguments)
        parameters = self.signature.parameters
        named = {
            n: p for n, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        }
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        accepted = {}
        for name, value in arguments.items():
            if name in named:
                accepted[name] = self._fitted(named[name], value)
            elif takes_all:
                accepted[name] = value
            else:
                raise BadArgument(
                    self.model, name, f"there is no such argument. {_hint(name, named)}"
                )
        missing = [n for n, p in named.items() if p.default is p.empty and n not in arguments]
        if missing:
            first, *rest = missing
            also = f", nor {' and '.join(rest)}" if rest else ""
            raise BadArgument(self.model, first, f"it is not given{also}. Add --set {first}=VALUE.")
        return accepted

    def _fitted(self, parameter: Parameter, value: Any) -> Any:
        wanted = self.annotation(parameter)
        try:
            return fit(value, wanted)
        except Misfit:
            raise BadArgument(
                self.model, parameter.name, _wrong_type(parameter, wanted, value)
            ) from None

    def call(self, factory: Callable[..., Any], accepted: Mapping[str, Any]) -> Any:
        """Call the factory; positional-only arguments go by position."""
        if self.signature is None:
            return factory(**accepted)
        kept = {n: p for n, p in self.signature.parameters.items() if p.kind is p.POSITIONAL_ONLY}
        bound = BoundArguments(Signature(list(kept.values())), {})
        for name in kept:
            if name in accepted:
                bound.arguments[name] = accepted[name]
        bound.apply_defaults()
        rest = {name: value for name, value in accepted.items() if name not in kept}
        return factory(*bound.args, **rest)


def taker_of(factory: Callable[..., Any], model: str) -> Taker:
    """What a class or function takes.

    Args:
        factory: What builds the model.
        model: What the user calls it.

    Returns:
        Its signature, with what its annotations are read with.
    """
    try:
        found = signature(factory)
    except (ValueError, TypeError):
        return Taker(model, None, {})
    wrapped: Any = getattr(factory, "func", factory)  # of a functools.partial
    maker = "__init__" if isinstance(wrapped, type) else "__call__"
    function = unwrap(wrapped)
    if not hasattr(function, "__globals__"):
        function = unwrap(getattr(function, maker))
    scope = getattr(function, "__globals__", {})
    return Taker(model, found, scope)


def _hint(name: str, named: Mapping[str, Parameter]) -> str:
    known = f"It takes {', '.join(named)}." if named else "It takes none."
    near = did_you_mean(name, named, "")
    return f"{near} {known}" if near else known


def _wrong_type(parameter: Parameter, wanted: Any, value: Any) -> str:
    is_text = isinstance(parameter.annotation, str)
    text = parameter.annotation if is_text else formatannotation(wanted)
    shown = repr(value)
    if len(shown) > 60:
        shown = shown[:57] + "..."
    example = _example(parameter.name, wanted, value)
    return f"it wants {text}, got {shown} ({type(value).__name__}).{example}"


def _example(name: str, wanted: Any, value: Any) -> str:
    """How the wanted type is written, where that is not plain."""
    arms = get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)
    kinds = [get_origin(arm) or arm for arm in arms]
    if str in kinds and isinstance(value, int | float):
        return f" Write --set '{name}=\"{value}\"'."
    if bool in kinds:
        return f" Write --set {name}=true or {name}=false."
    if any(kind in (tuple, list, Sequence) for kind in kinds):
        return f" Write a list: --set '{name}=[...]'."
    return ""
