"""thop: hooks on modules of the classes that it knows, and of no subclass of these.

A convolution counts elements of the output x channels of a group x kernel, with the output for a
transposed one too; a linear layer elements of the output x features; a norm two operations an
element, four with weights; softmax, average pooling and upsampling their operations; recurrent
layers their products with gates and biases. Everything else is 0: functions, attention, weights
that a module uses itself. Hooks are put on a module once for each place it is held in, and its
count is added once for each: a module held twice counts four times.

Parameters are those of known modules that were called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from zoo.analysis.opinions import Engine, Item, Opinion, Prediction
from zoo.plugins.engines.counting import (
    ACTIVATIONS,
    CELLS,
    NORMS,
    OWN,
    POOLING,
    SHARED,
    SOFTMAX,
    TRANSPOSED,
    UPSAMPLING,
    item,
    unseen_operators,
)

if TYPE_CHECKING:
    from zoo.analysis.opinions import ModuleFact, Sight
    from zoo.analysis.records import ModuleCall

Formula = Callable[["ModuleCall", "ModuleFact"], float]


def run(model: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Opinion:
    """Ask it. It takes no inputs by name: those are put in their places."""
    from thop import profile

    from zoo.plugins.engines.places import in_places

    macs, parameters = profile(model, inputs=in_places(model, inputs, kwargs), verbose=False)
    return Opinion(macs=float(macs), parameters=int(parameters))


def _given(call: ModuleCall) -> tuple[int, ...]:
    return call.inputs[0].shape


def _out(call: ModuleCall) -> tuple[int, ...]:
    return call.outputs[0].shape if call.outputs else ()


def _convolution(call: ModuleCall, fact: ModuleFact) -> float:
    groups, kernel = fact.settings["groups"], fact.settings["kernel_size"]
    return float(prod(_out(call)) * (_given(call)[1] // groups) * prod(kernel))


def _linear(call: ModuleCall, fact: ModuleFact) -> float:
    return int(fact.settings["in_features"] * prod(_out(call)))


def _norm(call: ModuleCall, fact: ModuleFact) -> float:
    affine = fact.settings.get("affine") or fact.settings.get("elementwise_affine")
    return prod(_given(call)) * (4 if affine else 2)


def _softmax(call: ModuleCall, fact: ModuleFact) -> float:
    shape = _given(call)
    long = shape[fact.settings["dim"]]
    return float(prod(shape) // long * (3 * long - 1))


def _prelu(call: ModuleCall, fact: ModuleFact) -> float:  # noqa: ARG001 - a formula's arguments
    return prod(_given(call)) if not call.training else 0


def _average(call: ModuleCall, fact: ModuleFact) -> float:  # noqa: ARG001
    return prod(_out(call))


def _adaptive(call: ModuleCall, fact: ModuleFact) -> float:  # noqa: ARG001
    given, out = _given(call), _out(call)
    kernel = prod(a / b for a, b in zip(given[2:], out[2:], strict=True))
    return int((kernel + 1) * prod(out))


_PER_PIXEL = {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 259}


def _upsample(call: ModuleCall, fact: ModuleFact) -> float:
    return _PER_PIXEL.get(fact.settings["mode"], 0) * prod(_out(call))


def _nothing(call: ModuleCall, fact: ModuleFact) -> float:  # noqa: ARG001
    return 0


def _rnn_cell(width: int, hidden: int, bias: int) -> int:
    return hidden * (width + hidden) + hidden + 2 * hidden * bias


def _gru_cell(width: int, hidden: int, bias: int) -> int:
    return 3 * _rnn_cell(width, hidden, bias) + 4 * hidden


def _lstm_cell(width: int, hidden: int, bias: int) -> int:
    return 4 * _rnn_cell(width, hidden, bias) + 4 * hidden


_Cell = Callable[[int, int, int], int]


def _cell(cell: _Cell) -> Formula:
    def formula(call: ModuleCall, fact: ModuleFact) -> float:
        has = fact.settings
        return cell(has["input_size"], has["hidden_size"], int(has["bias"])) * _given(call)[0]

    return formula


def _layers(cell: _Cell) -> Formula:
    def formula(call: ModuleCall, fact: ModuleFact) -> float:
        has = fact.settings
        ways = 2 if has["bidirectional"] else 1
        hidden, bias = has["hidden_size"], int(has["bias"])
        first = cell(has["input_size"], hidden, bias)
        more = cell(hidden * ways, hidden, bias) * (has["num_layers"] - 1)
        return float((first + more) * ways * prod(_given(call)[:2]))

    return formula


NN = "torch.nn.modules."


def _named(module: str, names: str, formula: Formula, cause: str) -> dict[str, tuple[Formula, str]]:
    return {f"{NN}{module}.{name}": (formula, cause) for name in names.split()}


FORMULAS: Mapping[str, tuple[Formula, str]] = {
    **_named("conv", "Conv1d Conv2d Conv3d", _convolution, OWN),
    **_named("conv", "ConvTranspose1d ConvTranspose2d ConvTranspose3d", _convolution, TRANSPOSED),
    **_named("batchnorm", "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm", _norm, NORMS),
    **_named("normalization", "LayerNorm", _norm, NORMS),
    **_named("instancenorm", "InstanceNorm1d InstanceNorm2d InstanceNorm3d", _norm, NORMS),
    **_named("activation", "PReLU", _prelu, ACTIVATIONS),
    **_named("activation", "Softmax", _softmax, SOFTMAX),
    **_named("activation", "ReLU ReLU6 LeakyReLU", _nothing, ACTIVATIONS),
    **_named("pooling", "AvgPool1d AvgPool2d AvgPool3d", _average, POOLING),
    **_named(
        "pooling", "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d", _adaptive, POOLING
    ),
    **_named(
        "pooling",
        "MaxPool1d MaxPool2d MaxPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d",
        _nothing,
        POOLING,
    ),
    **_named("linear", "Linear", _linear, OWN),
    **_named("dropout", "Dropout", _nothing, OWN),
    **_named("padding", "ZeroPad2d", _nothing, OWN),
    **_named("pixelshuffle", "PixelShuffle", _nothing, OWN),
    **_named("container", "Sequential", _nothing, OWN),
    **_named(
        "upsampling", "Upsample UpsamplingBilinear2d UpsamplingNearest2d", _upsample, UPSAMPLING
    ),
    **_named("rnn", "RNNCell", _cell(_rnn_cell), CELLS),
    **_named("rnn", "GRUCell", _cell(_gru_cell), CELLS),
    **_named("rnn", "LSTMCell", _cell(_lstm_cell), CELLS),
    **_named("rnn", "RNN", _layers(_rnn_cell), CELLS),
    **_named("rnn", "GRU", _layers(_gru_cell), CELLS),
    **_named("rnn", "LSTM", _layers(_lstm_cell), CELLS),
}
"""By class: thop's formula, and what it counts that zoo does not."""


def rule(sight: Sight) -> Prediction:
    """Every call of a known module by its formula."""
    items: list[Item] = []
    for call in sight.trace.calls:
        fact = sight.fact(call)
        ours = sight.macs_of_call(call)
        known = FORMULAS.get(fact.kind) if fact is not None else None
        if known is None or fact is None:
            items += unseen_operators(sight, call)
            continue
        formula, cause = known
        theirs = formula(call, fact)
        if theirs or ours:
            items.append(item(call.type, theirs, ours, cause, call.path))
        more = theirs * (fact.visits**2 - 1)
        if more:
            items.append(Item(SHARED, more, 0, call.type, call.path))
    return Prediction(tuple(items), tuple(_parameters(sight)))


def _parameters(sight: Sight) -> list[Item]:
    called = {call.module for call in sight.trace.calls}
    times: dict[str, int] = {}
    for fact in sight.modules.values():
        for name in fact.own:
            path = f"{fact.path}.{name}" if fact.path else name
            counted = fact.kind in FORMULAS and fact.path in called and fact.path != ""
            times[path] = fact.visits if counted else 0
    found = []
    for one in sight.trace.parameters:
        ours = one.spec.numel
        theirs = sum(ours * times.get(name, 0) for name in one.names)
        cause = "tied parameters, in each module" if theirs > ours else OWN
        found.append(
            item(one.names[0], theirs, ours, cause, one.module, "of modules it does not know")
        )
    return found


ENGINE = Engine(
    name="thop",
    package="thop",
    counts="multiply-accumulates of convolutions and linear layers, and operations of norms, "
    "average pooling and recurrent layers, where these are modules of torch.nn",
    run=run,
    rule=rule,
    needs=("thop",),
)
