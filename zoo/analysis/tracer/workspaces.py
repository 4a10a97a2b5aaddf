"""What kernels allocate and free inside themselves.

An operator's results are seen as they come; what its kernel needs beside them is not. The figures
here are those of torch 2.14's kernels for the CPU: the most that an operator holds at once, less
its operands and results. They were found by reading allocations with torch's profiler over many
shapes, and `benchmarks/memory_peak.py` holds them against it. Whether oneDNN is used is asked of
`torch.backends.mkldnn`. Of other devices nothing is known here.

The figures of oneDNN are those of a processor with 16 floats in a register (AVX-512). What kernels
take for each thread is counted for `THREADS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

THREADS = 2
"""Threads whose buffers are counted: the figures do not depend on the machine they are asked on."""
BLOCK = 16
"""Channels in a block of oneDNN's layout."""
Spent = Callable[["Call"], int]


class Call:
    """An operator's arguments and results.

    Args:
        args: Its arguments by position.
        out: What it returned.
        onednn: Whether oneDNN may be used.
    """

    def __init__(self, args: Sequence[Any], out: Any, *, onednn: bool) -> None:
        self.args, self.onednn = args, onednn
        self.results = [one for one in _listed(out) if isinstance(one, Tensor)]

    @property
    def written(self) -> int:
        """Bytes of the results."""
        return sum(map(_bytes, self.results))


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _copied(tensor: Tensor) -> int:
    """Bytes of a contiguous copy, where one is made."""
    return 0 if tensor.is_contiguous() else _bytes(tensor)


class _Convolution:
    """Sizes of a convolution, forward or backward."""

    def __init__(self, x: Tensor, weight: Tensor, out_shape: Sequence[int], rest: Any) -> None:
        self.item = x.element_size()
        self.batch, self.channels = x.shape[0], x.shape[1]
        self.stride, self.padding, self.dilation, self.transposed, _, groups = rest
        self.groups: int = groups
        self.out_channels = out_shape[1]
        self.kernel = tuple(weight.shape[2:])
        self.reach: int = prod(self.kernel)
        self.inside: int = prod(x.shape[2:])
        self.outside: int = prod(out_shape[2:])
        self.space = len(self.kernel)
        self.float32 = x.dtype == torch.float32

    @property
    def dilated(self) -> bool:
        """Whether the kernel has gaps."""
        return any(gap > 1 for gap in self.dilation)

    @property
    def plain(self) -> bool:
        """Whether it is a product with no columns to be laid out."""
        ones = self.reach == 1 and all(step == 1 for step in self.stride)
        return bool(ones and not any(self.padding) and self.space < 3)

    @property
    def onednn(self) -> bool:
        """Whether torch takes oneDNN where it may (`use_mkldnn` in `Convolution.cpp`)."""
        wide = self.space >= 2 and all(reach > 3 for reach in self.kernel[-2:])
        small = self.batch * self.channels * self.inside <= 20_480
        tiny = self.batch == 1 and self.groups == 1 and not wide and small
        return bool(self.float32 and not tiny)

    @property
    def nnpack(self) -> bool:
        """Whether torch takes NNPACK where oneDNN is off."""
        takes = self.space == 2 and self.batch >= 16 and max(self.kernel) < 17 and self.float32
        return bool(takes and not self.transposed and not self.dilated and self.groups == 1)

    @property
    def columns(self) -> int:
        """Bytes of one sample, laid out so that the convolution is a product."""
        return self.item * self.channels // self.groups * self.reach * self.outside

    def taken_apart(self, made: int, *, backward: bool, bias: bool) -> int:
        """Without oneDNN."""
        one = self.item * self.out_channels if backward and bias else 0
        if self.transposed:
            whole = self.item * self.out_channels // self.groups * self.reach * self.inside
            return whole if backward else self.batch * whole
        if self.groups > 1:
            several = self.batch > 1
            share = self.item * self.batch // self.groups
            x = share * self.channels * self.inside if several else 0
            y = share * self.out_channels * self.outside if several and backward else 0
            columns = 0 if self.plain else self.batch * self.columns
            return int(max(x + y + columns, made))
        if self.dilated:
            return self.columns + one
        if self.nnpack:
            return self.columns + one if backward else 0
        return 0 if self.plain else self.batch * self.columns

    def blocked(self) -> tuple[int, int, int]:
        """Bytes of input, weight and output in oneDNN's layout."""
        thin = self.channels <= 3
        channels = self.channels if thin else _blocks(self.channels)
        x = 0 if thin else self.item * self.batch * channels * self.inside
        y = self.item * self.batch * _blocks(self.out_channels) * self.outside
        if self.groups == 1:
            weight = _blocks(self.out_channels) * channels * self.reach
        elif self.channels == self.groups == self.out_channels:
            weight = _blocks(self.groups) * self.reach
        else:
            inner = _blocks(self.channels // self.groups)
            weight = self.groups * _blocks(self.out_channels // self.groups) * inner * self.reach
        return x, self.item * weight, y


def _blocks(channels: int) -> int:
    return -(-channels // BLOCK) * BLOCK


def _convolution(call: Call) -> int:
    x, weight = call.args[0], call.args[1]
    (y,) = call.results
    sizes = _Convolution(x, weight, y.shape, call.args[3:9])
    if not (call.onednn and sizes.onednn):
        return sizes.taken_apart(call.written, backward=False, bias=False)
    bx, bw, by = sizes.blocked()
    return max(bx + bw + by - _bytes(y), by)


def _convolution_backward(call: Call) -> int:
    gradient, x, weight, bias = call.args[:4]
    sizes = _Convolution(x, weight, gradient.shape, call.args[4:10])
    copied = _copied(gradient)
    if not (call.onednn and sizes.onednn):
        spent = sizes.taken_apart(call.written, backward=True, bias=bool(bias))
        return spent + copied
    bx, bw, by = sizes.blocked()
    wants = call.args[10]
    gx = _bytes(x) if wants[0] else 0
    strided = any(step > 1 for step in sizes.stride)
    holds = [gx + by + bx + bw + sizes.item * sizes.out_channels]
    if wants[0]:
        whole = sizes.item * sizes.batch * _blocks(sizes.channels) * sizes.inside
        holds += [by + bw + whole, whole + gx * (2 if strided else 1)]
    return max(max(holds) - call.written, 0) + copied


def _fused_attention(call: Call) -> int:
    query, key = call.args[:2]
    rows, columns, width = query.shape[-2], key.shape[-2], query.shape[-1]
    step, across = _tiles(rows, columns)
    return int(4 * THREADS * (step * across + 2 * step + step * width))


def _fused_attention_backward(call: Call) -> int:
    gradient, query, key = call.args[:3]
    step, across = _tiles(query.shape[-2], key.shape[-2])
    copied = _copied(gradient.transpose(1, 2))
    return int(4 * THREADS * 2 * step * across + 4 * step + copied)


def _tiles(rows: int, columns: int) -> tuple[int, int]:
    """Rows of queries and of keys that a thread holds."""
    step = 256 if rows >= 768 else 64 if rows >= 192 else 32
    return min(step, rows), min(512, columns)


def _copy_of_first(call: Call) -> int:
    return _copied(call.args[0])


def _product(call: Call) -> int:
    """Copies of operands that BLAS cannot read as they lie."""
    matrices = [one for one in call.args if isinstance(one, Tensor) and one.dim() == 2]
    return sum(_bytes(one) for one in matrices[-2:] if not _readable(one))


def _batched_product(call: Call) -> int:
    """Such copies, of one matrix at a time."""
    matrices = [one for one in call.args[:2] if isinstance(one, Tensor) and len(one)]
    return sum(_bytes(one) // len(one) for one in matrices if not _readable(one[0]))


def _readable(matrix: Tensor) -> bool:
    """Whether rows or columns are one after the other, without overlap."""
    (rows, columns), (down, across) = matrix.shape, matrix.stride()
    by_row = across == 1 and down >= max(1, columns)
    by_column = down == 1 and across >= max(1, rows)
    return by_row or by_column


def _roll(call: Call) -> int:
    return int(max(len(call.args[1]) - 1, 0) * call.written)


def _safe_softmax(call: Call) -> int:
    scores = call.args[0]
    return int(scores.numel() + scores.numel() // max(scores.shape[-1], 1))


def _batch_norm(call: Call) -> int:
    return 2 * 4 * int(call.args[0].shape[1])


def _batch_norm_backward(call: Call) -> int:
    return 4 * int(call.args[1].shape[1])


def _layer_norm_backward(call: Call) -> int:
    return int(4 * 2 * THREADS * prod(call.args[2]) + _copied(call.args[0]))


def _upsampled(call: Call) -> int:
    return _bytes(call.args[0]) + call.written


def _page(nbytes: int) -> int:
    return -(-nbytes // 4096) * 4096


def _leading(width: int) -> int:
    """Length of a row of oneDNN's recurrent layers, in elements."""
    rounded = _blocks(width)
    return rounded + 16 if rounded % 256 == 0 else rounded


def lstm_workspace(steps: int, batch: int, width: int, hidden: int) -> int:
    """Bytes that oneDNN's LSTM layer keeps for its backward pass.

    Args:
        steps: Length of the sequence.
        batch: Sequences.
        width: Elements of an input.
        hidden: Elements of a state.

    Returns:
        Bytes of the fourth result of `mkldnn_rnn_layer` in training.
    """
    gates = _page(4 * steps * batch * _leading(4 * hidden))
    states = _page(4 * steps * batch * _leading(hidden))
    inputs = 3 * _page(8 * (steps + 1) * batch * _leading(max(width, hidden)))
    return gates + states + inputs + 2 * _page(8 * (steps + 1) * batch * hidden)


def _lstm_scratch(steps: int, batch: int, hidden: int) -> int:
    gates = _page(4 * steps * batch * _leading(4 * hidden))
    return gates + 2 * _page(4 * batch * _leading(hidden)) + _page(16 * hidden) + 568


def _lstm(call: Call) -> int:
    x, hidden = call.args[0], call.args[10]
    steps, batch, width = x.shape
    weights = 4 * (width + hidden) * _leading(4 * hidden)
    return int(16 * hidden + weights + _lstm_scratch(steps, batch, hidden))


def _lstm_backward(call: Call) -> int:
    """(x, 4 weights, hx, cx, output, hy, cy, 3 gradients, reverse, mode, hidden, ...)."""
    x, hidden = call.args[0], call.args[15]
    steps, batch, width = x.shape
    missing = sum(one is None for one in call.args[11:13]) * 4 * batch * hidden
    gradient = call.args[10]
    uneven = sum(16 * hidden * _leading(size) for size in (width, hidden) if _leading(size) != size)
    weights = 4 * (width + hidden) * _leading(4 * hidden)
    copied = 0 if gradient is None else _copied(gradient)
    scratch = _lstm_scratch(steps, batch, hidden)
    return int(missing + 16 * hidden + uneven + weights + scratch + copied)


CPU: Mapping[str, Spent] = MappingProxyType(
    {
        "aten.convolution": _convolution,
        "aten.convolution_backward": _convolution_backward,
        "aten._scaled_dot_product_flash_attention_for_cpu": _fused_attention,
        "aten._scaled_dot_product_flash_attention_for_cpu_backward": _fused_attention_backward,
        **dict.fromkeys(
            (
                "aten.max_pool2d_with_indices_backward",
                "aten.avg_pool2d_backward",
                "aten._adaptive_avg_pool2d_backward",
                "aten._softmax_backward_data",
                "aten._log_softmax_backward_data",
                "aten.embedding_dense_backward",
                "aten.native_group_norm_backward",
            ),
            _copy_of_first,
        ),
        "aten.native_layer_norm_backward": _layer_norm_backward,
        "aten.native_batch_norm": _batch_norm,
        "aten.native_batch_norm_backward": _batch_norm_backward,
        "aten.mm": _product,
        "aten.addmm": _product,
        "aten.bmm": _batched_product,
        "aten.roll": _roll,
        "aten._safe_softmax": _safe_softmax,
        "aten.upsample_bilinear2d": _upsampled,
        "aten.mkldnn_rnn_layer": _lstm,
        "aten.mkldnn_rnn_layer_backward": _lstm_backward,
    }
)
"""By operator, without its overload."""


class Workspaces:
    """What the kernels of a device allocate inside themselves.

    Args:
        device: Where the run is said to take place.
    """

    def __init__(self, device: str) -> None:
        self._table = CPU if device == "cpu" else {}
        self.onednn = bool(torch.backends.mkldnn.enabled)

    def of(self, name: str, args: Sequence[Any], out: Any) -> int:
        """Bytes that one call spends.

        Args:
            name: Operator with its overload.
            args: Its arguments by position.
            out: What it returned.

        Returns:
            Bytes; 0 where nothing is known.
        """
        spent = self._table.get(name.rpartition(".")[0])
        return spent(Call(args, out, onednn=self.onednn)) if spent is not None else 0
