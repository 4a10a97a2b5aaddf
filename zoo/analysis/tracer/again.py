"""What does the first step do that later steps do not?

A model that keeps what it computed or moved (`self.mean = self.mean.to(x.device)`) does so once.
Such a model has changed when the step is over; then a second step is taken, of which nothing is
written down but its copies and waits, and those that it does not have are of the first step only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from zoo.analysis.tracer.borrow import CONTAINERS

if TYPE_CHECKING:
    from zoo.analysis.records import Transfer, When
    from zoo.analysis.tracer.recorder import Recorder

_EVERY = frozenset(nn.Module().__dict__)
"""Attributes of every module: hooks, and tensors and modules, which are looked at by themselves."""


class Before:
    """What a model's modules hold before a step.

    Args:
        model: Any module.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.held = [_Held(module) for module in model.modules()]

    def changed(self) -> bool:
        """Whether a module holds something else now."""
        now = [_Held(module) for module in self.model.modules()]
        if len(now) != len(self.held):
            return True
        return any(
            len(one.values) != len(was.values)
            or any(new is not old for new, old in zip(one.values, was.values, strict=True))
            or one.versions != was.versions
            for one, was in zip(now, self.held, strict=True)
        )


class _Held:
    """What one module holds itself, looked at in each step of a run and so made in little time."""

    __slots__ = ("values", "versions")

    def __init__(self, module: nn.Module) -> None:
        held = module.__dict__
        own = [held[name] for name in held if name not in _EVERY]
        for value in own.copy():
            if type(value) in CONTAINERS:
                own.extend(value.values() if type(value) is dict else value)
        buffers = held["_buffers"]
        self.values = own + list(buffers.values()) if buffers else own
        """Its attributes, what its containers hold, and its buffers."""
        self.versions = [one._version for one in buffers.values() if one is not None]
        """How often each buffer was written."""


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
