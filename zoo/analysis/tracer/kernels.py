"""Fused kernels that a device runs where torch's meta device takes an operator apart.

Each function takes the arguments of the function of torch's that it stands for, and gives
NotImplemented where torch would not use the kernel; `tests/analysis/tracer/test_kernels.py` asks
torch's profiler. Here are the CPU's; they stand for those of accelerators that zoo does not know,
too. `kernels_cuda.py` has CUDA's.

`scaled_dot_product_attention` on the meta device writes out the whole score matrix. The CPU's fused
kernel takes operands of 4 dims (or 3) with one batch, one head dim and no dropout, and a mask of 2
or 4 dims that is not trained (`sdp_utils_cpp.cpp` of torch 2.14).

An LSTM on the meta device takes fifteen operators a step. The CPU runs one oneDNN kernel for each
layer and direction, where there are no projections and no float64 or float16 (`RNN.cpp`). oneDNN
has a float16 kernel on the newest of CPUs only; zoo does not ask which CPU it runs on. A packed
sequence goes there where all its parts are of one length. Other recurrent layers are taken apart by
the CPU too, but not as by the meta device (`recurrent.py`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as fn

from zoo.analysis.tracer import kernels_cuda, recurrent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FUSED_LSTM = torch.ops.aten.mkldnn_rnn_layer.default
LSTM_MODE = 2
"""oneDNN's number of an LSTM."""
FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001, FBT002 - torch's signature
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: ARG001, FBT001, FBT002
) -> Any:
    """The fused kernel's output; NotImplemented where torch would not use it."""
    off = not torch.backends.cuda.flash_sdp_enabled()  # the flag is the CPU's too
    if off or dropout_p or not _fits(query, key, value, attn_mask):
        return NotImplemented
    flat = query.dim() == 3
    if flat:
        query, key, value = (tensor.unsqueeze(0) for tensor in (query, key, value))
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        hidden = attn_mask.logical_not()
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype)
        attn_mask.masked_fill_(hidden, -torch.inf)
    out, _ = FUSED(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)
    return out.squeeze(0) if flat else out


def _fits(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> bool:
    """Whether the CPU's fused kernel takes these operands."""
    rank = query.dim()
    if rank not in (3, 4) or key.dim() != rank or value.dim() != rank:
        return False
    if query.dtype != key.dtype or query.dtype != value.dtype or not query.is_floating_point():
        return False
    heads, shared = query.shape[-3], key.shape[-3]
    alike = query.shape[:-3] == key.shape[:-3] == value.shape[:-3] and shared == value.shape[-3]
    width = query.shape[-1]
    if not alike or width != key.shape[-1] or width != value.shape[-1]:
        return False
    if key.shape[-2] != value.shape[-2] or not shared or heads % shared:
        return False
    return mask is None or (mask.dim() in (2, 4) and not mask.requires_grad)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    """`torch.nn.functional.linear` of an input that BLAS cannot read as one matrix.

    torch adds the bias in place, unless a dispatch mode is on (`Linear.cpp`).

    Args:
        x: (*, I); any but contiguous ones of at least 3 dims are torch's.
        weight: (O, I).
        bias: (O,).

    Returns:
        (*, O), or NotImplemented.
    """
    if bias is None or x.dim() < 3 or x.is_contiguous():
        return NotImplemented
    return torch.matmul(x, weight.t()).add_(bias)


def lstm(x: Tensor, *args: Any) -> Any:
    """`torch._VF.lstm`, whose fourth argument is a list where the sequence is packed."""
    if isinstance(args[2], list | tuple):
        return _packed_lstm(x, *args)
    found = _padded_lstm(x, *args) if torch.backends.mkldnn.enabled else NotImplemented
    return recurrent.lstm(x, *args) if found is NotImplemented else found


def _packed_lstm(x: Tensor, sizes: Tensor, hidden: Any, weights: Any, *options: Any) -> Any:
    """A packed sequence whose parts are of one length, as the sequence that it is."""
    steps = [] if sizes.is_meta else sizes.tolist()
    if not steps or set(steps) != {steps[0]}:
        return NotImplemented
    whole = x.reshape(len(steps), steps[0], x.shape[-1])
    found = _padded_lstm(whole, hidden, weights, *options)
    if found is NotImplemented:
        return found
    out, *states = found
    return out.reshape(x.shape[0], out.shape[-1]), *states


def _padded_lstm(  # noqa: PLR0913, PLR0917 - torch's signature
    x: Tensor,
    hidden: Any,
    weights: Any,
    has_biases: bool,  # noqa: FBT001
    num_layers: int,
    dropout: float,
    train: bool,  # noqa: FBT001
    bidirectional: bool,  # noqa: FBT001
    batch_first: bool = False,  # noqa: FBT001, FBT002
) -> Any:
    """Output (T, B, D*H), states (L*D, B, H) each; NotImplemented where torch takes it apart.

    Args:
        x: (T, B, I), or (B, T, I) with `batch_first`.
        hidden: The two first states.
        weights: Of each layer and direction: input, hidden, and the two biases.
        has_biases: Whether there are biases.
        num_layers: L.
        dropout: Between layers, when training.
        train: Whether dropout is on.
        bidirectional: Whether D is 2.
        batch_first: Whether the batch is the first dim.

    Returns:
        Output and both last states, or NotImplemented.
    """
    if x.dim() != 3 or x.dtype not in (torch.float32, torch.bfloat16) or not x.numel():
        return NotImplemented
    first, cell = hidden
    size, each = first.shape[2], 4 if has_biases else 2
    directions = 2 if bidirectional else 1
    fits = x.shape[-1] == weights[0].shape[1] and cell.shape[2] == size
    if not fits or len(weights) != each * num_layers * directions:
        return NotImplemented
    layer_input = x.transpose(0, 1).contiguous() if batch_first else x
    states: list[tuple[Tensor, Tensor]] = []
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            own = list(weights[each * index : each * (index + 1)])
            blank = own if has_biases else [*own, *[own[0].new_zeros(4 * size) for _ in range(2)]]
            y, h, c, _ = FUSED_LSTM(
                layer_input,
                *blank,
                first.select(0, index),
                cell.select(0, index),
                direction > 0,
                [],
                LSTM_MODE,
                size,
                num_layers,
                has_biases,
                bidirectional,
                False,  # noqa: FBT003 - batch first, which it is not here
                train,
            )
            outputs.append(y)
            states.append((h, c))
        layer_input = outputs[0] if directions == 1 else torch.cat(outputs, -1)
        if dropout and train and layer < num_layers - 1:
            layer_input = fn.dropout(layer_input, dropout)
    out = layer_input.transpose(0, 1) if batch_first else layer_input
    return out, torch.stack([h for h, _ in states]), torch.stack([c for _, c in states])


KERNELS: Mapping[Any, Callable[..., Any]] = MappingProxyType(
    {
        fn.scaled_dot_product_attention: attention,
        fn.linear: linear,
        torch._VF.lstm: lstm,
        torch._VF.gru: recurrent.gru,
        torch._VF.rnn_tanh: recurrent.rnn_tanh,
        torch._VF.rnn_relu: recurrent.rnn_relu,
    }
)
"""The CPU's kernels by the function of torch's that they stand for."""
_BY_KIND = MappingProxyType({"cuda": {**kernels_cuda.KERNELS, fn.linear: linear}})
STANDS_FOR = frozenset({*KERNELS, *kernels_cuda.KERNELS})
"""Functions that have a kernel on some device."""


def kernel(func: Any, kind: str) -> Callable[..., Any] | None:
    """The kernel that stands for a function of torch's on a kind of device.

    Args:
        func: One of `STANDS_FOR`.
        kind: `cpu`, `cuda`, or another, which has the CPU's.

    Returns:
        A function of the same arguments that may give NotImplemented; None where there is none.
    """
    return _BY_KIND.get(kind, KERNELS).get(func)
