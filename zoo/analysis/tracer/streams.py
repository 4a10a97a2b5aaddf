"""How does code run that speaks to a GPU by name (`torch.cuda.synchronize()`), where there is none?

No mode of torch's sees such calls, and without a driver they raise. So for the time of a run that
is simulated on CUDA, some names of `torch.cuda` lead to functions that answer the user's code as
the device would, and write down where the host waits; torch's own code gets torch's own functions.
The names are given back afterwards, also when the run raised. A name that the user's module
imported by itself (`from torch.cuda import synchronize`) is not seen.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from zoo.analysis.tracer.moves import Move
from zoo.analysis.tracer.source import is_foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zoo.analysis.tracer.modes import BlankMode


class _Queue:
    """A stream or an event, which the host can wait for; each waits for others without the host."""

    def __init__(self, wait: Callable[[], None], blank: BlankMode) -> None:
        self.synchronize = wait
        self._blank = blank
        self.device = torch.device(blank.device)

    def query(self) -> bool:
        """Whether all of it has run."""
        return True

    def elapsed_time(self, _: Any) -> float:
        """Milliseconds, which only a device can tell."""
        return float(self._blank.hints.value("elapsed_time", 1.0))

    def wait_stream(self, _: Any) -> None:
        """Queue a wait."""

    def wait_event(self, _: Any) -> None:
        """Queue a wait."""

    def wait(self, _: Any = None) -> None:
        """Queue a wait."""

    def record(self, _: Any = None) -> None:
        """Queue an event."""

    def record_event(self, event: Any = None) -> Any:
        """Queue an event; makes one where none is given."""
        return event or _Queue(self.synchronize, self._blank)

    def __enter__(self) -> _Queue:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to do."""


def _answers(blank: BlankMode) -> dict[str, Callable[..., Any]]:
    """What the user's code gets in the place of functions of `torch.cuda`."""

    def waits(kind: str) -> Callable[..., None]:
        return lambda *_, **__: blank.tell([Move(kind, 0, blank.device, "cpu")])

    def queue(*_: Any, **__: Any) -> _Queue:
        return _Queue(waits("synchronize"), blank)

    return {
        "synchronize": waits("synchronize"),
        "empty_cache": waits("empty_cache"),
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: torch.device(blank.device).index or 0,
        "current_stream": queue,
        "default_stream": queue,
        "Stream": queue,
        "Event": queue,
        "stream": lambda stream: stream or nullcontext(),
    }


def _asked_by_user(answer: Callable[..., Any], own: Callable[..., Any]) -> Callable[..., Any]:
    """`answer` for the user's code, torch's own function for all other."""

    def ask(*args: Any, **kwargs: Any) -> Any:
        mine = not is_foreign(sys._getframe(1).f_code.co_filename)
        return (answer if mine else own)(*args, **kwargs)

    return ask


@contextmanager
def answered(blank: BlankMode) -> Iterator[None]:
    """Inside, the user's code can wait for a simulated GPU.

    Args:
        blank: The mode of the run; nothing is changed where it does not take place on CUDA.

    Yields:
        None: Nothing.
    """
    if torch.device(blank.device).type != "cuda":
        yield
        return
    answers = _answers(blank)
    rooms: list[tuple[Any, str]] = [(torch.cuda, name) for name in answers]
    rooms.append((torch.accelerator, "synchronize"))
    own = [(room, name, getattr(room, name)) for room, name in rooms]
    try:
        for room, name, was in own:
            setattr(room, name, _asked_by_user(answers[name], was))
        yield
    finally:
        for room, name, was in own:
            setattr(room, name, was)
