"""Operators whose result depends on values, and what they are taken to give on blank tensors.

Each answer gets the running mode and the operator's arguments, and returns the result, or
`NotImplemented` where this call does not depend on values after all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.analysis.tracer.blank import CPU, META, SMALL, blank_like
from zoo.analysis.tracer.hints import FEW, broadcast_numel

if TYPE_CHECKING:
    from zoo.analysis.tracer.modes import BlankMode

Answer = Callable[["BlankMode", Any, Mapping[str, Any]], Any]


def _indices(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.int64, device=META)


def _nonzero(mode: BlankMode, args: Any, _: Mapping[str, Any]) -> Tensor:
    (tensor,) = args
    most = tensor.numel()
    return _indices(mode.hints.size("nonzero", most, most), tensor.dim())


def _masked_select(mode: BlankMode, args: Any, _: Mapping[str, Any]) -> Tensor:
    tensor, mask = args
    most = broadcast_numel(tensor.shape, mask.shape)
    size = mode.hints.size("masked_select", most, most)
    return torch.empty(size, dtype=tensor.dtype, device=META)


def _masks_to_indices(mode: BlankMode, indices: Any) -> list[Tensor | None] | None:
    """Boolean masks as indices of each of their dims; None where there is no mask."""
    kinds = (torch.bool, torch.uint8)
    if not any(index is not None and index.dtype in kinds for index in indices):
        return None
    out: list[Tensor | None] = []
    for index in indices:
        if index is None or index.dtype not in kinds:
            out.append(None if index is None else index if index.is_meta else blank_like(index))
            continue
        most = index.numel()
        size = mode.hints.size("mask", most, most)
        out.extend([_indices(size)] * max(index.dim(), 1))
    return out


def _index(mode: BlankMode, args: Any, _: Mapping[str, Any]) -> Any:
    tensor, indices = args
    found = _masks_to_indices(mode, indices)
    if found is None:
        return NotImplemented
    source = tensor if tensor.is_meta else blank_like(tensor)
    return torch.ops.aten.index.Tensor(source, found)


def _index_put_(_: BlankMode, args: Any, __: Mapping[str, Any]) -> Any:
    target, indices = args[0], args[1]
    masked = any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices)
    return target if masked and target.is_meta else NotImplemented


def _unique(outputs: int) -> Answer:
    def answer(mode: BlankMode, args: Any, kwargs: Mapping[str, Any]) -> Any:
        tensor = args[0]
        size = mode.hints.size("unique", min(FEW, tensor.numel()), tensor.numel())
        values = torch.empty(size, dtype=tensor.dtype, device=META)
        return (values, _indices(*tensor.shape), _indices(size))[:outputs]

    return answer


def _unique_dim(mode: BlankMode, args: Any, _: Mapping[str, Any]) -> Any:
    tensor, dim = args[0], args[1]
    length = tensor.shape[dim]
    size = mode.hints.size("unique", min(FEW, length), length)
    shape = list(tensor.shape)
    shape[dim] = size
    values = torch.empty(shape, dtype=tensor.dtype, device=META)
    return values, _indices(length), _indices(size)


def _unique_consecutive(mode: BlankMode, args: Any, kwargs: Mapping[str, Any]) -> Any:
    dim = kwargs.get("dim", args[3] if len(args) > 3 else None)
    if dim is not None:
        return _unique_dim(mode, (args[0], dim), kwargs)
    return _unique(3)(mode, args, kwargs)


def _repeat_interleave(mode: BlankMode, args: Any, kwargs: Mapping[str, Any]) -> Any:
    if kwargs.get("output_size") is not None:
        return _indices(int(kwargs["output_size"]))
    most = args[0].numel() * KEEP_REPEATS
    return _indices(mode.hints.size("repeat_interleave", args[0].numel(), most))


KEEP_REPEATS = 1_000_000
"""Bound on a hint for `repeat_interleave`, whose repeats have none."""


def _bincount(mode: BlankMode, args: Any, kwargs: Mapping[str, Any]) -> Tensor:
    args[0]
    weights = kwargs.get("weights", args[1] if len(args) > 1 else None)
    least = kwargs.get("minlength", args[2] if len(args) > 2 else 0)
    size = max(mode.hints.size("bincount", max(least, FEW), 2**31), least)
    return torch.empty(size, dtype=torch.int64 if weights is None else weights.dtype, device=META)


def _value(mode: BlankMode, args: Any, _: Mapping[str, Any]) -> Any:
    (tensor,) = args
    return mode.hints.value("item", mode.stand_in(tensor).item())


def _equal(mode: BlankMode, args: Any, _: Mapping[str, Any]) -> bool:
    left, right = args
    alike = left.shape == right.shape
    if alike and left.numel() <= SMALL:
        alike = torch.equal(mode.stand_in(left), mode.stand_in(right))
    return bool(mode.hints.value("equal", alike))


def _allclose(mode: BlankMode, args: Any, kwargs: Mapping[str, Any]) -> bool:
    left, right, *tolerances = args
    alike = True
    if broadcast_numel(left.shape, right.shape) <= SMALL:
        alike = torch.allclose(mode.stand_in(left), mode.stand_in(right), *tolerances, **kwargs)
    return bool(mode.hints.value("allclose", alike))


def _nms(mode: BlankMode, args: Any, _: Mapping[str, Any]) -> Tensor:
    most = args[0].shape[0]
    return _indices(mode.hints.size("nms", most, most))


def _pack_padded_sequence(mode: BlankMode, args: Any, _: Mapping[str, Any]) -> Any:
    padded, lengths, batch_first = args
    steps = padded.shape[1 if batch_first else 0]
    if (place := mode.device_of(lengths)) != "cpu":
        mode.refuse(f"pack_padded_sequence gets lengths on {place}", "Keep lengths on the host.")
    if mode.is_blank(lengths):
        longest = mode.hints.size("sequence_length", steps, steps)
        lengths = torch.full(lengths.shape, longest, dtype=torch.int64, device=CPU)
    sizes = [int((lengths > step).sum()) for step in range(int(lengths.max()))]
    data = torch.empty((int(lengths.sum()), *padded.shape[2:]), dtype=padded.dtype, device=META)
    counts = torch.tensor(sizes, dtype=torch.int64, device=CPU)
    counts._zoo_device = "cpu"  # type: ignore[attr-defined]
    return data, counts


def _nothing(_: BlankMode, __: Any, ___: Mapping[str, Any]) -> None:
    return None


ANSWERS: Mapping[str, Answer] = MappingProxyType(
    {
        "nonzero": _nonzero,
        "masked_select": _masked_select,
        "index": _index,
        "index_put_": _index_put_,
        "_index_put_impl_": _index_put_,
        "_unique": _unique(2),
        "_unique2": _unique(3),
        "unique_dim": _unique_dim,
        "unique_consecutive": _unique_consecutive,
        "repeat_interleave": _repeat_interleave,
        "bincount": _bincount,
        "_local_scalar_dense": _value,
        "allclose": _allclose,
        "equal": _equal,
        "nms": _nms,
        "_pack_padded_sequence": _pack_padded_sequence,
        "_assert_async": _nothing,
        "_functional_assert_async": _nothing,
    }
)
"""By the operator's name without namespace and overload."""
