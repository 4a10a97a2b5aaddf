"""What does one operator cost?

`DEFAULT` is the table of all built-in formulas, one module for each family; `cost_of` asks a table
and checks its answer. No torch is imported here. An operator without a formula is unknown, which is
`None` and never 0; only what torch itself tags as a view or as elementwise is known without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zoo.analysis.costs import (
    attention,
    conv,
    einsum,
    embedding,
    factory,
    indexing,
    linalg,
    loss,
    matmul,
    movement,
    normalisation,
    optimizer,
    pointwise,
    pooling,
    recurrent,
    reduction,
    sampling,
    sorting,
    transform,
    views,
)
from zoo.analysis.costs.base import CostFormula, Specs, read_bytes, table, written_bytes
from zoo.analysis.records import Cost, TensorSpec  # noqa: F401 - for the doctests
from zoo.errors import FormulaError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT: Final[Mapping[str, CostFormula]] = table(
    views.FORMULAS,
    factory.FORMULAS,
    movement.FORMULAS,
    indexing.FORMULAS,
    pointwise.FORMULAS,
    reduction.FORMULAS,
    pooling.FORMULAS,
    normalisation.FORMULAS,
    loss.FORMULAS,
    sorting.FORMULAS,
    transform.FORMULAS,
    sampling.FORMULAS,
    embedding.FORMULAS,
    linalg.FORMULAS,
    matmul.FORMULAS,
    einsum.FORMULAS,
    conv.FORMULAS,
    attention.FORMULAS,
    recurrent.FORMULAS,
    optimizer.FORMULAS,
)
"""All built-in formulas. No two families name the same operator."""


def formula_of(op: str, formulas: Mapping[str, CostFormula]) -> CostFormula | None:
    """The formula of `op`, `space.name.overload`, or else of `space.name`.

    >>> formula_of("aten.mm.default", DEFAULT) is matmul.mm
    True
    """
    return formulas.get(op) or formulas.get(op.rpartition(".")[0])


def cost_of(
    op: str,
    inputs: Specs,
    outputs: Specs,
    formulas: Mapping[str, CostFormula],
    *,
    tags: frozenset[str] = frozenset(),
) -> Cost | None:
    """Cost of one call of `op`, or None where nothing is known about it.

    A formula that returns MACs alone gets its bytes filled in: all operands read, all results
    written.

    Args:
        op: Name with overload, `aten.mm.default`.
        inputs: Tensors among the arguments, in order; an `Inputs` where formulas need more.
        outputs: Tensors among the results, in order.
        formulas: Where to look, by name with overload and then without.
        tags: Names of torch's tags; `view` where the result shares its operand's memory.

    Returns:
        The cost; None where no formula is found, or the formula returns None.

    Raises:
        FormulaError: The formula raised, or returned something else than MACs or a `Cost`.

    >>> a, b, c = TensorSpec((2, 3)), TensorSpec((3, 5)), TensorSpec((2, 5))
    >>> cost_of("aten.mm.default", (a, b), (c,), DEFAULT)
    Cost(macs=30, flops=0, bytes_read=84, bytes_written=40)
    >>> cost_of("mylib.scale.default", (a,), (a,), DEFAULT) is None
    True
    """
    formula = formula_of(op, formulas)
    if formula is None:
        return _by_tag(inputs, outputs, tags)
    try:
        result: object = formula(inputs, outputs)
    except Exception as error:
        reason = f"raised {type(error).__name__}: {error}"
        raise FormulaError(op, reason) from error
    if result is None:
        return None
    if isinstance(result, Cost):
        for name in ("macs", "flops", "bytes_read", "bytes_written"):
            _check(op, getattr(result, name), f"a Cost whose {name} is ")
        return result
    macs = _check(op, result, "")
    return Cost(macs, 0, read_bytes(inputs), written_bytes(outputs))


def _by_tag(inputs: Specs, outputs: Specs, tags: frozenset[str]) -> Cost | None:
    """What torch's own tags say about an operator that has no formula."""
    if "view" in tags:
        return views.free(inputs, outputs)
    return pointwise.elementwise(inputs, outputs) if "pointwise" in tags and outputs else None


def _check(op: str, value: object, where: str) -> int:
    """`value` as a count, which it must be; one that depends on open dims is not looked into."""
    if type(value).__name__ == "SymInt":  # torch's, which is not imported here
        return value  # type: ignore[return-value]
    if isinstance(value, bool) or not isinstance(value, int):
        raise FormulaError(op, f"returned {where}{value!r}, not an int")
    if value < 0:
        raise FormulaError(op, f"returned {where}{value}, which is negative")
    return value
