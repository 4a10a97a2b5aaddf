"""What rules of several tools share: arguments of a call, products of shapes, causes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from zoo.analysis.opinions import AGREED, UNSEEN, Item, macs_of
from zoo.analysis.records import TensorSpec

if TYPE_CHECKING:
    from zoo.analysis.opinions import FunctionCall, Sight
    from zoo.analysis.records import ModuleCall

NORMS = "norms"
BIASES = "biases"
ACTIVATIONS = "activations"
POOLING = "pooling"
SOFTMAX = "softmax"
ELEMENTWISE = "elementwise additions and products"
UPSAMPLING = "upsampling"
CELLS = "gates of recurrent cells"
SHARED = "shared modules, once for each place they are held in"
OWN = "a formula of its own"
TRANSPOSED = "transposed convolutions, by their output"
REPEATED = "activations and pooling, by module and again by function"
PER_SAMPLE = "divided by the batch size"

FN = "torch.nn.functional."
CONVOLUTIONS = frozenset(f"{FN}conv{dims}d" for dims in (1, 2, 3))
TRANSPOSED_CONVOLUTIONS = frozenset(f"{FN}conv_transpose{dims}d" for dims in (1, 2, 3))

Formula = Callable[["FunctionCall"], float]


def argument(function: FunctionCall, position: int, name: str, otherwise: Any = None) -> Any:
    """An argument of a function call, by position or by name."""
    if position < len(function.given):
        return function.given[position]
    return function.named.get(name, otherwise)


def tensor(function: FunctionCall, position: int, name: str = "input") -> TensorSpec:
    """A tensor among the arguments."""
    found = argument(function, position, name)
    if not isinstance(found, TensorSpec):
        raise TypeError(f"argument {position} of {function.name} is no tensor")
    return found


def item(
    what: str, theirs: float, ours: int, cause: str, where: str = "", unseen: str = UNSEEN
) -> Item:
    """What differs for `cause`, or else is not seen; `AGREED` where nothing differs."""
    if theirs == ours:
        return Item(AGREED, theirs, ours, what, where)
    return Item(unseen if not theirs else cause, theirs, ours, what, where)


def by_function(
    sight: Sight, formulas: Mapping[str, tuple[Formula, str]], seen: Iterable[FunctionCall]
) -> list[Item]:
    """What a tool that has formulas for functions counts.

    Args:
        sight: A run.
        formulas: By a function's name: its formula, and the cause where that differs from zoo's.
        seen: The function calls that the tool sees, none inside another.

    Returns:
        An item for each function call with a formula or with multiply-accumulates, and one for
        the operators that no function call has.
    """
    found = []
    counted = 0
    for function in seen:
        ours = sight.macs_of_function(function)
        counted += ours
        known = formulas.get(function.name)
        theirs = known[0](function) if known else 0
        if ours or theirs:
            cause = known[1] if known else UNSEEN
            found.append(item(function.name, theirs, ours, cause, sight.path(function.call)))
    if sight.macs - counted:
        found.append(Item(UNSEEN, 0, sight.macs - counted, "operators outside of functions"))
    return found


def unseen_operators(sight: Sight, call: ModuleCall) -> list[Item]:
    """The products of a module call that count as 0, without those of the calls inside it."""
    return [
        Item(UNSEEN, 0, macs_of(op), f"{op.op.rpartition('.')[0]} in {call.type}", call.path)
        for op in sight.ops_of(call)
        if macs_of(op)
    ]


def is_kept(sight: Sight, function: FunctionCall) -> bool:
    """Whether the module that called a function keeps it, so that a tool's own stands elsewhere.

    `nn.TransformerEncoderLayer` takes `torch.nn.functional.relu` when it is built, and calls what
    it took.
    """
    fact = sight.fact(sight.trace.calls[function.call])
    return fact is not None and function.name in fact.functions


def linear(function: FunctionCall) -> float:
    """Rows x features x features."""
    return tensor(function, 0).numel * tensor(function, 1, "weight").shape[0]


def convolution(function: FunctionCall) -> float:
    """Positions of the output x elements of the weight."""
    out, weight = function.outputs[0], tensor(function, 1, "weight")
    return out.shape[0] * prod(out.shape[2:]) * weight.numel


def transposed(function: FunctionCall) -> float:
    """Positions of the input x elements of the weight."""
    given, weight = tensor(function, 0), tensor(function, 1, "weight")
    return given.shape[0] * prod(given.shape[2:]) * weight.numel


def product(function: FunctionCall) -> float:
    """Elements of the first operand x the last dim of the second."""
    return tensor(function, 0).numel * tensor(function, 1, "other").shape[-1]


def added_product(function: FunctionCall) -> float:
    """As `product`, of the second and third operand."""
    return tensor(function, 1, "mat1").numel * tensor(function, 2, "mat2").shape[-1]


def elements(function: FunctionCall) -> float:
    """Elements of the first operand."""
    return tensor(function, 0).numel


def broadcast(function: FunctionCall) -> float:
    """Elements of the result of two operands, of which one may be a number."""
    specs = [one for one in function.given[:2] if isinstance(one, TensorSpec)]
    named = function.named.get("other")
    specs += [named] if isinstance(named, TensorSpec) else []
    if len(specs) == 2:
        return function.outputs[0].numel
    return specs[0].numel if specs else 1


def same_parameters(sight: Sight) -> tuple[Item, ...]:
    """Parameters of a tool that counts each tensor once, as zoo does."""
    return tuple(
        Item(AGREED, one.spec.numel, one.spec.numel, one.names[0], one.module)
        for one in sight.trace.parameters
    )


def trainable_parameters(sight: Sight) -> tuple[Item, ...]:
    """Parameters of a tool that counts those that gradients reach, each tensor once."""
    return tuple(
        item(
            one.names[0],
            one.spec.numel if one.trainable else 0,
            one.spec.numel,
            OWN,
            one.module,
            unseen="frozen parameters",
        )
        for one in sight.trace.parameters
    )
