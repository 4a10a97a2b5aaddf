"""calflops: counters in functions of torch, as far as a module calls them.

A call of a function in `FORMULAS` counts where it belongs to a called module that is no recurrent
layer. Operators (`@`), `bmm`, a fused attention and recurrent layers count no multiply-accumulates.
What a module counted is added once for each place that the module is held in.

Parameters are those that gradients reach.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from zoo.analysis.opinions import Engine, Item, Opinion, Prediction
from zoo.plugins.engines.counting import (
    CONVOLUTIONS,
    FN,
    OWN,
    SHARED,
    TRANSPOSED_CONVOLUTIONS,
    added_product,
    argument,
    by_function,
    is_kept,
    linear,
    product,
    tensor,
    trainable_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.analysis.opinions import FunctionCall, Sight
    from zoo.plugins.engines.counting import Formula


def run(model: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Opinion:
    """Ask it."""
    from calflops import calculate_flops

    _, macs, parameters = calculate_flops(
        model,
        args=list(inputs),
        kwargs=dict(kwargs),
        print_results=False,
        print_detailed=False,
        output_as_string=False,
    )
    return Opinion(macs=macs, parameters=parameters)


def _each(value: Any, count: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * count


def _convolution(function: FunctionCall) -> float:
    """Kernel x channels x positions of an output whose length it works out itself."""
    given, weight = tensor(function, 0).shape, tensor(function, 1, "weight").shape
    kernel, count = weight[2:], len(given) - 2
    steps = _each(argument(function, 3, "stride", otherwise=1), count)
    padding = argument(function, 4, "padding", otherwise=0)
    apart = _each(argument(function, 5, "dilation", otherwise=1), count)
    groups = argument(function, 6, "groups", otherwise=1)
    if padding == "same":
        padding = tuple(a * (k - 1) // 2 for a, k in zip(apart, kernel, strict=True))
    edges = _each(0 if padding == "valid" else padding, count)
    positions = [
        (length + 2 * edge - (a * (k - 1) + 1)) // step + 1
        for length, edge, a, k, step in zip(given[2:], edges, apart, kernel, steps, strict=True)
    ]
    return float(prod(kernel) * given[1] * (weight[0] // groups) * given[0] * prod(positions))


def _transposed(function: FunctionCall) -> float:
    """Kernel x channels x positions of the input, divided by the groups twice."""
    given, weight = tensor(function, 0).shape, tensor(function, 1, "weight").shape
    groups = argument(function, 6, "groups", otherwise=1)
    return float(prod(weight[2:]) * given[1] * (weight[1] // groups) * given[0] * prod(given[2:]))


FORMULAS: Mapping[str, tuple[Formula, str]] = {
    f"{FN}linear": (linear, OWN),
    **dict.fromkeys(CONVOLUTIONS, (_convolution, OWN)),
    **dict.fromkeys(TRANSPOSED_CONVOLUTIONS, (_transposed, OWN)),
    **dict.fromkeys(("torch.matmul", "torch.Tensor.matmul"), (product, OWN)),
    **dict.fromkeys(("torch.addmm", "torch.Tensor.addmm", "torch.baddbmm"), (added_product, OWN)),
}
"""By function."""


def rule(sight: Sight) -> Prediction:
    """Every outermost function of a module by its formula."""
    seen = [one for one in sight.outermost if not is_kept(sight, one)]
    items = by_function(sight, FORMULAS, seen)
    for function in seen:
        fact = sight.fact(sight.trace.calls[function.call])
        if function.name in FORMULAS and fact is not None and fact.visits > 1:
            more = (fact.visits - 1) * FORMULAS[function.name][0](function)
            items.append(Item(SHARED, more, 0, function.name, fact.path))
    return Prediction(tuple(items), trainable_parameters(sight))


ENGINE = Engine(
    name="calflops",
    package="calflops",
    counts="multiply-accumulates of linear layers, convolutions and matrix products that modules "
    "call as functions",
    run=run,
    rule=rule,
    needs=("calflops", "transformers"),
)
