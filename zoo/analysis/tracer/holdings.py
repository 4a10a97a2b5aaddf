"""Which parameters and buffers a model holds, each tensor once with all its names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.parameter import is_lazy

from zoo.analysis.records import Buffer, Parameter, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn

    Describe = Callable[[Tensor], TensorSpec]
    Asked = Callable[[Tensor], bool]


def grouped(found: Iterable[tuple[str, Tensor]]) -> list[tuple[Tensor, tuple[str, ...]]]:
    """Distinct tensors with all their names, in order."""
    groups: dict[int, tuple[Tensor, list[str]]] = {}
    for name, tensor in found:
        groups.setdefault(id(tensor), (tensor, []))[1].append(name)
    return [(tensor, tuple(names)) for tensor, names in groups.values()]


def parameters(
    model: nn.Module, spec: Describe, used: Asked
) -> tuple[tuple[Parameter, ...], list[str]]:
    """Parameters, and names of lazy ones that have no shape.

    Args:
        model: Who holds them.
        spec: Describes one.
        used: Whether an operator read it.

    Returns:
        Records in the order of `named_parameters`, and the names of those without a shape.
    """
    records, unknown = [], []
    for tensor, names in grouped(model.named_parameters(remove_duplicate=False)):
        if is_lazy(tensor):
            unknown.append(names[0])
            continue
        owner = names[0].rpartition(".")[0]
        records.append(Parameter(names, spec(tensor), tensor.requires_grad, owner, used(tensor)))
    return tuple(records), unknown


def buffers(model: nn.Module, spec: Describe, used: Asked) -> tuple[Buffer, ...]:
    """Buffers that have a shape.

    Args:
        model: Who holds them.
        spec: Describes one.
        used: Whether an operator read it.

    Returns:
        Records in the order of `named_buffers`.
    """
    records = []
    for tensor, names in grouped(model.named_buffers(remove_duplicate=False)):
        if not is_lazy(tensor):
            owner, _, leaf = names[0].rpartition(".")
            kept = leaf not in model.get_submodule(owner)._non_persistent_buffers_set
            records.append(Buffer(names, spec(tensor), owner, used(tensor), kept))
    return tuple(records)
