"""Shapes of views, padding and new tensors where dims are open.

torch's C++ kernels of these take numbers only, and its Python ones ask whether each dim is 1, which
a formula would then exclude. Views share their operand's block, as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from zoo.analysis.tracer.blank import META
from zoo.analysis.tracer.shapes import adaptive_max, like, padded
from zoo.analysis.tracer.symbolic import closed

Dims = Sequence[Any]


def product(dims: Dims) -> Any:
    """Of lengths; 1 for none."""
    found: Any = 1
    for one in dims:
        found = found * one
    return found


def contiguous(size: Dims) -> list[Any]:
    """Strides of a tensor without gaps, for lengths of at least 1."""
    strides: list[Any] = []
    step: Any = 1
    for length in reversed(size):
        strides.append(step)
        step = step * length
    return strides[::-1]


def _strided(tensor: Tensor, size: Dims, stride: Dims, offset: Any = None) -> Tensor:
    start = tensor.storage_offset() if offset is None else offset
    return torch.ops.aten.as_strided.default(tensor, list(size), list(stride), start)  # type: ignore[no-any-return]


def _view(tensor: Tensor, size: Dims) -> Tensor:
    wanted = list(size)
    inferred = [at for at, one in enumerate(wanted) if isinstance(one, int) and one == -1]
    numel = product(tensor.shape)
    if inferred:
        rest = product([one for at, one in enumerate(wanted) if at != inferred[0]])
        wanted[inferred[0]] = numel // rest
    if product(wanted) != numel:
        raise RuntimeError(f"shape {list(size)} is invalid for input of size {numel}")
    if tensor.is_contiguous():
        return _strided(tensor, wanted, contiguous(wanted))
    stride = _stride_of_view(tensor.shape, tensor.stride(), wanted)
    if stride is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride. Use .reshape(...)."
        )
    return _strided(tensor, wanted, stride)


def _runs(size: Dims, stride: Dims) -> list[tuple[Any, Any]]:
    """Dims that lie one inside the other without gaps, joined: (elements, innermost stride)."""
    runs: list[tuple[Any, Any]] = []
    for length, step in zip(size, stride, strict=True):
        if isinstance(length, int) and length == 1:
            continue
        if runs and runs[-1][1] == step * length:
            runs[-1] = (runs[-1][0] * length, step)
        else:
            runs.append((length, step))
    return runs


def _stride_of_view(size: Dims, stride: Dims, wanted: Dims) -> list[Any] | None:
    """Strides of a view of other lengths; None where it would take a copy."""
    runs = _runs(size, stride)
    found: list[Any] = []
    left, step = runs.pop() if runs else (1, 1)
    for length in reversed(wanted):
        if isinstance(length, int) and length == 1:
            found.append(step)
            continue
        if isinstance(left, int) and left == 1:
            if not runs:
                return None
            left, step = runs.pop()
        found.append(step)
        rest = left // length
        if rest * length != left:
            return None
        left, step = rest, step * length
    return found[::-1]


def _axis(tensor: Tensor, dim: int, more: int = 0) -> int:
    rank = tensor.dim() + more
    if not -rank <= dim < max(rank, 1):
        raise IndexError(f"Dimension out of range (got {dim} of a tensor with {rank})")
    return dim % rank if rank else 0


def _permute(tensor: Tensor, dims: Dims) -> Tensor:
    axes = [_axis(tensor, one) for one in dims]
    if sorted(axes) != list(range(tensor.dim())):
        raise RuntimeError(f"permute: {list(dims)} is no order of {tensor.dim()} dims")
    size, stride = tensor.shape, tensor.stride()
    return _strided(tensor, [size[a] for a in axes], [stride[a] for a in axes])


def _transpose(tensor: Tensor, first: int, second: int) -> Tensor:
    axes = list(range(tensor.dim()))
    if not axes:
        return _strided(tensor, (), ())
    a, b = _axis(tensor, first), _axis(tensor, second)
    axes[a], axes[b] = axes[b], axes[a]
    return _permute(tensor, axes)


def _t(tensor: Tensor) -> Tensor:
    return _transpose(tensor, 0, -1)


def _unsqueeze(tensor: Tensor, dim: int) -> Tensor:
    axis = _axis(tensor, dim, 1)
    size, stride = list(tensor.shape), list(tensor.stride())
    stride.insert(axis, size[axis] * stride[axis] if axis < len(size) else 1)
    size.insert(axis, 1)
    return _strided(tensor, size, stride)


def _squeezed(tensor: Tensor, axes: set[int]) -> Tensor:
    size, stride = tensor.shape, tensor.stride()
    kept = [at for at, one in enumerate(size) if at not in axes or one != 1]
    return _strided(tensor, [size[a] for a in kept], [stride[a] for a in kept])


def _squeeze(tensor: Tensor) -> Tensor:
    return _squeezed(tensor, set(range(tensor.dim())))


def _squeeze_dim(tensor: Tensor, dim: Any) -> Tensor:
    dims = dim if isinstance(dim, list | tuple) else [dim]
    return _squeezed(tensor, {_axis(tensor, one) for one in dims})


def _expand(tensor: Tensor, size: Dims, **_: Any) -> Tensor:
    more = len(size) - tensor.dim()
    if more < 0:
        raise RuntimeError(f"expand to {list(size)}: the tensor has {tensor.dim()} dims")
    lengths, strides = list(size[:more]), [0] * more
    for wanted, have, step in zip(size[more:], tensor.shape, tensor.stride(), strict=True):
        if (isinstance(wanted, int) and wanted == -1) or _same(wanted, have):
            lengths.append(have)
            strides.append(step)
        elif have == 1:
            lengths.append(wanted)
            strides.append(0)
        else:
            raise RuntimeError(f"the expanded size {wanted} must match the existing size {have}")
    return _strided(tensor, lengths, strides)


def _same(one: Any, other: Any) -> bool:
    """Whether two lengths are equal, asked in an order that excludes as little as it can."""
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    if isinstance(other, int) and other == 1:
        return False  # it stretches, to 1 too
    return bool(one == other)


def _slice(
    tensor: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Tensor:
    axis = _axis(tensor, dim)
    length = tensor.shape[axis]
    first = _clamped(0 if start is None else start, length)
    last = length if end is None else _clamped(end, length)
    last = max(last, first)
    size, stride = list(tensor.shape), list(tensor.stride())
    offset = tensor.storage_offset() + first * stride[axis]
    size[axis] = (last - first + step - 1) // step
    stride[axis] = stride[axis] * step
    return _strided(tensor, size, stride, offset)


def _clamped(at: Any, length: Any) -> Any:
    """A place between 0 and `length`."""
    if isinstance(at, int) and at >= 2**62:
        return length
    if at < 0:
        at = at + length
        if at < 0:
            return 0
    return min(at, length)


def _select(tensor: Tensor, dim: int, index: Any) -> Tensor:
    axis = _axis(tensor, dim)
    size, stride = list(tensor.shape), list(tensor.stride())
    length = size.pop(axis)
    if index < 0:
        index = index + length
    if not 0 <= index < length:
        raise IndexError(f"index {index} is out of range of {length}")
    return _strided(tensor, size, stride, tensor.storage_offset() + index * stride.pop(axis))


def _split(tensor: Tensor, size: Any, dim: int = 0) -> list[Tensor]:
    axis = _axis(tensor, dim)
    length = tensor.shape[axis]
    pieces = int(-(-length // size))  # as many results as there are pieces: a number
    starts = [piece * size for piece in range(pieces)]
    ends = [*starts[1:], length]
    return [_slice(tensor, axis, *ends) for ends in zip(starts, ends, strict=True)]


def _split_sizes(tensor: Tensor, sizes: Dims, dim: int = 0) -> list[Tensor]:
    found, at = [], 0
    for size in sizes:
        found.append(_slice(tensor, dim, at, at + size))
        at = at + size
    return found


def _unbind(tensor: Tensor, dim: int = 0) -> list[Tensor]:
    return [_select(tensor, dim, at) for at in range(int(tensor.shape[_axis(tensor, dim)]))]


def _detach(tensor: Tensor) -> Tensor:
    return _strided(tensor, tensor.shape, tensor.stride())


def _repeat(tensor: Tensor, times: Dims) -> Tensor:
    more = len(times) - tensor.dim()
    size = (1,) * more + tuple(tensor.shape)
    lengths = [a * b for a, b in zip(size, times, strict=True)]
    return torch.empty(lengths, dtype=tensor.dtype, device=META)


def _arange(*args: Any, **options: Any) -> Any:
    numbers = [0, *args] if len(args) == 1 else list(args)
    start, end, step = (*numbers, 1)[:3]
    if step == 0 or any(isinstance(one, float | torch.SymFloat) for one in (start, end, step)):
        return NotImplemented
    whole = (end - start) // step
    length = whole if closed(whole * step) == closed(end - start) else -((start - end) // step)
    return torch.empty((length,), dtype=options.get("dtype") or torch.int64, device=META)


def _new(size: Dims, *_: Any, **options: Any) -> Tensor:
    dtype = options.get("dtype") or torch.get_default_dtype()
    return torch.empty(tuple(size), dtype=dtype, device=META)


def _full(size: Dims, value: Any, **options: Any) -> Tensor:
    kinds = {bool: torch.bool, int: torch.int64}
    dtype = options.get("dtype") or kinds.get(type(value), torch.get_default_dtype())
    return torch.empty(tuple(size), dtype=dtype, device=META)


def _group_norm(
    tensor: Tensor, _: Any, __: Any, batch: Any, ___: Any, ____: Any, groups: int, *_____: Any
) -> Any:
    saved = [torch.empty((batch, groups), dtype=tensor.dtype, device=META) for _ in range(2)]
    return (torch.empty(tuple(tensor.shape), dtype=tensor.dtype, device=META), *saved)


def _upsample(tensor: Tensor, size: Dims, *_: Any) -> Tensor:
    shape = (*tensor.shape[: -len(size)], *size)
    return torch.empty(shape, dtype=tensor.dtype, device=META)


def _adaptive_average(tensor: Tensor, size: Dims) -> Tensor:
    return torch.empty((*tensor.shape[: -len(size)], *size), dtype=tensor.dtype, device=META)


def _pointwise(tensor: Any, *_: Any, **options: Any) -> Any:
    """Of a floating point tensor that is not laid out as its result, and a number."""
    plain = isinstance(tensor, Tensor) and tensor.is_floating_point() and not options
    return like(tensor) if plain else NotImplemented


def _triangle(tensor: Tensor, _: int = 0) -> Tensor:
    return torch.empty(tuple(tensor.shape), dtype=tensor.dtype, device=META)


def _among(tensor: Tensor, dim: int, keepdim: bool = False) -> Tensor:  # noqa: FBT001, FBT002
    """Whether any, or all, of a dim are true."""
    axis, size = _axis(tensor, dim), list(tensor.shape)
    size[axis : axis + 1] = [1] if keepdim else []
    kind = torch.uint8 if tensor.dtype == torch.uint8 else torch.bool
    return torch.empty(size, dtype=kind, device=META)


def _running(tensor: Tensor, _: int, **options: Any) -> Tensor:
    """Of running sums and products; those of whole numbers are 64 bits wide."""
    whole = not (tensor.is_floating_point() or tensor.is_complex())
    dtype = options.get("dtype") or (torch.int64 if whole else tensor.dtype)
    return torch.empty(tuple(tensor.shape), dtype=dtype, device=META)


def _mean(tensor: Tensor, **options: Any) -> Tensor:
    """Of all elements; torch's Python kernel keeps what it works on."""
    return torch.empty((), dtype=options.get("dtype") or tensor.dtype, device=META)


def _pixel_shuffle(tensor: Tensor, factor: int) -> Tensor:
    *outer, channels, height, width = tensor.shape
    shape = (*outer, channels // (factor * factor), height * factor, width * factor)
    return torch.empty(shape, dtype=tensor.dtype, device=META)


UPSAMPLES = (
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d "
    "upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d _upsample_nearest_exact1d "
    "_upsample_nearest_exact2d _upsample_nearest_exact3d _upsample_bilinear2d_aa"
).split()

RULES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "view.default": _view,
        "_unsafe_view.default": _view,
        "permute.default": _permute,
        "transpose.int": _transpose,
        "t.default": _t,
        "unsqueeze.default": _unsqueeze,
        "squeeze.default": _squeeze,
        "squeeze.dim": _squeeze_dim,
        "squeeze.dims": _squeeze_dim,
        "expand.default": _expand,
        "slice.Tensor": _slice,
        "select.int": _select,
        "split.Tensor": _split,
        "unsafe_split.Tensor": _split,
        "split_with_sizes.default": _split_sizes,
        "unbind.int": _unbind,
        "detach.default": _detach,
        "alias.default": _detach,
        "constant_pad_nd.default": padded,
        "repeat.default": _repeat,
        **{f"arange.{kind}": _arange for kind in ("default", "start", "start_step")},
        **{f"{name}.default": _new for name in ("zeros", "ones", "rand", "randn")},
        "empty.memory_format": _new,
        "full.default": _full,
        "div.Scalar": _pointwise,
        "mean.default": _mean,
        "tril.default": _triangle,
        "triu.default": _triangle,
        "any.dim": _among,
        "all.dim": _among,
        "cumsum.default": _running,
        "cumprod.default": _running,
        "pixel_shuffle.default": _pixel_shuffle,
        "adaptive_max_pool2d.default": adaptive_max,
        "adaptive_max_pool3d.default": adaptive_max,
        "_adaptive_avg_pool2d.default": _adaptive_average,
        "_adaptive_avg_pool3d.default": _adaptive_average,
        "native_group_norm.default": _group_norm,
        **{f"{name}.default": _upsample for name in UPSAMPLES},
    }
)
"""By `aten` operator and overload; asked before all others where an operand or size is open."""
