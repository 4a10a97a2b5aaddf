"""fvcore: formulas for the functions that torch's jit tracer writes down.

The tracer sees the outermost native function: `linear`, `matmul`, `layer_norm`, and not what these
run. fvcore has formulas for those in `FORMULAS`, in which one FLOP is a multiply-accumulate, or an
operation of a norm, of an adaptive pooling or of an upsampling. Others count as 0: a fused
attention, recurrent layers, `baddbmm`.
"""

from __future__ import annotations

from math import floor, prod
from typing import TYPE_CHECKING, Any

from zoo.analysis.opinions import Engine, Opinion, Prediction
from zoo.analysis.records import TensorSpec
from zoo.plugins.engines.counting import (
    CONVOLUTIONS,
    FN,
    NORMS,
    OWN,
    POOLING,
    TRANSPOSED_CONVOLUTIONS,
    UPSAMPLING,
    added_product,
    argument,
    by_function,
    convolution,
    elements,
    linear,
    product,
    same_parameters,
    tensor,
    transposed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.analysis.opinions import FunctionCall, Sight
    from zoo.plugins.engines.counting import Formula


def run(model: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Opinion:
    """Ask it. The tracer takes tensors alone and wants tensors back: nests are opened around it."""
    from fvcore.nn import FlopCountAnalysis, parameter_count

    from zoo.plugins.engines.flat import flat

    wrapped, tensors = flat(model, inputs, kwargs)
    found = FlopCountAnalysis(wrapped, tensors)
    found.unsupported_ops_warnings(enabled=False).uncalled_modules_warnings(enabled=False)
    found.tracer_warnings("none")
    return Opinion(
        macs=float(found.total()),
        parameters=int(parameter_count(model)[""]),
        by_module={
            name.removeprefix("model").removeprefix("."): float(count)
            for name, count in found.by_module().items()
            if name
        },
        by_operator={name: float(count) for name, count in found.by_operator().items()},
        unsupported=tuple(found.unsupported_ops()),
    )


def _norm(position: int, name: str) -> Formula:
    """Five operations an element, four without a weight."""

    def formula(function: FunctionCall) -> float:
        affine = isinstance(argument(function, position, name), TensorSpec)
        return tensor(function, 0).numel * (5 if affine else 4)

    return formula


def _batch_norm(function: FunctionCall) -> float:
    """Two operations an element, one without a weight; while it trains as other norms."""
    if argument(function, 5, "training", otherwise=False):
        return _norm(1, "weight")(function)
    affine = isinstance(argument(function, 1, "weight"), TensorSpec)
    return tensor(function, 0).numel * (2 if affine else 1)


def _convolution(function: FunctionCall) -> float:
    """With a padding in words the tracer sees another operator, for which there is no formula."""
    words = isinstance(argument(function, 4, "padding"), str)
    return 0 if words else convolution(function)


def _outputs(times: int) -> Formula:
    return lambda function: times * function.outputs[0].numel


def _einsum(sight: Sight, function: FunctionCall) -> float:
    """Half of what `numpy.einsum_path` prints, which has four digits.

    Of the two equations that fvcore knows, the products themselves; of three and more operands as
    zoo counts it.
    """
    equation, specs = _equation(function)
    letters = {letter: chr(97 + n) for n, letter in enumerate(dict.fromkeys(_letters(equation)))}
    plain = "".join(letters.get(sign, sign) for sign in equation)
    if len(specs) != 2 or "." in equation:
        return sight.macs_of_function(function)
    terms, _, out = plain.partition("->")
    lengths = {
        letter: length
        for term, spec in zip(terms.split(","), specs, strict=True)
        for letter, length in zip(term, spec.shape, strict=True)
    }
    size = prod(lengths.values())
    if plain in ("abc,abd->acd", "abc,adc->adb"):
        return size
    summed = set(lengths) - set(out)
    return floor(float(f"{size * (2 if summed else 1):.3e}") / 2)


def _letters(equation: str) -> list[str]:
    return [sign for sign in equation if sign.isalpha()]


def _equation(function: FunctionCall) -> tuple[str, list[TensorSpec]]:
    """The equation without spaces, with its arrow, and the operands."""
    equation, *operands = function.given
    nested = operands[0] if operands and isinstance(operands[0], tuple) else operands
    plain = equation.replace(" ", "")
    if "->" not in plain:
        letters = _letters(plain)
        plain += "->" + "".join(sorted(one for one in letters if letters.count(one) == 1))
    return plain, [one for one in nested if isinstance(one, TensorSpec)]


FORMULAS: Mapping[str, tuple[Formula, str]] = {
    f"{FN}linear": (linear, OWN),
    **dict.fromkeys(CONVOLUTIONS, (_convolution, OWN)),
    **dict.fromkeys(TRANSPOSED_CONVOLUTIONS, (transposed, OWN)),
    **dict.fromkeys(
        ("torch.matmul", "torch.Tensor.matmul", "torch.Tensor.__matmul__"), (product, OWN)
    ),
    **dict.fromkeys(
        ("torch.mm", "torch.Tensor.mm", "torch.bmm", "torch.Tensor.bmm"), (product, OWN)
    ),
    **dict.fromkeys(("torch.addmm", "torch.Tensor.addmm"), (added_product, OWN)),
    "torch.batch_norm": (_batch_norm, NORMS),
    "torch.layer_norm": (_norm(2, "weight"), NORMS),
    "torch.group_norm": (_norm(2, "weight"), NORMS),
    "torch.instance_norm": (_norm(1, "weight"), NORMS),
    "torch._C._nn.adaptive_avg_pool2d": (elements, POOLING),
    "torch._C._nn.upsample_nearest2d": (_outputs(1), UPSAMPLING),
    "torch._C._nn.upsample_bilinear2d": (_outputs(4), UPSAMPLING),
    "torch.grid_sampler": (_outputs(4), UPSAMPLING),
}
"""By function: fvcore's formula, and what it counts that zoo does not."""
CELLS = ("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
"""Functions that the tracer looks into: the linear layers inside count."""


def rule(sight: Sight) -> Prediction:
    """Every outermost native function by its formula."""
    formulas = dict(FORMULAS)
    formulas["torch.einsum"] = (lambda one: _einsum(sight, one), "einsum, rounded to four digits")
    for cell in CELLS:
        formulas[f"torch.{cell}"] = (lambda one: float(sight.macs_of_function(one)), OWN)
    return Prediction(tuple(by_function(sight, formulas, sight.outermost)), same_parameters(sight))


ENGINE = Engine(
    name="fvcore",
    package="fvcore",
    counts="multiply-accumulates of matrix products and convolutions, and operations of norms, "
    "adaptive pooling and upsampling; it calls them FLOPs",
    run=run,
    rule=rule,
    needs=("fvcore.nn",),
)
