"""What do MACs, parameters and memory depend on, and how?

From a run whose inputs have open dims: every total and every row of the summary as an expression in
these dims. The peak is the largest of the levels that the run's memory goes through; of the levels
those are left out that another one is never below. Rounded down quotients that occur often get a
name (`h1 = floor((H + 1)/2)`), in the order in which the model makes them.

A formula holds in a range: where the run goes the way that it was seen to go. The peak may hold in
a smaller one, since what kernels allocate inside themselves depends on more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from zoo.analysis.coverage import uncounted_notes
from zoo.analysis.expressions import Atom, Expression, Monomial, const, dim, evaluated, most
from zoo.analysis.memory import levels
from zoo.analysis.records import Column, Note, Report, Trace
from zoo.analysis.summary import rows_of, totals_of
from zoo.errors import ExpressionError, OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zoo.analysis.ranges import Range

FIGURES = (
    "macs",
    "forward_macs",
    "backward_macs",
    "flops",
    "pointwise_flops",
    "parameters",
    "trainable_parameters",
    "parameter_bytes",
    "activation_bytes",
    "peak_bytes",
)
"""Totals that are formulas."""
IN_ROWS = tuple(name for name in FIGURES if not name.startswith(("forward", "backward", "peak")))
"""Those of a row."""
FEW = 5
"""Levels of memory that a peak is written as the largest of."""
SHARES = (16, 8, 4, 2, 1)
"""Parts of the hint that a peak's range may begin at, where it has too many levels else."""
OFTEN = 2
"""How often a quotient occurs in the totals before it gets a name."""
COLUMNS = (
    Column("output_shape", "", "Shape of the tensor that came out, or a list of shapes."),
    Column("parameters", "", "Parameters held, each counted once in the whole table."),
    Column("macs", "", "Multiply-accumulates of contractions, as a formula."),
    Column("flops", "", "2 x MACs."),
    Column("pointwise_flops", "", "Pointwise FLOPs."),
    Column("activation_bytes", "", "Bytes of the tensors that operators allocated."),
    Column("parameter_bytes", "", "Bytes of the parameters."),
    Column("trainable_parameters", "", "Parameters that gradients reach."),
    Column("growth", "", "What the MACs grow with: their terms that no other outgrows."),
)


@dataclass(frozen=True, slots=True)
class Formulas:
    """A run's figures as expressions."""

    trace: Trace
    """The run, its dims expressions."""
    holds: Range
    """Where all figures but the peak hold."""
    peak_holds: Range
    """Where the peak holds."""
    totals: Mapping[str, Expression | None]
    """By the names of `FIGURES`; None where a figure is not known."""
    rows: tuple[Mapping[str, Any], ...]
    """Rows of the summary."""
    closed: Mapping[str, str | None] = field(default_factory=dict)
    """Dims that are one number, and the line of code that made them so."""
    counted: frozenset[str] = frozenset()
    """Those that the model counts up to, as a loop does."""
    fitted: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Dims that the formulas were fitted in, and the numbers at which they were seen to hold."""


def formulas(trace: Trace, holds: Range, peak_holds: Range) -> Formulas:
    """The figures of a run with open dims.

    Args:
        trace: The run; its dims are expressions.
        holds: Where the run goes the way it went.
        peak_holds: Where its kernels allocate what they did besides.

    Returns:
        The figures.
    """
    found: dict[str, Expression | None] = {
        name: holds.simple(const(value)) for name, value in totals_of(trace, trace.ops).items()
    }
    for phase in ("forward", "backward"):
        macs = sum(op.cost.macs for op in trace.ops if op.cost and op.phase == phase)
        found[f"{phase}_macs"] = holds.simple(const(macs))
    found["peak_bytes"], peak_holds = peak(trace, peak_holds)
    rows = tuple(
        {**row, **{name: holds.simple(const(row[name])) for name in IN_ROWS}}
        for row in rows_of(trace, trace.ops)
    )
    return Formulas(trace, holds, peak_holds, found, rows)


def checked(found: Formulas, trace: Trace) -> Formulas:
    """Formulas that give a traced run's figures; others become unknown.

    A model that makes tensors of open sizes and looks at what they hold goes another way with
    numbers, where these tensors have data.

    Args:
        found: Formulas.
        trace: A run with the numbers of the hint.

    Returns:
        The formulas.
    """
    wanted = dict(totals_of(trace, trace.ops))
    wanted["peak_bytes"] = max(levels(trace))
    for phase in ("forward", "backward"):
        macs = [op.cost.macs for op in trace.ops if op.cost and op.phase == phase]
        wanted[f"{phase}_macs"] = sum(macs)
    hint = found.holds.hint
    wrong = [
        name
        for name, one in found.totals.items()
        if one is not None and name in wanted and one.at(hint) != wanted[name]
    ]
    if not wrong:
        return found
    rows = tuple({**row, **{name: None for name in wrong if name in row}} for row in found.rows)
    return replace(found, totals={**found.totals, **dict.fromkeys(wrong)}, rows=rows)


def peak(trace: Trace, holds: Range) -> tuple[Expression, Range]:
    """The largest level of a run's memory.

    At sizes far below the hint other levels are the largest than at all sizes that are used; where
    there are too many to read, the range is made to begin nearer to the hint.

    Args:
        trace: The run.
        holds: Where the peak is to hold.

    Returns:
        An expression, often a `max` of several, and where it holds.
    """
    found = dict.fromkeys(holds.simple(const(level)) for level in levels(trace))
    parts = dict.fromkeys(part for level in found for part in _parts(level))
    all_of_it = tuple(holds.largest(tuple(parts)))
    if len(all_of_it) <= FEW:
        return most(*all_of_it), holds
    for share in SHARES:
        nearer = holds.above(share)
        kept = nearer.largest(all_of_it)
        if len(kept) <= FEW:
            return most(*kept), nearer
    return most(*all_of_it), holds


def _parts(level: Expression) -> Iterable[Expression]:
    """What a level is the largest of."""
    for atom in level.atoms():
        alone = Expression({((atom, 1),): 1})
        if atom.parts and not atom.small and level.terms.get(((atom, 1),)) == 1:
            rest = level - alone
            if atom not in rest.atoms():
                for part in atom.parts:
                    yield from _parts(rest + part)
                return
    yield level


def growth(one: Expression) -> str:
    """What an expression grows with: `B*T^2 + B*T*D` of all its terms, or `1`.

    Args:
        one: An expression.

    Returns:
        Its terms in the dims that no other term outgrows, without numbers.
    """
    kept: list[dict[str, int]] = []
    for term in sorted(_powers(one), key=lambda term: -sum(term.values())):
        if not any(all(other.get(k, 0) >= n for k, n in term.items()) for other in kept):
            kept.append(term)
    words = ["*".join(k if n == 1 else f"{k}^{n}" for k, n in sorted(t.items())) for t in kept]
    return " + ".join(sorted(word or "1" for word in words)) or "0"


def _powers(one: Expression) -> Iterable[dict[str, int]]:
    """Powers of dims in the terms of an expression, quotients by a number taken as the dims."""
    for letters in one.terms:
        found: list[Counter[str]] = [Counter()]
        for atom, power in letters:
            for _ in range(power):
                found = [a + Counter(b) for a in found for b in _grows(atom)]
        yield from map(dict, found)


def _grows(atom: Atom) -> list[dict[str, int]]:
    if not atom.inside:
        return [{atom.text: 1}]
    parts = atom.parts or atom.inside[:1]
    if atom.small:
        parts = (min(parts, key=lambda part: max(map(_degree, part.terms), default=0)),)
    return [term for part in parts for term in _powers(part)]


def _degree(one: Monomial) -> int:
    return sum(power for _, power in one)


def named(expressions: Sequence[Expression], taken: Iterable[str]) -> dict[Atom, Expression]:
    """Names for the quotients, and for each `min`, of some expressions.

    Args:
        expressions: What is to be written.
        taken: Names of dims.

    Returns:
        By quotient, a letter: `h1`, `h2`, ... of `H`, `n1`, ... of several dims, from the largest
        quotient on.
    """
    times: Counter[Atom] = Counter(
        atom
        for one in expressions
        for part in _flat(one)
        for letters in part.terms
        for atom, _ in letters
        if atom.top is not None or atom.small
    )
    found: dict[Atom, Expression] = {}
    used = set(taken)
    counts: Counter[str] = Counter()
    often = [atom for atom, count in times.items() if count >= OFTEN]
    for atom in sorted(often, key=_by_size):
        dims = sorted(const(Expression({((atom, 1),): 1})).dims())
        stem = dims[0].lower() if len(dims) == 1 else "n"
        name = ""
        while not name or name in used:
            counts[stem] += 1
            name = f"{stem}{counts[stem]}"
        used.add(name)
        found[atom] = dim(name)
    return found


def _flat(one: Expression) -> Iterable[Expression]:
    """An expression and those inside its `max`."""
    yield one
    for atom in one.atoms():
        for part in atom.parts:
            yield from _flat(part)


def _by_size(atom: Atom) -> tuple[Any, ...]:
    by = None if atom.bottom is None else atom.bottom.number
    return (sorted(Expression({((atom, 1),): 1}).dims()), by or 0, len(atom.text), atom.text)


def report(found: Formulas, dims: Mapping[str, int] | None = None) -> Report:
    """The formulas as a report.

    Args:
        found: The run's figures.
        dims: Dims that are numbers.

    Returns:
        The report; its totals are strings in the dims that are open.
    """
    dims = dict(dims or {})
    new = {Atom(name): const(number) for name, number in dims.items()}
    totals = {
        name: None if one is None else one.replaced(new) for name, one in found.totals.items()
    }
    shown = [one for name in FIGURES if (one := totals[name]) is not None]
    names = named(shown, found.holds.low)
    where = {str(name): str(atom) for atom, name in names.items()}
    apart = [one for one in found.peak_holds.holds() if one not in found.holds.holds()]
    ops = found.trace.ops
    covered = sum(op.cost is not None for op in ops)
    whole = set(dims) == set(found.holds.low)
    made = Report(
        report="formula",
        model=found.trace.model,
        inputs=found.trace.inputs,
        columns=COLUMNS,
        rows=tuple(_written(row, new, names) for row in found.rows),
        totals={
            **{name: _text(totals[name], names) for name in FIGURES},
            "where": where,
            "growth": {name: growth(one) for name in FIGURES if (one := totals[name]) is not None},
            "holds": found.holds.holds(),
            "peak_holds": apart,
            "hint": dict(found.holds.hint),
            **({"at": dims} if dims else {}),
            **({"fitted": dict(found.fitted)} if found.fitted else {}),
            "coverage": covered / len(ops) if ops else 1.0,
            "uncounted": sorted({op.op for op in ops if op.cost is None}),
        },
        notes=(*_notes(found), *uncounted_notes(found.trace, found.trace.ops), *found.trace.notes),
        failure=found.trace.failure,
    )
    if not whole or made.failure is not None:
        return made
    return replace(made, totals={**made.totals, "figures": evaluate(made.totals, {})})


def _text(one: Expression | None, names: Mapping[Atom, Expression]) -> str | None:
    return None if one is None else str(one.replaced(names))


def _written(
    row: Mapping[str, Any], new: Mapping[Atom, Expression], names: Mapping[Atom, Expression]
) -> dict[str, Any]:
    """A row with its expressions as words."""

    def word(value: Any) -> Any:
        if isinstance(value, Expression):
            found = value.replaced(new)
            return str(found.replaced(names)) if found.number is None else found.number
        return [word(one) for one in value] if isinstance(value, list) else value

    figures = {name: None if (one := row[name]) is None else one.replaced(new) for name in IN_ROWS}
    kept = ("path", "name", "type", "depth", "call", "output_shape", "marks")
    return {
        **{name: word(row[name]) for name in kept},
        **{name: _text(one, names) for name, one in figures.items()},
        "growth": None if (macs := figures["macs"]) is None else growth(macs),
    }


def _notes(found: Formulas) -> Iterable[Note]:
    """What a reader must know of the range."""
    for name, line in found.closed.items():
        text = (
            f"{name} is {found.holds.low[name]} in all formulas: the model takes this size only, "
            "or makes a number of it (a loop, `int(x.shape[i])`)."
        )
        yield Note("warning", "closed-dim", text, line)
    for name, seen in found.fitted.items():
        text = (
            f"the model counts up to {name}: formulas were fitted in it, from runs at "
            f"{name} = {', '.join(map(str, seen))}, and hold at all of these."
        )
        yield Note("info", "fitted-dim", text)
    unknown = [name for name in FIGURES if found.totals[name] is None]
    if unknown:
        text = (
            f"no formula is known of {', '.join(unknown)}: a run with numbers at the hint gives "
            "others, or runs at several numbers follow none."
        )
        yield Note("warning", "no-formula", text)


def figure_of(word: str) -> str:
    """`peak_bytes` of `peak`, `peak_bytes` or `peak memory`.

    Args:
        word: A total's name, whole or without its unit.

    Returns:
        One of `FIGURES`.

    Raises:
        OptionError: There is no such figure.
    """
    plain = word.strip().replace(" ", "_").replace("_memory", "_bytes")
    for name in (plain, f"{plain}_bytes"):
        if name in FIGURES:
            return name
    hint = did_you_mean(word, FIGURES, f"Known: {', '.join(FIGURES)}.")
    raise OptionError(f"under {word!r}", "there is no such figure", hint)


def inside(holds: Range, dims: Mapping[str, int]) -> None:
    """Check that numbers of some dims lie in a range.

    Args:
        holds: The range.
        dims: Numbers of some of its dims.

    Raises:
        ExpressionError: One does not.
    """
    for name, number in dims.items():
        low, high = holds.low[name], holds.high[name]
        if number < low or (high is not None and number > high):
            raise _outside(f"{name}={number}", holds.of(name), (name,))


def _outside(what: str, condition: str, names: Iterable[str]) -> ExpressionError:
    hints = " ".join(f"--hint {name}=N" for name in names)
    hint = f"Ask for the formula near there: {hints}."
    return ExpressionError(what, f"the formula holds where {condition}", hint)


def evaluate(totals: Mapping[str, Any], dims: Mapping[str, int]) -> dict[str, int | None]:
    """What the formulas of a report are for some numbers.

    Args:
        totals: Of the report, whose formulas are strings.
        dims: A number for each open dim.

    Returns:
        Figures by their names; the peak is None outside of its own range.

    Raises:
        ExpressionError: A dim without a number, one that is not open, or a number outside the
            range.
    """
    fixed = totals.get("at") or {}
    wanted = [name for name in totals["hint"] if name not in fixed]
    for name in dims:
        if name not in wanted:
            known = f"Open: {', '.join(wanted)}." if wanted else "None is."
            raise ExpressionError(f"dim {name}", "no such dim is open", known)
    for name in wanted:
        if name not in dims:
            hint = f"Give a number for it: {name}={totals['hint'][name]}."
            raise ExpressionError(f"dim {name}", "it has no number", hint)
    letters = {**fixed, **dims}
    for condition in totals["holds"]:
        if not evaluated(condition, letters):
            said = ", ".join(f"{name}={number}" for name, number in dims.items())
            raise _outside(said, condition, [n for n in wanted if n in condition] or wanted)
    peak_holds = all(evaluated(one, letters) for one in totals["peak_holds"])
    for letter, quotient in totals["where"].items():
        letters[letter] = int(evaluated(quotient, letters))
    found: dict[str, int | None] = {
        name: None if (text := totals[name]) is None else int(evaluated(text, letters))
        for name in FIGURES[:-1]
    }
    most_held = totals["peak_bytes"] if peak_holds else None
    found["peak_bytes"] = None if most_held is None else int(evaluated(most_held, letters))
    return found
