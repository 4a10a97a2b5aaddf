"""Optimizers by name, made of torch's own classes.

The classes' methods are used as they are written, without the wrappers that torch puts around them
for `torch.compile`: these import `torch._dynamo`, which takes longer than a run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import Optimizer

from zoo.errors import StepError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

Factory = Callable[[Sequence["nn.Parameter"]], Optimizer]
"""Makes an optimizer of a model's parameters."""

NAMES: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "sgd": ("SGD", {}),
        "sgd-momentum": ("SGD", {"momentum": 0.9}),
        "sgd-nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
        "adam": ("Adam", {}),
        "adam-amsgrad": ("Adam", {"amsgrad": True}),
        "adamw": ("AdamW", {}),
        "adamw-amsgrad": ("AdamW", {"amsgrad": True}),
        "adamax": ("Adamax", {}),
        "nadam": ("NAdam", {}),
        "radam": ("RAdam", {}),
        "adagrad": ("Adagrad", {}),
        "adadelta": ("Adadelta", {}),
        "adafactor": ("Adafactor", {}),
        "rmsprop": ("RMSprop", {}),
        "rmsprop-momentum": ("RMSprop", {"momentum": 0.9}),
        "asgd": ("ASGD", {}),
        "rprop": ("Rprop", {}),
    }
)
"""Name -> class in `torch.optim` and the settings that change what it keeps or computes."""
SETTLED: Mapping[str, int] = MappingProxyType({"radam": 5})
"""Steps after which an optimizer does what it goes on doing, where that is not one."""
RATE = 1e-3
"""Learning rate; costs do not depend on it."""


def name_of(optimizer: str | Factory) -> str:
    """What an optimizer is called.

    Args:
        optimizer: One of `NAMES`, or a factory.

    Returns:
        The name, or the name of the factory.

    Raises:
        StepError: No optimizer is called so.
    """
    if not isinstance(optimizer, str):
        return str(getattr(optimizer, "__qualname__", type(optimizer).__name__))
    if optimizer not in NAMES:
        hint = did_you_mean(optimizer, NAMES, f"Known: {', '.join(NAMES)}.")
        raise StepError(f"optimizer {optimizer!r}", "no optimizer is called so", hint)
    return optimizer


def settled(optimizer: str | Factory) -> int:
    """How many steps come before the one that stands for all later ones."""
    return SETTLED.get(optimizer, 1) if isinstance(optimizer, str) else 1


def made(optimizer: str | Factory, parameters: Sequence[nn.Parameter]) -> Optimizer:
    """An optimizer of these parameters.

    Args:
        optimizer: One of `NAMES`, or a factory.
        parameters: All of the model's, frozen ones too.

    Returns:
        The optimizer, without state.

    Raises:
        StepError: The name is unknown, or the factory raised or made something else.
    """
    name = name_of(optimizer)
    try:
        if isinstance(optimizer, str):
            kind, settings = NAMES[optimizer]
            found = _unwrapped(getattr(torch.optim, kind))(parameters, lr=RATE, **settings)
        else:
            found = optimizer(parameters)
    except Exception as error:
        reason = f"raised {type(error).__name__}: {' '.join(str(error).split())}"
        raise StepError(
            f"optimizer {name}", reason, "It is called with the list of parameters."
        ) from error
    if not isinstance(found, Optimizer):
        reason = f"made a {type(found).__name__}, not a torch.optim.Optimizer"
        raise StepError(f"optimizer {name}", reason, "Give a function of the parameters.")
    return found


def _unwrapped(kind: type[Optimizer]) -> Any:
    methods = {
        name: inspect.unwrap(getattr(kind, name)) for name in ("add_param_group", "zero_grad")
    }
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), methods)
