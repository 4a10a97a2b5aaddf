"""Figures as formulas in dims that are left open."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from zoo.analysis import report as plain
from zoo.api.shown import Report
from zoo.errors import ExpressionError, OptionError
from zoo.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from zoo.analysis.formula import Formulas
    from zoo.analysis.inputs import OpenWord
    from zoo.analysis.tracer.symbolic import Numbers, Session

FAR = 1_000
"""From here on a model that counts is not run at a larger number to see more of its peak."""
PIECES = 12
"""Ranges that a budget is looked for in, one after the other."""
LEAST_BATCH = 2
"""Hint of a first dim: one of 1 is a case of its own for many kernels."""
IMAGE, SEQUENCE = 224, 128
"""Hints of dims of which nothing is known: of inputs with four dims or more, and of others."""


@dataclass(frozen=True, slots=True)
class FormulaReport(Report):
    """A report whose totals are formulas."""

    def evaluate(self, **dims: int) -> dict[str, int | None]:
        """All totals that are formulas, as numbers.

        Args:
            **dims: A number for each open dim.

        Returns:
            Figures by their names; the peak is None where the others hold and it does not
            (`peak_holds`).

        Raises:
            ExpressionError: A dim that has no number, that there is none of, or a number outside
                the range.

        Example:
            >>> report = formula("lenet", "B,1,28,28")
            >>> report.totals["macs"], report.evaluate(B=10)["macs"]
            ('416520*B', 4165200)
        """
        from zoo.analysis.formula import evaluate

        return evaluate(self.totals, dims)


def formula(
    model: str | nn.Module,
    *inputs: Any,
    at: Mapping[str, int] | None = None,
    largest: str | None = None,
    under: Mapping[str, int | str] | None = None,
    hints: Mapping[str, float] | None = None,
    **options: Any,
) -> FormulaReport:
    """MACs, parameters, activations and peak memory as formulas in dims that are left open.

    The model runs once, near a hint for each open dim, and its range is where it runs the same way.

    Args:
        model: A module, or words, as for `trace`.
        *inputs: Words with names in the place of dims ("B,3,H,W", "ids=B,T:int64"), shapes
            ("B", 3, "H", "W"), or what `trace` takes. One name is one dim, wherever it stands.
            None: the model's default input, its first dim open as `B`.
        at: Numbers of some dims, which are their hints too: formulas are those in the others.
            Numbers of all: figures, too.
        largest: A dim: how large it may be under the budgets of `under`.
        under: What figures may be at most: `{"peak": "24GB", "macs": "600M"}`.
        hints: By dim, a number near which the formula is wanted; and what data-dependent
            operations find.
        **options: As for `trace`, without `batch`. Formulas are of a whole training step where one
            is asked for.

    Returns:
        The report. Its totals are strings; `evaluate` gives numbers.

    Raises:
        ExpressionError: A dim that there is none of, or a number outside of the range.
        OptionError: Options that do not go together.
        ZooError: As for `trace`.

    Example:
        >>> formula("lenet", "B,1,H,W").totals["holds"]
        ['B >= 1', '28 <= H <= 31', '28 <= W <= 31']
    """
    from zoo.analysis.records import Trace

    given_model: object = model
    if isinstance(given_model, Trace):
        raise OptionError("formula", "a trace has run already", "Give the model itself.")
    if options.get("batch") is not None:
        raise OptionError("batch", "dims are those of the inputs", "Name it: --input B,3,H,W.")
    named = {name: options.pop(name, None) for name in ("kwargs", "arguments")}
    job = _Job(Subject(model, inputs, **named), hints, options)
    given = dict(at or {})
    job.check(given, largest, under)
    from zoo.analysis import formula as analysis

    found = job.run({**job.hints, **given})
    if found.trace.failure is None:
        analysis.inside(found.holds, given)
    report = analysis.report(found, given)
    if largest is not None and found.trace.failure is None:
        answer = job.largest(found, largest, _budgets(under or {}), given)
        report = replace(report, totals={**report.totals, **answer})
    return FormulaReport(**{one.name: getattr(report, one.name) for one in fields(plain.Report)})


class _Job:
    """A model that can run at several hints."""

    def __init__(
        self, subject: Subject, hints: Mapping[str, float] | None, options: Mapping[str, Any]
    ) -> None:
        from zoo.analysis.tracer.open_inputs import read, words_in

        self.subject, self.options = subject, options
        own = subject.own_inputs or subject.kwargs
        self.inputs = [read(one) for one in subject.inputs]
        self.kwargs = read(dict(subject.kwargs or {}))
        if not own:
            self.inputs = _batch_open(self.inputs)
        words = words_in([self.inputs, self.kwargs])
        self.hints = _hints(words, [read(one) for one in _default(subject)])
        if not self.hints:
            raise OptionError(
                "formula", "no dim is open", "Write names in their place: --input B,3,H,W."
            )
        said = dict(hints or {})
        for name in self.hints:
            if name in said:
                self.hints[name] = _whole(name, said.pop(name))
        self.said = said

    def check(
        self, at: Mapping[str, int], largest: str | None, under: Mapping[str, Any] | None
    ) -> None:
        """Find out before the run whether options go together."""
        for name, number in at.items():
            if name not in self.hints:
                known = ", ".join(self.hints)
                raise ExpressionError(f"dim {name}", "no such dim is open", f"Open: {known}.")
            _whole(name, number)
        if (largest is None) != (not under):
            raise OptionError(
                "largest", "it goes with a budget", "Say both: --largest B --under peak=24GB."
            )
        if largest is None:
            return
        if largest not in self.hints or largest in at:
            known = ", ".join(name for name in self.hints if name not in at)
            raise ExpressionError(f"dim {largest}", "it is not open", f"Open: {known}.")
        missing = [name for name in self.hints if name != largest and name not in at]
        if missing:
            hint = f"Say --at {','.join(f'{name}={self.hints[name]}' for name in missing)}."
            raise ExpressionError(f"dim {missing[0]}", "it has no number", hint)
        _budgets(under or {})

    def run(self, hint: Mapping[str, int]) -> Formulas:
        """The formulas near a hint; fitted in dims that the model counts up to."""
        from zoo.analysis.formula import checked
        from zoo.analysis.tracer.symbolic import Numbers
        from zoo.analysis.unrolled import unrolled

        found = self._once(hint)
        if found.trace.failure is not None:
            return self._explained(found, hint)
        found = unrolled(found, self._once)
        self._fill(Numbers(hint))
        return checked(found, self.subject.trace(hints=self.said, **self.options))

    def _explained(self, found: Formulas, hint: Mapping[str, int]) -> Formulas:
        """A run that broke; where one with numbers does not, dims that are open are why."""
        from zoo.analysis.tracer.symbolic import Numbers

        self._fill(Numbers(hint))
        trace = self.subject.trace(hints=self.said, **self.options)
        if trace.failure is not None or found.trace.failure is None:
            return found
        said = ", ".join(f"{name}={number}" for name, number in hint.items())
        text = (
            f"With {said} the model runs: this code takes no dims that are left open. "
            "Write numbers in the place of those that it asks for."
        )
        failure = replace(found.trace.failure, hint=text)
        return replace(found, trace=replace(found.trace, failure=failure))

    def _fill(self, session: Session | Numbers) -> None:
        """Give the model inputs with a session's dims."""
        from zoo.analysis.tracer.given import input_dtype
        from zoo.analysis.tracer.open_inputs import made, split_named
        from zoo.analysis.tracer.run import torch_dtype

        dtype = torch_dtype(self.options.get("dtype")) or input_dtype(self.subject.module)
        positional, named = split_named(self.inputs)
        self.subject.inputs = tuple(made(positional, session, dtype))
        self.subject.kwargs = made({**named, **self.kwargs}, session, dtype)

    def _once(self, hint: Mapping[str, int]) -> Formulas:
        from zoo.analysis.formula import formulas
        from zoo.analysis.tracer.symbolic import Session
        from zoo.analysis.tracer.symbolic_run import closed_trace, quick_collections

        session, subject = Session(hint), self.subject
        self._fill(session)
        with quick_collections():
            trace = subject.trace(session=session, hints=self.said, **self.options)
        closed = closed_trace(trace, session.range)
        found = formulas(closed, session.range, session.peak_range())
        return replace(found, closed=session.closed, counted=frozenset(session.counted))

    def largest(
        self,
        found: Formulas,
        name: str,
        budgets: Mapping[str, int],
        at: Mapping[str, int],
    ) -> Mapping[str, Any]:
        """The largest number of a dim under budgets, through as many ranges as that takes."""
        from zoo.analysis.largest import largest
        from zoo.analysis.ranges import LARGEST

        best, top, short = None, None, ""
        for _ in range(PIECES):
            holds = found.peak_holds if "peak_bytes" in budgets else found.holds
            kept = [
                (one, limit)
                for figure, limit in budgets.items()
                if (one := found.totals[figure]) is not None
            ]
            if len(kept) < len(budgets):
                short = f"no formula is known near {name}={found.holds.hint[name]}"
                break
            answer = largest(name, kept, holds, at)
            if best is not None and (answer or 0) <= best:
                break
            if answer is None:
                below = holds.low[name] - 1
                if below < 1:
                    break
                found = self.run({**at, name: below})
            else:
                best, top = answer, None if answer == LARGEST else answer
                counted = name in found.fitted
                more = {**at, name: 2 * answer if counted else answer + 1}
                if top is None or next(holds.broken({**at, name: answer + 1}), None) is None:
                    break
                if counted and answer >= FAR:
                    short = f"the model counts up to {name}, which was not done beyond {top}"
                    break
                found = self.run(more)
            if found.trace.failure is not None:
                break
        else:
            short = f"the model goes another way too often to look beyond {name}={top}"
        words = _kept(name, budgets, best, top, short)
        top = 0 if best is None and not short else top
        return {f"largest_{name}": top, "under": words}


def _kept(
    name: str, budgets: Mapping[str, int], best: int | None, top: int | None, short: str
) -> str:
    """What was looked for, and why there is no number where there is none."""
    words = ", ".join(f"{figure} <= {limit}" for figure, limit in budgets.items())
    if short:
        words += f": {short}"
    elif best is None:
        words += f": kept at no {name}"
    elif top is None:
        words += f": kept at every {name}, without an end"
    return words


def _whole(name: str, number: float) -> int:
    from zoo.analysis.ranges import LARGEST

    plain = not isinstance(number, bool) and 1 <= number <= LARGEST
    if not plain or int(number) != number:
        said = f"{number:g}" if isinstance(number, float) else f"{number}"
        raise ExpressionError(
            f"dim {name}", f"{said} is no length between 1 and {LARGEST:,}", f"Try {name}=2."
        )
    return int(number)


def _budgets(under: Mapping[str, int | str]) -> dict[str, int]:
    """`{"peak_bytes": 24000000000}` of `{"peak": "24GB"}`."""
    from zoo.analysis.formula import figure_of
    from zoo.analysis.quantities import quantity
    from zoo.api.hardware import budget

    found = {}
    for word, limit in under.items():
        name = figure_of(word)
        if name == "peak_bytes":
            found[name], _ = budget(limit)
            continue
        try:
            found[name] = round(quantity(limit, ("b", ""), "600M or 24GB"))
        except ValueError as error:
            raise OptionError(f"under {word}", str(error), "Try macs=600M.") from None
    return found


def _default(subject: Subject) -> tuple[str, ...]:
    from zoo.subjects import words_of

    return words_of(subject.default)


def _batch_open(words: Sequence[Any]) -> list[Any]:
    """Default inputs with their first dim open, where it is that of the first."""
    lengths = [word.dims[0] for word in words if word.dims]
    if not lengths:
        return list(words)
    return [
        word._replace(dims=("B", *word.dims[1:]))
        if word.dims and word.dims[0] == lengths[0]
        else word
        for word in words
    ]


def _hints(words: Sequence[OpenWord], defaults: Sequence[OpenWord]) -> dict[str, int]:
    """A number for each open dim: that of the default input, else one that is usual."""
    found: dict[str, int] = {}
    for place, word in enumerate(words):
        usual = defaults[place].dims if place < len(defaults) else ()
        for axis, name in enumerate(word.dims):
            if not isinstance(name, str) or name in found:
                continue
            known = usual[axis] if len(usual) == len(word.dims) else None
            guess = LEAST_BATCH if axis == 0 else IMAGE if len(word.dims) > 3 else SEQUENCE
            found[name] = known if isinstance(known, int) and known > 1 else guess
    return found
