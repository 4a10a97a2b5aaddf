"""What are the elements of a model's parameters like: mean, spread, norm, zeros, not finite?

Weights are read where they lie, a piece at a time in float64: no more than `PIECE` elements are
copied at once, whatever the size of the model. No gradient is recorded and nothing is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from zoo.analysis.params import Values
from zoo.analysis.tracer.run import unwrapped
from zoo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

PIECE = 1 << 20
"""Elements that are looked at together."""
DOUBLE = frozenset({"cpu", "cuda", "xpu"})
"""Devices that compute in float64; from others a piece is copied to the CPU."""


def values(model: nn.Module) -> Mapping[str, Values]:
    """What the elements of each distinct parameter are like.

    Args:
        model: A module with real weights.

    Returns:
        By first name, in the order of `named_parameters`.

    Raises:
        InputError: Weights are lazy, on the meta device, or not dense.
    """
    named = list(unwrapped(model).named_parameters())
    for name, parameter in named:
        _check(name, parameter)
    with torch.no_grad():
        return {name: _values(parameter) for name, parameter in named}


def _check(name: str, parameter: Tensor) -> None:
    """Refuse a parameter that has no values to read."""
    what = f"values of {name}"
    if is_lazy(parameter):
        hint = "Run the model once on an input before."
        raise InputError(what, "it is lazy and has no values yet", hint)
    if parameter.device.type == "meta":
        hint = "Build the model off the meta device and load its weights, or leave values out."
        raise InputError(what, "it is on the meta device, which holds no values", hint)
    if parameter.layout != torch.strided:
        layout = str(parameter.layout).removeprefix("torch.")
        raise InputError(what, f"its layout is {layout}", "Values are read of dense tensors alone.")


def _values(parameter: Tensor) -> Values:
    found = Values(complex=parameter.is_complex())
    for piece in _pieces(parameter.detach()):
        found = found.joined(_of_piece(piece))
    return found


def _pieces(tensor: Tensor) -> Iterator[Tensor]:
    """Parts of at most `PIECE` elements: views, cut across the longest dim."""
    if tensor.numel() <= PIECE:
        yield tensor
        return
    longest = max(range(tensor.dim()), key=lambda dim: tensor.shape[dim])
    each = max(PIECE // (tensor.numel() // tensor.shape[longest]), 1)
    for part in tensor.split(each, longest):
        yield from _pieces(part)


def _of_piece(piece: Tensor) -> Values:
    """A piece's values."""
    if piece.is_quantized:
        piece = piece.dequantize()
    if piece.is_complex():
        piece = piece.abs()
    there = piece if piece.device.type in DOUBLE else piece.cpu()
    wide = there.to(torch.float64).reshape(-1)
    known = wide[wide.isfinite()]
    mean = float(known.mean()) if known.numel() else 0.0
    return Values(
        elements=wide.numel(),
        finite=known.numel(),
        mean=mean,
        squares=float((known - mean).square().sum()),
        norm=float(torch.linalg.vector_norm(known)),
        zeros=int((wide == 0).sum()),
    )
