"""How a user's module is run without its weights, and given back as it was.

For the run, each module's tensors are replaced in place by blank twins: a tied tensor by one twin,
a small integer or boolean buffer (an index table) by a copy with its data, and so are small tensors
that a module keeps outside parameters and buffers. Weights are neither read, copied nor moved.
Afterwards, also when the run raised, every module has its class, attributes and the contents of its
containers back.

Closures and hooks of the user's that refer to the module see the twins, which a copy of the module
would not give them.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from zoo.analysis.tracer.blank import KEEPS_DATA, META, blank_like

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

CONTAINERS = (dict, list, set)


class Twins:
    """Blank twins of a model's tensors, one for each tensor however often it is found.

    Args:
        dtype: What floating point tensors are cast to; None leaves them.
        device: Where parameters and buffers are said to lie. What a module keeps outside these
            stays on the CPU, as it does when a module is moved.
    """

    def __init__(self, dtype: torch.dtype | None = None, device: str = "cpu") -> None:
        self.dtype, self.device = dtype, device
        self._twins: dict[int, tuple[Tensor, Tensor]] = {}

    def of(self, tensor: Tensor) -> Tensor:
        """The tensor's twin."""
        known = self._twins.get(id(tensor))
        if known is None:
            twin = self._make(tensor)
            known = self._twins[id(tensor)] = (tensor, twin)
            self._twins[id(twin)] = (twin, twin)
        return known[1]

    def _cast(self, tensor: Tensor) -> torch.dtype:
        cast = self.dtype is not None and tensor.is_floating_point()
        return self.dtype if cast and self.dtype is not None else tensor.dtype

    def _make(self, tensor: Tensor) -> Tensor:
        if is_lazy(tensor):
            lazy: Any = UninitializedBuffer
            if isinstance(tensor, nn.Parameter):
                lazy = UninitializedParameter
            twin: Tensor = lazy(tensor.requires_grad, device=META, dtype=self._cast(tensor))
            return twin
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
            return tensor
        if isinstance(tensor, nn.Parameter):
            twin = nn.Parameter(
                blank_like(tensor.detach(), self._cast(tensor)), tensor.requires_grad
            )
            twin.__dict__.update(tensor.__dict__)
            return twin
        small = tensor.device.type == "cpu" and tensor.numel() <= KEEPS_DATA
        if small and not tensor.is_floating_point() and not tensor.is_complex():
            return self._placed(tensor.detach().clone(), self.device)
        return blank_like(tensor, self._cast(tensor)).requires_grad_(
            tensor.requires_grad and tensor.is_leaf
        )

    def of_loose(self, tensor: Tensor) -> Tensor:
        """The twin of a tensor that is no parameter or buffer; a small one keeps its data."""
        if id(tensor) in self._twins or isinstance(tensor, nn.Parameter) or is_lazy(tensor):
            return self.of(tensor)
        on_cpu = tensor.device.type == "cpu"
        if on_cpu and tensor.numel() <= KEEPS_DATA and tensor.layout == torch.strided:
            twin = tensor.detach().clone()
            self._twins[id(tensor)] = (tensor, twin)
            return twin
        return self._placed(self.of(tensor), "cpu") if on_cpu else self.of(tensor)

    def _placed(self, twin: Tensor, place: str) -> Tensor:
        if self.device != "cpu":
            twin._zoo_device = place  # type: ignore[attr-defined]
        return twin


def _replaced(value: Any, twins: Twins, depth: int = 0) -> Any:
    """`value` with twins for the tensors in it; the same object where it has none."""
    if isinstance(value, Tensor):
        return twins.of_loose(value)
    if depth < 3 and type(value) in (list, tuple):
        items = [_replaced(item, twins, depth + 1) for item in value]
        changed = any(new is not old for new, old in zip(items, value, strict=True))
        return type(value)(items) if changed else value
    if depth < 3 and type(value) is dict:
        items = [_replaced(item, twins, depth + 1) for item in value.values()]
        changed = any(new is not old for new, old in zip(items, value.values(), strict=True))
        return dict(zip(value, items, strict=True)) if changed else value
    return value


class _Kept:
    """What one module was before the run."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.type = module, type(module)
        self.attributes = dict(module.__dict__)
        self.contents = [
            (value, value.copy())
            for value in module.__dict__.values()
            if isinstance(value, CONTAINERS)
        ]

    def restore(self) -> None:
        """Put class, attributes and the contents of containers back."""
        if type(self.module) is not self.type:
            self.module.__class__ = self.type
        self.module.__dict__.clear()
        self.module.__dict__.update(self.attributes)
        for container, content in self.contents:
            container.clear()
            fill = container.extend if isinstance(container, list) else container.update
            fill(content)


def _replace_in(module: nn.Module, twins: Twins) -> None:
    for held in (module._parameters, module._buffers):
        tensors: MutableMapping[str, Any] = held
        for name, tensor in tensors.items():
            if tensor is not None:
                tensors[name] = twins.of(tensor)
    for name, value in module.__dict__.items():
        if name not in ("_parameters", "_buffers", "_modules"):
            new = _replaced(value, twins)
            if new is not value:
                module.__dict__[name] = new


@contextmanager
def borrowed(
    model: nn.Module, *, training: bool, dtype: torch.dtype | None = None, device: str = "cpu"
) -> Iterator[None]:
    """Inside, the model holds blank twins; afterwards it is as it was.

    Args:
        model: Any module.
        training: False puts every module in evaluation mode. True leaves the flags of a model whose
            root is in training mode, so that norms which the user froze stay frozen, and sets all
            otherwise.
        dtype: What floating point tensors are cast to; None leaves them.
        device: Where parameters and buffers are said to lie.

    Yields:
        None: Nothing; the model itself is changed.
    """
    modules = list(model.modules())
    kept = [_Kept(module) for module in modules]
    keep_flags = training and model.training
    try:
        twins = Twins(dtype, device)
        for module in modules:
            _replace_in(module, twins)
            if not keep_flags:
                module.training = training
        yield
    finally:
        for was in kept:
            was.restore()
