"""What does a model hold, before anything runs? A trace without calls and operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.analysis.records import ModelInfo, Note, TensorSpec, Trace
from zoo.analysis.tracer import holdings
from zoo.analysis.tracer.paths import Paths
from zoo.analysis.tracer.recorder import dtype_name
from zoo.analysis.tracer.run import device_name, torch_dtype, unwrapped

if TYPE_CHECKING:
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
        return TensorSpec(tuple(tensor.shape), dtype_name(kind), place)

    def used(_: Tensor) -> bool:
        return True

    parameters, lazy = holdings.parameters(model, spec, used)
    return Trace(
        model=info or ModelInfo(type(model).__name__),
        inputs=(),
        modules=Paths(model).submodules(),
        calls=(),
        ops=(),
        parameters=parameters,
        buffers=holdings.buffers(model, spec, used),
        notes=(_lazy_note(lazy),) if lazy else (),
    )


def _lazy_note(names: list[str]) -> Note:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    text = f"{len(names)} lazy parameters have no shape before a run: {shown}. Give an input."
    return Note("warning", "lazy-parameter", text)
