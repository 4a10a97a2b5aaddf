"""What does an optimizer's step cost, where one kernel makes it?

A fused step counts the elementwise operators that it replaces, those of the same optimizer's plain
loop (torch/optim), for each element of the parameters:

- SGD: the update 1, momentum 2 (the first step, which copies, none), Nesterov 1
- Adam, AdamW: two running means 3, the root and its corrections 3, the update 1; `amsgrad` 1
- Adagrad: the running sum 1, root and epsilon 2, the update 1
- all: weight decay 1, `maximize` 1, unscaling the gradients 1

(Kingma & Ba, arXiv:1412.6980; Loshchilov & Hutter, arXiv:1711.05101; Duchi et al. 2011; Sutskever
et al. 2013.) What is done once for each tensor, such as counting steps, is left out. Parameters,
gradients and states are read, parameters and states written; gradients too, where they are
unscaled. In place there is no result.

The list forms (`_foreach_*`) of which other optimizers are made are in `pointwise`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.analysis.costs.base import Inputs, Specs, argument, read_bytes, table, written_bytes
from zoo.analysis.costs.common import elements, streamed, with_in_place
from zoo.analysis.records import Cost, TensorSpec  # noqa: F401 - TensorSpec is for the doctests

if TYPE_CHECKING:
    from collections.abc import Iterable


def sgd(inputs: Specs, outputs: Specs) -> Cost | None:
    """1 to 5 FLOPs for each element; buffers are there only with momentum.

    >>> p = TensorSpec((4,))
    >>> call = {"self": [p], "grads": [p], "momentum_buffer_list": [p], "momentum": 0.9}
    >>> sgd(Inputs((p, p, p), call), ())
    Cost(macs=0, flops=12, bytes_read=48, bytes_written=32)
    """
    flops = 1
    if argument(inputs, "momentum", 0.0):
        flops += 0 if argument(inputs, "is_first_step", default=False) else 2
        flops += bool(argument(inputs, "nesterov", default=False))
    return _step(inputs, outputs, flops, ("momentum_buffer_list",))


def adam(inputs: Specs, outputs: Specs) -> Cost | None:
    """7 to 11 FLOPs for each element.

    >>> p = TensorSpec((4,))
    >>> call = {"self": [p], "grads": [p], "exp_avgs": [p], "exp_avg_sqs": [p]}
    >>> adam(Inputs((p, p, p, p), call), ())
    Cost(macs=0, flops=28, bytes_read=64, bytes_written=48)
    """
    flops = 7 + bool(argument(inputs, "amsgrad", default=False))
    return _step(inputs, outputs, flops, ("exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs"))


def adagrad(inputs: Specs, outputs: Specs) -> Cost | None:
    """4 to 7 FLOPs for each element.

    >>> p = TensorSpec((4,))
    >>> adagrad(Inputs((p, p, p), {"self": [p], "grads": [p], "state_sums": [p]}), ())
    Cost(macs=0, flops=16, bytes_read=48, bytes_written=32)
    """
    return _step(inputs, outputs, 4, ("state_sums",))


def _step(inputs: Specs, outputs: Specs, flops: int, states: Iterable[str]) -> Cost | None:
    """`flops` for each element of the parameters, and what any optimizer may be asked besides.

    None for specs without names, which do not tell parameters from states.
    """
    if not isinstance(inputs, Inputs):
        return None
    flops += bool(argument(inputs, "weight_decay", 0.0))
    flops += bool(argument(inputs, "maximize", default=False))
    unscaled = argument(inputs, "grad_scale") is not None
    names = ("self", *states, *(["grads"] if unscaled else []))
    changed = outputs or [spec for name in names for spec in argument(inputs, name, ())]
    work = (flops + unscaled) * elements(argument(inputs, "self", ()))
    return Cost(0, work, read_bytes(inputs), written_bytes(changed))


def unscale(inputs: Specs, outputs: Specs) -> Cost:
    """Gradients, a flag and a factor: each element is tested and multiplied, two FLOPs.

    Micikevicius et al., Mixed Precision Training, arXiv:1710.03740, section 3.2.

    >>> g, s = TensorSpec((4,)), TensorSpec(())
    >>> unscale(Inputs((g, g, s, s), {"self": [g, g]}), ())
    Cost(macs=0, flops=16, bytes_read=40, bytes_written=36)
    """
    grads = argument(inputs, "self", inputs[:-2])
    return streamed(inputs, outputs or [*grads, inputs[-2]], flops=2 * elements(grads))


def update_scale(inputs: Specs, outputs: Specs) -> Cost:
    """The factor and how long it has been the same, from a flag: one FLOP, both are written.

    >>> s = TensorSpec(())
    >>> update_scale((s, TensorSpec((), "int32"), s), (s,))
    Cost(macs=0, flops=1, bytes_read=12, bytes_written=8)
    """
    return streamed(inputs, inputs[:2], flops=elements(outputs[:1]))


FORMULAS = table(
    with_in_place("_fused_sgd", sgd),
    with_in_place("_fused_adam _fused_adamw", adam),
    with_in_place("_fused_adagrad", adagrad),
    with_in_place("_amp_foreach_non_finite_check_and_unscale", unscale),
    with_in_place("_amp_update_scale", update_scale),
)
"""Fused steps, and the scaling of losses."""
