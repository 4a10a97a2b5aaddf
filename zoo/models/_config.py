"""How is a model described by a config.json, as hubs of models publish it?

The settings of an architecture are a dataclass whose fields have the names of such a file's keys.
Here is what all of them share: reading the file, holding values to the types of the fields,
refusing keys that would make another architecture of it, and the signature of a factory that takes
a config and, beside it, settings by name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from inspect import Parameter, Signature
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from zoo.models._sizes import at_least_one

T = TypeVar("T")
Config = str | os.PathLike[str] | Mapping[str, object] | None

DTYPES = ("float32", "bfloat16", "float16", "float64")

TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "dict[str, object]": (dict,),
    "list[str]": (list, tuple),
    "list[int]": (list, tuple),
}
"""Types of values that a field's annotation stands for."""


def load(config: Config) -> dict[str, object]:
    """What a config says.

    Args:
        config: The file, its folder, or what it holds, which may lie under `config` beside a word
            on its source. None: nothing.

    Returns:
        Settings by name, unchecked.

    Raises:
        ValueError: The file cannot be read, or is not JSON.
    """
    if config is None:
        return {}
    found = config if isinstance(config, Mapping) else _parsed(config)
    inner = found.get("config")
    return dict(inner if isinstance(inner, Mapping) else found)


def _parsed(path: str | os.PathLike[str]) -> Mapping[str, object]:
    file = Path(path).expanduser()
    if file.is_dir():
        file /= "config.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"config {path} cannot be read ({error.strerror})") from None
    except ValueError:
        raise ValueError(f"config {path} is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError(  # noqa: TRY004 - whatever is wrong with a config is one error
            f"config {path} holds a {type(found).__name__}, not settings by name"
        )
    return found


def short(value: object) -> str:
    """A value as an error shows it, in 60 letters at most."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def check_types(settings: Any) -> None:
    """Hold the fields of a dataclass to their types.

    Args:
        settings: The dataclass; its annotations are words of `TYPES`, `| None` where null will do.

    Raises:
        ValueError: A value is of another type.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        kind, _, null = str(field.type).partition(" | ")
        if value is None and null:
            continue
        if type(value) not in TYPES[kind]:
            wanted = str(field.type).replace("None", "null")
            raise ValueError(f"{field.name} is {short(value)}; it wants {wanted}")


def check_counts(settings: object, names: Iterable[str]) -> None:
    """Hold counts to whole numbers from 1 up, where they are set.

    Args:
        settings: What has them as attributes.
        names: Which.

    Raises:
        ValueError: One is less than 1.
    """
    at_least_one(**{name: getattr(settings, name) for name in names})


def check_divides(settings: object, whole: str, parts: str) -> None:
    """Hold a width to a multiple of what it is shared by.

    Args:
        settings: What has both as attributes.
        whole: Name of the width, or of the larger count.
        parts: Name of the number of parts.

    Raises:
        ValueError: There is a rest.
    """
    all_of_it, shared = getattr(settings, whole), getattr(settings, parts)
    if all_of_it % shared:
        raise ValueError(f"{whole} is {all_of_it}, which {parts}, {shared}, does not divide")


def check_shares(settings: object, names: Iterable[str]) -> None:
    """Hold probabilities to numbers from 0 up to, but not including, 1.

    Args:
        settings: What has them as attributes.
        names: Which.

    Raises:
        ValueError: One is outside.
    """
    for name in names:
        value = getattr(settings, name)
        if not 0 <= value < 1:
            raise ValueError(f"{name} is {value}; it wants a number from 0 up and below 1")


def check_one_of(settings: object, name: str, known: Iterable[str]) -> None:
    """Hold a word to those that are known, where it is set.

    Args:
        settings: What has it as an attribute.
        name: Which.
        known: Words.

    Raises:
        ValueError: It is another word.
    """
    value, words = getattr(settings, name), tuple(known)
    if value is not None and value not in words:
        raise ValueError(f"{name} is {value!r}; known: {', '.join(words)}")


def check_above_zero(settings: object, names: Iterable[str]) -> None:
    """Hold numbers to more than 0, where they are set.

    Args:
        settings: What has them as attributes.
        names: Which.

    Raises:
        ValueError: One is 0 or less.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and value <= 0:
            raise ValueError(f"{name} is {value}; it wants a number above 0")


def check_layer_types(types: Sequence[str] | None, layers: int) -> None:
    """Hold what each block attends to to the words that are known, one for each block.

    Args:
        types: Words; None where the config has none.
        layers: Blocks.

    Raises:
        ValueError: There are more or fewer, or one is unknown.
    """
    if types is None:
        return
    if len(types) != layers:
        raise ValueError(f"layer_types has {len(types)} layers, not {layers}")
    for one in types:
        if one not in ("full_attention", "sliding_attention"):
            raise ValueError(f"layer_types has {one!r}; it knows full and sliding attention")


def check_causal(found: Mapping[str, object]) -> None:
    """Refuse a config whose model has another head than one that tells the next token.

    Args:
        found: The config's settings.

    Raises:
        ValueError: `architectures` has a class that is no `...ForCausalLM`.
    """
    classes = found.get("architectures")
    for name in classes if isinstance(classes, list | tuple) else ():
        if not str(name).endswith("ForCausalLM"):
            raise ValueError(f"architectures has {name}; only models for causal LM are known")


def check_kind(found: Mapping[str, object], known: Iterable[str]) -> str:
    """Which class of models a config is of.

    Args:
        found: The config's settings.
        known: Values of `model_type` that will do.

    Returns:
        Its `model_type`, "" where there is none.

    Raises:
        ValueError: It is another one.
    """
    kind, words = found.get("model_type") or "", tuple(known)
    if kind not in ("", *words):
        raise ValueError(f"model_type is {kind!r}; known: {', '.join(words)}")
    return str(kind)


def refuse(
    found: Mapping[str, object], odd: Mapping[str, str], unless: tuple[object, ...] | None = None
) -> None:
    """Refuse keys that make another architecture, so that nobody gets another model's figures.

    Args:
        found: The config's settings.
        odd: Keys, and what each means.
        unless: Values that change nothing; None: null, false, 0 and what is empty.

    Raises:
        ValueError: One is there.
    """
    for key, meaning in odd.items():
        value = found.get(key)
        if value if unless is None else value not in unless:
            raise ValueError(f"{key} is {short(found[key])}: {meaning}, which is not known here")


def check_needed(found: Mapping[str, object], needed: Iterable[str]) -> None:
    """Refuse a config that lacks a setting.

    Args:
        found: The config's settings.
        needed: Which have no default.

    Raises:
        ValueError: One is not there.
    """
    for name in needed:
        if name not in found:
            raise ValueError(f"the setting {name} is missing")


def filled(kind: type[T], found: Mapping[str, object], needed: Iterable[str]) -> T:
    """The dataclass of an architecture's settings, from all that a config says.

    Args:
        kind: The dataclass; it holds its fields to their types.
        found: Settings by name; those that are no field are passed over.
        needed: Which have no default.

    Returns:
        The settings.

    Raises:
        ValueError: One is missing, or does not do.
    """
    check_needed(found, needed)
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    return kind(**{name: value for name, value in found.items() if name in known})


def renamed(
    found: Mapping[str, object], aliases: Mapping[str, str] = MappingProxyType({})
) -> dict[str, object]:
    """Settings under one name each, a dtype without its `torch.`.

    Args:
        found: Settings by any of their names.
        aliases: Other names, and the one that counts; `dtype` is that of transformers 5 for
            `torch_dtype` in any case.

    Returns:
        Settings by the names that count.
    """
    known = {"dtype": "torch_dtype", **aliases}
    plain = {known.get(name, name): value for name, value in found.items()}
    if plain.get("torch_dtype") is not None:
        plain["torch_dtype"] = str(plain["torch_dtype"]).removeprefix("torch.")
    return plain


def signature(settings: type | tuple[type, ...], default: Mapping[str, object]) -> Signature:
    """What a factory takes that is called with a config and, beside it, with settings by name.

    Args:
        settings: The dataclass of settings, or several.
        default: The config that is taken where none is given.

    Returns:
        The signature: `config`, then each field by its name.
    """
    wanted = str | os.PathLike[str] | dict[str, object] | None
    kind = Parameter.POSITIONAL_OR_KEYWORD
    config = Parameter("config", kind, default=default, annotation=wanted)
    by_name = [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=None, annotation=field.type)
        for one in (settings if isinstance(settings, tuple) else (settings,))
        for field in fields(one)
    ]
    return Signature([config, *by_name])
