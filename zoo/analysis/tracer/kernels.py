"""Fused kernels that a device runs where torch's meta device takes an operator apart.

`scaled_dot_product_attention` on the meta device writes out the whole score matrix, which no device
does where it has a fused kernel. Its choice is made here as torch makes it for the CPU: the fused
kernel takes operands of 4 dims (or 3) with one batch, one head dim and no dropout, and a mask of 2
or 4 dims (`sdp_utils_cpp.cpp` of torch 2.14; `tests/analysis/tracer/test_kernels.py` asks torch's
profiler). The same kernel stands for an accelerator's until zoo knows theirs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

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
    if dropout_p or not _fits(query, key, value, attn_mask):
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
    return mask is None or mask.dim() in (2, 4)
