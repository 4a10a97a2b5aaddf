"""What a training step minimises.

A loss only has to send a gradient to every output: its value is not known in a run without data.
`sum` adds up all outputs that gradients reach, or takes the loss that the model itself returned.
`cross-entropy` and `mse` make targets that fit, which count as inputs of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as fn

from zoo.analysis.tracer.arguments import nested_tensors
from zoo.analysis.tracer.blank import META
from zoo.errors import NothingToTrain, StepError, did_you_mean

Loss = Callable[[Any], Tensor]
"""Makes one number of what the model returned."""
Target = Callable[[Sequence[int], torch.dtype], Tensor]
"""Makes a target of a shape and a dtype."""


def _reached(output: Any) -> list[Tensor]:
    """Outputs that gradients reach, each once."""
    found = {id(one): one for one in nested_tensors(output) if one.requires_grad}
    return list(found.values())


def _own(output: Any) -> Tensor | None:
    """The loss that the model itself returned."""
    own = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    return own if isinstance(own, Tensor) and own.requires_grad else None


def total(output: Any, _: Target) -> Tensor:
    """The model's own loss, or the sum of all outputs."""
    own = _own(output)
    if own is not None:
        return own.sum()
    parts = [_real(one).sum() for one in _reached(output)]
    if not parts:
        raise NothingToTrain
    loss = parts[0]
    for part in parts[1:]:
        loss = loss + part
    return loss


def _real(tensor: Tensor) -> Tensor:
    return tensor.abs() if tensor.is_complex() else tensor


def _first(output: Any) -> Tensor:
    parts = _reached(output)
    if not parts:
        raise NothingToTrain
    return parts[0]


def cross_entropy(output: Any, target: Target) -> Tensor:
    """Cross-entropy of the first output.

    (N, C) and (N, C, H, W, ...) have the classes in dim 1, (C,) in dim 0, and (N, T, C) in the
    last, as a language model has its vocabulary.
    """
    scores = _first(output)
    if not scores.dim():
        raise StepError("loss cross-entropy", "the output is one number", "Try --loss sum.")
    if scores.dim() == 3:
        scores = scores.flatten(0, 1)
    shape = scores.shape[:1] + scores.shape[2:] if scores.dim() > 1 else ()
    return fn.cross_entropy(scores, target(shape, torch.int64))


def mse(output: Any, target: Target) -> Tensor:
    """Mean squared error of the first output."""
    values = _first(output)
    return fn.mse_loss(values, target(values.shape, values.dtype))


NAMES: Mapping[str, Callable[[Any, Target], Tensor]] = MappingProxyType(
    {"sum": total, "cross-entropy": cross_entropy, "mse": mse}
)


def name_of(loss: str | Loss) -> str:
    """What a loss is called.

    Args:
        loss: One of `NAMES`, or a function.

    Returns:
        The name.

    Raises:
        StepError: No loss is called so.
    """
    if not isinstance(loss, str):
        return str(getattr(loss, "__qualname__", type(loss).__name__))
    if loss not in NAMES:
        hint = did_you_mean(loss, NAMES, f"Known: {', '.join(NAMES)}, none.")
        raise StepError(f"loss {loss!r}", "no loss is called so", hint)
    return loss


def loss_of(loss: str | Loss, output: Any, target: Target) -> Tensor:
    """The number that the backward pass starts from.

    Args:
        loss: One of `NAMES`, or a function of what the model returned.
        output: What the model returned.
        target: Makes targets.

    Returns:
        A tensor of no dims.

    Raises:
        StepError: No gradient reaches a parameter, or the function made no number.
    """
    if isinstance(loss, str):
        value = NAMES[name_of(loss)](output, target)
    else:
        value = loss(output)
        if not isinstance(value, Tensor) or value.numel() != 1:
            kind = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise StepError(
                f"loss {name_of(loss)}", f"it made {kind}", "Make a tensor of one element."
            )
    if not value.requires_grad:
        raise NothingToTrain
    return value


def blank_target(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A target without data."""
    return torch.empty(tuple(shape), dtype=dtype, device=META)
