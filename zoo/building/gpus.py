"""Which accelerators does this machine have, and where does code run that has none?

CUDA's devices (ROCm's are called so too) come first, then those of any other kind that torch finds
(`torch.accelerator`: mps, xpu, ...). Where there is none, the answer is the CPU, so that one script
runs everywhere. Dive into Deep Learning, 6.7.
"""

from __future__ import annotations

import torch

from zoo.errors import OptionError


def num_gpus() -> int:
    """How many accelerators are here, of the kind that is used; 0 where there is none."""
    return len(_accelerators())


def try_gpu(i: int = 0) -> torch.device:
    """An accelerator, or the CPU where it is not there.

    Args:
        i: Which one, from 0.

    Returns:
        `cuda:i`, or as the accelerator is called here; `cpu` where there are not that many.

    Raises:
        OptionError: The number is negative.
    """
    if i < 0:
        raise OptionError(f"GPU {i}", "devices are counted from 0", "Ask for zoo.try_gpu(0).")
    found = _accelerators()
    return found[i] if i < len(found) else torch.device("cpu")


def try_all_gpus() -> list[torch.device]:
    """All accelerators that are here, or the CPU alone where there is none."""
    return _accelerators() or [torch.device("cpu")]


def _accelerators() -> list[torch.device]:
    """Every device of the first kind that has one."""
    if count := torch.cuda.device_count():
        return [torch.device("cuda", i) for i in range(count)]
    kind = torch.accelerator.current_accelerator(check_available=True)
    if kind is None or kind.type == "cpu":
        return []
    return [torch.device(kind.type, i) for i in range(torch.accelerator.device_count())]
