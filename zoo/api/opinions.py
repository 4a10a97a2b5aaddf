"""What other tools say of a model, and why they say something else."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.api.shown import Report, shown
from zoo.subjects import Subject, manager

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

    from zoo.analysis.asking import Question
    from zoo.analysis.opinions import Engine
    from zoo.analysis.records import Trace

TIMEOUT = 120.0
"""Seconds for each tool unless told."""


def crosscheck(
    model: str | nn.Module,
    *inputs: Any,
    engines: Sequence[str | Engine] | None = None,
    timeout: float = TIMEOUT,
    kwargs: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
    progress: Callable[[int | str], None] | None = None,
    **options: Any,
) -> Report:
    """What other tools say of a model, and why they say something else.

    Each tool runs in a process of its own, on real weights, on the CPU; the model is given back as
    it was.

    Args:
        model: As for `trace`, but no `Trace`: other tools need the model.
        *inputs: As for `trace`.
        engines: Names of tools, or engines that are no plugin's; None for all that plugins bring.
        timeout: Seconds for each tool.
        kwargs: As for `trace`.
        arguments: As for `trace`.
        progress: As for `trace`; is also called with the name of each tool.
        **options: `batch`, `formulas` and `hints`, as for `trace`.

    Returns:
        A row for each tool and quantity: what it said, what zoo says, the difference by cause, and
        what stays unexplained. A tool that is not installed, crashes or does not end has a row too.

    Raises:
        TooLarge: The model does not fit into memory with its weights.
        UnknownEngine: No tool is called so.
        ZooError: As for `trace`.

    Example:
        >>> found = crosscheck("lenet", engines=["FlopCounterMode"])
        >>> [(row["theirs"], row["ours"], row["status"]) for row in found.rows]
        [(416520, 416520, 'ok')]
    """
    chosen = _chosen(engines)
    _check(timeout, options)
    from zoo.analysis import asking
    from zoo.analysis.crosscheck import crosscheck as compared
    from zoo.analysis.crosscheck import weights_note
    from zoo.analysis.opinions import Sight
    from zoo.analysis.tracer.watching import Watch, facts

    subject = Subject(model, inputs, kwargs=kwargs, arguments=arguments)
    watch = Watch()
    trace = subject.trace(watch=watch, progress=progress, **options)
    if trace.failure is not None:
        return shown(compared(Sight(trace, (), {}), ()))
    question = _question(model, subject, arguments, options.get("batch"))
    held = 0 if isinstance(model, str) else _bytes(trace)
    needed = asking.check_memory(trace, held)
    made = question.make()
    sight = Sight(trace, tuple(watch.functions), facts(made))
    answers = asking.ask(chosen, question, timeout, progress or (lambda _: None), made=made)
    return shown(compared(sight, answers, [weights_note(needed)]))


def _chosen(names: Sequence[str | Engine] | None) -> list[Engine]:
    """Engines by name, in any case."""
    from zoo.analysis.opinions import Engine
    from zoo.errors import UnknownEngine

    if names is not None and all(isinstance(one, Engine) for one in names):
        return [one for one in names if isinstance(one, Engine)]
    known = manager().engines()
    if names is None:
        return list(known.values())
    by_name = {name.lower(): engine for name, engine in known.items()}
    found: list[Engine] = []
    for one in names:
        if isinstance(one, str) and one.lower() not in by_name:
            raise UnknownEngine(one, known)
        found.append(by_name[one.lower()] if isinstance(one, str) else one)
    return list({one.name: one for one in found}.values())


def _check(timeout: float, options: Mapping[str, Any]) -> None:
    """Raise for what a run has and other tools have not."""
    from zoo.errors import OptionError

    if not timeout > 0:
        raise OptionError("timeout", f"{timeout!r} is no time", "Give seconds above 0.")
    kept = ("batch", "formulas", "hints")
    for name, value in options.items():
        if name not in kept and value not in (None, "cpu"):
            raise OptionError(
                name,
                "other tools run the forward pass of the model as it is, on the CPU",
                "Leave it out.",
            )


def _question(
    model: str | nn.Module,
    subject: Subject,
    arguments: Mapping[str, Any] | None,
    batch: int | None,
) -> Question:
    """The model with its weights, and its inputs."""
    from zoo.analysis.asking import Question, on_cpu
    from zoo.analysis.tracer.run import unwrapped
    from zoo.subjects import real

    if isinstance(model, str):
        given = subject.inputs if subject.own_inputs else ()
        make = partial(real, model, given, {"arguments": arguments})
    else:
        make = partial(_same, on_cpu(unwrapped(model)))
    return Question(make, subject.inputs, dict(subject.kwargs or {}), batch)


def _same(model: nn.Module) -> nn.Module:
    return model


def _bytes(trace: Trace) -> int:
    parameters = sum(one.spec.nbytes for one in trace.parameters)
    return parameters + sum(one.spec.nbytes for one in trace.buffers)
