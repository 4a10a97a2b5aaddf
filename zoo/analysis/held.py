"""What does a model hold, before anything runs? A trace without calls and operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.parameter import is_lazy

from zoo.analysis.records import Buffer, ModelInfo, Note, Parameter, TensorSpec, Trace
from zoo.analysis.tracer.paths import Paths
from zoo.analysis.tracer.run import device_name, torch_dtype, unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch
    from torch import Tensor, nn


def held(
    model: nn.Module,
    *,
    info: ModelInfo | None = None,
    device: str = "cpu",
    dtype: str | None = None,
) -> Trace:
    """A model's modules, parameters and buffers. Nothing says which of them a run reads.

    Args:
        model: Any module, real or a skeleton; it is only looked at.
        info: What to call the model.
        device: Where it is said to lie.
        dtype: What floating point tensors are said to be cast to.

    Returns:
        A trace whose `calls` and `ops` are empty, and whose parameters all count as read.

    Raises:
        InputError: No module, an unknown device or dtype.
    """
    model = unwrapped(model)
    place, cast = device_name(device), torch_dtype(dtype)

    def spec(tensor: Tensor) -> TensorSpec:
        kind = cast if cast is not None and tensor.is_floating_point() else tensor.dtype
        return TensorSpec(tuple(tensor.shape), _name(kind), place)

    parameters = _grouped(model.named_parameters(remove_duplicate=False))
    buffers = _grouped(model.named_buffers(remove_duplicate=False))
    lazy = [names[0] for one, names in parameters if is_lazy(one)]
    return Trace(
        model=info or ModelInfo(type(model).__name__),
        inputs=(),
        modules=Paths(model).submodules(),
        calls=(),
        ops=(),
        parameters=tuple(
            Parameter(names, spec(one), one.requires_grad, names[0].rpartition(".")[0], used=True)
            for one, names in parameters
            if not is_lazy(one)
        ),
        buffers=tuple(
            Buffer(names, spec(one), names[0].rpartition(".")[0], used=True)
            for one, names in buffers
            if not is_lazy(one)
        ),
        notes=(_lazy_note(lazy),) if lazy else (),
    )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _grouped(found: Iterable[tuple[str, Tensor]]) -> list[tuple[Tensor, tuple[str, ...]]]:
    """Distinct tensors with all their names, in order."""
    names: dict[int, tuple[Tensor, tuple[str, ...]]] = {}
    for name, tensor in found:
        _, before = names.get(id(tensor), (tensor, ()))
        names[id(tensor)] = (tensor, (*before, name))
    return list(names.values())


def _lazy_note(names: list[str]) -> Note:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    text = f"{len(names)} lazy parameters have no shape before a run: {shown}. Give an input."
    return Note("warning", "lazy-parameter", text)
