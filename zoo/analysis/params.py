"""Which parameters does a model have, what are they for, and which are trained, tied, unused?

A row is a distinct parameter, or a module with those of the modules in it (a tree whose root is the
total), or a role, or a dtype. A tied parameter is counted once, at its first name. Where nothing
ran, or the run broke, it is not known which parameters are unused: None.

The role of a parameter, by the first rule that holds:

1. `norm`: its module's class is called after a norm (`BatchNorm2d`, `LayerNorm`, `LlamaRMSNorm`).
2. `embedding`: its module's class is called after an embedding (`Embedding`, `EmbeddingBag`), or
   `embed` is in its own name (`pos_embedding`).
3. `bias`: its name begins or ends with the word bias (`bias`, `in_proj_bias`, `bias_ih_l0`).
4. `weight`: its name begins or ends with the word weight, or it has two dims, or more of which two
   are longer than 1.
5. `other`: a class token, the scale of a layer, ...

What a parametrization (`torch.nn.utils.parametrizations`) keeps has the role of what it computes.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.analysis.naming import above, called
from zoo.analysis.records import Column, Note, Parameter, Report, Trace
from zoo.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GROUPINGS = ("parameter", "module", "role", "dtype")
"""What `by` may be."""
ROLES = ("weight", "bias", "norm", "embedding", "other")

SIZES = (
    Column("parameters", "1", "Elements, each counted once in the whole table."),
    Column("parameter_bytes", "B", "Bytes of them."),
)
ONE = (
    Column("name", "", "First path that it is reached by."),
    Column("module", "", "Path of the module that owns it; empty for the model itself."),
    Column("role", "", "`weight`, `bias`, `norm`, `embedding` or `other`."),
    Column("shape", "", "Its lengths."),
    Column("dtype", "", "Its element type."),
    *SIZES,
    Column("trainable", "", "Whether gradients reach it."),
    Column("tied", "", "Other paths that it is reached by."),
    Column("unused", "", "Whether no operator of the run read it."),
)
MANY = (
    Column("tensors", "1", "Distinct parameters."),
    *SIZES,
    Column("trainable_parameters", "1", "Elements that gradients reach."),
    Column("frozen_parameters", "1", "Elements that gradients do not reach."),
    Column("tied_parameters", "1", "Elements of parameters with several names."),
    Column("unused_parameters", "1", "Elements of parameters that no operator of the run read."),
)
KEYS: Mapping[str, tuple[Column, ...]] = {
    "module": MANY,
    "role": (Column("role", "", "What they are for."), *MANY),
    "dtype": (Column("dtype", "", "Their element type."), *MANY),
    "parameter": ONE,
}
"""Columns by grouping; modules go by their path."""
STATISTICS = (
    Column("mean", "1", "Mean of the finite elements."),
    Column("std", "1", "Standard deviation of the finite elements, over n - 1, as `torch.std`."),
    Column("norm", "1", "Euclidean norm of the finite elements."),
    Column("zeros", "%", "Share of the elements that are zero."),
    Column("non_finite", "1", "Elements that are NaN or infinite."),
)
"""Columns of the values of real weights."""


@dataclass(frozen=True, slots=True)
class Values:
    """What the elements of a tensor are like."""

    elements: int = 0
    """How many there are."""
    finite: int = 0
    """How many of them are neither NaN nor infinite."""
    mean: float = 0.0
    """Of the finite ones."""
    squares: float = 0.0
    """Sum of their squared distances from the mean."""
    norm: float = 0.0
    """Square root of the sum of their squares."""
    zeros: int = 0
    """How many are zero."""
    complex: bool = False
    """Whether they are complex: `norm` and `zeros` alone have a meaning then."""

    @property
    def std(self) -> float | None:
        """Standard deviation over n - 1; None where fewer than two elements are finite."""
        return math.sqrt(self.squares / (self.finite - 1)) if self.finite > 1 else None

    def joined(self, other: Values) -> Values:
        """What the elements of both are like (Chan, Golub and LeVeque, 1979).

        >>> both = Values(1, 1, 1.0, 0.0, 1.0).joined(Values(1, 1, 3.0, 0.0, 3.0))
        >>> both.mean, both.std
        (2.0, 1.4142135623730951)
        """
        finite = self.finite + other.finite
        apart = other.mean - self.mean
        weight = other.finite / finite if finite else 0.0
        return Values(
            elements=self.elements + other.elements,
            finite=finite,
            mean=self.mean + apart * weight,
            squares=self.squares + other.squares + apart * apart * self.finite * weight,
            norm=math.hypot(self.norm, other.norm),
            zeros=self.zeros + other.zeros,
            complex=self.complex or other.complex,
        )

    def cells(self) -> dict[str, Any]:
        """Figures of `STATISTICS`."""
        known = self.finite > 0 and not self.complex
        return {
            "mean": self.mean if known else None,
            "std": self.std if known else None,
            "norm": self.norm if self.finite or not self.elements else None,
            "zeros": 100 * self.zeros / self.elements if self.elements else None,
            "non_finite": self.elements - self.finite,
        }


@dataclass(slots=True)
class _Sums:
    """Sums over parameters."""

    tensors: int = 0
    figures: Counter[str] = field(default_factory=Counter)
    values: Values = field(default_factory=Values)

    def add(self, one: Parameter, values: Values | None) -> None:
        """Add a parameter."""
        numel = one.spec.numel
        self.tensors += 1
        self.figures["parameters"] += numel
        self.figures["parameter_bytes"] += one.spec.nbytes
        self.figures["trainable_parameters" if one.trainable else "frozen_parameters"] += numel
        self.figures["tied_parameters"] += numel if len(one.names) > 1 else 0
        self.figures["unused_parameters"] += numel if not one.used else 0
        if values is not None:
            self.values = self.values.joined(values)

    def cells(self, *, ran: bool) -> dict[str, Any]:
        """Figures of `MANY`; what is unused is known where the model `ran`."""
        found = {column.name: self.figures[column.name] for column in MANY[1:]}
        unused = {} if ran else {"unused_parameters": None}
        return {"tensors": self.tensors, **found, **unused}


def check(by: str) -> None:
    """Find out before a long run whether the word is known.

    Args:
        by: How rows are grouped.

    Raises:
        OptionError: No such grouping.
    """
    if by not in GROUPINGS:
        hint = did_you_mean(by, GROUPINGS, f"Known: {', '.join(GROUPINGS)}.")
        raise OptionError(f"by {by!r}", "no such grouping", hint)


def params(
    trace: Trace, *, by: str = "parameter", values: Mapping[str, Values] | None = None
) -> Report:
    """A model's parameters.

    Args:
        trace: One run, or a trace without calls, of a model that was not run.
        by: `parameter`, `module`, `role` or `dtype`.
        values: What the elements of each parameter are like, by first name.

    Returns:
        The report; parameters and modules in the order of the model, others by size.

    Raises:
        OptionError: No such grouping.
    """
    check(by)
    ran = bool(trace.calls) and trace.failure is None
    whole = _sums(trace.parameters, values)
    if by == "parameter":
        rows = tuple(_parameters(trace, values, ran=ran))
    elif by == "module":
        rows = tuple(_modules(trace, values, ran=ran))
    else:
        rows = tuple(_groups(trace, values, by, ran=ran))
    return Report(
        report="params",
        model=trace.model,
        inputs=trace.inputs,
        columns=(*KEYS[by], *(STATISTICS if values is not None else ())),
        rows=rows,
        totals={
            **whole.cells(ran=ran),
            "buffers": sum(buffer.spec.numel for buffer in trace.buffers),
            "buffer_bytes": sum(buffer.spec.nbytes for buffer in trace.buffers),
            **(whole.values.cells() if values is not None else {}),
        },
        notes=(*_notes(trace, values), *trace.notes),
        failure=trace.failure,
    )


def role_of(parameter: Parameter, types: Mapping[str, str]) -> str:
    """What a parameter is for.

    Args:
        parameter: Any.
        types: Class names of modules by their path.

    Returns:
        One of `ROLES`.

    Example:
        >>> from zoo.analysis.records import TensorSpec
        >>> bias = Parameter(("norm.bias",), TensorSpec((8,)), True, "norm", True)
        >>> role_of(bias, {"norm": "LayerNorm"}), role_of(bias, {"norm": "Linear"})
        ('norm', 'bias')
    """
    owner, _, leaf = parameter.names[0].rpartition(".")
    if ".parametrizations." in f".{owner}.":
        owner, _, leaf = f".{owner}".rpartition(".parametrizations.")
        owner = owner.removeprefix(".")
    kind = types.get(owner, "").removeprefix("Parametrized")
    words = leaf.lower().split("_")
    if called("Norm", kind):
        return "norm"
    if called("Embedding(Bag)?", kind) or "embed" in leaf.lower():
        return "embedding"
    if "bias" in (words[0], words[-1]):
        return "bias"
    shape = parameter.spec.shape
    matrix = len(shape) == 2 or sum(length > 1 for length in shape) > 1
    return "weight" if matrix or "weight" in (words[0], words[-1]) else "other"


def _sums(parameters: Iterable[Parameter], values: Mapping[str, Values] | None) -> _Sums:
    found = _Sums()
    for one in parameters:
        found.add(one, values.get(one.names[0]) if values is not None else None)
    return found


def _types(trace: Trace) -> dict[str, str]:
    """Classes of modules by their path; a lazy module has the one that its first call gave it."""
    called = {call.module: call.type for call in trace.calls}
    return {
        name: called.get(module.path, module.type)
        for module in trace.modules
        for name in module.names
    }


def _parameters(
    trace: Trace, values: Mapping[str, Values] | None, *, ran: bool
) -> Iterable[Mapping[str, Any]]:
    types = _types(trace)
    for one in trace.parameters:
        unused = not one.used if ran else None
        marks = [] if one.trainable else ["frozen"]
        marks += ["tied"] * (len(one.names) > 1) + ["unused"] * bool(unused)
        row = {
            "name": one.names[0],
            "module": one.module,
            "role": role_of(one, types),
            "shape": list(one.spec.shape),
            "dtype": one.spec.dtype,
            "parameters": one.spec.numel,
            "parameter_bytes": one.spec.nbytes,
            "trainable": one.trainable,
            "tied": list(one.names[1:]),
            "unused": unused,
        }
        if values is not None:
            row |= values.get(one.names[0], Values()).cells()
        yield {**row, "marks": marks}


def _modules(
    trace: Trace, values: Mapping[str, Values] | None, *, ran: bool
) -> Iterable[Mapping[str, Any]]:
    """A row for the model and for each module that holds a parameter, in it or below."""
    first = {name: module.path for module in trace.modules for name in module.names}
    types = _types(trace)
    held: dict[str, list[Parameter]] = {"": []}
    for one in trace.parameters:
        path = first.get(one.module, one.module)
        for outer in above(path):
            held.setdefault(outer, []).append(one)
    for module in trace.modules:
        if module.path not in held:
            continue
        sums = _sums(held[module.path], values)
        cells = sums.cells(ran=ran)
        marks = []
        if cells["parameters"] and not cells["trainable_parameters"]:
            marks.append("frozen")
        elif cells["frozen_parameters"]:
            marks.append("partly frozen")
        if cells["parameters"] and cells["unused_parameters"] == cells["parameters"]:
            marks.append("unused")
        yield {
            "path": module.path,
            "name": module.path.rpartition(".")[2] or module.type,
            "type": types[module.path],
            "depth": len(above(module.path)) - 1,
            **cells,
            **(sums.values.cells() if values is not None else {}),
            "marks": marks,
        }


def _groups(
    trace: Trace, values: Mapping[str, Values] | None, by: str, *, ran: bool
) -> Iterable[Mapping[str, Any]]:
    types = _types(trace)
    groups: dict[str, list[Parameter]] = {}
    for one in trace.parameters:
        key = role_of(one, types) if by == "role" else one.spec.dtype
        groups.setdefault(key, []).append(one)
    sums = {key: _sums(found, values) for key, found in groups.items()}
    for key in sorted(sums, key=lambda key: (-sums[key].figures["parameters"], key)):
        valued = sums[key].values.cells() if values is not None else {}
        yield {by: key, **sums[key].cells(ran=ran), **valued}


def _notes(trace: Trace, values: Mapping[str, Values] | None) -> Iterable[Note]:
    bad = [name for name, found in (values or {}).items() if found.finite < found.elements]
    if bad:
        shown = ", ".join(bad[:4]) + (f" and {len(bad) - 4} more" if len(bad) > 4 else "")
        text = f"{len(bad)} parameters hold values that are not finite: {shown}."
        yield Note("warning", "non-finite", text, bad[0].rpartition(".")[0] or None)
    if not trace.calls:
        text = "the model was not run, since no input is known: what is unused is not known."
        yield Note("info", "not-run", text)
