"""Peak memory of a training step as torch's own `MemTracker` predicts it, on fake tensors."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from memory_cases import chosen
from memory_real import OPTIMIZERS, keeps_inputs_only, step
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

if TYPE_CHECKING:
    from collections.abc import Sequence


def tracked_peak(
    model: nn.Module,
    inputs: Sequence[Tensor],
    optimizer: str,
    *,
    onednn: bool,
    checkpoint: tuple[str, ...] = (),
) -> int:
    """Most bytes of live tensors in a steady training step.

    Args:
        model: Its weights are replaced by fake ones.
        inputs: Arguments of `forward`.
        optimizer: One of `memory_real.OPTIMIZERS`.
        onednn: Whether torch may use oneDNN's kernels.
        checkpoint: Patterns of paths of modules that keep their inputs only.
    """
    for path in chosen([path for path, _ in model.named_modules()], checkpoint):
        keeps_inputs_only(model.get_submodule(path))
    mode = FakeTensorMode()
    _fake(model, mode)
    fakes = [mode.from_tensor(one) for one in inputs]
    owner = OPTIMIZERS[optimizer](model.parameters(), lr=1e-3)
    tracker = MemTracker()
    tracker.track_external(model, owner, *fakes)
    with (
        torch.backends.mkldnn.flags(enabled=onednn),
        warnings.catch_warnings(),
        mode,
        tracker,
    ):
        warnings.simplefilter("ignore")
        step(model, fakes, owner)
        tracker.reset_mod_stats()
        step(model, fakes, owner)
    found = tracker.get_tracker_snapshot("peak")
    return int(found[torch.device("cpu")]["Total"])


def _fake(model: nn.Module, mode: FakeTensorMode) -> None:
    """Replace parameters and buffers in place, a tied one by one fake."""
    fakes: dict[int, Tensor] = {}
    owners: list[Tensor] = []  # so that no number of `fakes` is given out again
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is None:
                    continue
                if id(tensor) not in fakes:
                    owners.append(tensor)
                    fake = mode.from_tensor(tensor)
                    if isinstance(tensor, nn.Parameter):
                        fake = nn.Parameter(fake, tensor.requires_grad)
                    fakes[id(tensor)] = fake
                held[name] = fakes[id(tensor)]
        if isinstance(module, nn.RNNBase):
            module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
