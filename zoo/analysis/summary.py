"""Which shape comes out of each module call, with how many parameters and MACs.

A row is a module call; its figures are its own and those of the calls inside it, and the root row
is the total. Of a training step the forward pass alone is counted. A parameter is counted once, in
the first row that holds it: a module called again, or one that holds a tied tensor, shows 0 there
and a mark. Parameters of modules that the run did not call have a row of their own, so that the
rows still add up; those that the caller read directly (`F.linear(x, self.out.weight)`) belong to
the caller.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.analysis.coverage import coverage, uncounted_notes
from zoo.analysis.naming import above
from zoo.analysis.records import (
    Column,
    ModuleCall,
    Note,
    OpCall,
    Parameter,
    Report,
    TensorSpec,
    Trace,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COLUMNS = (
    Column("input_shape", "", "Shape of the first tensor the call got, or a list of shapes."),
    Column("output_shape", "", "Shape of the tensor that came out, or a list of shapes."),
    Column("output_dtype", "", "Element type of what came out."),
    Column("parameters", "1", "Parameters held, each counted once in the whole table."),
    Column("trainable_parameters", "1", "Those that gradients reach."),
    Column("parameter_bytes", "B", "Bytes of the parameters."),
    Column(
        "macs",
        "MAC",
        "Multiply-accumulates of convolutions, matrix products, attention and recurrent cells.",
    ),
    Column("flops", "FLOP", "2 x MACs."),
    Column(
        "pointwise_flops",
        "FLOP",
        "One per output element of elementwise operators, one per input element of reductions and "
        "normalisation.",
    ),
    Column(
        "activation_bytes",
        "B",
        "Bytes of the tensors that operators allocated; views and in-place results add none.",
    ),
    Column("bytes_read", "B", "Bytes of the operators' operands."),
    Column("bytes_written", "B", "Bytes of the operators' results."),
    Column("kernel_size", "", "Lengths of a convolution's kernel, as its weight has them."),
    Column("training", "", "Whether the module was in training mode."),
)


@dataclass(slots=True)
class _Figures:
    """Sums over a call and the calls inside it."""

    parameters: int = 0
    trainable: int = 0
    parameter_bytes: int = 0
    macs: int = 0
    pointwise: int = 0
    activation: int = 0
    read: int = 0
    written: int = 0
    uncounted: Counter[str] = field(default_factory=Counter)

    def add(self, other: _Figures) -> None:
        """Add another's figures to these."""
        for name in self.__slots__:
            if name != "uncounted":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        self.uncounted.update(other.uncounted)

    def add_op(self, op: OpCall) -> None:
        """Add an operator's cost."""
        self.activation += op.new_bytes
        if op.cost is None:
            self.uncounted[op.op] += 1
            return
        self.macs += op.cost.macs
        self.pointwise += op.cost.flops
        self.read += op.cost.bytes_read
        self.written += op.cost.bytes_written

    def add_parameter(self, parameter: Parameter) -> None:
        """Add a parameter."""
        self.parameters += parameter.spec.numel
        self.parameter_bytes += parameter.spec.nbytes
        if parameter.trainable:
            self.trainable += parameter.spec.numel


class _Holders:
    """Which row holds which parameter."""

    def __init__(self, trace: Trace) -> None:
        self.canonical = {name: one.path for one in trace.modules for name in one.names}
        self.types = {one.path: one.type for one in trace.modules}
        self.first_call: dict[str, int] = {}
        for call in trace.calls:
            self.first_call.setdefault(call.module, call.index)
        self.reaches_call = {prefix for path in self.first_call for prefix in above(path)}
        self.of_call: dict[int, list[Parameter]] = defaultdict(list)
        self.uncalled: dict[tuple[int, str], list[Parameter]] = defaultdict(list)
        self.tied_elsewhere: set[str] = set()
        self.kernel: dict[str, list[int]] = {}
        for parameter in trace.parameters:
            self._place(parameter)

    def _place(self, parameter: Parameter) -> None:
        owners = [name.rpartition(".")[0] for name in parameter.names]
        for owner, name in zip(owners, parameter.names, strict=True):
            if name.endswith("weight") and len(parameter.spec.shape) > 2:
                self.kernel[self.canonical.get(owner, owner)] = list(parameter.spec.shape[2:])
        paths = list(dict.fromkeys(self.canonical.get(owner, owner) for owner in owners))
        called = sorted((self.first_call[path], path) for path in paths if path in self.first_call)
        if called:
            self.of_call[called[0][0]].append(parameter)
            self.tied_elsewhere.update(path for _, path in called[1:])
            return
        path = paths[0]
        outer = next((p for p in reversed(above(path)) if p in self.first_call), "")
        call = self.first_call.get(outer, 0)
        if parameter.used:
            self.of_call[call].append(parameter)
            return
        outermost = next((p for p in above(path) if p not in self.reaches_call), path)
        self.uncalled[call, outermost].append(parameter)


def summary(trace: Trace) -> Report:
    """Shapes, parameters and costs of every module call.

    Args:
        trace: One run.

    Returns:
        The report; its rows are the calls, depth first in the order in which they ran.
    """
    ops = tuple(op for op in trace.ops if op.phase == "forward")
    rows = rows_of(trace, ops)
    return Report(
        report="summary",
        model=trace.model,
        inputs=trace.inputs,
        columns=COLUMNS,
        rows=rows,
        totals=_totals(trace, ops),
        notes=(*uncounted_notes(trace, ops), *_unused_notes(trace), *trace.notes),
        failure=trace.failure,
    )


def rows_of(trace: Trace, ops: Sequence[OpCall]) -> tuple[Mapping[str, Any], ...]:
    """A row for each module call, depth first in the order in which they ran.

    Args:
        trace: One run; where its dims are open, figures are expressions.
        ops: Those of its operators that are counted.

    Returns:
        The rows.
    """
    holders = _Holders(trace)
    return tuple(_rows(trace, holders, _figures(trace, ops, holders)))


def totals_of(trace: Trace, ops: Sequence[OpCall]) -> Mapping[str, Any]:
    """Figures of the whole run, without what they cover.

    Args:
        trace: One run; where its dims are open, figures are expressions.
        ops: Those of its operators that are counted.

    Returns:
        Figures by the names of their columns.
    """
    whole = _Figures()
    for parameter in trace.parameters:
        whole.add_parameter(parameter)
    for op in ops:
        whole.add_op(op)
    cells = _cells(whole)
    del cells["uncounted"]
    return cells


def _figures(trace: Trace, ops: Sequence[OpCall], holders: _Holders) -> dict[int, _Figures]:
    figures = {call.index: _Figures() for call in trace.calls}
    for op in ops:
        figures[op.call].add_op(op)
    for index, parameters in holders.of_call.items():
        for parameter in parameters:
            figures.setdefault(index, _Figures()).add_parameter(parameter)
    for (index, _), parameters in holders.uncalled.items():
        for parameter in parameters:
            figures.setdefault(index, _Figures()).add_parameter(parameter)
    for call in reversed(trace.calls):
        if call.parent is not None:
            figures[call.parent].add(figures[call.index])
    return figures


def _rows(
    trace: Trace, holders: _Holders, figures: Mapping[int, _Figures]
) -> Iterable[Mapping[str, Any]]:
    inside: dict[int | None, list[ModuleCall]] = defaultdict(list)
    for call in trace.calls:
        inside[call.parent].append(call)
    uncalled: dict[int, list[str]] = defaultdict(list)
    for index, path in holders.uncalled:
        uncalled[index].append(path)
    seen: set[str] = set()
    stack: list[ModuleCall | Mapping[str, Any]] = list(reversed(inside[None]))
    while stack:
        item = stack.pop()
        if not isinstance(item, ModuleCall):
            yield item
            continue
        call = item
        around = trace.calls[call.parent].path if call.parent is not None else ""
        marks = _marks(trace, holders, call, figures[call.index], repeated=call.module in seen)
        seen.add(call.module)
        yield {
            "path": call.path,
            "name": _inner_name(call.path, around) or call.type,
            "type": call.type,
            "depth": call.depth,
            "call": call.index,
            "input_shape": _shapes(call.inputs),
            "output_shape": _shapes(call.outputs),
            "output_dtype": call.outputs[0].dtype if call.outputs else None,
            **_cells(figures[call.index]),
            "kernel_size": holders.kernel.get(call.module),
            "training": call.training,
            "marks": marks,
        }
        for path in reversed(uncalled[call.index]):
            one = _Figures()
            for parameter in holders.uncalled[call.index, path]:
                one.add_parameter(parameter)
            stack.append(_uncalled_row(path, holders.types.get(path, "Parameter"), call, one))
        stack.extend(reversed(inside[call.index]))


def _inner_name(path: str, around: str) -> str:
    return path.removeprefix(around + ".") if around else path


def _cells(figures: _Figures) -> dict[str, Any]:
    return {
        "parameters": figures.parameters,
        "trainable_parameters": figures.trainable,
        "parameter_bytes": figures.parameter_bytes,
        "macs": figures.macs,
        "flops": 2 * figures.macs,
        "pointwise_flops": figures.pointwise,
        "activation_bytes": figures.activation,
        "bytes_read": figures.read,
        "bytes_written": figures.written,
        "uncounted": sorted(figures.uncounted),
    }


def _uncalled_row(path: str, kind: str, call: ModuleCall, figures: _Figures) -> Mapping[str, Any]:
    marks = ["not called"]
    if figures.trainable == 0:
        marks.append("frozen")
    return {
        "path": path,
        "name": _inner_name(path, call.path),
        "type": kind,
        "depth": call.depth + 1,
        "call": None,
        "input_shape": None,
        "output_shape": None,
        "output_dtype": None,
        **_cells(figures),
        "kernel_size": None,
        "training": None,
        "marks": marks,
    }


def _marks(
    trace: Trace, holders: _Holders, call: ModuleCall, figures: _Figures, *, repeated: bool
) -> list[str]:
    own = holders.of_call.get(call.index, [])
    marks = []
    if figures.parameters and not figures.trainable:
        marks.append("frozen")
    elif figures.trainable != figures.parameters:
        marks.append("partly frozen")
    if repeated:
        marks.append("recursive")
    elif call.module in holders.tied_elsewhere:
        marks.append("tied")
    if own and not any(parameter.used for parameter in own):
        marks.append("unused")
    if call.outputs is None and trace.failure is not None:
        marks.append("failed")
    return marks


def _shapes(specs: Sequence[TensorSpec] | None) -> list[Any] | None:
    """One shape, a list of shapes for several tensors, or None."""
    if not specs:
        return None
    return list(specs[0].shape) if len(specs) == 1 else [list(spec.shape) for spec in specs]


def _totals(trace: Trace, ops: Sequence[OpCall]) -> Mapping[str, Any]:
    return {
        **totals_of(trace, ops),
        "buffers": sum(buffer.spec.numel for buffer in trace.buffers),
        "buffer_bytes": sum(buffer.spec.nbytes for buffer in trace.buffers),
        "operators": len(ops),
        "module_calls": len(trace.calls),
        **coverage(ops),
    }


def _unused_notes(trace: Trace) -> Iterable[Note]:
    unused = [parameter for parameter in trace.parameters if not parameter.used]
    if unused and trace.failure is None:
        numel = sum(parameter.spec.numel for parameter in unused)
        shown = ", ".join(parameter.names[0] for parameter in unused[:4])
        more = f" and {len(unused) - 4} more" if len(unused) > 4 else ""
        text = f"no operator read {len(unused)} parameters ({numel:,} elements): {shown}{more}."
        yield Note("info", "unused-parameter", text, unused[0].module or None)
