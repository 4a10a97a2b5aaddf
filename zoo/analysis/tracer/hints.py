"""What stands in for a value that a run without data cannot know.

A blank tensor that the model asks for a value is taken as ones: `.item()` gives 1, a condition is
true. Tensors of few elements carry what their operators make of those ones, so that code that
computes with such values stays consistent (`max(box[0], 0)`, `while error > eps`). A size that
depends on values is its upper bound (`nonzero`, masks, `nms` keep all), and a few for `unique`,
since loops run over it.

Each is said in a note with its line, and the caller can give another: by the operation
(`nonzero=100`), or by the line (`net.py:12=100`).
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from zoo.analysis.records import Note
from zoo.analysis.tracer.source import line_of_caller
from zoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

FEW = 4
"""Distinct values that `unique` and the like are taken to find."""
ONES = "ones, or what was computed from ones"
REAL = "Give a real tensor of whole numbers to have its values."
LOOP_LIMIT = 3_000
"""Questions at one line after which a loop is taken to be endless."""


class EndlessLoopError(RuntimeError):
    """One line went on asking for a value."""


class Hints:
    """Answers the run's questions and remembers them.

    Args:
        given: The caller's answers, by operation or by `file:line`.

    Raises:
        InputError: An answer is negative or not finite.
    """

    def __init__(self, given: Mapping[str, float] | None = None) -> None:
        for place, number in (given or {}).items():
            if not 0 <= number < float("inf"):
                hint = "Give a number from 0 on: --hint nonzero=100."
                raise InputError(f"hint {place}", f"{number} stands for no size or value", hint)
        self.given = dict(given or {})
        self.asked: dict[tuple[str, str | None], tuple[str, str, int]] = {}
        """(operation, line) -> first answer, last answer, how often it was asked."""
        self.used: set[str] = set()

    def _callers_answer(self, code: str, line: str | None) -> float | None:
        places = [code]
        if line:
            file, _, number = line.rpartition(":")
            places = [line, f"{file.rpartition('/')[2]}:{number}", code]
        for place in places:
            if place in self.given:
                self.used.add(place)
                return self.given[place]
        return None

    def _note(self, code: str, line: str | None, text: str) -> None:
        first, _, before = self.asked.get((code, line), (text, text, 0))
        times = before + 1
        if times > LOOP_LIMIT:
            raise EndlessLoopError(
                f"{code} was asked for {LOOP_LIMIT:,} times at {line}: a loop that depends on "
                f"values does not end with the value {text}"
            )
        self.asked[code, line] = (first, text, times)

    def size(self, code: str, default: int, most: int) -> int:
        """How many elements a data-dependent operation finds.

        Args:
            code: The operation.
            default: What it is taken to find when the caller says nothing.
            most: The most that it can find.

        Returns:
            The caller's answer, kept between 0 and `most`, or else `default`.
        """
        line = line_of_caller()
        answer = self._callers_answer(code, line)
        size = default if answer is None else max(0, min(int(answer), most))
        self._note(code, line, f"{size:,} of at most {most:,}")
        return size

    def value(self, code: str, default: Any) -> Any:
        """What a blank tensor's element is taken to be, in the type of `default`."""
        line = line_of_caller()
        answer = self._callers_answer(code, line)
        value = default if answer is None else type(default)(answer)
        self._note(code, line, str(value))
        return value

    def taken_as_ones(self, code: str) -> None:
        """Note that a whole tensor's values were asked for."""
        line = line_of_caller()
        self._note(code, line, ONES)

    def notes(self) -> tuple[Note, ...]:
        """One note for each operation and line."""
        return tuple(
            Note(
                "warning",
                "data-dependent",
                f"{code} depends on values, which a run without data does not know; "
                f"taken as {first}"
                + (f", at last {last}" if last != first else "")
                + (f" ({times:,} times). " if times > 1 else ". ")
                + (REAL if first == ONES else "Give another with --hint."),
                line,
            )
            for (code, line), (first, last, times) in self.asked.items()
        )

    def unused(self) -> tuple[str, ...]:
        """The caller's answers that no question met."""
        return tuple(place for place in self.given if place not in self.used)


def broadcast_numel(*shapes: tuple[int, ...]) -> int:
    """Elements of the shape that shapes broadcast to."""
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return prod(max(dims) for dims in zip(*padded, strict=True)) if rank else 1
