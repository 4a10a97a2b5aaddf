"""Where do the multiply-accumulates of a run go: to which module, operator, type and phase?

Rows add up to the totals, whatever they are grouped by. Of modules they are a tree as in a summary:
a row is a module call, its figures are its own and those of the calls inside it. In every other
grouping an operator is in one row, that of its innermost module call.

Backward operators belong to the module whose forward pass made them. What gradient checkpointing
computes again is part of the backward pass. An optimizer that multiplies matrices (Muon) has MACs
of its own: they are in `macs` and in `optimizer_macs`, in neither of the two passes.

Causal attention is counted in full, unless asked for in half. Then a fused attention that was told
to be causal counts the pairs of query and key that its mask leaves: query i sees the keys 0 to i,
so L queries and S keys have sum(min(i + 1, S)) of L x S pairs, and the MACs of its forward and
backward pass shrink exactly so. Its pointwise FLOPs stay. What a mask given as a tensor hides is
not known, nor what attention that is written out as products hides: they are counted in full.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.analysis.coverage import coverage, uncounted_notes
from zoo.analysis.records import Column, Note, OpCall, Report, Trace
from zoo.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

GROUPINGS = ("module", "operator", "type", "phase")
"""What `by` may be."""
CONVENTIONS = ("full", "half")
"""What `causal` may be."""
PHASES = ("forward", "backward", "optimizer")

COLUMNS = (
    Column(
        "macs",
        "MAC",
        "Multiply-accumulates of convolutions, matrix products, attention and recurrent cells.",
    ),
    Column("forward_macs", "MAC", "Those of the forward pass."),
    Column(
        "backward_macs",
        "MAC",
        "Those of the backward pass, with what gradient checkpointing computes again.",
    ),
    Column("flops", "FLOP", "2 x MACs."),
    Column(
        "pointwise_flops",
        "FLOP",
        "One per output element of elementwise operators, one per input element of reductions and "
        "normalisation.",
    ),
    Column("share", "%", "Share of all MACs."),
    Column("calls", "1", "Operators that ran."),
)
KEYS: Mapping[str, tuple[Column, ...]] = {
    "module": (),
    "operator": (Column("operator", "", "Name with its overload, `aten.addmm.default`."),),
    "type": (
        Column("type", "", "Class of the modules whose own operators these are."),
        Column("module_calls", "1", "Calls of such modules."),
    ),
    "phase": (Column("phase", "", "`forward`, `backward` or `optimizer`."),),
}
"""Columns that say which row it is, by grouping; modules go by their path."""


@dataclass(slots=True)
class _Sums:
    """Sums over operators."""

    macs: Counter[str] = field(default_factory=Counter)
    """By phase."""
    pointwise: int = 0
    calls: int = 0
    uncounted: Counter[str] = field(default_factory=Counter)

    def add_op(self, op: OpCall, macs: int) -> None:
        """Add an operator, whose MACs may not be those of its cost."""
        self.calls += 1
        if op.cost is None:
            self.uncounted[op.op] += 1
            return
        self.macs[op.phase] += macs
        self.pointwise += op.cost.flops

    def add(self, other: _Sums) -> None:
        """Add another's sums to these."""
        self.macs.update(other.macs)
        self.pointwise += other.pointwise
        self.calls += other.calls
        self.uncounted.update(other.uncounted)

    def cells(self, whole: int) -> dict[str, Any]:
        """Figures of a row of a run of `whole` MACs."""
        macs = self.macs.total()
        return {
            "macs": macs,
            "forward_macs": self.macs["forward"],
            "backward_macs": self.macs["backward"],
            "flops": 2 * macs,
            "pointwise_flops": self.pointwise,
            "share": 100 * macs / whole if whole else 0.0,
            "calls": self.calls,
            "uncounted": sorted(self.uncounted),
        }


def check(by: str, causal: str) -> None:
    """Find out before a long run whether the words are known.

    Args:
        by: How rows are grouped.
        causal: How causal attention is counted.

    Raises:
        OptionError: No such grouping, or no such convention.
    """
    if by not in GROUPINGS:
        hint = did_you_mean(by, GROUPINGS, f"Known: {', '.join(GROUPINGS)}.")
        raise OptionError(f"by {by!r}", "no such grouping", hint)
    if causal not in CONVENTIONS:
        hint = did_you_mean(causal, CONVENTIONS, "Known: full, half.")
        raise OptionError(f"causal {causal!r}", "no such convention", hint)


def flops(trace: Trace, *, by: str = "module", causal: str = "full") -> Report:
    """MACs and FLOPs of a run, forward and backward.

    Args:
        trace: One run, of the forward pass or of a training step.
        by: `module`, `operator`, `type` or `phase`.
        causal: `full`, or `half` for what causal masks leave.

    Returns:
        The report; modules in the order of their calls, phases in theirs, others by their MACs.

    Raises:
        OptionError: No such grouping, or no such convention.
    """
    check(by, causal)
    macs = {op.index: _macs(op, causal) for op in trace.ops}
    whole = _Sums()
    for op in trace.ops:
        whole.add_op(op, macs[op.index])
    total = whole.macs.total()
    if by == "module":
        rows = tuple(_modules(trace, macs, total))
    else:
        rows = tuple(_groups(trace, macs, total, by))
    return Report(
        report="flops",
        model=trace.model,
        inputs=trace.inputs,
        columns=(*KEYS[by], *COLUMNS),
        rows=rows,
        totals=_totals(trace, whole),
        notes=(
            *uncounted_notes(trace, trace.ops),
            *_causal_notes(trace, macs, causal),
            *trace.notes,
        ),
        failure=trace.failure,
    )


def _modules(trace: Trace, macs: Mapping[int, int], total: int) -> Iterable[Mapping[str, Any]]:
    """A row for each module call; calls are in the order in which they began, so depth first."""
    sums = {call.index: _Sums() for call in trace.calls}
    for op in trace.ops:
        sums[op.call].add_op(op, macs[op.index])
    for call in reversed(trace.calls):
        if call.parent is not None:
            sums[call.parent].add(sums[call.index])
    seen: set[str] = set()
    for call in trace.calls:
        around = trace.calls[call.parent].path if call.parent is not None else ""
        marks = ["recursive"] if call.module in seen else []
        if call.outputs is None and trace.failure is not None:
            marks.append("failed")
        seen.add(call.module)
        yield {
            "path": call.path,
            "name": (call.path.removeprefix(f"{around}.") if around else call.path) or call.type,
            "type": call.type,
            "depth": call.depth,
            "call": call.index,
            **sums[call.index].cells(total),
            "marks": marks,
        }


def _groups(
    trace: Trace, macs: Mapping[int, int], total: int, by: str
) -> Iterable[Mapping[str, Any]]:
    """A row for each operator, type or phase."""
    key: Callable[[OpCall], str] = {
        "operator": lambda op: op.op,
        "type": lambda op: trace.calls[op.call].type,
        "phase": lambda op: op.phase,
    }[by]
    sums: dict[str, _Sums] = {"forward": _Sums()} if by == "phase" else {}
    for op in trace.ops:
        sums.setdefault(key(op), _Sums()).add_op(op, macs[op.index])
    of_type = Counter(call.type for call in trace.calls)
    names = list(sums)
    if by == "phase":
        names.sort(key=PHASES.index)
    else:
        names.sort(key=lambda name: (-sums[name].macs.total(), -sums[name].pointwise, name))
    for name in names:
        cells = sums[name].cells(total)
        if sums[name].calls and sums[name].uncounted.total() == sums[name].calls:
            unknown = (one.name for one in COLUMNS if one.name != "calls")
            cells |= dict.fromkeys(unknown)
        yield {by: name, **({"module_calls": of_type[name]} if by == "type" else {}), **cells}


def _totals(trace: Trace, whole: _Sums) -> Mapping[str, Any]:
    forward, backward = whole.macs["forward"], whole.macs["backward"]
    trained = any(op.phase == "backward" for op in trace.ops)
    of_optimizer = (op.cost.flops for op in trace.ops if op.phase == "optimizer" and op.cost)
    cells = whole.cells(whole.macs.total())
    return {
        "macs": cells["macs"],
        "forward_macs": forward,
        "backward_macs": backward,
        "optimizer_macs": whole.macs["optimizer"],
        "ratio": backward / forward if trained and forward else None,
        "flops": cells["flops"],
        "pointwise_flops": whole.pointwise,
        "optimizer_pointwise_flops": sum(of_optimizer),
        "operators": whole.calls,
        **coverage(trace.ops),
    }


def _macs(op: OpCall, causal: str) -> int:
    """The operator's MACs by a convention."""
    if op.cost is None:
        return 0
    pairs = visible(op) if causal == "half" and op.causal else None
    return op.cost.macs if pairs is None else op.cost.macs * pairs[0] // pairs[1]


def visible(op: OpCall) -> tuple[int, int] | None:
    """Pairs of query and key that a causal mask leaves, and how many there are without it.

    Args:
        op: A fused attention.

    Returns:
        Both numbers; None where shapes do not tell them, as for sequences that lie end to end.

    Example:
        >>> from zoo.analysis.records import TensorSpec
        >>> q, k = TensorSpec((1, 4, 3, 8)), TensorSpec((1, 4, 2, 8))
        >>> name = "aten._scaled_dot_product_flash_attention_for_cpu.default"
        >>> visible(OpCall(0, name, 0, "forward", (q, k, k), (q,), None, None, causal=True))
        (5, 6)
    """
    name = op.op.split(".")[1] if "." in op.op else op.op
    first = 1 if name.endswith("_backward") else 0  # the gradient of the result comes before
    operands = op.inputs[first : first + 2]
    if "attention" not in name or [len(spec.shape) for spec in operands] != [4, 4]:
        return None
    dim = 2 if "scaled_dot_product" in name else 1
    queries, keys = (spec.shape[dim] for spec in operands)
    if not queries * keys:
        return None
    most = min(queries, keys)
    return most * (most + 1) // 2 + (queries - most) * keys, queries * keys


def _causal_notes(trace: Trace, macs: Mapping[int, int], causal: str) -> Iterable[Note]:
    ops = [op for op in trace.ops if op.causal]
    if not ops:
        return
    where = ops[0].source or trace.calls[ops[0].call].path or None
    full = sum(op.cost.macs for op in ops if op.cost)
    many = f"{len(ops):,} operators are" if len(ops) > 1 else "1 operator is"
    if causal == "full":
        text = f"{many} causal attention, counted in full: {full:,} MACs. --causal half counts what"
        yield Note("info", "causal", f"{text} the masks leave.", where)
        return
    left = sum(macs[op.index] for op in ops)
    text = f"{many} causal attention, counted by what the masks leave: {left:,} of {full:,} MACs."
    unknown = sum(visible(op) is None for op in ops)
    text += f" {unknown:,} of them in full, since shapes do not tell." if unknown else ""
    yield Note("info", "causal", text, where)
