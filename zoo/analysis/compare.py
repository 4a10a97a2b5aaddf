"""What do several models have in common, and where do they differ?

Module calls are aligned (`zoo.analysis.aligning`); a row is a call with the figures of each model
that has it, side by side. Figures are those of a summary: a row's own and those of the calls inside
it. MACs and pointwise FLOPs of a training step are those of the whole step; activation bytes are
those of the forward pass. Differences and ratios are taken from the first model. A call that a
model does not have adds nothing to a difference, and has no ratio.

Models go by letters, in the order in which they were given.
"""

from __future__ import annotations

from dataclasses import replace
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from zoo.analysis.aligning import Node, align
from zoo.analysis.flops import flops
from zoo.analysis.memory import peak
from zoo.analysis.records import Column, InputSpec, ModelInfo, Note, Report, Row, Trace
from zoo.analysis.summary import summary
from zoo.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

LETTERS = ascii_lowercase
SAME, CHANGED = "same", "changed"
FIGURES = (
    Column("parameters", "1", "Parameters held, each counted once in a model."),
    Column("macs", "MAC", "Multiply-accumulates."),
    Column("pointwise_flops", "FLOP", "Pointwise FLOPs."),
    Column("activation_bytes", "B", "Bytes of the tensors that operators allocated."),
)
"""What is compared in each row."""
PEAK = Column("peak_bytes", "B", "Most bytes held at once.")
"""What is compared of the whole models alone."""
OF_RUN = ("macs", "pointwise_flops", "activation_bytes")
"""Those that are known only of what ran."""
WORDS = ("path", "type", "output_shape")
"""What is shown of each model in each row."""
COMPARED = ("type", "input_shape", "output_shape", "output_dtype", "kernel_size", "training")
"""What else makes a row differ, beside its figures."""


def check(many: int) -> None:
    """Find out before a run whether so many models can be compared.

    Args:
        many: How many there are.

    Raises:
        OptionError: Fewer than two, or more than there are letters.
    """
    if many < 2:
        raise OptionError("compare", "it takes two models or more", "Name another one.")
    if many > len(LETTERS):
        raise OptionError(
            "compare", f"{many} models are too many to stand side by side", "Try `zoo sweep`."
        )


def compare(traces: Sequence[Trace], *, changed: bool = False) -> Report:
    """Several runs side by side.

    Args:
        traces: One of each model, the first being what the others are compared with.
        changed: Whether to leave out calls that are the same in all models, and what is inside
            calls that not all have.

    Returns:
        The report.

    Raises:
        OptionError: Fewer than two runs, or more than there are letters.
    """
    check(len(traces))
    letters = LETTERS[: len(traces)]
    tree = align([_rows(trace) for trace in traces])
    nodes = list(tree.walk()) if tree is not None else []
    rows = [_row(letters, depth, node) for depth, node in nodes]
    shown = _differing(rows) if changed else rows
    names = [_called(trace) for trace in traces]
    inputs = {tuple(part.spec for part in trace.inputs) for trace in traces}
    labels = (f"{letter}: {name}" for letter, name in zip(letters, names, strict=True))
    return Report(
        report="compare",
        model=ModelInfo(", ".join(labels)),
        inputs=traces[0].inputs if len(inputs) == 1 else (),
        columns=columns(len(traces)),
        rows=tuple(shown),
        totals=_totals(letters, names, traces, rows),
        notes=(
            *_notes(letters, traces),
            *_other_inputs(letters, traces, len(inputs)),
            *_hidden(len(rows) - len(shown)),
        ),
        failure=_failure(letters, traces, nodes),
    )


def columns(many: int) -> tuple[Column, ...]:
    """Columns of a report on so many models.

    Args:
        many: How many there are.

    Returns:
        What differs, then the models' words, figures, and differences from the first.
    """
    letters = LETTERS[:many]
    return (
        Column("change", "", "`same`, `changed`, or `only in` those that have it."),
        Column("differs", "", "What is not the same in all models that have it."),
        *(Column(f"{one}_{word}", "", f"{word} in {one}.") for word in WORDS for one in letters),
        *(
            Column(f"{one}_{figure.name}", figure.unit, figure.meaning)
            for figure in FIGURES
            for one in letters
        ),
        *(one for figure in FIGURES for one in _apart(letters, figure)),
    )


def _apart(letters: str, figure: Column) -> Iterable[Column]:
    first = letters[0]
    for one in letters[1:]:
        name = f"{one}_minus_{first}_{figure.name}"
        yield Column(name, figure.unit, f"How much more it is in {one}.")
        yield Column(f"{one}_over_{first}_{figure.name}", "1", f"How many times as much in {one}.")


def _rows(trace: Trace) -> list[Row]:
    """Rows of a summary, with the MACs of the whole run; None for what a broken run did not do."""
    rows = list(summary(trace).rows)
    if trace.step is not None:
        whole = {row["call"]: row for row in flops(trace).rows if row.get("call") is not None}
        keys = ("macs", "pointwise_flops", "uncounted")
        rows = [
            {**row, **{key: whole[row["call"]][key] for key in keys if row["call"] in whole}}
            for row in rows
        ]
    if trace.failure is None:
        return rows
    unknown = dict.fromkeys(OF_RUN)
    return [
        {**row, **unknown} if {"failed", "not called"} & set(row["marks"]) else row for row in rows
    ]


def _row(letters: str, depth: int, node: Node) -> dict[str, Any]:
    present = [row for row in node.rows if row is not None]
    first = node.first()
    differs = [name for name in _compared() if any(row[name] != first[name] for row in present)]
    has = [one for one, row in zip(letters, node.rows, strict=True) if row is not None]
    change = CHANGED if differs else SAME
    if len(has) < len(letters):
        change = f"only in {' and '.join(has)}"
    names = _distinct(row["name"] for row in present)
    sides = dict(zip(letters, node.rows, strict=True))
    return {
        "path": first["path"],
        "name": " / ".join(names),
        "type": " / ".join(_distinct(row["type"] for row in present)),
        "depth": depth,
        "call": first["call"] if len(has) == len(letters) else None,
        "change": change,
        "differs": differs,
        **{f"{one}_{word}": _of(row, word) for word in WORDS for one, row in sides.items()},
        **_figures(
            {figure.name: _sides(sides, figure.name) for figure in FIGURES},
            absent=set(letters).difference(has),
        ),
        "uncounted": sorted({op for row in present for op in row.get("uncounted") or ()}),
        "marks": [
            *(["renamed"] if len(names) > 1 and depth else []),
            *_distinct(mark for row in present for mark in row["marks"]),
        ],
    }


def _compared() -> tuple[str, ...]:
    return (*COMPARED, *(one.name for one in FIGURES))


def _of(row: Row | None, name: str) -> Any:
    return None if row is None else row[name]


def _sides(rows: Mapping[str, Row | None], name: str) -> dict[str, int | None]:
    return {one: _of(row, name) for one, row in rows.items()}


def _figures(
    found: Mapping[str, Mapping[str, int | None]], absent: Collection[str] = ()
) -> dict[str, Any]:
    """Each figure in all models, and how far it is from that of the first.

    Those that are `absent` add nothing to a difference; what is not known makes it unknown.
    """
    cells: dict[str, Any] = {}
    for name, of in found.items():
        cells |= {f"{one}_{name}": value for one, value in of.items()}
        first, *others = of
        base = 0 if first in absent else of[first]
        for one in others:
            value = 0 if one in absent else of[one]
            difference = ratio = None
            if base is not None and value is not None:
                difference = value - base
                ratio = value / base if base and one not in absent else None
            cells[f"{one}_minus_{first}_{name}"] = difference
            cells[f"{one}_over_{first}_{name}"] = ratio
    return cells


def _distinct(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _differing(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The root, calls that differ and those around them; of what only some have, the outermost."""
    keep: list[dict[str, Any]] = []
    wanted = 0
    for row in reversed(_outermost(rows)):
        if row["change"] != SAME or row["depth"] < wanted or not row["depth"]:
            keep.append(row)
            wanted = row["depth"]
    return keep[::-1]


def _outermost(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without those that are inside a call that not all models have."""
    found: list[dict[str, Any]] = []
    within: int | None = None
    for row in rows:
        if within is not None and row["depth"] > within:
            continue
        within = None if row["change"] in (SAME, CHANGED) else row["depth"]
        found.append(row)
    return found


def _called(trace: Trace) -> str:
    model = trace.model
    name = f"{model.plugin}/{model.name}" if model.plugin else model.name
    said = ", ".join(f"{key}={value}" for key, value in model.arguments.items())
    return f"{name} ({said})" if said else name


def _totals(
    letters: str, names: Sequence[str], traces: Sequence[Trace], rows: Sequence[Row]
) -> Mapping[str, Any]:
    found: dict[str, dict[str, int | None]] = {one.name: {} for one in (*FIGURES, PEAK)}
    for one, trace in zip(letters, traces, strict=True):
        for name, value in _whole(trace).items():
            found[name][one] = value
    costs = [flops(trace).totals for trace in traces]
    changes = [row["change"] for row in rows]
    return {
        **{f"{one}_model": name for one, name in zip(letters, names, strict=True)},
        **_figures(found),
        "rows_same": changes.count(SAME),
        "rows_changed": changes.count(CHANGED),
        "rows_not_in_all": sum(change not in (SAME, CHANGED) for change in changes),
        "coverage": min(cost["coverage"] for cost in costs),
        "coverage_bytes": min(cost["coverage_bytes"] for cost in costs),
        "uncounted": sorted({op for cost in costs for op in cost["uncounted"]}),
    }


def _whole(trace: Trace) -> Mapping[str, int | None]:
    """Figures of a whole model; None for what a broken run did not reach."""
    held, cost = summary(trace).totals, flops(trace).totals
    found = {
        "parameters": held["parameters"],
        "macs": cost["macs"],
        "pointwise_flops": cost["pointwise_flops"],
        "activation_bytes": held["activation_bytes"],
        PEAK.name: peak(trace).nbytes,
    }
    if trace.failure is None:
        return found
    return {name: value if name == "parameters" else None for name, value in found.items()}


def _notes(letters: str, traces: Sequence[Trace]) -> Iterable[Note]:
    """Notes of all runs, those that not all have with the letter of the model."""
    found = [summary(trace).notes for trace in traces]
    for one, notes in zip(letters, found, strict=True):
        for note in notes:
            if all(note in others for others in found):
                if one == letters[0]:
                    yield note
            else:
                yield replace(note, text=f"{one}: {note.text}")


def _other_inputs(letters: str, traces: Sequence[Trace], kinds: int) -> Iterable[Note]:
    if kinds == 1:
        return
    said = (
        f"{one} on {', '.join(map(_described, trace.inputs))}"
        for one, trace in zip(letters, traces, strict=True)
    )
    yield Note("info", "other-inputs", f"the models ran on different inputs: {'; '.join(said)}.")


def _hidden(many: int) -> Iterable[Note]:
    if many:
        rows = "1 row is" if many == 1 else f"{many:,} rows are"
        same = "the same in all models, or inside a call that not all have"
        text = f"{rows} left out, {same}: --all shows them."
        yield Note("info", "same-rows", text)


def _failure(letters: str, traces: Sequence[Trace], nodes: Sequence[tuple[int, Node]]) -> Any:
    """Where the first run that broke did so, at the call of the first model beside it."""
    for number, (one, trace) in enumerate(zip(letters, traces, strict=True)):
        if trace.failure is None:
            continue
        failed = trace.failure.call
        beside = (
            node.rows[0]
            for _, node in nodes
            if (row := node.rows[number]) is not None and row["call"] == failed
        )
        row = next(beside, None)
        call = row["call"] if row is not None and row["call"] is not None else -1
        place = trace.calls[failed].path if failed < len(trace.calls) else ""
        text = f"{one}, in {place or 'the model itself'}: {trace.failure.message}"
        return replace(trace.failure, call=call, message=text)
    return None


def _described(part: InputSpec) -> str:
    """An input with where it lies, by which alone two may differ."""
    return f"{part.name}: {part.spec} on {part.spec.device}"
