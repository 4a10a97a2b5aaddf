"""Functions of torch whose C++ code makes numbers of sizes before any operator runs.

They stand in for their namesakes where dims are open, and call the operators that these call.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as fn

from zoo.analysis.tracer import recurrent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_NN = torch._C._nn
ATEN = torch.ops.aten


def _scaled(tensor: Tensor, size: Sequence[Any] | None, factors: Sequence[float] | None) -> Any:
    """The lengths that upsampling gives."""
    if size is not None or factors is None:
        return size
    lengths = tensor.shape[-len(factors) :]
    return [torch.sym_int(n * factor) for n, factor in zip(lengths, factors, strict=True)]


def _upsample(name: str, *, corners: bool) -> Callable[..., Any]:
    """`torch._C._nn`'s function of that name, of (input, size, [align_corners,] factors)."""
    operator = getattr(ATEN, name).default

    def function(tensor: Tensor, size: Any, *rest: Any) -> Any:
        factors = rest[-1]
        lengths = _scaled(tensor, size, factors)
        scales = [None] * len(lengths) if factors is None else list(factors)
        return operator(tensor, lengths, *(rest[:1] if corners else ()), *scales)

    return function


def _chunk(operator: Any) -> Callable[..., Any]:
    """`chunk` and `unsafe_chunk`, by the operator that splits."""

    def function(tensor: Tensor, chunks: int, dim: int = 0) -> Any:
        length = tensor.shape[dim]
        return operator(tensor, (length + chunks - 1) // chunks, dim)

    return function


def _cell(step: recurrent.Cell, states: int) -> Callable[..., Any]:
    """A recurrent cell, of (input, states, input weights, hidden weights, biases)."""

    def function(x: Tensor, hidden: Any, *weights: Any) -> Any:
        own = [one for one in weights if one is not None]
        given = fn.linear(x, own[0], own[2] if len(own) > 2 else None)
        found = step(given, tuple(hidden) if states > 1 else (hidden,), own, len(own) > 2)
        return found if states > 1 else found[0]

    return function


FUNCTIONS: Mapping[Any, Callable[..., Any]] = MappingProxyType(
    {
        **{
            getattr(_NN, name): _upsample(name, corners="linear" in name or "cubic" in name)
            for name in (
                "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d"
                " _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d "
                "upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d "
                "_upsample_bilinear2d_aa _upsample_bicubic2d_aa"
            ).split()
        },
        torch.Tensor.unsafe_chunk: _chunk(ATEN.unsafe_split.Tensor),
        torch.unsafe_chunk: _chunk(ATEN.unsafe_split.Tensor),
        torch._VF.gru_cell: _cell(recurrent._gru_cell, 1),
        torch._VF.lstm_cell: _cell(recurrent._lstm_cell, 2),
        torch._VF.rnn_tanh_cell: _cell(recurrent._tanh_cell, 1),
        torch._VF.rnn_relu_cell: _cell(recurrent._relu_cell, 1),
    }
)
"""By the function that each stands for."""
