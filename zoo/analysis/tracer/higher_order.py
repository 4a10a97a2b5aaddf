"""Operators that take functions: what they do on blank tensors.

`cond` runs the branch that its condition, or else a hint, points to. `flex_attention` is one
attention over the whole block; its functions are not run. Others are refused by name.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from zoo.analysis.tracer.blank import META

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch._ops import HigherOrderOperator

    from zoo.analysis.tracer.modes import BlankMode

RECORDED = frozenset({"flex_attention"})
"""Those that are one operator in the trace; what others run is recorded itself."""


def run(mode: BlankMode, func: HigherOrderOperator, args: Any, kwargs: Any) -> Any:
    """The result of a higher-order operator.

    Args:
        mode: The running mode.
        func: The operator.
        args: Its arguments.
        kwargs: Its arguments by name.

    Returns:
        What the operator returns; of `cond`, what the branch taken returns.

    Raises:
        NotImplementedError: It is none of those known here.
    """
    answer = _ANSWERS.get(func.name())
    if answer is None:
        known = ", ".join(_ANSWERS)
        raise NotImplementedError(
            f"zoo cannot run the higher-order operator {func.name()} ({known} it can)"
        )
    return answer(mode, *args, **kwargs)


def _cond(mode: BlankMode, condition: Any, yes: Any, no: Any, operands: Any = ()) -> Any:
    if isinstance(condition, torch.Tensor):
        known = not mode.is_blank(condition)
        value = mode.stand_in(condition).item()
        condition = value if known else mode.hints.value("cond", value)
    with mode:
        return (yes if condition else no)(*operands)


def _flex_attention(_: BlankMode, query: Any, key: Any, value: Any, *__: Any, **___: Any) -> Any:
    rows = query.shape[:-1]
    out = torch.empty((*rows, value.shape[-1]), dtype=query.dtype, device=META)
    lse, top = (torch.empty(rows, dtype=torch.float32, device=META) for _ in range(2))
    return out, lse, top


_ANSWERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"cond": _cond, "flex_attention": _flex_attention}
)
