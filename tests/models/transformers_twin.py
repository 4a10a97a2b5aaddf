"""Models of transformers beside ours, with weights that matter and no download."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.models import measures


def twin(kind: str, config: str, **settings: object) -> nn.Module:
    """A model of transformers with weights drawn by `drawn`, in evaluation mode."""
    transformers = pytest.importorskip("transformers")
    made = getattr(transformers, config)(**settings)
    made._attn_implementation = "eager"
    model: nn.Module = getattr(transformers, kind)(made).eval()
    drawn(model)
    return model


def drawn(model: nn.Module) -> None:
    """Weights large enough that each matters, biases and norms too."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            around = 1.0 if "norm" in name.lower() or "ln_" in name else 0.0
            around = 0.0 if name.endswith("bias") else around
            spread = 0.3 if parameter.dim() == 1 else 1.2 / parameter.shape[-1] ** 0.5
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(around + spread * noise)


def close(ours: Tensor, theirs: Tensor) -> None:
    """Equal to 1e-5, and not because both are nothing."""
    assert theirs.std() > 0.1
    measures.close(ours, theirs)
