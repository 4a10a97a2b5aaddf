"""Output shapes of the operators of backward passes and optimizers, as `shapes.py` has them.

The gradient of an operand has the operand's shape, dtype and strides. A rule that is not sure
returns `NotImplemented`; `tests/analysis/tracer/test_shapes_backward.py` holds each against torch.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.analysis.tracer.blank import META
from zoo.analysis.tracer.shapes import fits, like, new

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zoo.analysis.tracer.shapes import Rule

LIKE_GRADIENT = (
    "threshold_backward gelu_backward silu_backward mish_backward hardswish_backward "
    "hardsigmoid_backward hardtanh_backward elu_backward leaky_relu_backward softplus_backward "
    "sigmoid_backward tanh_backward native_dropout_backward"
).split()
"""One element of the gradient for each of the output's; all operands have one shape."""
SOFTMAX = ("_softmax_backward_data", "_log_softmax_backward_data")
OUTPUT_FIRST = ("threshold_backward", "leaky_relu_backward")
"""Those of `LIKE_GRADIENT` whose result is laid out as the other operand, not as the gradient."""
LIKE_INPUT = (
    "max_pool2d_with_indices_backward avg_pool2d_backward _adaptive_avg_pool2d_backward "
    "_adaptive_avg_pool3d_backward avg_pool3d_backward adaptive_max_pool2d_backward "
    "adaptive_max_pool3d_backward"
).split()
"""The gradient has the shape of the second operand, the input."""
IN_PLACE = (
    "add_.Tensor mul_.Tensor mul_.Scalar sqrt_.default lerp_.Scalar lerp_.Tensor addcmul_.default "
    "addcdiv_.default copy_.default"
).split()
LISTS = (
    "add sub mul div sqrt neg reciprocal maximum addcmul addcdiv lerp sign abs rsqrt pow"
).split()
"""Operators on lists (`_foreach_add`) that make a list like their first operand."""


def _alike(gradient: Tensor, other: Tensor) -> bool:
    alike = gradient.shape == other.shape and gradient.is_floating_point()
    return alike and other.dtype in (gradient.dtype, torch.bool)


def _like_gradient(gradient: Tensor, *rest: Any, **_: Any) -> Any:
    """The other operand is the first tensor after it: an output, an input or a mask."""
    other = next(one for one in rest if isinstance(one, Tensor))
    return _laid_out(gradient, other) if _alike(gradient, other) else NotImplemented


def _like_output(gradient: Tensor, other: Tensor, *_: Any, **__: Any) -> Any:
    found = _laid_out(other, gradient) if _alike(gradient, other) else NotImplemented
    return found if found is NotImplemented or other.dtype == found.dtype else NotImplemented


def _laid_out(first: Tensor, second: Tensor) -> Any:
    """A blank as the first operand lies, or as the second where the first is one number."""
    told = first if any(first.stride()) or first.is_contiguous() else second
    if told.is_contiguous():
        return torch.empty(first.size(), dtype=first.dtype, device=META)
    span = 1 + sum((n - 1) * step for n, step in zip(told.size(), told.stride(), strict=True))
    dense = span == told.numel() and all(told.stride())
    return like(told, first.dtype) if dense else NotImplemented


def _log_sigmoid(gradient: Tensor, other: Tensor, _: Tensor) -> Any:
    """Laid out as the gradient, and in order where that is one number for many elements."""
    return like(gradient) if _alike(gradient, other) else NotImplemented


def _softmax(gradient: Tensor, other: Tensor, *_: Any) -> Any:
    return new(gradient, *gradient.shape) if _alike(gradient, other) else NotImplemented


def _like_input(_: Tensor, tensor: Tensor, *__: Any, **___: Any) -> Any:
    return like(tensor) if tensor.is_contiguous() else NotImplemented


def _convolution(gradient: Tensor, tensor: Tensor, weight: Tensor, sizes: Any, *rest: Any) -> Any:
    """Gradients of input, weight and bias, as far as the mask asks for them."""
    wants = rest[-1]
    plain = weight.is_contiguous() and (tensor.is_contiguous() or not wants[0])
    if tensor.dim() != weight.dim() or not plain:
        return NotImplemented
    channels = gradient.shape[1]
    made = (like(tensor), like(weight), new(weight, channels))
    return tuple(one if asked else None for one, asked in zip(made, wants, strict=True))


def _batch_norm(gradient: Tensor, tensor: Tensor, weight: Tensor | None, *rest: Any) -> Any:
    """Gradients of input, weight and bias; without a weight the last two are statistics."""
    wants = rest[-1]
    if weight is None or tensor.dim() < 2 or not tensor.is_contiguous():
        return NotImplemented
    made = (like(tensor), like(weight), like(weight))
    return tuple(one if asked else None for one, asked in zip(made, wants, strict=True))


def _layer_norm(gradient: Tensor, tensor: Tensor, shape: Any, *rest: Any) -> Any:
    weight, bias, wants = rest[2], rest[3], rest[4]
    made = (
        new(tensor, *tensor.shape),
        *(None if one is None else like(one) for one in (weight, bias)),
    )
    return tuple(one if asked else None for one, asked in zip(made, wants, strict=True))


def _nll_loss(_: Tensor, tensor: Tensor, target: Tensor, *__: Any) -> Any:
    plain = tensor.dim() in (1, 2) and target.shape == tensor.shape[:-1]
    return new(tensor, *tensor.shape) if plain else NotImplemented


def _mse_loss(gradient: Tensor, tensor: Tensor, target: Tensor, reduction: int) -> Any:
    """The gradient is one number, or one for each element (reduction 0)."""
    whole = gradient.shape == (() if reduction else tensor.shape)
    alike = whole and _alike(tensor, target) and gradient.dtype == target.dtype == tensor.dtype
    return new(tensor, *tensor.shape) if alike else NotImplemented


def _embedding(gradient: Tensor, indices: Tensor, rows: int, *_: Any) -> Tensor:
    return new(gradient, rows, gradient.shape[-1])


def _in_place(tensor: Tensor, *operands: Any, **options: Any) -> Any:
    """The target, where every tensor fits it."""
    given = [one for one in operands if isinstance(one, Tensor)]
    fitting = all(fits(tensor.shape, one.shape) for one in given)
    return (
        tensor
        if tensor.is_floating_point() and fitting and "out" not in options
        else (NotImplemented)
    )


def _slice(gradient: Tensor, sizes: Sequence[int], *_: Any) -> Tensor:
    """Zeros of the sliced tensor's size, with the gradient in its place."""
    return new(gradient, *sizes)


def _list(tensors: Sequence[Tensor], *operands: Any, **_: Any) -> Any:
    """A tensor like each of the first list; all operands are of its kind."""
    others = [one for operand in operands for one in _tensors(operand)]
    kinds = {one.dtype for one in (*tensors, *others)}
    if len(kinds) != 1 or not tensors[0].is_floating_point():
        return NotImplemented
    return [like(one) for one in tensors]


def _list_in_place(tensors: Sequence[Tensor], *_: Any, **__: Any) -> None:
    return None


def _tensors(operand: Any) -> list[Tensor]:
    if isinstance(operand, Tensor):
        return [operand]
    if isinstance(operand, list | tuple):
        return [one for one in operand if isinstance(one, Tensor)]
    return []


def _attention(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any
) -> Any:
    """Gradients of query, key and value of the CPU's fused kernel: (B, N, H, E) inside."""

    def swapped(tensor: Tensor) -> Tensor:
        batch, heads, rows, width = tensor.shape
        blank = torch.empty((batch, rows, heads, width), dtype=tensor.dtype, device=META)
        return blank.transpose(1, 2)

    return swapped(query), swapped(key), swapped(value)


def _lstm_layer(*operands: Any) -> tuple[Tensor, ...]:
    """Gradients of oneDNN's layer: input, two weights, two biases, two states; each its own."""
    return tuple(new(one, *one.shape) for one in operands[:7])


def _lists(names: Sequence[str], suffixes: Sequence[str], rule: Rule) -> dict[str, Rule]:
    return {f"_foreach_{name}.{suffix}": rule for name in names for suffix in suffixes}


RULES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        **{f"{name}.default": _like_gradient for name in LIKE_GRADIENT},
        **{f"{name}.default": _like_output for name in OUTPUT_FIRST},
        "log_sigmoid_backward.default": _log_sigmoid,
        **{f"{name}.default": _softmax for name in SOFTMAX},
        **{f"{name}.default": _like_input for name in LIKE_INPUT},
        "convolution_backward.default": _convolution,
        "native_batch_norm_backward.default": _batch_norm,
        "native_layer_norm_backward.default": _layer_norm,
        "embedding_dense_backward.default": _embedding,
        "nll_loss_backward.default": _nll_loss,
        "mse_loss_backward.default": _mse_loss,
        "_scaled_dot_product_flash_attention_for_cpu_backward.default": _attention,
        "mkldnn_rnn_layer_backward.default": _lstm_layer,
        "slice_backward.default": _slice,
        "select_backward.default": _slice,
        **dict.fromkeys(IN_PLACE, _in_place),
        **_lists(LISTS, ("List", "Scalar", "ScalarList", "Tensor", "default"), _list),
        **_lists(
            [f"{name}_" for name in LISTS],
            ("List", "Scalar", "ScalarList", "Tensor", "default"),
            _list_in_place,
        ),
    }
)
"""By `aten` operator and overload, below those of `shapes.py`."""
