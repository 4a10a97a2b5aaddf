"""Kernels that torch runs on a CUDA device of compute capability 8 or newer.

The rules are those of torch 2.14 (`sdp_utils.cpp`, `Normalization.cpp`, `Dropout.cpp`, `RNN.cpp`):

- Attention is flash, else memory-efficient, else written out. On Hopper and Blackwell torch prefers
  cuDNN's kernel, which keeps what flash keeps (output and one float32 a row); so the answer here is
  flash, whatever the card. cuDNN's is taken where the model turned the others off.
- Dropout keeps one byte an element. Written into its input (`inplace=True`) it is not fused and
  keeps a floating point mask. So does dropout inside written-out attention here, where torch's
  keeps one byte.
- A softmax in float32 of float16 reads its input as it is.
- Batch norm is cuDNN's, except in bfloat16, of two dims, or without weight and bias.
- An LSTM, GRU or plain RNN is one cuDNN operator over all layers, with projections and packed
  sequences too. What cuDNN keeps for the backward pass (the reserve) has 0 bytes on the meta
  device, since only the driver knows its size; it is of the order of the gates of every step.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as fn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ATEN = torch.ops.aten
_HALVES = (torch.float16, torch.bfloat16)
_MOST = 2**31 - 1
"""cuDNN counts elements in 32 bits."""


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001, FBT002 - torch's signature
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: FBT001, FBT002
) -> Any:
    """`scaled_dot_product_attention`: the output, or NotImplemented where it is written out."""
    if not _comparable(query, key, value, attn_mask, gqa=enable_gqa):
        return NotImplemented
    options = (dropout_p, is_causal)
    square = not is_causal or query.shape[-2] == key.shape[-2]
    if torch.backends.cuda.flash_sdp_enabled() and attn_mask is None and square:  # noqa: SIM102
        if _flash_fits(query, key, value):
            return _flash(query, key, value, options, scale)
    if torch.backends.cuda.mem_efficient_sdp_enabled() and _efficient_fits(query, key, value):
        bias = None if attn_mask is None else _bias(attn_mask, query, key)
        keeps = _needs_grad(query, key, value)
        call = _ATEN._scaled_dot_product_efficient_attention.default
        return call(query, key, value, bias, keeps, *options, scale=scale)[0]
    if torch.backends.cuda.cudnn_sdp_enabled() and _cudnn_fits(query, value):
        keeps = _needs_grad(query, key, value)
        call = _ATEN._scaled_dot_product_cudnn_attention.default
        return call(query, key, value, attn_mask, keeps, *options, scale=scale)[0]
    return NotImplemented


def _comparable(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, gqa: bool
) -> bool:
    """What all fused kernels ask for."""
    tensors = (query, key, value)
    if any(t.dim() != 4 for t in tensors) or len({t.dtype for t in tensors}) > 1:
        return False
    if len({t.shape[0] for t in tensors}) > 1 or key.shape[-2] != value.shape[-2]:
        return False
    heads, shared, of_values = (t.shape[1] for t in tensors)
    if shared != of_values or not shared or query.shape[-1] != key.shape[-1]:
        return False
    if (heads % shared) if gqa else shared not in (heads, 1):
        return False
    if not query.shape[-2] or not key.shape[-2]:
        return False
    return mask is None or mask.stride(-1) == 1


def _dense(tensors: Sequence[Tensor]) -> bool:
    return all(tensor.stride(-1) == 1 for tensor in tensors)


def _flash_fits(query: Tensor, key: Tensor, value: Tensor) -> bool:
    width = query.shape[-1]
    if query.dtype not in _HALVES or width > 256 or value.shape[-1] != width:
        return False
    return width == 1 or _dense((query, key, value))


def _efficient_fits(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Rows of whole 16 bytes, which begin at whole 16 bytes."""
    tensors = (query, key, value)
    if query.dtype not in (*_HALVES, torch.float32) or not _dense(tensors):
        return False
    step = 16 // query.element_size()
    widths = (query.shape[-1], value.shape[-1])
    return all(width and width % step == 0 for width in widths) and all(
        tensor.storage_offset() % step == 0 for tensor in tensors
    )


def _cudnn_fits(query: Tensor, value: Tensor) -> bool:
    widths = (query.shape[-1], value.shape[-1])
    return query.dtype in _HALVES and all(w <= 128 and w % 8 == 0 for w in widths)


def _flash(
    query: Tensor, key: Tensor, value: Tensor, options: tuple[float, bool], scale: float | None
) -> Tensor:
    """The kernel takes widths that are multiples of 8; others are padded."""
    width = query.shape[-1]
    missing = -width % 8
    if missing:
        scale = width**-0.5 if scale is None else scale
        query, key, value = (fn.pad(tensor, (0, missing)) for tensor in (query, key, value))
    call = _ATEN._scaled_dot_product_flash_attention.default
    out: Tensor = call(query, key, value, *options, scale=scale)[0]
    return out[..., :width] if missing else out


def _bias(mask: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """A mask that is added to the scores; its rows begin at multiples of 8 elements."""
    if mask.dtype == torch.bool:
        hidden = mask.logical_not()
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(hidden, -torch.inf)
    if any(stride % 8 for stride in mask.stride()[:-1]):
        length = mask.shape[-1]
        mask = fn.pad(mask, (0, 8 - length % 8))[..., :length]
    return mask.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])


def _needs_grad(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def dropout(input: Tensor, p: float, train: bool) -> Any:  # noqa: FBT001 - torch's signature
    """`torch.dropout`: the output; NotImplemented where nothing or everything is dropped."""
    if not train or not 0 < p < 1 or not input.numel():
        return NotImplemented
    return _ATEN.native_dropout.default(input, p, True)[0]  # noqa: FBT003


def _softmax(call: Any) -> Callable[..., Any]:
    """A softmax of float16 that is asked for float32: one kernel reads one and writes the other."""

    def softmax(input: Tensor, dim: Any = None, dtype: torch.dtype | None = None) -> Any:
        fused = dtype == torch.float32 and input.dtype == torch.float16 and isinstance(dim, int)
        return call(input, dim, True) if fused else NotImplemented  # noqa: FBT003

    return softmax


def batch_norm(  # noqa: PLR0913, PLR0917 - torch's signature
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,  # noqa: FBT001
    momentum: float,
    eps: float,
    cudnn_enabled: bool,  # noqa: FBT001
) -> Any:
    """`torch.batch_norm` as cuDNN's operator; NotImplemented where torch has its own kernel."""
    if not cudnn_enabled or weight is None or bias is None:
        return NotImplemented
    if (running_mean is None) != (running_var is None) or (running_mean is None and not training):
        return NotImplemented
    if not _batch_norm_fits(input, weight, most=880_801 if training else 65_535):
        return NotImplemented
    call = _ATEN.cudnn_batch_norm.default
    rest = (running_mean, running_var, training, momentum, eps)
    return call(_packed(input), weight, bias, *rest)[0]


def _batch_norm_fits(x: Tensor, weight: Tensor, most: int) -> bool:
    if torch.bfloat16 in (x.dtype, weight.dtype):
        return False
    if x.dtype == torch.float16 and weight.dtype != torch.float32:
        return False
    return x.dim() > 2 and 0 < x.numel() < _MOST and x.shape[0] <= most


def _packed(x: Tensor) -> Tensor:
    """`x` without gaps, channels last where it is so already."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.dim())
    if x.is_contiguous() or (last is not None and x.is_contiguous(memory_format=last)):
        return x
    return x.contiguous()


_MODES: Mapping[str, int] = MappingProxyType({"rnn_relu": 0, "rnn_tanh": 1, "lstm": 2, "gru": 3})
"""cuDNN's numbers of cells."""


def _recurrent(name: str) -> Callable[..., Any]:
    """`torch._VF.lstm` and the like, whose fourth argument is a list for packed sequences."""

    def packed(x: Tensor, sizes: Tensor, hidden: Any, weights: Any, *rest: Any) -> Any:
        if sizes.is_meta:
            return NotImplemented
        return _cudnn(name, x, hidden, weights, (*rest, False), sizes.tolist())

    def padded(x: Tensor, hidden: Any, weights: Any, *rest: Any) -> Any:
        return _cudnn(name, x, hidden, weights, rest, [])

    def call(x: Tensor, *args: Any) -> Any:
        if not x.is_floating_point() or not x.numel() or not torch.backends.cudnn.enabled:
            return NotImplemented
        return (packed if isinstance(args[2], list | tuple) else padded)(x, *args)

    return call


def _cudnn(
    name: str, x: Tensor, hidden: Any, weights: Any, rest: Sequence[Any], sizes: list[int]
) -> Any:
    """All layers in one operator: output and last states."""
    biases, layers, p, train, both_ways, batch_first = rest
    state, cell = hidden if name == "lstm" else (hidden, None)
    size = (state if cell is None else cell).shape[2]
    projected = state.shape[2] if state.shape[2] != size else 0
    each = (4 if biases else 2) + (1 if projected else 0)
    directions = 2 if both_ways else 1
    fits = len(weights) == each * layers * directions and x.shape[-1] == weights[0].shape[1]
    mixed = len({tensor.dtype for tensor in (x, state, *weights)}) > 1
    if not fits or (mixed and not torch.is_autocast_enabled("cuda")):
        return NotImplemented  # torch's own code says what is wrong
    flat = weights[0].detach().view(-1)  # stands for the buffer that all weights lie in
    sides = (size, projected, layers, batch_first, p, train, both_ways, sizes, None)
    out, last, last_cell, _, _ = _ATEN._cudnn_rnn.default(
        x, list(weights), each, flat, state, cell, _MODES[name], *sides
    )
    return (out, last) if cell is None else (out, last, last_cell)


KERNELS: Mapping[Any, Callable[..., Any]] = MappingProxyType(
    {
        fn.scaled_dot_product_attention: attention,
        torch.dropout: dropout,
        torch.batch_norm: batch_norm,
        torch.softmax: _softmax(_ATEN._softmax.default),
        torch.Tensor.softmax: _softmax(_ATEN._softmax.default),
        torch.log_softmax: _softmax(_ATEN._log_softmax.default),
        torch.Tensor.log_softmax: _softmax(_ATEN._log_softmax.default),
        **{getattr(torch._VF, name): _recurrent(name) for name in _MODES},
    }
)
"""Kernels by the function of torch's that they stand for."""
