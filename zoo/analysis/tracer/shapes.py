"""Output shapes of the operators that models are made of, without running torch's meta kernels.

torch computes the output of many operators on the meta device with Python reference code: 2 ms for
a batch norm, and the first such call imports `torch._dynamo` (1.1 s). For the operators below the
answer is one line. A rule that is not sure (other dtypes, shapes that do not fit) returns
`NotImplemented`, and torch's own kernel runs, so that errors are torch's;
`tests/analysis/tracer/test_shapes.py` holds each rule against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from zoo.analysis.tracer.blank import META
from zoo.analysis.tracer.workspaces import lstm_workspace

Rule = Callable[..., Any]

UNARY = (
    "relu gelu silu mish sigmoid tanh hardswish hardsigmoid elu selu celu leaky_relu hardtanh exp "
    "log sqrt rsqrt neg abs erf sin cos softplus clamp_min square reciprocal"
).split()
BINARY = ("add", "sub", "mul", "rsub")
FILLS = (
    "normal_.default uniform_.default zero_.default fill_.Scalar fill_.Tensor bernoulli_.float "
    "trunc_normal_.default erfinv_.default exponential_.default"
).split()
COMPARE = ("eq", "ne", "lt", "le", "gt", "ge")
REDUCED = (torch.float16, torch.bfloat16)


def like(tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A blank of the same shape, with the strides that `torch.empty_like` gives.

    `torch.empty_like` itself runs in Python on the meta device, and imports sympy for it (0.4 s).
    """
    dtype = dtype or tensor.dtype
    size = tensor.size()
    if tensor.is_contiguous():
        return torch.empty(size, dtype=dtype, device=META)
    return torch.empty_strided(size, dense(size, tensor.stride()), dtype=dtype, device=META)


def dense(size: Sequence[int], stride: Sequence[int]) -> tuple[int, ...]:
    """Strides in the order of some others, without their gaps.

    Where the order is not clear, because a dim is expanded (stride 0), dims stay as they are. So
    do strides that have no gaps.

    Args:
        size: Lengths of the dims.
        stride: Strides of a tensor of that size.

    Returns:
        Strides of a dense tensor.
    """
    order = list(range(len(size)))[::-1]  # innermost first
    for last in range(1, len(order)):
        here = last
        for before in range(last - 1, -1, -1):
            inner, outer = order[before], order[here]
            if not stride[inner] or not stride[outer]:
                continue
            if (stride[inner], size[inner]) > (stride[outer], size[outer]):
                order[before], order[here] = outer, inner
                here = before
            elif stride[inner] < stride[outer]:
                break
    found, step = [0] * len(order), 1
    for dim in order:
        found[dim] = step
        step *= max(size[dim], 1)
    there = all(n == 1 or a == b for n, a, b in zip(size, found, stride, strict=True))
    return tuple(stride if there else found)


def new(tensor: Tensor, *shape: int) -> Tensor:
    """A blank of another shape and the same dtype."""
    return torch.empty(shape, dtype=tensor.dtype, device=META)


def _unary(tensor: Tensor, *_: Any, **__: Any) -> Any:
    return like(tensor) if tensor.is_floating_point() else NotImplemented


def _log_sigmoid(tensor: Tensor) -> Any:
    """The result and, of the same size, what the backward pass needs of it."""
    return (like(tensor), like(tensor)) if tensor.is_floating_point() else NotImplemented


def _unary_in_place(tensor: Tensor, *_: Any, **__: Any) -> Any:
    return tensor if tensor.is_floating_point() else NotImplemented


def fits(shape: torch.Size, other: torch.Size) -> bool:
    """Whether `other` broadcasts to `shape`."""
    if len(other) > len(shape):
        return False
    for a, b in zip(reversed(shape), reversed(other), strict=False):
        if type(b) is int:
            if b not in (1, a):
                return False
        elif _is_one(a) or b not in (a, 1):
            return False
    return True


def alike(shape: torch.Size, other: torch.Size) -> bool:
    """Whether two shapes are one; an open dim, which may be 1, is not taken to be that number."""
    return len(shape) == len(other) and all(
        type(a) is type(b) and a == b for a, b in zip(shape, other, strict=True)
    )


def _is_one(length: int) -> bool:
    """Whether a length is 1, and not an open dim that may be."""
    return type(length) is int and length == 1


def _stretched(left: torch.Size, right: torch.Size) -> list[int] | None:
    """The shape that both stretch to; None where they do not fit."""
    rank = max(len(left), len(right))
    sizes = zip((1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right, strict=True)
    shape = []
    for a, b in sizes:
        if _is_one(a) or _is_one(b):
            shape.append(b if _is_one(a) else a)
        elif b in (a, 1):
            shape.append(a)
        elif a == 1:
            shape.append(b)
        else:
            return None
    return shape


def _same_kind(tensor: Tensor, other: Any) -> bool:
    """Whether the result has the dtype and shape of `tensor`."""
    if isinstance(other, Tensor):
        return tensor.dtype == other.dtype and fits(tensor.shape, other.shape)
    kinds = int | float if tensor.is_floating_point() else int
    return isinstance(other, kinds) and not isinstance(other, bool)


def _binary(tensor: Any, other: Any, *_: Any, **options: Any) -> Any:
    if not isinstance(tensor, Tensor) or tensor.dtype == torch.bool or tensor.is_complex():
        return NotImplemented
    if _same_kind(tensor, other):
        dense = not isinstance(other, Tensor) or alike(tensor.shape, other.shape)
        return like(tensor) if dense else new(tensor, *tensor.shape)
    if type(other) is float:
        return like(tensor, torch.get_default_dtype())  # whole numbers and one that is not
    return _of_two(tensor, other) if isinstance(other, Tensor) else NotImplemented


def _of_two(tensor: Tensor, other: Tensor) -> Any:
    """Of tensors that differ in dtype, or of which neither has the shape of the result."""
    if other.dtype == torch.bool or other.is_complex():
        return NotImplemented
    if tensor.dtype == other.dtype and fits(other.shape, tensor.shape):
        return new(other, *other.shape)
    return _both_stretched(tensor, other, torch.result_type(tensor, other))


def _both_stretched(tensor: Tensor, other: Tensor, dtype: torch.dtype) -> Any:
    shape = _stretched(tensor.shape, other.shape)
    if shape is None or not (tensor.is_contiguous() and other.is_contiguous()):
        return NotImplemented
    return torch.empty(shape, dtype=dtype, device=META)


def _quotient(tensor: Any, other: Any, **options: Any) -> Any:
    if options or not isinstance(tensor, Tensor):
        return NotImplemented
    if tensor.is_floating_point():
        return _binary(tensor, other)
    return _binary(tensor, float(other)) if type(other) in (int, float) else NotImplemented


def _binary_in_place(tensor: Tensor, other: Any, *_: Any, **options: Any) -> Any:
    plain = tensor.is_floating_point() and "rounding_mode" not in options
    return tensor if plain and _same_kind(tensor, other) else NotImplemented


def _in_place(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    return tensor


def _compare(tensor: Tensor, other: Any) -> Any:
    if isinstance(other, Tensor) and not alike(tensor.shape, other.shape):
        if fits(tensor.shape, other.shape):
            return torch.empty(tensor.shape, dtype=torch.bool, device=META)
        return _both_stretched(tensor, other, torch.bool)
    return like(tensor, torch.bool)


def _masked_fill(tensor: Tensor, mask: Tensor, _: Any) -> Any:
    return new(tensor, *tensor.shape) if fits(tensor.shape, mask.shape) else NotImplemented


def _full_like(tensor: Tensor, *_: Any, **options: Any) -> Any:
    """Of ones, of zeros, of nothing."""
    dtype, form = options.get("dtype"), options.get("memory_format")
    if options.get("layout") not in (None, torch.strided):
        return NotImplemented
    if form == torch.contiguous_format:
        return torch.empty(tensor.size(), dtype=dtype or tensor.dtype, device=META)
    return like(tensor, dtype) if form in (None, torch.preserve_format) else NotImplemented


def _clone(tensor: Tensor, *, memory_format: Any = None) -> Any:
    if memory_format == torch.contiguous_format:
        return new(tensor, *tensor.shape)
    return like(tensor) if memory_format in (None, torch.preserve_format) else NotImplemented


def _unsafe_view(tensor: Tensor, size: Any) -> Any:
    """A view that autograd does not know to be one; torch looks at it in Python."""
    return torch.ops.aten.view.default(tensor, size)


def _unsafe_split(tensor: Tensor, size: int, dim: int = 0) -> Any:
    return torch.ops.aten.split.Tensor(tensor, size, dim)


def _empty_strided(tensor: Tensor, size: Any, stride: Any, **options: Any) -> Any:
    if options.get("layout") not in (None, torch.strided):
        return NotImplemented
    dtype = options.get("dtype") or tensor.dtype
    return torch.empty_strided(tuple(size), tuple(stride), dtype=dtype, device=META)


def _unmask(tensor: Tensor) -> Any:
    return like(tensor) if tensor.dtype == torch.bool else NotImplemented


def _masks(left: Tensor, right: Any) -> Any:
    """Of two masks of one shape."""
    alike = left.shape == right.shape and left.dtype == right.dtype == torch.bool
    return new(left, *left.shape) if alike and left.is_contiguous() else NotImplemented


def _any(tensor: Tensor) -> Any:
    plain = tensor.dtype == torch.bool
    return torch.empty((), dtype=torch.bool, device=META) if plain else NotImplemented


def _full(tensor: Tensor, size: Any, *_: Any, **options: Any) -> Any:
    """`new_zeros` and the like."""
    if options.get("layout") not in (None, torch.strided):
        return NotImplemented
    return torch.empty(tuple(size), dtype=options.get("dtype") or tensor.dtype, device=META)


def _where(mask: Tensor, left: Tensor, right: Tensor) -> Any:
    if left.dtype != right.dtype or mask.dtype != torch.bool:
        return NotImplemented
    shapes = sorted((mask.shape, left.shape, right.shape), key=len, reverse=True)
    for shape in shapes:
        if len(shape) == len(shapes[0]) and all(fits(shape, one) for one in shapes):
            return new(left, *shape)
    return NotImplemented


def _clamp(tensor: Tensor, low: Any = None, high: Any = None) -> Any:
    """Whole numbers stay whole where the bounds are."""
    bounds = [one for one in (low, high) if one is not None]
    whole = tensor.dtype in (torch.int64, torch.int32) and all(type(one) is int for one in bounds)
    return like(tensor) if bounds and (whole or tensor.is_floating_point()) else NotImplemented


def _index(tensor: Tensor, indices: Any) -> Any:
    """Indices of the first dims, none of them a mask."""
    whole = (torch.int64, torch.int32)
    if not indices or any(one is None or one.dtype not in whole for one in indices):
        return NotImplemented
    shape = max((one.shape for one in indices), key=lambda one: (len(one), one.numel()))
    if len(indices) > tensor.dim() or not all(fits(shape, one.shape) for one in indices):
        return NotImplemented
    return new(tensor, *shape, *tensor.shape[len(indices) :])


def _index_put(tensor: Tensor, indices: Any, *_: Any) -> Any:
    masks = any(one is not None and one.dtype in (torch.bool, torch.uint8) for one in indices)
    return NotImplemented if masks or not tensor.is_contiguous() else like(tensor)


def _vector_norm(tensor: Tensor, _: Any = 2, dims: Any = None, *rest: Any, **options: Any) -> Any:
    return _mean(tensor, dims, *rest, **options) if dims else NotImplemented


def _sum(tensor: Tensor, **options: Any) -> Any:
    plain = tensor.is_floating_point() and options.get("dtype") is None
    return new(tensor) if plain else NotImplemented


def _stack(tensors: list[Tensor], dim: int = 0) -> Any:
    first = tensors[0]
    rank = first.dim() + 1
    alike = all(t.shape == first.shape and t.dtype == first.dtype for t in tensors)
    if not alike or not -rank <= dim < rank:
        return NotImplemented
    dim %= rank
    return new(first, *first.shape[:dim], len(tensors), *first.shape[dim:])


def _softmax(tensor: Tensor, dim: int, other: Any = None, **options: Any) -> Any:
    plain = not other and options.get("dtype") is None and tensor.is_floating_point()
    inside = -tensor.dim() <= dim < tensor.dim()
    return like(tensor) if plain and inside else NotImplemented


def _batch_norm(
    tensor: Tensor, weight: Any, bias: Any, mean: Any, var: Any, training: bool, *_: Any
) -> Any:
    if tensor.dim() < 2 or not tensor.is_floating_point():
        return NotImplemented
    channels = tensor.shape[1] if training else 0
    statistics = torch.float32 if tensor.dtype in REDUCED else tensor.dtype
    saved = [torch.empty(channels, dtype=statistics, device=META) for _ in range(2)]
    return (like(tensor), *saved)


def _layer_norm(tensor: Tensor, shape: list[int], weight: Any, bias: Any, _: float) -> Any:
    inner = len(shape)
    if list(tensor.shape[-inner:]) != list(shape) or not tensor.is_floating_point():
        return NotImplemented
    if weight is not None and list(weight.shape) != list(shape):
        return NotImplemented
    outer = (*tensor.shape[:-inner], *(1,) * inner)
    statistics = torch.float32 if tensor.dtype in REDUCED else tensor.dtype
    saved = [torch.empty(outer, dtype=statistics, device=META) for _ in range(2)]
    return (new(tensor, *tensor.shape), *saved)


def _same_dtype(left: Tensor, right: Tensor) -> None:
    """Raise RuntimeError for two dtypes, as torch's real kernels do; its meta kernels do not."""
    if left.dtype != right.dtype:
        raise RuntimeError(
            f"expected operands of one dtype, but got {left.dtype} and {right.dtype}"
        )


def _mm(left: Tensor, right: Tensor, *_: Any) -> Any:
    _same_dtype(left, right)
    if left.dim() != 2 or right.dim() != 2 or left.shape[1] != right.shape[0]:
        return NotImplemented
    return new(left, left.shape[0], right.shape[1])


def _bmm(left: Tensor, right: Tensor, *_: Any) -> Any:
    _same_dtype(left, right)
    if left.dim() != 3 or right.dim() != 3 or left.shape[0] != right.shape[0]:
        return NotImplemented
    if left.shape[2] != right.shape[1]:
        return NotImplemented
    return new(left, left.shape[0], left.shape[1], right.shape[2])


def _addmm(bias: Tensor, left: Tensor, right: Tensor, **_: Any) -> Any:
    _same_dtype(left, right)
    if left.dim() != 2 or right.dim() != 2 or left.shape[1] != right.shape[0]:
        return NotImplemented
    out = (left.shape[0], right.shape[1])
    same = bias.dtype == left.dtype == right.dtype
    return new(left, *out) if same and fits(torch.Size(out), bias.shape) else NotImplemented


def _convolution(
    tensor: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> Any:
    _same_dtype(tensor, weight)
    space = tensor.dim() - 2
    if space < 1 or weight.dim() != tensor.dim():
        return NotImplemented
    wanted = weight.shape[0] if transposed else weight.shape[1] * groups
    if tensor.shape[1] != wanted:
        raise RuntimeError(
            f"weight of size {list(weight.shape)} with groups={groups} expects {wanted} channels, "
            f"but the input of size {list(tensor.shape)} has {tensor.shape[1]}"
        )
    out = []
    for axis in range(space):
        size, kernel = tensor.shape[axis + 2], weight.shape[axis + 2]
        step, pad, dilate, more = (
            values[axis if len(values) > 1 else 0]
            for values in (stride, padding, dilation, output_padding)
        )
        reach = dilate * (kernel - 1) + 1
        if transposed:
            length = (size - 1) * step - 2 * pad + reach + more
        else:
            length = (size + 2 * pad - reach) // step + 1
        if length <= 0 or (not transposed and size + 2 * pad < reach):
            raise RuntimeError(
                f"the kernel covers {reach} elements, but the padded input has {size + 2 * pad}"
            )
        out.append(length)
    return new(
        tensor, tensor.shape[0], weight.shape[1] * groups if transposed else weight.shape[0], *out
    )


def _pooled(tensor: Tensor, kernel: Any, stride: Any, pad: Any, dilate: Any, *, ceil: bool) -> Any:
    """Shape of a 2-d pooling, or None where torch is to judge."""
    if tensor.dim() not in (3, 4) or 0 in tensor.shape:
        return None
    out = []
    for axis in range(2):
        size = tensor.shape[axis - 2]
        reach, step, edge, gap = (
            int(values[axis if len(values) > 1 else 0])
            for values in (kernel, stride or kernel, pad, dilate)
        )
        if 2 * edge > reach:
            return None
        span = size + 2 * edge - gap * (reach - 1) - 1
        length = -(-span // step) + 1 if ceil else span // step + 1
        if ceil and (length - 1) * step >= size + edge:
            length -= 1
        if length <= 0 or span < 0:
            return None
        out.append(length)
    return (*tensor.shape[:-2], *out)


def _max_pool(
    tensor: Tensor,
    kernel: Any,
    stride: Any = (),
    pad: Any = (0,),
    dilate: Any = (1,),
    ceil: bool = False,
) -> Any:
    shape = _pooled(tensor, kernel, stride, pad, dilate, ceil=ceil)
    if shape is None:
        return NotImplemented
    return new(tensor, *shape), torch.empty(shape, dtype=torch.int64, device=META)


def _avg_pool(
    tensor: Tensor, kernel: Any, stride: Any = (), pad: Any = (0,), ceil: bool = False, *_: Any
) -> Any:
    shape = _pooled(tensor, kernel, stride, pad, (1,), ceil=ceil)
    return NotImplemented if shape is None else new(tensor, *shape)


def _adaptive_avg_pool(tensor: Tensor, size: Any) -> Any:
    if tensor.dim() not in (3, 4) or 0 in tensor.shape:
        return NotImplemented
    return new(tensor, *tensor.shape[:-2], *size)


def _grouped_mm(
    left: Tensor, right: Tensor, offsets: Tensor | None = None, *_: Any, **__: Any
) -> Any:
    ranks = (left.dim(), right.dim())
    if ranks == (2, 3):
        return new(left, left.shape[0], right.shape[2])
    if ranks == (3, 2):
        return new(left, left.shape[1], right.shape[1])
    if ranks == (3, 3):
        return new(left, left.shape[0], left.shape[1], right.shape[2])
    if ranks == (2, 2) and offsets is not None:
        return new(left, offsets.shape[0], left.shape[0], right.shape[1])
    return NotImplemented


def adaptive_max(tensor: Tensor, size: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """Blanks of the largest elements, of a size that is asked for, and of where they are."""
    shape = (*tensor.shape[: -len(size)], *size)
    kinds = (tensor.dtype, torch.int64)
    found, places = (torch.empty(shape, dtype=kind, device=META) for kind in kinds)
    return found, places


def padded(tensor: Tensor, pads: Sequence[Any], *_: Any) -> Tensor:
    """A blank with dims that are longer, or shorter, at both ends; of the last dim first."""
    size = list(tensor.shape)
    for at in range(len(pads) // 2):
        size[-1 - at] = size[-1 - at] + pads[2 * at] + pads[2 * at + 1]
        if size[-1 - at] < 0:
            raise RuntimeError(f"padding by {list(pads)} leaves nothing")
    return torch.empty(size, dtype=tensor.dtype, device=META)


def _adaptive_max(tensor: Tensor, size: Sequence[int]) -> Any:
    return adaptive_max(tensor, size) if tensor.is_contiguous() else NotImplemented


def _pad(tensor: Tensor, pads: Sequence[int], *_: Any) -> Any:
    return padded(tensor, pads) if tensor.is_contiguous() else NotImplemented


def _cat(tensors: list[Tensor], dim: int = 0) -> Any:
    first = tensors[0]
    rank = first.dim()
    if not -rank <= dim < rank:
        return NotImplemented
    dim %= rank
    length = 0
    for tensor in tensors:
        if tensor.dtype != first.dtype or tensor.dim() != rank:
            return NotImplemented
        if any(
            a != b
            for i, (a, b) in enumerate(zip(tensor.shape, first.shape, strict=True))
            if i != dim
        ):
            return NotImplemented
        length += tensor.shape[dim]
    return new(first, *first.shape[:dim], length, *first.shape[dim + 1 :])


def _mean(tensor: Tensor, dims: Any, keepdim: bool = False, **options: Any) -> Any:
    if not dims or options.get("dtype") is not None or not tensor.is_floating_point():
        return NotImplemented
    rank = tensor.dim()
    if any(not -rank <= dim < rank for dim in dims):
        return NotImplemented
    gone = {dim % rank for dim in dims}
    shape = [1 if i in gone else n for i, n in enumerate(tensor.shape) if keepdim or i not in gone]
    return new(tensor, *shape)


def _sum_over(tensor: Tensor, dims: Any, keepdim: bool = False, **options: Any) -> Any:
    """Whole numbers add up to int64."""
    if tensor.is_floating_point() or tensor.is_complex() or options.get("dtype") is not None:
        return _mean(tensor, dims, keepdim, **options)
    wide = torch.empty(tensor.size(), dtype=torch.float64, device=META)
    out = _mean(wide, dims, keepdim)
    if out is NotImplemented:
        return NotImplemented
    return torch.empty(out.size(), dtype=torch.int64, device=META)


def _extreme(tensor: Tensor, dims: Any = (), keepdim: bool = False) -> Any:
    """The largest or smallest along dims."""
    known = dims and tensor.is_floating_point()
    return _mean(tensor, dims, keepdim) if known else NotImplemented


def _nll_loss(tensor: Tensor, target: Tensor, weight: Any, reduction: int, _: int) -> Any:
    """The loss, of each target (reduction 0) or as one number, and the sum of the weights."""
    plain = tensor.dim() in (1, 2) and target.shape == tensor.shape[:-1]
    if not plain or (weight is not None and weight.shape != tensor.shape[-1:]):
        return NotImplemented
    return new(tensor, *(target.shape if reduction == 0 else ())), new(tensor)


def _squared(tensor: Tensor, target: Tensor, reduction: int = 1) -> Any:
    if tensor.shape != target.shape or tensor.dtype != target.dtype:
        return NotImplemented
    if reduction:
        return new(tensor)
    return like(tensor) if all(tensor.stride()) else NotImplemented


def _roll(tensor: Tensor, shifts: Any, dims: Any = ()) -> Any:
    rank = tensor.dim()
    if len(shifts) != len(dims) or any(not -rank <= dim < rank for dim in dims):
        return NotImplemented
    return new(tensor, *tensor.shape)


def _flip(tensor: Tensor, dims: Sequence[int]) -> Any:
    rank = tensor.dim()
    there = all(-rank <= dim < rank for dim in dims)
    return like(tensor) if there and len(set(dims)) == len(dims) else NotImplemented


def _scatter_in_place(tensor: Tensor, dim: int, index: Tensor, _: Any, **options: Any) -> Any:
    rank = tensor.dim()
    if options or index.dtype != torch.int64 or index.dim() != rank or not -rank <= dim < rank:
        return NotImplemented
    others = [n for n in range(rank) if n != dim % rank]
    fits = all(index.shape[n] <= tensor.shape[n] for n in others)
    return tensor if fits else NotImplemented


def _embedding(weight: Tensor, indices: Tensor, *_: Any, **__: Any) -> Any:
    if weight.dim() != 2 or indices.dtype not in (torch.int64, torch.int32):
        return NotImplemented
    return new(weight, *indices.shape, weight.shape[1])


def _fused_attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Any:
    """Output, laid out as the query, and log-sum-exp, laid out as (batch, rows, heads)."""
    batch, heads, rows = query.shape[:3]
    out = like(query)
    lse = torch.float32 if query.dtype in REDUCED else query.dtype
    return out, torch.empty((batch, rows, heads), dtype=lse, device=META).transpose(1, 2)


def _lstm_layer(x: Tensor, *rest: Any) -> Any:
    """OneDNN's layer: x (T, B, I), two weights, two biases, two states, ... -> (T, B, H)."""
    hidden, cell, size = rest[4], rest[5], rest[9]
    out = new(x, x.shape[0], x.shape[1], size)
    steps, batch, width = x.shape
    kept = lstm_workspace(steps, batch, width, size) if rest[-1] else 0
    workspace = torch.empty(kept, dtype=torch.uint8, device=META)
    return out, new(x, *hidden.shape), new(x, *cell.shape), workspace


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **{f"{name}.default": _unary for name in UNARY},
        **{f"{name}_.default": _unary_in_place for name in UNARY},
        **{f"{name}.{kind}": _binary for name in BINARY for kind in ("Tensor", "Scalar")},
        **dict.fromkeys(("maximum.default", "minimum.default"), _binary),
        "div.Tensor": _quotient,
        "div.Scalar": _quotient,
        **{
            f"{name}_.{kind}": _binary_in_place
            for name in (*BINARY, "div")
            for kind in ("Tensor", "Scalar")
        },
        **dict.fromkeys(FILLS, _in_place),
        **{f"{name}_like.default": _full_like for name in ("empty", "ones", "zeros", "full")},
        **{f"new_{name}.default": _full for name in ("ones", "zeros", "empty")},
        "clone.default": _clone,
        "_unsafe_view.default": _unsafe_view,
        "unsafe_split.Tensor": _unsafe_split,
        "new_empty_strided.default": _empty_strided,
        "bitwise_not.default": _unmask,
        "bitwise_or.Tensor": _masks,
        "bitwise_and.Tensor": _masks,
        "any.default": _any,
        "nll_loss_forward.default": _nll_loss,
        "mse_loss.default": _squared,
        "where.self": _where,
        "clamp.default": _clamp,
        "index.Tensor": _index,
        "index_put.default": _index_put,
        "linalg_vector_norm.default": _vector_norm,
        "sum.default": _sum,
        "mean.default": _sum,
        "masked_fill.Scalar": _masked_fill,
        "stack.default": _stack,
        **{f"{name}.{kind}": _compare for name in COMPARE for kind in ("Tensor", "Scalar")},
        "pow.Tensor_Scalar": _unary,
        "log_sigmoid_forward.default": _log_sigmoid,
        "_softmax.default": _softmax,
        "_log_softmax.default": _softmax,
        "_safe_softmax.default": _softmax,
        "_scaled_dot_product_flash_attention_for_cpu.default": _fused_attention,
        "mkldnn_rnn_layer.default": _lstm_layer,
        "native_batch_norm.default": _batch_norm,
        "native_layer_norm.default": _layer_norm,
        "addmm.default": _addmm,
        "mm.default": _mm,
        "bmm.default": _bmm,
        "convolution.default": _convolution,
        "max_pool2d_with_indices.default": _max_pool,
        "avg_pool2d.default": _avg_pool,
        "_adaptive_avg_pool2d.default": _adaptive_avg_pool,
        "_grouped_mm.default": _grouped_mm,
        "constant_pad_nd.default": _pad,
        "adaptive_max_pool2d.default": _adaptive_max,
        "adaptive_max_pool3d.default": _adaptive_max,
        "cat.default": _cat,
        "mean.dim": _mean,
        "sum.dim_IntList": _sum_over,
        "amax.default": _extreme,
        "amin.default": _extreme,
        "roll.default": _roll,
        "scatter_.value": _scatter_in_place,
        "flip.default": _flip,
        "embedding.default": _embedding,
    }
)
"""By `aten` operator and overload. Operands are blank when a rule is asked."""
