"""ptflops: hooks on modules of the classes that it knows, and counters in functions of torch.

A module of a known class counts by its class's formula, biases and operations of norms, activations
and pooling included, and what is inside it does not. Beside that, some functions count
(`FUNCTIONS`), also where a module that counted already calls them: a `nn.ReLU` counts twice. What
the modules count is divided by the length of the first input's first dim, what the functions count
is not. Operators (`@`, `+`) are not seen, nor is a fused attention.

Parameters are those that gradients reach.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from math import prod
from typing import TYPE_CHECKING, Any

from zoo.analysis.opinions import UNSEEN, Engine, Item, Opinion, Prediction
from zoo.plugins.engines.counting import (
    ACTIVATIONS,
    BIASES,
    CELLS,
    ELEMENTWISE,
    FN,
    NORMS,
    OWN,
    PER_SAMPLE,
    POOLING,
    REPEATED,
    SHARED,
    SOFTMAX,
    UPSAMPLING,
    added_product,
    argument,
    broadcast,
    elements,
    is_kept,
    item,
    product,
    tensor,
    trainable_parameters,
)

if TYPE_CHECKING:
    from zoo.analysis.opinions import FunctionCall, ModuleFact, Sight
    from zoo.analysis.records import ModuleCall

Parts = Mapping[str, float]
"""What a formula counts, by cause; `OWN` for the multiply-accumulates."""
Formula = Callable[["ModuleCall", "ModuleFact"], Parts]


def run(model: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Opinion:
    """Ask it. It prints what breaks and answers None."""
    from ptflops import get_model_complexity_info

    from zoo.plugins.engines.places import by_name

    alone = len(inputs) == 1 and not kwargs
    given = inputs[0] if alone and not isinstance(inputs[0], dict) else None
    if given is None:
        given = by_name(model, inputs, kwargs)
    said = io.StringIO()
    with redirect_stdout(said):
        macs, parameters = get_model_complexity_info(
            model,
            (1,),
            as_strings=False,
            print_per_layer_stat=False,
            input_constructor=lambda _: given,
        )
    if macs is None:
        raise RuntimeError((said.getvalue().strip().splitlines() or ["it gave None"])[-1])
    return Opinion(macs=macs, parameters=parameters)


def _given(call: ModuleCall) -> tuple[int, ...]:
    return call.inputs[0].shape


def _out(call: ModuleCall) -> tuple[int, ...]:
    return call.outputs[0].shape if call.outputs else ()


def _convolution(call: ModuleCall, fact: ModuleFact) -> Parts:
    out, has = _out(call), fact.settings
    transposes = "Transpose" in fact.kind
    positions = prod((_given(call) if transposes else out)[2:])
    each = prod(has["kernel_size"]) * has["in_channels"] * (has["out_channels"] // has["groups"])
    biases = prod(out) if "bias" in fact.own else 0
    return {OWN: _given(call)[0] * positions * each, BIASES: biases}


def _linear(call: ModuleCall, fact: ModuleFact) -> Parts:
    given, out = _given(call), _out(call)
    rows = prod(given[:-1])
    return {OWN: rows * given[-1] * out[-1], BIASES: rows * out[-1] * ("bias" in fact.own)}


def _activation(call: ModuleCall, fact: ModuleFact) -> Parts:  # noqa: ARG001 - a formula's arguments
    return {ACTIVATIONS: prod(_out(call))}


def _pool(call: ModuleCall, fact: ModuleFact) -> Parts:  # noqa: ARG001
    return {POOLING: prod(_given(call))}


def _norm(call: ModuleCall, fact: ModuleFact) -> Parts:
    return {NORMS: prod(_given(call)) * (2 if fact.settings.get("affine") else 1)}


def _upsample(call: ModuleCall, fact: ModuleFact) -> Parts:  # noqa: ARG001
    """Of the first element of the batch."""
    return {UPSAMPLING: prod(_out(call)[1:])}


_GATES = {"RNN": 1, "GRU": 7, "LSTM": 10}
"""Operations that a cell's step has beside its products, for each element of its state."""


def _recurrent(call: ModuleCall, fact: ModuleFact) -> Parts:
    """Layers with the weights of the forward direction, doubled where there are two."""
    has, cell = fact.settings, fact.kind.endswith("Cell")
    own = {name: count for name, count in fact.own.items() if not name.endswith("_reverse")}
    layers = 1 if cell else has["num_layers"]
    steps = _given(call)[0] * (1 if cell else _given(call)[1])
    steps *= 2 if has.get("bidirectional") else 1
    kind = fact.kind.rpartition(".")[2].removesuffix("Cell")
    products = sum(n for name, n in own.items() if name.startswith(("weight_ih", "weight_hh")))
    biases = sum(n for name, n in own.items() if "bias" in name)
    gates = _GATES[kind] * has["hidden_size"] * layers
    return {OWN: products * steps, BIASES: biases * steps, CELLS: gates * steps}


def _attention(call: ModuleCall, fact: ModuleFact) -> Parts:
    """Of `nn.MultiheadAttention`: projections, both products, and what is done beside these."""
    has = fact.settings
    shapes = [one.shape for one in call.inputs[:3]]
    length, batch = (1, 0) if has.get("batch_first") else (0, 1)
    (qlen, qdim), (klen, kdim), (vlen, vdim) = ((one[length], one[2]) for one in shapes)
    heads = has["num_heads"]
    each = qlen * klen * (qdim // heads) + qlen * klen * (vdim // heads)
    products = qlen * qdim**2 + klen * kdim**2 + vlen * vdim**2 + heads * each + qlen * vdim**2
    biases = (qlen + klen + vlen) * qdim if "in_proj_bias" in fact.own else 0
    count = shapes[0][batch]
    return {
        OWN: products * count,
        BIASES: (biases + qlen * vdim) * count,
        SOFTMAX: heads * qlen * klen * count,
        ELEMENTWISE: qlen * qdim * count,
    }


def _timm_attention(call: ModuleCall, fact: ModuleFact) -> Parts:
    """Both products; the projections, which are modules inside, are left out."""
    batch, length, _ = _given(call)
    heads, width = fact.settings["num_heads"], fact.settings["head_dim"]
    return {
        OWN: 2 * batch * heads * length * length * width,
        SOFTMAX: batch * heads * length * length,
        ELEMENTWISE: batch * length * heads * width,
    }


def _named(module: str, names: str, formula: Formula) -> dict[str, Formula]:
    return {f"torch.nn.modules.{module}.{name}": formula for name in names.split()}


def _dims(stem: str) -> str:
    return " ".join(f"{stem}{dims}d" for dims in (1, 2, 3))


FORMULAS: Mapping[str, Formula] = {
    **_named("conv", f"{_dims('Conv')} {_dims('ConvTranspose')}", _convolution),
    **_named("activation", "ReLU PReLU ELU LeakyReLU ReLU6 GELU", _activation),
    **_named("pooling", f"{_dims('MaxPool')} {_dims('AvgPool')}", _pool),
    **_named("pooling", f"{_dims('AdaptiveMaxPool')} {_dims('AdaptiveAvgPool')}", _pool),
    **_named("batchnorm", _dims("BatchNorm"), _norm),
    **_named("instancenorm", _dims("InstanceNorm"), _norm),
    **_named("normalization", "GroupNorm LayerNorm", _norm),
    **_named("linear", "Linear", _linear),
    **_named("upsampling", "Upsample", _upsample),
    **_named("rnn", "RNN GRU LSTM RNNCell GRUCell LSTMCell", _recurrent),
    **_named("activation", "MultiheadAttention", _attention),
    "timm.models.vision_transformer.Attention": _timm_attention,
    "timm.layers.attention.Attention": _timm_attention,
}
"""By class of the module."""


def _interpolated(function: FunctionCall) -> float:
    """Elements of the result, by the size or the scale that was asked for."""
    given = tensor(function, 0)
    size, dims = argument(function, 1, "size"), len(given.shape) - 2
    if size is not None:
        wanted = prod(size) if isinstance(size, tuple) else int(size) ** dims
        return wanted * prod(given.shape[:2])
    scale = argument(function, 2, "scale_factor")
    return given.numel * (prod(scale) if isinstance(scale, tuple) else scale**dims)


def _with_addend(function: FunctionCall) -> float:
    return added_product(function) + tensor(function, 0).numel


_ACTIVATED = "relu prelu elu relu6 gelu silu"
_POOLED = " ".join(
    _dims_of.format(dims)
    for _dims_of in ("avg_pool{}d", "max_pool{}d", "adaptive_avg_pool{}d", "adaptive_max_pool{}d")
    for dims in (1, 2, 3)
)
FUNCTIONS: Mapping[str, tuple[Callable[[FunctionCall], float], str]] = {
    **{f"{FN}{name}": (elements, ACTIVATIONS) for name in _ACTIVATED.split()},
    **{f"{FN}{name}": (elements, POOLING) for name in _POOLED.split()},
    **{f"{FN}{name}_with_indices": (elements, POOLING) for name in _POOLED.split()},
    f"{FN}softmax": (elements, SOFTMAX),
    f"{FN}upsample": (_interpolated, UPSAMPLING),
    f"{FN}interpolate": (_interpolated, UPSAMPLING),
    **{
        f"{owner}{name}": (product, OWN)
        for owner in ("torch.", "torch.Tensor.")
        for name in ("matmul", "mm", "bmm")
    },
    **dict.fromkeys(("torch.addmm", "torch.Tensor.addmm", "torch.baddbmm"), (_with_addend, BIASES)),
    **{
        f"{owner}{name}": (broadcast, ELEMENTWISE)
        for owner in ("torch.", "torch.Tensor.")
        for name in ("mul", "add")
    },
}
"""By function: its formula, and what it counts that zoo does not."""


def rule(sight: Sight) -> Prediction:
    """Modules that are reached through modules of no known class, and functions."""
    places = _places(sight)
    inside = _inside_known(sight, places)
    items: list[Item] = []
    modules = 0.0
    for call in sight.trace.calls:
        fact = sight.fact(call)
        formula = FORMULAS.get(fact.kind) if fact is not None else None
        if formula is None or fact is None or not places.get(fact.path):
            continue
        times = places[fact.path]
        parts = formula(call, fact)
        ours = 0 if call.parent in inside else sight.macs_inside(call)
        items += _split(call, parts, ours)
        modules += times * sum(parts.values())
        if times > 1:
            more = (times - 1) * sum(parts.values())
            items.append(Item(SHARED, more, 0, call.type, call.path))
    items += _functions(sight, inside)
    items += _unseen(sight, inside)
    length = _batch(sight)
    if length != 1 and modules:
        items.append(Item(PER_SAMPLE, modules / length - modules, 0, f"a batch of {length}"))
    return Prediction(tuple(items), trainable_parameters(sight))


def _places(sight: Sight) -> Mapping[str, int]:
    """How often the sum over the tree of modules comes by each of them."""
    found = dict.fromkeys(sight.modules, 0)

    def visit(path: str) -> None:
        found[path] += 1
        fact = sight.modules[path]
        if fact.kind not in FORMULAS:
            for child in fact.children:
                visit(child)

    visit("")
    return found


def _inside_known(sight: Sight, places: Mapping[str, int]) -> set[int]:
    """Module calls that count by a formula, and those inside them."""
    found: set[int] = set()
    for call in sight.trace.calls:
        fact = sight.fact(call)
        known = fact is not None and fact.kind in FORMULAS and places.get(fact.path)
        if known or call.parent in found:
            found.add(call.index)
    return found


def _split(call: ModuleCall, parts: Parts, ours: int) -> list[Item]:
    found = [item(call.type, parts.get(OWN, 0), ours, OWN, call.path)] if OWN in parts else []
    if OWN not in parts and ours:
        found.append(Item(UNSEEN, 0, ours, call.type, call.path))
    return found + [
        Item(cause, count, 0, call.type, call.path)
        for cause, count in parts.items()
        if cause != OWN and count
    ]


def _functions(sight: Sight, inside: set[int]) -> list[Item]:
    """Functions that count; in a module that counts by a formula they count again."""
    found = []
    for function in sight.functions:
        known = FUNCTIONS.get(function.name)
        if known is None or _is_twin(sight, function) or is_kept(sight, function):
            continue
        formula, cause = known
        theirs = formula(function)
        path, again = sight.path(function.call), function.call in inside
        ours = 0 if again else sight.macs_of_function(function)
        if ours and cause == BIASES:
            extra = tensor(function, 0).numel
            found.append(Item(BIASES, extra, 0, function.name, path))
            theirs -= extra
        if again and cause in (ACTIVATIONS, POOLING):
            cause = REPEATED
        found.append(item(function.name, theirs, ours, cause, path))
    return found


def _is_twin(sight: Sight, function: FunctionCall) -> bool:
    """Whether it is a Python function that came to the watch a second time."""
    around = sight.functions[function.parent] if function.parent is not None else None
    return around is not None and (around.native or around.name == function.name)


def _unseen(sight: Sight, inside: set[int]) -> list[Item]:
    """Operators that neither a module nor a function counts."""
    seen: set[int] = set()
    for function in sight.functions:
        if function.name in FUNCTIONS and not is_kept(sight, function):
            seen.update(range(function.first_op, function.after_op))
    return [
        Item(UNSEEN, 0, op.cost.macs, op.op.rpartition(".")[0], sight.path(op.call))
        for op in sight.ops
        if op.cost is not None and op.cost.macs and op.call not in inside and op.index not in seen
    ]


def _batch(sight: Sight) -> int:
    """The length by which it divides: that of the input, where one is given in its place."""
    names = [one.name for one in sight.trace.inputs]
    stems = {name.partition(".")[0].partition("[")[0] for name in names}
    if len(stems) != 1 or any("." in name.partition("[")[0] for name in names):
        return 1  # all are given by name
    if "[" in names[0]:
        return len({name.partition("[")[2].partition("]")[0] for name in names})
    return (sight.trace.inputs[0].spec.shape or (1,))[0]


ENGINE = Engine(
    name="ptflops",
    package="ptflops",
    counts="operations of convolutions, linear and recurrent layers, attention modules, norms, "
    "activations and pooling, biases included, for one element of the batch",
    run=run,
    rule=rule,
    needs=("ptflops",),
)
