"""What one run of a model leaves behind, and what an analysis says about it.

A `Trace` is everything that happened in a run; a `Report` is a table made from it. All records are
frozen, hold no tensor and no torch, and survive a round trip through JSON without loss
(`zoo.analysis.jsonform`). Bytes are bytes, MACs are multiply-accumulates, shapes are outermost
first.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - jsonform reads the annotations
from dataclasses import dataclass, field
from math import prod
from typing import Literal

from zoo.analysis.report import (
    REPORT_SCHEMA,
    Column,
    ModelInfo,
    Note,
    Report,
    Row,
    Severity,
)

__all__ = [
    "DTYPES",
    "REPORT_SCHEMA",
    "TRACE_SCHEMA",
    "Buffer",
    "Column",
    "Cost",
    "Failure",
    "InputSpec",
    "ModelInfo",
    "ModuleCall",
    "Note",
    "OpCall",
    "Parameter",
    "Phase",
    "Report",
    "Role",
    "Row",
    "Severity",
    "Step",
    "Storage",
    "Submodule",
    "TensorSpec",
    "Trace",
    "Transfer",
    "Value",
    "When",
]

TRACE_SCHEMA = "zoo.trace/1"

Phase = Literal["forward", "backward", "optimizer"]
When = Literal["each step", "first step"]
Role = Literal[
    "parameter", "gradient", "optimizer", "saved", "temporary", "input", "output", "buffer"
]

DTYPES: Mapping[str, tuple[str, int]] = {
    "float64": ("f64", 8),
    "float32": ("f32", 4),
    "float16": ("f16", 2),
    "bfloat16": ("bf16", 2),
    "float8_e4m3fn": ("f8e4m3fn", 1),
    "float8_e5m2": ("f8e5m2", 1),
    "float8_e4m3fnuz": ("f8e4m3fnuz", 1),
    "float8_e5m2fnuz": ("f8e5m2fnuz", 1),
    "float8_e8m0fnu": ("f8e8m0fnu", 1),
    "int64": ("i64", 8),
    "int32": ("i32", 4),
    "int16": ("i16", 2),
    "int8": ("i8", 1),
    "uint64": ("u64", 8),
    "uint32": ("u32", 4),
    "uint16": ("u16", 2),
    "uint8": ("u8", 1),
    "bool": ("bool", 1),
    "complex32": ("c32", 4),
    "complex64": ("c64", 8),
    "complex128": ("c128", 16),
    "qint8": ("qi8", 1),
    "quint8": ("qu8", 1),
    "qint32": ("qi32", 4),
}
"""torch's dtype name -> the short name that specs are written with, bytes an element."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor's description, without its data. Written `f32[1,3,96,96]`."""

    shape: tuple[int, ...]
    """Lengths, outermost first."""
    dtype: str = "float32"
    """torch's name of the element type, without `torch.`."""
    device: str = "cpu"
    """Where it lies in the run that is described, which need not be where the run was traced."""

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes if stored dense and contiguous."""
        return self.numel * DTYPES[self.dtype][1] if self.dtype in DTYPES else self.numel

    def __str__(self) -> str:
        short = DTYPES[self.dtype][0] if self.dtype in DTYPES else self.dtype
        return f"{short}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A learned tensor. A tied one is one record with several names."""

    names: tuple[str, ...]
    """Every path it is reached by; the first is the one that `named_parameters` gives."""
    spec: TensorSpec
    """Shape, dtype and device."""
    trainable: bool
    """Whether gradients reach it (`requires_grad`)."""
    module: str
    """Path of the module that owns it under its first name."""
    used: bool
    """Whether any operator of the run read it."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A tensor that a module keeps and does not learn."""

    names: tuple[str, ...]
    """Every path it is reached by."""
    spec: TensorSpec
    """Shape, dtype and device."""
    module: str
    """Path of the module that owns it under its first name."""
    used: bool
    """Whether any operator of the run read it."""
    persistent: bool = True
    """Whether it is part of the state dict."""


@dataclass(frozen=True, slots=True)
class Submodule:
    """A module that the model holds, called or not."""

    path: str
    """Its first path; the root's is empty."""
    type: str
    """Name of its class."""
    names: tuple[str, ...]
    """Every path it is reached by; more than one where it is shared."""


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """One call of one module. A module called twice has two."""

    index: int
    """Position in the order in which calls began; the root call is 0."""
    path: str
    """Where the caller reached the module; the root's is empty."""
    type: str
    """Name of its class."""
    depth: int
    """Number of calls around it; the root call's is 0."""
    parent: int | None
    """Index of the call around it; None for the root call."""
    inputs: tuple[TensorSpec, ...]
    """Tensors among its arguments, in order."""
    outputs: tuple[TensorSpec, ...] | None
    """Tensors among its results, in order; None where the call did not return."""
    training: bool
    """The module's training flag in this call."""
    module: str = ""
    """The module's first path (`Submodule.path`), whichever way the caller reached it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operator costs."""

    macs: int = 0
    """Multiply-accumulates of a contraction."""
    flops: int = 0
    """Pointwise FLOPs: one per output element of elementwise operators, one per input element of
    reductions and normalisation. The FLOPs of a contraction are 2 x `macs` and not in here."""
    bytes_read: int = 0
    """Bytes of the operands, each once."""
    bytes_written: int = 0
    """Bytes of the results, each once; a view writes none."""


@dataclass(frozen=True, slots=True)
class OpCall:
    """One operator that reached the device."""

    index: int
    """Position in the run."""
    op: str
    """Name with its overload: `aten.addmm.default`."""
    call: int
    """Index of the innermost module call it belongs to."""
    phase: Phase
    """Part of the training step."""
    inputs: tuple[TensorSpec, ...]
    """Tensors among its arguments, in order."""
    outputs: tuple[TensorSpec, ...]
    """Tensors among its results, in order."""
    cost: Cost | None
    """None where no formula covers the operator: unknown, not free."""
    source: str | None
    """`file:line` of the code that asked for it; None where no line outside torch did."""
    new_bytes: int = 0
    """Bytes of the storages it allocated; 0 for views and results written in place."""
    causal: bool = False
    """Whether it is a fused attention that was told to look only backwards."""
    random: bool = False
    """Whether its result depends on random numbers."""
    reads: tuple[int, ...] = ()
    """In the forward pass, which of `Trace.values` each of `inputs` is; -1 where it is no block of
    memory."""
    of: int | None = None
    """In the backward pass the index of the operator whose gradient it computes; None where no
    operator's is, and elsewhere."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of a run by what it shows of its block: two views of the same elements are one.

    A block that was there before the run is one value, whatever is read of it.
    """

    storage: int
    """`Storage.id` of the block that it lies in."""
    nbytes: int
    """Bytes of its elements, each once."""
    born: int
    """Index of the operator that returned it first; -1 where none did."""
    gradient: bool
    """Whether the forward pass read it in a place to which a gradient flows back."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A block of memory. Peak memory is a fold over these."""

    id: int
    """Number in the order in which blocks were written down."""
    nbytes: int
    """Bytes it holds."""
    device: str
    """Where it lies."""
    role: Role
    """What it is for."""
    born: int
    """Index of the operator that allocated it; -1 where it was there before the run."""
    died: int | None
    """Index of the operator after which it was freed; None where it outlives the run."""
    call: int | None = None
    """Index of the module call that it belongs to; None where it was there before the run."""
    source: str | None = None
    """`file:line` of the code that asked for it."""
    name: str = ""
    """Of the parameter, buffer or input that it is or belongs to, or of the operator that made it.
    """
    first_read: int | None = None
    """Index of the first operator that read it; None where none did."""
    last_read: int | None = None
    """Index of the last one."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A copy between devices, or a wait of the host for a device."""

    kind: str
    """`copy` or the name of the operation that waits (`item`, `nonzero`, ...)."""
    nbytes: int
    """Bytes moved."""
    source_device: str
    """From here."""
    target_device: str
    """To here."""
    blocking: bool
    """Whether the host waits."""
    op: int | None
    """Index of the operator; None where no operator ran."""
    call: int
    """Index of the innermost module call it belongs to."""
    source: str | None
    """`file:line` of the code that asked for it."""
    phase: Phase = "forward"
    """Part of the training step."""
    when: When | None = "each step"
    """Whether later steps do it again; None where a second step could not be run to find out."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Where and why a run broke."""

    call: int
    """Index of the innermost module call that did not return."""
    op: str | None
    """Operator that raised; None where the user's own code did."""
    message: str
    """What went wrong, in one line: what it got, what it wanted."""
    inputs: tuple[TensorSpec, ...]
    """Tensors that the failing operator, or else the failing module, was given."""
    source: str | None
    """`file:line` of the code that raised."""
    hint: str | None = None
    """What to try."""
    error: str = ""
    """Type and text of the exception, as it was raised."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """An input of the run."""

    name: str
    """The argument of `forward` that it is, with `.key` or `[i]` for parts of a nest."""
    spec: TensorSpec
    """Shape, dtype and device."""


@dataclass(frozen=True, slots=True)
class Step:
    """How a training step was made. All figures of its trace are those of one micro-batch."""

    optimizer: str
    """What it is called: `adamw`, or the name of the function that made it."""
    loss: str
    """`sum`, `cross-entropy`, `mse`, or the name of a function."""
    autocast: str | None = None
    """Dtype that eligible operators ran in; None where they ran as they are."""
    accumulate: int = 1
    """Micro-batches between two steps of the optimizer. From 2 on, gradients are there before."""
    set_to_none: bool = True
    """Whether gradients are freed between two steps; kept ones are there before."""
    checkpoint: tuple[str, ...] = ()
    """Paths of the modules that keep their inputs only, and run again in the backward pass."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything that happened in one run."""

    model: ModelInfo
    """What ran."""
    inputs: tuple[InputSpec, ...]
    """What it ran on, in the order of `forward`'s arguments."""
    modules: tuple[Submodule, ...]
    """What the model is made of, in the order of `named_modules`."""
    calls: tuple[ModuleCall, ...]
    """Module calls in the order in which they began; empty only where nothing was called."""
    ops: tuple[OpCall, ...]
    """Operators in the order in which they ran."""
    parameters: tuple[Parameter, ...]
    """Distinct parameters in the order of `named_parameters`."""
    buffers: tuple[Buffer, ...]
    """Distinct buffers in the order of `named_buffers`."""
    storages: tuple[Storage, ...] = ()
    """Blocks of memory that the run used."""
    values: tuple[Value, ...] = ()
    """Tensors that operators of the forward pass read or made."""
    transfers: tuple[Transfer, ...] = ()
    """Copies between devices and waits."""
    failure: Failure | None = None
    """Where the run broke; None where it reached its end."""
    notes: tuple[Note, ...] = ()
    """What was assumed on the way."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Python, torch and zoo."""
    step: Step | None = None
    """The training step that was recorded; None where only the forward pass was."""
    schema: str = TRACE_SCHEMA
    """Form of this record."""

    @property
    def batch(self) -> int:
        """First dim of the first input that has one; 1 where none has."""
        return next((one.spec.shape[0] for one in self.inputs if one.spec.shape), 1)

    @property
    def outputs(self) -> tuple[TensorSpec, ...] | None:
        """The model's outputs; None where the run broke."""
        return self.calls[0].outputs if self.calls else None
