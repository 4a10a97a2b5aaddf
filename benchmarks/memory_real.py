"""Peak memory of a real training step on the CPU, by torch's profiler.

The profiler is told of every block that torch's CPU allocator gives out and takes back, with its
size. Two steps run: the first makes the optimizer's state, the second is measured. What is there
when the profiler starts (parameters, buffers, inputs) is added; all else is allocated under it.

Not seen, and so not part of any figure: what a kernel takes from the C library itself, such as the
columns of `slow_conv2d`'s input gradient.
"""

from __future__ import annotations

import gc
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from memory_cases import chosen
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.checkpoint import checkpoint as run_again

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MARK = "measured step"
OPTIMIZERS = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}


def measured_peak(
    model: nn.Module,
    inputs: Sequence[Tensor],
    optimizer: str,
    *,
    onednn: bool,
    checkpoint: tuple[str, ...] = (),
) -> int:
    """Most bytes alive at once in a steady training step under the sum of all outputs.

    Args:
        model: With its weights, on the CPU; trained by two steps.
        inputs: Arguments of `forward`.
        optimizer: One of `OPTIMIZERS`.
        onednn: Whether torch may use oneDNN's kernels.
        checkpoint: Patterns of paths of modules that keep their inputs only.
    """
    for path in chosen([path for path, _ in model.named_modules()], checkpoint):
        keeps_inputs_only(model.get_submodule(path))
    owner = OPTIMIZERS[optimizer](model.parameters(), lr=1e-3)
    before = resident([*model.parameters(), *model.buffers(), *inputs])
    with torch.backends.mkldnn.flags(enabled=onednn), warnings.catch_warnings(), _no_rubbish():
        warnings.simplefilter("ignore")
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
            step(model, inputs, owner)
            gc.collect()
            with record_function(MARK):
                step(model, inputs, owner)
    return before + _highest(found)


@contextmanager
def _no_rubbish() -> Iterator[None]:
    """Inside, no block of an earlier measurement is freed: it would be taken from this one's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def step(model: nn.Module, inputs: Sequence[Any], optimizer: torch.optim.Optimizer) -> None:
    """Gradients freed, forward pass, loss, backward pass, optimizer."""
    optimizer.zero_grad(set_to_none=True)
    output = model(*inputs)
    loss = total(output)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def total(output: Any) -> Tensor:
    """The sum of all outputs that gradients reach."""
    parts = [one.sum() for one in tensors(output) if one.requires_grad]
    loss = parts[0]
    for part in parts[1:]:
        loss = loss + part
    return loss


def tensors(value: Any) -> Iterator[Tensor]:
    """Tensors in tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from tensors(one)


def resident(held: Iterable[Tensor]) -> int:
    """Bytes of the blocks that tensors lie in, each block once."""
    blocks = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in held}
    return sum(blocks.values())


def keeps_inputs_only(module: nn.Module) -> None:
    """Let a module keep its inputs, and run again in the backward pass."""
    forward = module.forward

    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        return run_again(forward, *args, use_reentrant=False, **kwargs)

    module.forward = checkpointed


def _highest(found: profile) -> int:
    """Most bytes allocated and not freed at any time of the marked step."""
    events = found.profiler.kineto_results.events()
    mark = next(event for event in events if event.name() == MARK)
    begin, end = mark.start_ns(), mark.start_ns() + mark.duration_ns()
    sizes = sorted(
        (
            (event.start_ns(), number, event.nbytes())
            for number, event in enumerate(events)
            if event.name() == "[memory]"
        )
    )
    live = highest = 0
    for at, _, nbytes in sizes:
        if at > end:
            break
        if at >= begin and not highest:
            highest = live
        live += nbytes
        if at >= begin:
            highest = max(highest, live)
    return highest
