"""What another tool says of a model, and what a run shows of why it says so.

An `Engine` asks another tool. Its answer is an `Opinion`. A `Sight` is a trace with what the tools
go by and operators do not show: which function of torch's the model's code called, and of which
class a module is. An engine's rule makes of a `Sight` what the tool must say if it counts by that
rule, item by item, beside what zoo counts for the same thing.

No torch here: engines are brought by plugins, which load none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from zoo.analysis.records import ModuleCall, OpCall, TensorSpec, Trace

AGREED = "counted alike"
"""The cause of an item that makes no difference."""
UNSEEN = "not seen"
"""The cause of an item that the tool counts as 0."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a tool said."""

    macs: float | None = None
    """Its figure, where it counts multiply-accumulates."""
    flops: float | None = None
    """Its figure, where it counts FLOPs, two for each multiply-accumulate."""
    parameters: int | None = None
    """Parameters as it counts them; None where it does not."""
    printed: str = ""
    """The figure as the tool itself prints it; empty where it prints none."""
    by_module: Mapping[str, float] = field(default_factory=dict)
    """Its figure for each module with those inside, by path, in its own unit."""
    by_operator: Mapping[str, float] = field(default_factory=dict)
    """Its figure for each operator, in its own unit."""
    unsupported: tuple[str, ...] = ()
    """Operators that it names as not counted."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that ran or is held, as the tool counts it and as zoo does."""

    cause: str
    """Why the figures differ, in a few words; `AGREED` where they do not."""
    theirs: float
    """MACs, or parameters, by the tool's rule."""
    ours: int
    """The same by zoo."""
    what: str = ""
    """Operator, function, class of the module or name of the parameter."""
    where: str = ""
    """Path of the module."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a tool must say, if it counts by its rule."""

    macs: tuple[Item, ...] = ()
    """Everything that either of both counts."""
    parameters: tuple[Item, ...] = ()
    """The same for parameters; empty where the tool counts none."""


Run = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Opinion]
Rule = Callable[["Sight"], Prediction]


@dataclass(frozen=True, slots=True)
class Engine:
    """Another tool that counts."""

    name: str
    """What it is called."""
    package: str
    """What `pip` calls its distribution."""
    counts: str
    """What its figure counts, in a sentence."""
    run: Run
    """Asks it: (model, inputs, inputs by name) -> Opinion. Runs in a process of its own, with the
    model in eval mode and without gradients; what it does to the model is forgotten. Imports the
    package when it is called."""
    unit: Literal["MAC", "FLOP"] = "MAC"
    """Which of both it gives."""
    rule: Rule | None = None
    """What it must say of a run; None where that is not known: nothing is explained then."""
    needs: tuple[str, ...] = ()
    """Modules that must be importable."""


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function of torch's that the model's code called, or that such a function called."""

    index: int
    """Position in the order in which calls began."""
    name: str
    """As Python finds it: `torch.nn.functional.relu`, `torch.Tensor.__matmul__`."""
    call: int
    """Index of the innermost module call it belongs to."""
    parent: int | None
    """Index of the function call around it."""
    native: bool
    """Whether it is none of torch's Python functions: what is inside it no tool sees."""
    given: tuple[Any, ...]
    """Its arguments in order: specs of tensors, plain values as they are, else None."""
    named: Mapping[str, Any]
    """The same for those by name."""
    outputs: tuple[TensorSpec, ...]
    """Tensors among its results."""
    first_op: int
    """Index of the first operator that ran inside it."""
    after_op: int
    """Index of the first operator that ran after it."""
    parameters: tuple[TensorSpec, ...] = ()
    """Those of its arguments that are parameters of a module, in order."""


@dataclass(frozen=True, slots=True)
class ModuleFact:
    """What a module is, beside its calls."""

    path: str
    """Its first path."""
    kind: str
    """Its class with its module: `torch.nn.modules.linear.Linear`."""
    children: tuple[str, ...]
    """First paths of the modules that it holds directly, each once."""
    visits: int
    """How often `Module.apply` reaches it: more than once where several modules hold it."""
    own: Mapping[str, int]
    """Its own parameters that are there, by name: elements of each."""
    elements: int
    """Elements of the parameters that it and the modules inside it hold, each tensor once."""
    trainable: int
    """Those of them that gradients reach."""
    settings: Mapping[str, Any]
    """Its plain attributes: numbers, words and tuples of these."""
    functions: tuple[str, ...] = ()
    """Functions of torch's among its attributes, as Python finds them."""


@dataclass(frozen=True)
class Sight:
    """A run with all that tools go by."""

    trace: Trace
    """The run."""
    functions: tuple[FunctionCall, ...]
    """Functions of torch's, in the order in which they were called."""
    modules: Mapping[str, ModuleFact]
    """By first path, in the order of `named_modules`."""

    @cached_property
    def ops(self) -> tuple[OpCall, ...]:
        """Operators of the forward pass."""
        return tuple(op for op in self.trace.ops if op.phase == "forward")

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of the forward pass, as zoo counts them."""
        return sum(macs_of(op) for op in self.ops)

    @cached_property
    def _own(self) -> Mapping[int, list[OpCall]]:
        found: dict[int, list[OpCall]] = {}
        for op in self.ops:
            found.setdefault(op.call, []).append(op)
        return found

    def ops_of(self, call: ModuleCall) -> list[OpCall]:
        """Operators of a module call, without those of the calls inside it."""
        return self._own.get(call.index, [])

    def macs_of_call(self, call: ModuleCall) -> int:
        """Multiply-accumulates of a module call, without those of the calls inside it."""
        return sum(map(macs_of, self.ops_of(call)))

    def macs_inside(self, call: ModuleCall) -> int:
        """Multiply-accumulates of a module call and of those inside it."""
        return self._inside[call.index]

    @cached_property
    def _inside(self) -> Mapping[int, int]:
        found = {call.index: self.macs_of_call(call) for call in self.trace.calls}
        for call in reversed(self.trace.calls):
            if call.parent is not None:
                found[call.parent] += found[call.index]
        return found

    def fact(self, call: ModuleCall) -> ModuleFact | None:
        """What the called module is; None where the model made it in its forward pass."""
        return self.modules.get(call.module)

    @cached_property
    def outermost(self) -> tuple[FunctionCall, ...]:
        """Native functions that no other native one called, in order."""
        by_index = {one.index: one for one in self.functions}
        found = []
        for one in self.functions:
            around = one.parent
            while around is not None and not by_index[around].native:
                around = by_index[around].parent
            if one.native and around is None:
                found.append(one)
        return tuple(found)

    def macs_of_function(self, function: FunctionCall) -> int:
        """Multiply-accumulates of the operators that ran inside a function call."""
        ops = self.trace.ops[function.first_op : function.after_op]
        return sum(macs_of(op) for op in ops if op.phase == "forward")

    def path(self, call: int) -> str:
        """Path of the module of a call."""
        return self.trace.calls[call].path


def macs_of(op: OpCall) -> int:
    """Multiply-accumulates of an operator; 0 where no formula covers it."""
    return op.cost.macs if op.cost is not None else 0
