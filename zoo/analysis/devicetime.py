"""How long does a run take on a device, roughly?

The roofline: an operator takes as long as its products, or as the bytes that it reads and writes,
whichever is longer, and no less than a kernel takes whatever its size.

    max(2 x MACs / (share of the peak), bytes / (share of the bandwidth), kernel)

The peak is that of the operator's operands: tensor cores' for half precision, and of float32 that
of TF32 for convolutions alone, as torch runs them unless told otherwise. Views take nothing.

The shares below were fitted to published training throughput of ten image models on one RTX 3090
(timm's results, torch 1.12, fp16 autocast, channels first), which they give within about a quarter;
`tests/analysis/test_devicetime.py` has them, and those of cards that nothing was fitted to. Another
card, another batch or another library can be further off: times of a step are estimates, and what
they are for is to compare them with what a link takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo.analysis.devices import Device
    from zoo.analysis.records import OpCall

PRODUCT = 0.7
"""Share of the peak that matrix products and attention reach."""
CONVOLUTION = 0.6
"""Share of the peak that convolutions reach."""
TRAFFIC = 0.75
"""Share of the memory's bandwidth that operators reach."""
GROUPED = 0.15
"""The same, of convolutions whose channels come in groups: each reads little and often."""
KERNEL = 4e-6
"""Seconds that a kernel takes at least, launched while the one before it runs."""
LAUNCH = 20e-6
"""Seconds that the host takes to ask for an operator, in Python and in torch. A step takes no less
than all its operators do: ResNet-50's forward pass of one image takes 10 ms on a V100, as that of
eight does, 60 us an operator (NVIDIA's DeepLearningExamples, 2021); newer processors need a third.
"""
UNTIMED = frozenset("detach alias view _unsafe_view expand t transpose permute".split())
"""Operators that no kernel runs for, though a formula may count bytes."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Times operators on a device."""

    device: Device
    """Where they run."""

    def seconds(self, ops: Iterable[OpCall]) -> float | None:
        """Time of operators, one after the other.

        Args:
            ops: Operators.

        Returns:
            Seconds; None where the device's peak or bandwidth is not known.
        """
        total = 0.0
        for op in ops:
            time = self.of(op)
            if time is None:
                return None
            total += time
        return total

    def of(self, op: OpCall) -> float | None:
        """Time of one operator.

        Args:
            op: Any operator.

        Returns:
            Seconds; None where the device's peak or bandwidth is not known.
        """
        name = op.op.split(".")[1]
        if name in UNTIMED or (
            op.cost is not None and op.cost.bytes_written == 0 and not op.cost.macs
        ):
            return 0.0
        if self.device.bandwidth is None:
            return None
        macs = op.cost.macs if op.cost is not None else 0
        work = 0.0
        if macs:
            rate = self.rate(op)
            if rate is None:
                return None
            work = 2 * macs / rate
        share = GROUPED if _grouped(op, name) else TRAFFIC
        return max(work, moved(op) / (share * self.device.bandwidth), KERNEL)

    def rate(self, op: OpCall) -> float | None:
        """FLOP/s that an operator's products reach; None where the device's peak is not known."""
        convolution = "conv" in op.op
        dtype = next((spec.dtype for spec in op.inputs if spec.numel), "float32")
        peak = self.device.peak(dtype) or self.device.peak("float32")
        if convolution and dtype == "float32":
            peak = self.device.peak("tf32") or peak
        return None if peak is None else peak * (CONVOLUTION if convolution else PRODUCT)


def moved(op: OpCall) -> int:
    """Bytes that an operator reads and writes; of its operands and results where none knows.

    Args:
        op: Any operator.

    Returns:
        Bytes.
    """
    if op.cost is not None:
        return op.cost.bytes_read + op.cost.bytes_written
    return sum(spec.nbytes for spec in (*op.inputs, *op.outputs))


def _grouped(op: OpCall, name: str) -> bool:
    """Whether it is a convolution of which each output sees a part of the channels."""
    if name not in ("convolution", "convolution_backward"):
        return False
    x, weight = op.inputs[1:3] if name == "convolution_backward" else op.inputs[:2]
    channels = x.shape[1 - len(weight.shape)]
    return weight.shape[1] < channels
