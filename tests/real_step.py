"""One real training step on the CPU, and the operators that it ran."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn


@dataclass(frozen=True, slots=True)
class Ran:
    """An operator, in the words of a trace."""

    op: str
    outputs: tuple[tuple[int, ...], ...]
    """Shapes of the tensors among its results."""


class Watch(TorchDispatchMode):
    """Lists the operators that reach the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[Ran] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        results = tuple(tuple(one.shape) for one in tree_leaves(out) if isinstance(one, Tensor))
        given = any(isinstance(one, Tensor) for one in tree_leaves((args, kwargs)))
        if results or given:
            name = str(func._schema.name).replace("::", ".", 1)
            self.ran.append(Ran(f"{name}.{func._schema.overload_name or 'default'}", results))
        return out


def sum_of_outputs(output: Any) -> Tensor:
    """What `loss="sum"` says."""
    parts = [one.sum() for one in tree_leaves(output) if isinstance(one, Tensor)]
    loss = parts[0]
    for part in parts[1:]:
        loss = loss + part
    return loss


@dataclass(frozen=True, slots=True)
class RealStep:
    """The second step of a training."""

    forward: list[Ran]
    backward: list[Ran]
    optimizer: list[Ran]
    state: dict[str, int]
    """Bytes of the optimizer's state, by the parameter's name."""


def real_step(
    model: nn.Module,
    inputs: Sequence[Any],
    make: Callable[[Any], torch.optim.Optimizer],
    loss: Callable[[Any], Tensor] = sum_of_outputs,
    *,
    accumulate: int = 1,
    before: int = 1,
) -> RealStep:
    """Take steps; the first makes the optimizer's state.

    Args:
        model: With its weights, in the mode that it is trained in.
        inputs: Arguments of `forward`.
        make: Makes the optimizer of the list of parameters.
        loss: Of what the model returned.
        accumulate: Micro-batches of a step.
        before: Steps before the one that is watched.

    Returns:
        What the last step ran, by phase: of its last micro-batch.
    """
    optimizer = make(list(model.parameters()))
    for _ in range(before + 1):
        optimizer.zero_grad(set_to_none=True)
        for _ in range(accumulate - 1):
            loss(model(*inputs)).backward()
        with Watch() as forward:
            value = loss(model(*inputs))
        with Watch() as backward:
            value.backward()
        with Watch() as step:
            optimizer.step()
    names = {id(one): name for name, one in model.named_parameters()}
    state = {
        names[id(parameter)]: sum(
            one.untyped_storage().nbytes() for one in held.values() if isinstance(one, Tensor)
        )
        for parameter, held in optimizer.state.items()
    }
    return RealStep(forward.ran, backward.ran, step.ran, state)


class WatchBlocks(Watch):
    """Sees when blocks of memory are made and let go."""

    def __init__(self) -> None:
        super().__init__()
        self.lives: list[list[Any]] = []
        self._alive: dict[int, ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        held = {
            one.untyped_storage()._cdata
            for one in tree_leaves((args, kwargs))
            if isinstance(one, Tensor)
        }
        before = len(self.ran)
        out = super().__torch_dispatch__(func, types, args, kwargs)
        if len(self.ran) > before:
            for one in tree_leaves(out):
                if isinstance(one, Tensor):
                    self._saw(one.untyped_storage(), held)
        return out

    def _saw(self, storage: torch.UntypedStorage, held: set[int]) -> None:
        key = storage._cdata
        if key in held or key in self._alive:
            return
        life: list[Any] = [storage.nbytes(), len(self.ran) - 1, None]
        self.lives.append(life)
        self._alive[key] = ref(storage, partial(self._gone, key, life))

    def _gone(self, key: int, life: list[Any], _: object) -> None:
        self._alive.pop(key, None)
        life[2] = len(self.ran) - 1


def lifetimes(model: nn.Module, inputs: Sequence[Any]) -> list[tuple[int, int, int | None]]:
    """Blocks that one step of plain SGD allocates.

    Args:
        model: With its weights, in the mode that it is trained in.
        inputs: Arguments of `forward`.

    Returns:
        Of each block its bytes, the operator that made it, and the one after which it went.
    """
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with WatchBlocks() as watch:
        output = model(*inputs)
        loss = sum_of_outputs(output)
        loss.backward()
        optimizer.step()
        lives = [(size, born, died) for size, born, died in watch.lives]
    del output
    return lives
