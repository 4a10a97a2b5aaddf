"""What is wrong with an engine that a plugin returned, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.analysis.opinions import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNITS = ("MAC", "FLOP")


def engine_fault(engine: object, owners: Mapping[str, str]) -> str | None:
    """What is wrong with something that a plugin returned as an engine; None where nothing is.

    Args:
        engine: What it returned.
        owners: Plugins by the engines' names in small letters that are taken.

    Returns:
        A sentence.
    """
    if not isinstance(engine, Engine):
        return f"{engine!r} is no Engine"
    name = engine.name
    if not (isinstance(name, str) and name.strip() == name and name.isprintable() and name):
        return f"{name!r} is no name of an engine; use letters and digits"
    if name.lower() in owners:
        return f"the engine {name!r} is taken by {owners[name.lower()]}; the first keeps it"
    wrong = next((text for text in _faults(engine) if text), None)
    return f"engine {name!r}: {wrong}" if wrong else None


def _faults(engine: Any) -> Iterator[str | None]:
    for field in ("package", "counts"):
        value = getattr(engine, field)
        yield None if isinstance(value, str) and value else f"{field} {value!r} is not text"
    yield None if callable(engine.run) else f"run {engine.run!r} cannot be called"
    if engine.rule is not None and not callable(engine.rule):
        yield f"rule {engine.rule!r} cannot be called"
    if engine.unit not in UNITS:
        yield f"unit {engine.unit!r} is none of {', '.join(UNITS)}"
    words = isinstance(engine.needs, tuple) and all(isinstance(one, str) for one in engine.needs)
    yield None if words else f"needs {engine.needs!r} are not a tuple of modules"
