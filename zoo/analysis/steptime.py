"""How long do operators take, roughly: enough to compare two runs of one model.

The clock is that of one core of a present server processor that runs torch's CPU kernels in
float32. An operator takes the sum of

    products          MACs / rate; a convolution's channels fill whole vectors of 16
    traffic           bytes read and written / bandwidth, for some operators pointwise FLOPs / rate
    calling it        `CALL`, whatever its size; `MODULE` for the module that runs it
    fresh memory      bytes of new blocks of 32 MiB and more / `FRESH`

and a step takes besides bytes that are kept from one phase to the next / `HELD`, since these leave
the caches. Only ratios of such sums mean anything. What makes them differ from ratios of MACs:
norms that use statistics of the batch (a tenth of the speed of norms that do not), max-pooling,
depthwise convolutions, gradients of convolutions, which have speeds of their own for inputs and
weights, weights of large layers that few rows are multiplied with, what is kept for the backward
pass, and the optimizer.

Rates are rounded from measurements of torch 2.14 with oneDNN on one core of an AMD EPYC of the
Zen 4 kind (16 products a cycle): `benchmarks/freeze_ratio.py` names the models whose operators were
timed, and times them again. Another processor, more threads or a GPU have other ratios.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zoo.analysis.records import OpCall, TensorSpec, Trace

CALL = 4_000.0
"""ns that an operator takes whatever its size: dispatch, its results, the node of autograd."""
MODULE = 25_000.0
"""ns that a call of a module takes in Python."""
HELD = 6.0
"""Bytes a ns more of what is written in one phase of a step and read in the next: activations that
the backward pass needs, and gradients. Other results are read while they are in a cache, and blocks
of fresh memory are never in one."""
PASS = 30_000.0
"""ns more of a pass of a convolution: oneDNN looks its kernel up and lays its tensors out."""
FRESH = 2.8
"""Bytes a ns of memory that the system has to hand out. The C library keeps smaller blocks."""
LARGE = 2**25
"""Bytes from which a block is fresh memory: the largest threshold of glibc's malloc, mallopt(3)."""
VECTOR = 16
"""Numbers in a vector register, in which oneDNN lays out channels."""
FEW = 16
"""Positions of an image below which a 1x1 convolution's kernel has too little to do."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a kind of operator is."""

    macs: float = inf
    """MACs a ns."""
    traffic: float = 32.0
    """Bytes a ns, read or written."""
    flops: float = inf
    """Pointwise FLOPs a ns, where these and not the bytes take the time."""
    weights: float = inf
    """Bytes a ns of a convolution's weights, which are laid out anew; `traffic` is the rest's."""

    def time(self, macs: float, nbytes: float, flops: float = 0.0, weights: float = 0.0) -> float:
        """Nanoseconds."""
        work = macs / self.macs + flops / self.flops
        return work + nbytes / self.traffic + weights / self.weights


@dataclass(frozen=True, slots=True)
class Passes:
    """A convolution forward, and its two gradients."""

    forward: Speed
    input: Speed
    weight: Speed


PLAIN = Speed()
IN_PLACE = Speed(traffic=45)
"""What is read is written again while it is in the cache."""
PRODUCT = Speed(macs=52, traffic=11)
SLOW = Speed(traffic=10)
SPEEDS: Mapping[str, Speed] = {
    **dict.fromkeys("mm addmm bmm baddbmm _int_mm _addmm_activation".split(), PRODUCT),
    **dict.fromkeys("mkldnn_rnn_layer mkldnn_rnn_layer_backward".split(), Speed(44, 100)),
    "_scaled_dot_product_flash_attention_for_cpu": Speed(22, 11),
    "_scaled_dot_product_flash_attention_for_cpu_backward": Speed(26, 11),
    **dict.fromkeys("gelu gelu_backward silu silu_backward mish mish_backward".split(), SLOW),
    **dict.fromkeys("sigmoid sigmoid_ tanh tanh_ exp erf log elu softplus pow".split(), SLOW),
    **dict.fromkeys("native_layer_norm native_layer_norm_backward roll".split(), SLOW),
    **dict.fromkeys("native_group_norm native_group_norm_backward".split(), SLOW),
    **dict.fromkeys("mean embedding index index_select gather".split(), Speed(traffic=5)),
    **dict.fromkeys("_softmax _log_softmax".split(), Speed(traffic=5)),
    **dict.fromkeys("native_batch_norm _batch_norm_with_update".split(), Speed(traffic=4)),
    "native_batch_norm_backward": Speed(traffic=14),
    **dict.fromkeys("clone cat sum mul constant_pad_nd div stack".split(), Speed(traffic=20)),
    "max_pool2d_with_indices": Speed(traffic=inf, flops=0.34),
    "max_pool2d_with_indices_backward": Speed(traffic=16),
    **dict.fromkeys("avg_pool2d avg_pool2d_backward".split(), Speed(traffic=inf, flops=0.5)),
    "_adaptive_avg_pool2d": Speed(traffic=0.8),
    "_adaptive_avg_pool2d_backward": Speed(traffic=0.8),
    **dict.fromkeys("bernoulli_ native_dropout index_put".split(), Speed(traffic=0.4)),
}
"""By the operator's name without namespace and overload; `PLAIN` where there is none."""
STATISTICS = frozenset({"native_batch_norm", "_batch_norm_with_update"})
"""Norms that keep the batch's statistics for the backward pass, or else none."""

CONVOLUTION = Passes(Speed(59, 5.5), Speed(59, 5.5), Speed(47, 36, weights=4))
POINTWISE = Passes(
    Speed(47, 31, weights=3.3), Speed(50, 15, weights=1.6), Speed(46, 32, weights=25)
)
TINY = Passes(Speed(5.7, 31), Speed(4, 15), Speed(35, 32))
"""1x1, on images of less than `FEW` positions."""
COLOURS = Passes(Speed(47, 12), Speed(9, 4), Speed(45, 13))
"""Of images: 4 channels or less."""
DEPTHWISE = Passes(Speed(traffic=6), Speed(traffic=5), Speed(traffic=7.5))
WIDE = Passes(Speed(traffic=6.5), Speed(traffic=5), Speed(1.2, 7.5))
"""Depthwise with a kernel of more than 3x3."""
GROUPED = Passes(Speed(25, 30), Speed(20, 20), Speed(20, 30))


def effort(ops: Iterable[OpCall]) -> float:
    """Time of operators, one after the other.

    Args:
        ops: Operators.

    Returns:
        Nanoseconds on the processor that is described above; meant to be divided by those of
        another run.
    """
    called: set[int] = set()
    total = 0.0
    spread: dict[TensorSpec, int] = {}
    for op in ops:
        total += time_of(op)
        if op.op == "aten.expand.default":
            spread[op.outputs[0]] = op.inputs[0].nbytes
        elif op.op == "aten.bmm.default":
            total -= _repeated(op, spread)
        if op.phase == "forward":
            called.add(op.call)
    return total + MODULE * len(called)


def step_effort(trace: Trace) -> float:
    """Time of a training step.

    Args:
        trace: One step.

    Returns:
        That of its operators, and of what leaves the cache before it is read again.
    """
    held = sum(
        one.nbytes
        for one in trace.storages
        if one.role in ("saved", "gradient") and one.nbytes < LARGE
    )
    return effort(trace.ops) + held / HELD


def time_of(op: OpCall) -> float:
    """Time of one operator, without that of its module.

    Args:
        op: Any operator.

    Returns:
        Nanoseconds on the processor that is described above.
    """
    name = op.op.split(".")[1]
    fresh = op.new_bytes / FRESH if op.new_bytes >= LARGE else 0.0
    if op.cost is None:
        moved = sum(spec.nbytes for spec in (*op.inputs, *op.outputs))
        return CALL + fresh + PLAIN.time(0, moved)
    if name in ("convolution", "convolution_backward"):
        return CALL + fresh + _convolution(op)
    other = PRODUCT if op.cost.macs else IN_PLACE if name.endswith("_") else PLAIN
    speed = SPEEDS.get(name, other)
    if name in STATISTICS and len(op.outputs) > 1 and not op.outputs[1].numel:
        speed = PLAIN
    moved = op.cost.bytes_read + op.cost.bytes_written
    return CALL + fresh + speed.time(op.cost.macs, moved, op.cost.flops)


def _repeated(op: OpCall, spread: Mapping[TensorSpec, int]) -> float:
    """Time that an operand does not take, since it is one matrix that is read again and again."""
    repeated = sum(spec.nbytes - spread[spec] for spec in op.inputs if spec in spread)
    return repeated / PRODUCT.traffic


def _convolution(op: OpCall) -> float:
    """A convolution, or those of its gradients that are computed."""
    if op.op.startswith("aten.convolution."):
        (x, weight), y = op.inputs[:2], op.outputs[0]
        return pass_time(kind_of(x, weight, y).forward, x, weight, y, filled=y)
    y, x, weight = op.inputs[:3]
    kind = kind_of(x, weight, y)
    found = 0.0
    wanted = [spec.shape for spec in op.outputs]
    if x.shape in wanted:
        found += pass_time(kind.input, x, weight, y, filled=x)
    if weight.shape in wanted:
        found += pass_time(kind.weight, x, weight, y, filled=y)
    return found


def kind_of(x: TensorSpec, weight: TensorSpec, y: TensorSpec) -> Passes:
    """How fast a convolution is.

    Args:
        x: Its input.
        weight: Its kernel.
        y: Its result.

    Returns:
        The speeds of its three passes.
    """
    spatial = len(weight.shape) - 2
    kernel = prod(weight.shape[2:])
    if weight.shape[1] < x.shape[-spatial - 1]:
        if weight.shape[1] > 1:
            return GROUPED
        return WIDE if kernel > 3**spatial else DEPTHWISE
    if x.shape[-spatial - 1] <= 4:
        return COLOURS
    if kernel > 1:
        return CONVOLUTION
    return TINY if prod(y.shape[-spatial:]) < FEW else POINTWISE


def pass_time(
    speed: Speed, x: TensorSpec, weight: TensorSpec, y: TensorSpec, *, filled: TensorSpec
) -> float:
    """Time of one product of a convolution: the result, or one of the two gradients.

    Args:
        speed: Of this pass.
        x: The convolution's input.
        weight: Its kernel.
        y: Its result.
        filled: What lies in whole vectors of channels: the result, or of the gradient of the
            input the input.

    Returns:
        Nanoseconds.
    """
    spatial = len(weight.shape) - 2
    batch = y.shape[0] if len(y.shape) == len(weight.shape) else 1
    macs = float(batch * prod(y.shape[-spatial:]) * weight.numel)
    channels = filled.shape[-spatial - 1]
    if weight.shape[1] == x.shape[-spatial - 1] and channels > 4:
        macs *= -(-channels // VECTOR) * VECTOR / channels
    return PASS + speed.time(macs, x.nbytes + y.nbytes, weights=weight.nbytes)
