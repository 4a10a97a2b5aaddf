"""All of a module that a trace could change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.nn.parameter import is_lazy

if TYPE_CHECKING:
    from torch import nn


def fingerprint(model: nn.Module) -> dict[str, Any]:
    """All that a trace could change: identities, values, flags, hooks, attributes, patches."""
    found: dict[str, Any] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        found[path] = (
            id(module),
            type(module),
            module.training,
            sorted(module.__dict__),
            {name: id(value) for name, value in module.__dict__.items()},
            {
                name: list(value) if isinstance(value, list | set) else list(value.items())
                for name, value in module.__dict__.items()
                if isinstance(value, list | set | dict) and name not in ("_parameters", "_buffers")
            },
        )
    tensors = [*model.named_parameters(), *model.named_buffers()]
    for name, tensor in tensors:
        if not is_lazy(tensor):
            found["tensor " + name] = (
                id(tensor),
                tensor.data_ptr(),
                tensor._version,
                tensor.device,
                tensor.dtype,
                tensor.requires_grad,
                tensor.grad is None,
                tensor.detach().clone().flatten().tolist(),
            )
    return found
