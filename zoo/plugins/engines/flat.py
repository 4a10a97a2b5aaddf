"""A model as one that takes and gives tensors alone, for tools that can see no nests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

if TYPE_CHECKING:
    from collections.abc import Mapping


class Flat(nn.Module):
    """Opens and closes nests around a model, which it holds as `model`."""

    def __init__(self, model: nn.Module, form: Any, fixed: Mapping[int, Any]) -> None:
        super().__init__()
        self.model = model
        self.form, self.fixed = form, fixed

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The tensors among the model's results."""
        given = iter(tensors)
        count = self.form.num_leaves
        leaves = [self.fixed[n] if n in self.fixed else next(given) for n in range(count)]
        args, kwargs = _pytree.tree_unflatten(leaves, self.form)
        found = _pytree.tree_leaves(self.model(*args, **kwargs))
        return tuple(one for one in found if isinstance(one, Tensor))


def flat(
    model: nn.Module, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """The wrapped model, and the tensors among its inputs.

    Args:
        model: The model; its modules are reached under `model.` in the wrapped one.
        inputs: What its `forward` gets.
        kwargs: What it gets by name.

    Returns:
        A module, and what to call it with.
    """
    leaves, form = _pytree.tree_flatten((inputs, dict(kwargs)))
    fixed = {n: leaf for n, leaf in enumerate(leaves) if not isinstance(leaf, Tensor)}
    return Flat(model, form, fixed), tuple(leaf for leaf in leaves if isinstance(leaf, Tensor))
