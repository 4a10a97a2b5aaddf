"""What is said of a model in one row, where many models are looked at?

The figures are the totals of `summary`, `flops` and `memory`. Of a run that broke only what does
not need it is known: its parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.analysis.flops import flops
from zoo.analysis.memory import peak
from zoo.analysis.records import Column, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

OK, FAILED = "ok", "failed"
COLUMNS = (
    Column("name", "", "The model: `plugin/name`, or as it was written."),
    Column("plugin", "", "Which plugin brings it."),
    Column("asked", "", "Inputs that were asked for; empty for the model's default input."),
    Column("batch", "1", "First dim of the inputs, where one was asked for."),
    Column("input", "", "What it ran on."),
    Column("parameters", "1", "Distinct parameters: a tied one counts once."),
    Column("trainable_parameters", "1", "Those that gradients reach."),
    Column("parameter_bytes", "B", "Bytes of the parameters."),
    Column("macs", "MAC", "Multiply-accumulates of the run."),
    Column("flops", "FLOP", "2 x MACs."),
    Column("pointwise_flops", "FLOP", "Pointwise FLOPs of the run."),
    Column("activation_bytes", "B", "Bytes of the tensors that the forward pass allocated."),
    Column("peak_bytes", "B", "Most bytes held at once."),
    Column("operators", "1", "Operators that ran."),
    Column("module_calls", "1", "Module calls."),
    Column("coverage", "1", "Share of the operators that a formula covers, 0 to 1."),
    Column("uncounted", "", "Names of the operators without a formula."),
    Column("seconds", "s", "Time to build and run it."),
    Column("status", "", "`ok` or `failed`."),
    Column("error", "", "Why it failed."),
    Column("module", "", "Module in which the run broke."),
    Column("source", "", "Line of code at which it broke."),
    Column("options", "", "What else was asked for; the same in a whole file."),
    Column("versions", "", "Versions of torch and zoo; the same in a whole file."),
)
"""A row's cells, in their order; what a cell holds follows from its unit."""
FLOATS = frozenset({"coverage", "seconds"})
"""Figures that are not whole numbers."""
LISTS = frozenset({"uncounted"})
"""Cells that hold several words."""


def figures(trace: Trace) -> Mapping[str, Any]:
    """Cells of a row that a run fills.

    Args:
        trace: One run.

    Returns:
        Cells by name; those that are not known are left out.
    """
    known = {
        "input": ", ".join(f"{one.name}: {one.spec}" for one in trace.inputs),
        "parameters": sum(one.spec.numel for one in trace.parameters),
        "trainable_parameters": sum(one.spec.numel for one in trace.parameters if one.trainable),
        "parameter_bytes": sum(one.spec.nbytes for one in trace.parameters),
    }
    if trace.failure is not None:
        failed, hint = trace.failure.call, trace.failure.hint
        return {
            **known,
            "status": FAILED,
            "error": trace.failure.message + (f". {hint}" if hint else ""),
            "module": trace.calls[failed].path if failed < len(trace.calls) else None,
            "source": trace.failure.source,
        }
    totals = flops(trace).totals
    same = ("macs", "flops", "pointwise_flops", "operators", "coverage", "uncounted")
    return {
        **known,
        **{name: totals[name] for name in same},
        "activation_bytes": sum(op.new_bytes for op in trace.ops if op.phase == "forward"),
        "peak_bytes": peak(trace).nbytes,
        "module_calls": len(trace.calls),
        "status": OK,
    }


def row(cells: Mapping[str, Any]) -> dict[str, Any]:
    """A whole row: all columns, None where a cell is not known.

    Args:
        cells: What is known.

    Returns:
        Cells by the names of `COLUMNS`, in their order.
    """
    return {column.name: cells.get(column.name) for column in COLUMNS}
