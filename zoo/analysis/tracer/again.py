"""What does the first step do that later steps do not?

A model that keeps what it computed or moved (`self.mean = self.mean.to(x.device)`) does so once.
Such a model has changed when the step is over; then a second step is taken, of which nothing is
written down but its copies and waits, and those that it does not have are of the first step only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo.analysis.tracer.borrow import CONTAINERS

if TYPE_CHECKING:
    from torch import nn

    from zoo.analysis.records import Transfer, When
    from zoo.analysis.tracer.recorder import Recorder

_TORCHS = frozenset({"_parameters", "_modules"})
"""What a step changes in place, or what is looked at module by module."""


class Before:
    """What a model's modules hold before a step.

    Args:
        model: Any module.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.held = _held(model)

    def changed(self) -> bool:
        """Whether a module holds something else now."""
        now = _held(self.model)
        if len(now) != len(self.held):
            return True
        return any(one is not other for one, other in zip(now, self.held, strict=True))


def _held(model: nn.Module) -> list[Any]:
    """Everything that modules hold, and for a buffer how often it was written; held by the list."""
    found: list[Any] = []
    for module in model.modules():
        for name, value in module.__dict__.items():
            if name == "_buffers":
                for buffer in value.values():
                    found += [buffer, None if buffer is None else _version(buffer._version)]
            elif name not in _TORCHS and not name.endswith("_hooks"):
                found.append(value)
                if isinstance(value, CONTAINERS):
                    found += value.values() if isinstance(value, dict) else value
    return found


_VERSIONS: dict[int, object] = {}


def _version(number: int) -> object:
    """One object for each number, since small and large numbers are not kept alike."""
    return _VERSIONS.setdefault(number, object())


def told_apart(first: Recorder, second: Recorder | None) -> tuple[Transfer, ...]:
    """The copies and waits of a step, with what later steps do not do.

    Args:
        first: Of the step.
        second: Of the step after it; None where that could not be run.

    Returns:
        Those of the first, in order.
    """
    if second is None:
        return tuple(replace(one, when=None) for one in first.transfers)
    extra = Counter(_key(first, one) for one in first.transfers)
    extra.subtract(_key(second, one) for one in second.transfers)
    found = []
    for one in first.transfers:
        key = _key(first, one)
        when: When = "first step" if extra[key] > 0 else "each step"
        extra[key] -= 1
        found.append(replace(one, when=when))
    return tuple(found)


def _key(recorder: Recorder, one: Transfer) -> Any:
    """What two steps have in common in the same copy."""
    call = recorder.calls.get(one.call)
    path = call.path if call is not None and one.phase == "forward" else None
    return replace(one, op=None, call=0, when=None), path
