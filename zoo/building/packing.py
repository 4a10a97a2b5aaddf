"""How does a nest of tensors become named tensors and a structure in JSON, and a nest again?

Names are the paths of the tensors in the nest: `optimizer.state.0.exp_avg`. The rest is a mapping
that JSON can say:

    tree     the structure: scalars as themselves, lists as arrays, and objects of one key:
             {"tuple": [...]}, {"dict": [[key, value], ...]}, {"float": "nan"}, {"tensor": name}
    same     tensors that are others under a second name, by name
    views    tensors that share a part of others' memory: [name, shape, stride, offset]
    complex  tensors that are stored as pairs of real and imaginary part

Two tensors are tied where their memory overlaps; they are stored once and are tied again when they
are put back. Not kept: whether gradients are wanted, devices, strides of tensors that share
nothing, and the class of what is a subclass of dict, list or tuple.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zoo.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def pack(what: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Take a nest apart.

    Args:
        what: As for `zoo.save`.

    Returns:
        Tensors by name, contiguous and of real numbers, that share no memory; and the structure.

    Raises:
        StoreError: It holds what no file holds.
        RecursionError: It is nested deeper than Python goes.
    """
    parcel = _Parcel()
    form = {"tree": parcel.packed(what, ()), **parcel.ties()}
    return {name: _as_stored(tensor) for name, tensor in parcel.stored.items()}, form


def unpack(stored: Mapping[str, Tensor], form: Mapping[str, Any]) -> Any:
    """Put a nest together again.

    Args:
        stored: Tensors by name.
        form: The structure.

    Returns:
        What was taken apart.

    Raises:
        ValueError: The structure is none, or is not that of these tensors; LookupError, TypeError,
            ArithmeticError, AttributeError or RuntimeError likewise.
    """
    return _unpacked(form["tree"], _tied(form, stored))


class _Parcel:
    """What a file is made of: tensors by name, and how they hang together."""

    def __init__(self) -> None:
        self.leaves: dict[str, Tensor] = {}
        """Tensors by the names that they have in the structure."""
        self.stored: dict[str, Tensor] = {}
        """Tensors that share no memory, by the names that they have in the file."""
        self._names: dict[int, str] = {}
        """Names of tensors that were met, by their identity."""
        self._met: list[object] = []
        """Keeps what was met alive, so that no identity is used again."""
        self._around: list[int] = []
        """Identities of the containers that are being packed."""

    def packed(self, value: Any, path: tuple[str, ...]) -> Any:
        """The structure of a value as JSON; its tensors become leaves.

        Args:
            value: What is saved.
            path: Keys and indices that lead to it.

        Returns:
            As the module's docstring says.

        Raises:
            StoreError: It holds what no file holds.
        """
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": repr(float(value))}
        if isinstance(value, Tensor):
            return {"tensor": self._leaf(value, path)}
        if isinstance(value, nn.Module):
            value = value.state_dict()
        if not isinstance(value, dict | list | tuple):
            hint = "Save tensors, numbers, strings, None, and lists, tuples and dicts of these."
            raise StoreError(_where(path), f"its type is {type(value).__name__}", hint)
        if id(value) in self._around:
            raise StoreError(_where(path), "it contains itself", "Save its parts.")
        self._around.append(id(value))
        try:
            return self._container(value, path)
        finally:
            self._around.pop()

    def _container(self, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            entries = []
            for key, one in value.items():
                if not isinstance(key, bool | int | float | str | None):
                    reason = f"it has a key of type {type(key).__name__}"
                    raise StoreError(_where(path), reason, "Use strings as keys.")
                entries.append([self.packed(key, path), self.packed(one, (*path, str(key)))])
            return {"dict": entries}
        nodes = [self.packed(one, (*path, str(number))) for number, one in enumerate(value)]
        return {"tuple": nodes} if isinstance(value, tuple) else nodes

    def _leaf(self, tensor: Tensor, path: tuple[str, ...]) -> str:
        """Name of a tensor in the file."""
        if id(tensor) in self._names:
            return self._names[id(tensor)]
        _check_tensor(tensor, path)
        plain = ".".join(path) if path else "tensor"
        plain = plain.encode(errors="backslashreplace").decode()
        taken, number = plain, 1
        while taken in self.leaves or taken == "__metadata__":
            number += 1
            taken = f"{plain}~{number}"
        self.leaves[taken] = tensor.detach().resolve_conj().resolve_neg()
        self._names[id(tensor)] = taken
        self._met.append(tensor)
        return taken

    def ties(self) -> dict[str, Any]:
        """Decide what is stored, once where memory is shared.

        Returns:
            `same`, `views` and `complex`, as the module's docstring says.
        """
        same: dict[str, str] = {}
        views: dict[str, list[Any]] = {}
        for names in _sharing(self.leaves):
            first = names[0]
            layouts = {_layout(self.leaves[name]) for name in names}
            if len(layouts) == 1 and not _is_expanded(self.leaves[first]):
                self.stored[first] = self.leaves[first]
                same.update(dict.fromkeys(names[1:], first))
                continue
            base, tensor = _around_all({name: self.leaves[name] for name in names})
            self.stored[base] = tensor
            for name in names:
                view = self.leaves[name]
                offset = (view.data_ptr() - tensor.data_ptr()) // tensor.itemsize
                views[name] = [base, list(view.shape), list(view.stride()), offset]
        pairs = [name for name, tensor in self.stored.items() if tensor.is_complex()]
        return {"same": same, "views": views, "complex": pairs}


def _check_tensor(tensor: Tensor, path: tuple[str, ...]) -> None:
    """Raise where a tensor is not numbers in memory."""
    if is_lazy(tensor):
        reason, hint = "it is lazy and has no data yet", "Run zoo.apply_init(model, inputs) first."
    elif tensor.is_meta:
        reason, hint = "it is on the meta device and has no data", "Make it on a real device."
    elif tensor.is_nested:
        reason, hint = "it is a nested tensor", "Save tensor.unbind()."
    elif tensor.layout != torch.strided:
        reason, hint = "it is sparse", "Save tensor.to_dense()."
    elif tensor.is_quantized:
        reason, hint = "it is quantized", "Save tensor.dequantize()."
    elif type(tensor).__torch_dispatch__ is not Tensor.__torch_dispatch__:
        reason, hint = f"it is a {type(tensor).__name__}", "Save the tensors that it is made of."
    else:
        return
    raise StoreError(_where(path), reason, hint)


def _sharing(leaves: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """Names of tensors whose memory overlaps, together; others alone."""
    groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for name, tensor in leaves.items():
        place: Any = name
        if tensor.numel():
            place = (tensor.untyped_storage().data_ptr(), tensor.data_ptr() % tensor.itemsize)
        groups[tensor.device, tensor.dtype, place].append(name)
    for names in groups.values():
        together: list[str] = []
        end = 0
        for name in sorted(names, key=lambda one: leaves[one].data_ptr()):
            first, last = _span(leaves[name])
            if together and first >= end:
                yield together
                together = []
            together.append(name)
            end = max(end, last)
        yield together


def _span(tensor: Tensor) -> tuple[int, int]:
    """Addresses of a tensor's first byte, and of the one after its last."""
    first = tensor.data_ptr()
    if not tensor.numel():
        return first, first
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    return first, first + (1 + sum((dim - 1) * step for dim, step in steps)) * tensor.itemsize


def _is_expanded(tensor: Tensor) -> bool:
    """Whether several elements are one number in memory, as `expand` makes them."""
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    return tensor.numel() > 0 and any(dim > 1 and step == 0 for dim, step in steps)


def _layout(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride()


def _around_all(tensors: Mapping[str, Tensor]) -> tuple[str, Tensor]:
    """What tensors that share memory are views of.

    Args:
        tensors: By name; of one dtype.

    Returns:
        The name and the tensor of one that is contiguous and holds all; where there is none, the
        first name, and all elements between the first and the last as a tensor of one dim.
    """
    first = min(_span(one)[0] for one in tensors.values())
    last = max(_span(one)[1] for one in tensors.values())
    for name, tensor in tensors.items():
        if tensor.is_contiguous() and _span(tensor) == (first, last):
            return name, tensor
    name, lowest = min(tensors.items(), key=lambda one: one[1].data_ptr())
    return name, lowest.as_strided(((last - first) // lowest.itemsize,), (1,))


def _where(path: tuple[str, ...]) -> str:
    """How a part of what is saved is called in a message."""
    return "this" if not path else f"the part {'.'.join(path)!r}"


def _as_stored(tensor: Tensor) -> Tensor:
    """A tensor as safetensors writes it: contiguous, complex numbers as pairs."""
    dense = tensor.contiguous()
    return torch.view_as_real(dense) if dense.is_complex() else dense


def _tied(form: Mapping[str, Any], stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file by name, those that shared memory tied again."""
    pairs = frozenset(form["complex"])
    bases = {
        name: torch.view_as_complex(one) if name in pairs else one for name, one in stored.items()
    }
    found = dict(bases)
    for name, (base, shape, stride, offset) in form["views"].items():
        steps = [(dim - 1) * step for dim, step in zip(shape, stride, strict=True)]
        if min(*shape, *stride, offset, 0) < 0 or offset + sum(steps) >= bases[base].numel():
            raise ValueError(f"{name} is no part of {base}")
        found[name] = bases[base].as_strided(shape, stride, bases[base].storage_offset() + offset)
    for name, other in form["same"].items():
        found[name] = found[other]
    return found


def _unpacked(node: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The value that a node of the structure stands for."""
    if isinstance(node, list):
        return [_unpacked(one, tensors) for one in node]
    if not isinstance(node, dict):
        return node
    ((kind, inner),) = node.items()
    if kind == "tensor":
        return tensors[inner]
    if kind == "float":
        return float(inner)
    if kind == "tuple":
        return tuple(_unpacked(one, tensors) for one in inner)
    if kind == "dict":
        return {_unpacked(key, tensors): _unpacked(one, tensors) for key, one in inner}
    raise ValueError(f"nothing is called {kind}")
