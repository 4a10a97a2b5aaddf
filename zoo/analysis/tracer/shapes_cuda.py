"""Output shapes of CUDA's own kernels, as `shapes.py` has them for all devices.

`_cudnn_rnn_backward` has no meta kernel in torch, and that of `_cudnn_rnn` says that nothing is
kept for it. cuDNN keeps what its driver says (the reserve); the rule here counts what no backward
pass can do without, gates, cells and the outputs of inner layers, and so gives a lower bound.
"""

from __future__ import annotations

from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from zoo.analysis.tracer.blank import META
from zoo.analysis.tracer.shapes import Rule, like, new

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

KEPT = MappingProxyType({0: 0, 1: 0, 2: 5, 3: 4})
"""Values a unit and step that the backward pass needs beside the output, by cuDNN's mode: nothing
of plain RNNs, gates and cell of LSTMs, gates and the state's part of the new one of GRUs."""


def _rnn(
    x: Tensor,
    weight: Any,
    weight_stride0: int,
    weight_buf: Tensor | None,
    hx: Tensor,
    cx: Tensor | None,
    mode: int,
    hidden_size: int,
    proj_size: int,
    num_layers: int,
    batch_first: bool,
    dropout: float,
    train: bool,
    bidirectional: bool,
    *_: Any,
) -> Any:
    if weight_buf is None or len(weight) % weight_stride0:
        return NotImplemented
    directions, width = 2 if bidirectional else 1, proj_size or hidden_size
    rows = prod(x.shape[:-1])
    inner = rows * width * directions * (num_layers - 1)
    kept = rows * KEPT[mode] * hidden_size * directions * num_layers + inner
    return (
        new(x, *x.shape[:-1], width * directions),
        new(hx, *hx.shape),
        new(hx, 0) if cx is None else new(cx, *cx.shape),
        torch.empty(kept * x.element_size() if train else 0, dtype=torch.uint8, device=META),
        weight_buf,
    )


def _rnn_backward(
    x: Tensor,
    weight: Any,
    weight_stride0: int,
    weight_buf: Tensor,
    hx: Tensor,
    cx: Tensor | None,
    *rest: Any,
) -> Any:
    """Gradients of input, states and weights, as far as the mask, which comes last, asks."""
    wants = rest[-1]
    return (
        new(x, *x.shape),  # cuDNN computes it and that of the states in any case
        new(hx, *hx.shape),
        None if cx is None else new(cx, *cx.shape),
        [new(one, *one.shape) for one in weight] if wants[3] else [],
    )


def _batch_norm(
    x: Tensor, weight: Tensor, _bias: Any, _mean: Any, _variance: Any, training: Any, *_: Any
) -> Any:
    if x.dim() < 2:
        return NotImplemented
    channels = x.shape[1] if training else 0
    saved = [torch.empty(channels, dtype=weight.dtype, device=META) for _ in range(2)]
    return like(x), *saved, torch.empty(0, dtype=torch.uint8, device=META)


def _batch_norm_backward(x: Tensor, gradient: Tensor, weight: Tensor, *_: Any) -> Any:
    if gradient.shape != x.shape:
        return NotImplemented
    return like(x), like(weight), like(weight)


def _dropout(x: Tensor, _: float, train: Any) -> Any:
    if not train or not x.is_floating_point():
        return NotImplemented
    return like(x), torch.empty_like(x, dtype=torch.bool)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "_cudnn_rnn.default": _rnn,
        "_cudnn_rnn_backward.default": _rnn_backward,
        "cudnn_batch_norm.default": _batch_norm,
        "cudnn_batch_norm_backward.default": _batch_norm_backward,
        "native_dropout.default": _dropout,
    }
)
"""By `aten` operator and overload, beside those of `shapes.py`."""
