"""What an architecture can be built with, in words: `num_classes` -> `int = 10`."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, formatannotation
from typing import TYPE_CHECKING, Any

from zoo.catalog.arguments import taker_of
from zoo.catalog.locate import locate_factory

if TYPE_CHECKING:
    from zoo.catalog.catalog import Entry


def described(entry: Entry) -> dict[str, str]:
    """Arguments of an architecture's factory with their types and defaults.

    Args:
        entry: The architecture. Its factory is imported.

    Returns:
        A text for each argument, in order; empty where Python does not know them. Defaults are the
        card's where it has its own, also under `config`; an argument that may be left out and
        whose type is never None has none to show.

    Raises:
        BadReference: The factory does not load.
    """
    found = locate_factory(entry.card.factory, entry.folders)
    if not callable(found.target):
        return {}
    taker = taker_of(found.target, entry.name)
    known = taker.signature.parameters if taker.signature else {}
    parameters = known.values()
    config = entry.card.arguments.get(
        "config", known["config"].default if "config" in known else None
    )
    said = {**(config if isinstance(config, Mapping) else {}), **entry.card.arguments}
    texts = {
        parameter.name: _described(parameter, said)
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    own = {name: f"= {value!r}" for name, value in entry.card.arguments.items()}
    return texts | {name: text for name, text in own.items() if name not in texts}


def _described(parameter: Parameter, said: Mapping[str, Any]) -> str:
    wanted = parameter.annotation
    kind = (
        ""
        if wanted is Parameter.empty
        else wanted
        if isinstance(wanted, str)
        else formatannotation(wanted)
    )
    default = said.get(parameter.name, parameter.default)
    unsaid = default is Parameter.empty or (default is None and kind and "None" not in kind)
    value = "" if unsaid else f"= {default!r}"
    return " ".join(part for part in (kind, value) if part) or "any"
