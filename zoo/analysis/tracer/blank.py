"""Which tensors of a run have data, and which are blank.

A blank tensor lies on the meta device: it has a shape, a dtype and strides, and no data. Weights,
inputs and everything computed from them are blank. A small tensor that the model's code makes from
nothing (`arange`, `tensor([...])`, `zeros`) keeps its data, and so does what is computed from such
tensors alone: code that reads its own constants gets the true answer. Where a tensor with data
meets a blank one, the result is blank. New random numbers and uninitialised memory are always
blank; filling a tensor that has data with random numbers is done, from a fixed seed.

Writing blank values into a tensor with data leaves that tensor with data that means nothing; its
storage is remembered as spoiled, and it counts as blank from then on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any
from weakref import ref

import torch
from torch import Tensor

META = torch.device("meta")
CPU = torch.device("cpu")

KEEPS_DATA = 65_536
"""Most elements of a tensor that keeps its data."""

SMALL = 64
"""Most elements of a blank tensor that carries stand-in values."""

RANDOM = frozenset(
    "rand rand_like randn randn_like randint randint_like randperm normal bernoulli multinomial "
    "poisson binomial native_dropout uniform rrelu_with_noise _standard_gamma "
    "_sample_dirichlet".split()
)
UNINITIALISED = frozenset(
    "empty empty_like empty_strided new_empty new_empty_strided empty_permuted".split()
)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Tensors in an argument or result, in order; looks into tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)


def replace_tensors(value: Any, new: Any) -> Any:
    """`value` with `new(t)` in the place of each tensor `t`; containers keep their kind."""
    if isinstance(value, Tensor):
        return new(value)
    if isinstance(value, list):
        return [replace_tensors(item, new) for item in value]
    if isinstance(value, tuple):
        items = [replace_tensors(item, new) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, dict):
        return {key: replace_tensors(item, new) for key, item in value.items()}
    return value


def blank_like(tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A blank tensor of the same shape and strides."""
    dtype = dtype or tensor.dtype
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=dtype, device=META)


def packet_name(func: Any) -> str:
    """`addmm` of `aten.addmm.default`."""
    return str(func._schema.name).rpartition("::")[2]


def factory_numel(name: str, args: Sequence[Any]) -> int:
    """Elements that a factory call is about to make."""
    if name == "arange":
        numbers = [arg for arg in args if isinstance(arg, int | float)]
        start, end, step = (0, *numbers, 1)[:3] if len(numbers) == 1 else (*numbers, 1)[:3]
        return max(0, int((end - start) / step)) if step else 0
    if name in ("linspace", "logspace"):
        return int(args[2]) if len(args) > 2 and isinstance(args[2], int) else 0
    if name == "eye":
        return (
            prod(arg for arg in args[:2] if isinstance(arg, int))
            if len(args) > 1
            else int(args[0]) ** 2
        )
    if args and isinstance(args[0], list | tuple):
        return prod(args[0])
    return prod(arg for arg in args if isinstance(arg, int))


class Storages:
    """A set of storages, such as those with data that means nothing ("spoiled")."""

    def __init__(self) -> None:
        self._storages: dict[int, ref[torch.UntypedStorage]] = {}

    def add(self, tensor: Tensor) -> None:
        """Remember the tensor's storage while it lives; its address may be used again."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        self._storages[key] = ref(storage, lambda _: self._storages.pop(key, None))

    def __contains__(self, tensor: Tensor) -> bool:
        return bool(self._storages) and tensor.untyped_storage()._cdata in self._storages
