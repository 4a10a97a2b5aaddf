"""How is a formula written for another counter used here?

`from_flop_counter` takes a formula of `torch.utils.flop_counter`: it is called with shapes in the place
of tensors and returns FLOPs, two for each MAC. `from_fvcore` takes a handle of fvcore: it is called with
values of a traced graph and returns a number, or a Counter of them, one for each MAC;
`pointwise_from_fvcore` takes those handles that count elementwise work and norms, which fvcore does not
tell apart. Both need the arguments of the call where the formula asks for more than tensors.

Not taken: formulas registered with `get_raw=True`, which want real tensors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.analysis.costs.base import CostFormula, Inputs, Specs
from zoo.analysis.costs.common import streamed
from zoo.analysis.records import Cost, TensorSpec


def _shapes(value: Any) -> Any:
    """`value` with each tensor's shape in its place."""
    if isinstance(value, TensorSpec):
        return value.shape
    if isinstance(value, list | tuple):
        return [_shapes(item) for item in value]
    return value


def _bind(fn: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """What of `arguments` goes to `fn` by position, and what by name; what it cannot take is left."""
    given = list(arguments.items())
    parameters = inspect.signature(fn).parameters.values()
    own = {parameter.name for parameter in parameters} | {"out_shape", "out_val"}
    by_name = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    fitting = sum(p.kind is not p.KEYWORD_ONLY and p.name != "out_shape" for p in parameters)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        fitting = len(given)
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        fitting = max(fitting - 1, 0) if fitting != len(given) else fitting
        own |= set(arguments)
    positional = [(name, value) for name, value in given if name not in by_name]
    args = [value for _, value in positional[:fitting]]
    rest = dict(positional[fitting:]) | {name: value for name, value in given if name in by_name}
    return args, {
        name: value for name, value in rest.items() if name in own - {"out_shape", "out_val"}
    }
