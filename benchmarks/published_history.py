"""What earlier versions of torch kept in memory, and torch 2.14 does not: one switch for each.

zoo predicts what torch 2.14 does. Most published figures are older, and three formulas of autograd
have changed since. Each can be put into a model here, so that the difference it makes is measured
and not guessed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Kept(torch.autograd.Function):
    """The tensor itself, saved for a backward pass that does not read it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004 - autograd's signature
        return gradient


def _keep(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    first, *rest = given
    return (_Kept.apply(first), *rest) if first.requires_grad else given


class ComposedHardswish(nn.Module):
    """x * relu6(x + 3) / 6 from four operators; ReLU stands for ReLU6, it saves the same."""

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of x."""
        return x * torch.relu_(x + 3) / 6


def softmax_kept_its_input(model: nn.Module) -> None:
    """Before torch 1.11: pytorch/pytorch#64000, #65242."""
    for module in model.modules():
        if isinstance(module, nn.Softmax | nn.LogSoftmax):
            module.register_forward_pre_hook(_keep)


def relu_kept_its_input(model: nn.Module) -> None:
    """Before torch 1.10, where it was not in place: pytorch/pytorch#63027."""
    for module in model.modules():
        if isinstance(module, nn.ReLU) and not module.inplace:
            module.register_forward_pre_hook(_keep)


def relu6_kept_its_result(model: nn.Module) -> None:
    """In place it kept no copy of its input, as ReLU does not: the result was enough."""
    _replace(model, nn.ReLU6, lambda: nn.ReLU(inplace=True))


def hardswish_was_composed(model: nn.Module) -> None:
    """mmcv wrote it out, before torch 1.6 had an operator for it."""
    _replace(model, nn.Hardswish, ComposedHardswish)


def _replace(model: nn.Module, kind: type[nn.Module], make: Any) -> None:
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, kind):
                setattr(parent, name, make())


CHANGES = (
    softmax_kept_its_input,
    relu_kept_its_input,
    relu6_kept_its_result,
    hardswish_was_composed,
)


def before_1_10(model: nn.Module) -> nn.Module:
    """The model, as torch before 1.10 ran it."""
    for change in CHANGES:
        change(model)
    return model
