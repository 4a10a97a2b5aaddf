"""torchlens: formulas for the functions of torch that a model calls.

Its figure is the multiply-accumulates apart from other operations. A linear layer or a convolution
counts where its weight is a parameter of a module as it is: one that is computed from parameters
(weight norm) or is a part of one counts as unknown, as do recurrent layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.analysis.opinions import Engine, Opinion, Prediction
from zoo.plugins.engines.counting import (
    CONVOLUTIONS,
    FN,
    OWN,
    TRANSPOSED_CONVOLUTIONS,
    by_function,
    same_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.analysis.opinions import FunctionCall, Sight
    from zoo.plugins.engines.counting import Formula

WEIGHTED = frozenset({f"{FN}linear", *CONVOLUTIONS, *TRANSPOSED_CONVOLUTIONS})
"""Functions whose weight must be a parameter."""
PRODUCTS = frozenset(
    f"{owner}{name}"
    for owner in ("torch.", "torch.Tensor.")
    for name in ("matmul", "__matmul__", "mm", "bmm", "addmm", "baddbmm", "addbmm")
) | {f"{FN}scaled_dot_product_attention"}
"""Functions that it counts as zoo does."""


def run(model: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Opinion:
    """Ask it."""
    from torchlens.report import flops_report

    found = flops_report(model, list(inputs), dict(kwargs), breakdown_top_k=0)
    return Opinion(
        macs=found.true_macs,
        parameters=found.params_unique,
        unsupported=tuple(found.unknown_op_names),
    )


def rule(sight: Sight) -> Prediction:
    """Every outermost function that it knows, as zoo counts it."""

    def same(function: FunctionCall) -> float:
        return sight.macs_of_function(function)

    def einsum(function: FunctionCall) -> float:
        """Of two operands, with no letter twice in one of them and no dots."""
        equation, *operands = function.given
        nested = operands[0] if operands and isinstance(operands[0], tuple) else operands
        terms = equation.replace(" ", "").partition("->")[0].split(",")
        known = len(nested) == 2 and all(
            one.isalpha() and len(set(one)) == len(one) for one in terms
        )
        return same(function) if known else 0

    def weighted(function: FunctionCall) -> float:
        dims = len(function.parameters[0].shape) if function.parameters else 0
        return same(function) if dims >= (2 if function.name == f"{FN}linear" else 3) else 0

    formulas: dict[str, tuple[Formula, str]] = dict.fromkeys(PRODUCTS, (same, OWN))
    formulas["torch.einsum"] = (einsum, OWN)
    formulas.update(dict.fromkeys(WEIGHTED, (weighted, OWN)))
    return Prediction(tuple(by_function(sight, formulas, sight.outermost)), same_parameters(sight))


ENGINE = Engine(
    name="torchlens",
    package="torchlens",
    counts="multiply-accumulates of matrix products, convolutions and attentions",
    run=run,
    rule=rule,
    needs=("torchlens",),
)
