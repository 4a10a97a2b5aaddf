"""torch's `FlopCounterMode`: formulas for the operators that reach the device.

Counts two FLOPs for each multiply-accumulate of the operators in `COUNTED`. An operator without a
formula is taken apart where torch can do that, and counts as 0 where not: the fused attention and
the fused LSTM of a CPU among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.analysis.opinions import Engine, Opinion, Prediction, macs_of
from zoo.plugins.engines.counting import OWN, item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.analysis.opinions import Sight

COUNTED = frozenset(
    f"aten.{name}"
    for name in (
        "mm",
        "addmm",
        "bmm",
        "baddbmm",
        "_scaled_mm",
        "convolution",
        "_convolution",
        "cudnn_convolution",
        "convolution_overrideable",
        "_slow_conv2d_forward",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_cudnn_attention",
        "_flash_attention_forward",
        "_efficient_attention_forward",
    )
)
"""Operators that it has a formula for; each gives twice zoo's multiply-accumulates."""


def run(model: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Opinion:
    """Ask it."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(*inputs, **kwargs)
    counts = counter.get_flop_counts()
    root = type(model).__name__
    return Opinion(
        flops=counter.get_total_flops(),
        by_module={
            name.removeprefix(root).removeprefix("."): sum(found.values())
            for name, found in counts.items()
            if name != "Global"
        },
        by_operator={str(op): count for op, count in counts.get("Global", {}).items()},
    )


def rule(sight: Sight) -> Prediction:
    """Every operator of `COUNTED` as zoo counts it, and no other."""
    items = []
    for op in sight.ops:
        ours = macs_of(op)
        if ours:
            theirs = ours if op.op.rpartition(".")[0] in COUNTED else 0
            items.append(item(op.op.rpartition(".")[0], theirs, ours, OWN, sight.path(op.call)))
    return Prediction(tuple(items))


ENGINE = Engine(
    name="FlopCounterMode",
    package="torch",
    counts="FLOPs, two for each multiply-accumulate, of matrix products, convolutions and some "
    "fused attentions; no parameters",
    run=run,
    unit="FLOP",
    rule=rule,
    needs=("torch.utils.flop_counter",),
)
