"""What an architecture can be built with, in words: `num_classes` -> `int = 10`."""

from __future__ import annotations

from inspect import Parameter, formatannotation
from typing import TYPE_CHECKING

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
        card's where it has its own.

    Raises:
        BadReference: The factory does not load.
    """
    found = locate_factory(entry.card.factory, entry.folders)
    if not callable(found.target):
        return {}
    taker = taker_of(found.target, entry.name)
    parameters = taker.signature.parameters.values() if taker.signature else ()
    texts = {
        parameter.name: _described(parameter, entry)
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    own = {name: f"= {value!r}" for name, value in entry.card.arguments.items()}
    return texts | {name: text for name, text in own.items() if name not in texts}


def _described(parameter: Parameter, entry: Entry) -> str:
    wanted = parameter.annotation
    kind = (
        ""
        if wanted is Parameter.empty
        else wanted
        if isinstance(wanted, str)
        else formatannotation(wanted)
    )
    default = entry.card.arguments.get(parameter.name, parameter.default)
    value = "" if default is Parameter.empty else f"= {default!r}"
    return " ".join(part for part in (kind, value) if part) or "any"
