"""torchvision's detectors as their published weights have them.

Built without weights, seven of torchvision's builders learn the batch norms of the backbone; their
published weights were trained, and are loaded, with these norms frozen
(torchvision.ops.FrozenBatchNorm2d: buffers, no parameters). Published parameter counts are those
of the frozen form.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models import get_model_builder
from torchvision.ops import FrozenBatchNorm2d


def freeze_norms(module: nn.Module) -> None:
    """Put a frozen norm in the place of every batch norm below `module`.

    Args:
        module: Changed in place; norms keep their statistics and scales.
    """
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            frozen = FrozenBatchNorm2d(child.num_features, child.eps)
            for key in ("weight", "bias", "running_mean", "running_var"):
                setattr(frozen, key, getattr(child, key).detach())
            setattr(module, name, frozen)
        else:
            freeze_norms(child)


def frozen_detector(builder: str, **arguments: Any) -> nn.Module:
    """A detector whose backbone has frozen batch norms.

    Args:
        builder: torchvision's name of the detector.
        **arguments: What torchvision's builder takes.

    Returns:
        The detector, without trained weights unless they are asked for.
    """
    model: nn.Module = get_model_builder(builder)(**arguments)
    freeze_norms(model.backbone)  # type: ignore[arg-type]
    return model
