"""Why do other tools say something else?

For each tool: what it said, what zoo says, and the difference by cause. Causes are computed: the
tool's rule is applied to the run, item by item. What its rule does not give is unexplained, and is
shown with its size.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zoo.analysis.coverage import coverage, uncounted_notes
from zoo.analysis.opinions import AGREED, UNSEEN, Engine, Item, Opinion, Prediction, Sight
from zoo.analysis.report import Column, Note, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zoo.analysis.report import Row

Status = Literal["answered", "crashed", "missing", "timed out"]

COLUMNS = (
    Column("engine", "", "The tool that was asked."),
    Column("quantity", "", "What is compared: `macs` or `parameters`."),
    Column("status", "", "ok, differs, crashed, missing (not installed) or timed out."),
    Column("unit", "", "What its own figure is in: FLOP is two for each MAC, halved in `theirs`."),
    Column("said", "", "What the tool said, in that unit."),
    Column("printed", "", "What it prints, where it prints the figure itself."),
    Column("theirs", "1", "What it said, in multiply-accumulates or parameters."),
    Column("ours", "1", "What zoo says."),
    Column("difference", "1", "Theirs less ours."),
    Column("percent", "%", "The difference in percent of ours."),
    Column("unexplained", "1", "What of the difference the tool's rule does not give."),
    Column("unexplained_percent", "%", "The same in percent of ours."),
    Column("unexplained_in", "", "Modules whose own figures differ from the rule's."),
    Column("causes", "", "Why, and how much of the difference each cause makes."),
    Column("counts", "", "What the tool's figure counts."),
    Column("reason", "", "Why there is no figure."),
    Column("seconds", "s", "How long the tool took."),
)
MOST_PLACES = 5
"""Modules that are named where something is unexplained."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking a tool."""

    engine: Engine
    """The tool."""
    status: Status
    """Whether it answered."""
    opinion: Opinion | None = None
    """What it said; None where it did not answer."""
    reason: str = ""
    """Why it did not."""
    seconds: float | None = None
    """How long it took; None where it did not begin."""


def crosscheck(sight: Sight, answers: Sequence[Answer], notes: Iterable[Note] = ()) -> Report:
    """Compare what tools said with a run, or show where it broke.

    Args:
        sight: The run.
        answers: One for each tool.
        notes: What must be said of how they were asked.

    Returns:
        A row for each tool and quantity that it counts.
    """
    trace = sight.trace
    rows: list[Row] = []
    said: list[Note] = list(notes)
    for answer in answers:
        predicted, failed = _predicted(sight, answer)
        said += failed
        rows += _rows(sight, answer, predicted)
    ours = sum(one.spec.numel for one in trace.parameters)
    parts = [row["unexplained_percent"] for row in rows if row["unexplained_percent"] is not None]
    totals = {
        "macs": sight.macs,
        "parameters": ours,
        "engines": len(answers),
        "answered": sum(one.status == "answered" for one in answers),
        "differences": sum(row["status"] == "differs" for row in rows),
        "unexplained": sum(bool(row["unexplained"]) for row in rows),
        "largest_unexplained_percent": max(map(abs, parts), default=None),
        **coverage(sight.ops),
    }
    said += [note for answer in answers for note in _not_answered(answer)]
    return Report(
        "crosscheck",
        trace.model,
        trace.inputs,
        COLUMNS,
        tuple(rows),
        totals,
        (*trace.notes, *said, *uncounted_notes(trace, sight.ops)),
        trace.failure,
    )


def _predicted(sight: Sight, answer: Answer) -> tuple[Prediction | None, list[Note]]:
    """What the tool's rule gives; None where there is none, or where it does not work here."""
    if answer.opinion is None or answer.engine.rule is None:
        return None, []
    try:
        return answer.engine.rule(sight), []
    except Exception as error:  # noqa: BLE001 - a rule is a plugin's code
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        text = f"the rule of {answer.engine.name} does not work for this run ({said}): nothing "
        return None, [Note("warning", "broken-rule", text + "of its figure is explained.")]


def weights_note(needed: int) -> Note:
    """How other tools ran.

    Args:
        needed: Bytes that they need.

    Returns:
        A note for the report.
    """
    text = (
        f"other tools computed the model on real weights, which takes {needed / 1e6:,.1f} MB of "
        "memory; zoo needs none. They ran in eval mode, without gradients and without torch's "
        "fast path of attention, on one thread each."
    )
    return Note("info", "real-weights", text)


def _not_answered(answer: Answer) -> Iterable[Note]:
    text = f"{answer.engine.name}: {answer.reason}"
    if answer.status == "missing":
        yield Note("info", "engine-missing", text)
    elif answer.status == "crashed":
        yield Note("warning", "engine-crashed", text)
    elif answer.status == "timed out":
        yield Note("warning", "engine-timed-out", text)


def _rows(sight: Sight, answer: Answer, predicted: Prediction | None) -> list[Row]:
    engine, opinion = answer.engine, answer.opinion
    if opinion is None:
        return [_row(answer, "macs", status=answer.status, ours=sight.macs)]
    flops = engine.unit == "FLOP"
    figure = opinion.flops if flops else opinion.macs
    found: list[Row] = []
    if figure is not None:
        theirs = _whole(figure / 2 if flops else figure)
        items = predicted.macs if predicted is not None else None
        said = f"{_whole(figure):,} {engine.unit}"
        row = _compared(answer, "macs", said, theirs, sight.macs, items)
        row = {**row, "printed": opinion.printed or None}
        if row["unexplained"] and predicted is not None:
            places = _places(opinion.by_module, predicted.macs, 2 if flops else 1)
            row = {**row, "unexplained_in": places}
        found.append(row)
    if opinion.parameters is not None:
        ours = sum(one.spec.numel for one in sight.trace.parameters)
        items = predicted.parameters if predicted is not None else None
        said = f"{opinion.parameters:,}"
        found.append(_compared(answer, "parameters", said, opinion.parameters, ours, items))
    return found


def _compared(
    answer: Answer,
    quantity: str,
    said: str,
    theirs: float,
    ours: int,
    items: Sequence[Item] | None,
) -> Row:
    difference = _whole(theirs - ours)
    known = sum(one.theirs - one.ours for one in items) if items is not None else 0
    unexplained = _whole(difference - known)
    return _row(
        answer,
        quantity,
        status="differs" if difference else "ok",
        said=said,
        theirs=theirs,
        ours=ours,
        difference=difference,
        percent=_percent(difference, ours),
        causes=_causes(items or ()),
        unexplained=unexplained,
        unexplained_percent=_percent(unexplained, ours),
    )


def _row(answer: Answer, quantity: str, **figures: Any) -> Row:
    return {
        **dict.fromkeys((column.name for column in COLUMNS), None),
        "causes": [],
        "unexplained_in": [],
        **figures,
        "engine": answer.engine.name,
        "quantity": quantity,
        "counts": answer.engine.counts,
        "unit": answer.engine.unit if quantity == "macs" else None,
        "reason": answer.reason or None,
        "seconds": answer.seconds,
    }


def _causes(items: Iterable[Item]) -> list[Mapping[str, Any]]:
    """What makes a difference, the largest first; what is not seen by its name."""
    amounts: defaultdict[str, float] = defaultdict(int)
    times: defaultdict[str, int] = defaultdict(int)
    for one in items:
        if one.cause == AGREED:
            continue
        cause = f"{UNSEEN}: {_short(one.what)}" if one.cause == UNSEEN else one.cause
        amounts[cause] += one.theirs - one.ours
        times[cause] += 1
    found = [
        {"cause": cause, "amount": _whole(amount), "times": times[cause]}
        for cause, amount in amounts.items()
        if amount
    ]
    return sorted(found, key=lambda one: -abs(one["amount"]))


def _short(what: str) -> str:
    """An operator or function without the name of its library.

    >>> _short("torch.nn.functional.linear"), _short("aten.bmm in MultiheadAttention")
    ('linear', 'bmm in MultiheadAttention')
    """
    operator, *around = what.split(" ", 1)
    return " ".join((operator.rpartition(".")[2], *around))


def _places(said: Mapping[str, float], items: Sequence[Item], unit: int) -> list[str]:
    """The deepest modules whose own figures are not those of the rule."""
    expected: defaultdict[str, float] = defaultdict(int)
    for one in items:
        parts = one.where.split(".") if one.where else []
        for count in range(len(parts) + 1):
            expected[".".join(parts[:count])] += one.theirs
    off = [path for path, figure in said.items() if figure / unit != expected.get(path, 0)]
    deepest = [
        path for path in off if not any(other.startswith(f"{path}.") for other in off if path)
    ]
    named = [path for path in deepest if path]
    return (named or deepest)[:MOST_PLACES]


def _whole(figure: float) -> float:
    """An int where it is one."""
    return int(figure) if figure == int(figure) else figure


def _percent(part: float, whole: int) -> float | None:
    return 100 * part / whole if whole else (None if part else 0.0)
