"""What a process holds on an NVIDIA device beside its tensors.

- **cuBLAS workspaces** come from torch's allocator, one for each thread that multiplies matrices:
  the user's, and autograd's where there is a backward pass. They are never freed. cublasLt uses the
  same ones. Sizes and number are what torch 2.14.1's own library does (`tests/oracles`).
- **The CUDA context** is outside the allocator: the driver's structures and the code of the kernels
  that ran. It depends on card, driver and torch, and since kernels are loaded when they are first
  used (`CUDA_MODULE_LOADING=LAZY`, torch's default since 1.13) it grows as a program goes on. The
  figures are measurements by others, with what they were measured on.
- **cuDNN's workspaces** are chosen by the algorithm that cuDNN picks on the machine, come from
  torch's allocator and are freed after the call. They are unknown here, and not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zoo.analysis.allocator.blocks import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

Confidence = Literal["exact", "measured", "rough", "unknown"]

WORKSPACE = 8_519_680
"""Bytes of `:4096:2:16:8`: two chunks of 4 MiB and eight of 16 KiB."""
HOPPER_WORKSPACE = 32 * MIB
"""Bytes from compute capability 9.0 on: Hopper, Blackwell."""

CUBLAS_OPS = frozenset(
    f"aten.{name}"
    for name in (
        "_addmm_activation",
        "_int_mm",
        "_scaled_mm",
        "addbmm",
        "addmm",
        "addmv",
        "baddbmm",
        "bmm",
        "dot",
        "linear",
        "mm",
        "mv",
        "vdot",
    )
)
"""Operators that reach cuBLAS, without their overload."""


@dataclass(frozen=True, slots=True)
class FixedCost:
    """Memory that no tensor of the program holds."""

    name: str
    """`cublas workspaces`, `cuda context` or `cudnn workspaces`."""
    nbytes: int | None
    """Bytes; None where nobody can say without running."""
    reserved: bool
    """Whether torch's allocator holds it, so that it is part of the reserved bytes."""
    confidence: Confidence
    """How far the figure can be trusted."""
    source: str
    """Where it is from, and what it leaves out."""


CONTEXTS: Mapping[tuple[int, int], FixedCost] = {
    (8, 6): FixedCost(
        "cuda context",
        256 * MIB,
        reserved=False,
        confidence="measured",
        source="RTX 3090, torch 2.7.1+cu128, before any kernel: github invoke-ai/InvokeAI#9413",
    ),
    (8, 9): FixedCost(
        "cuda context",
        426 * MIB,
        reserved=False,
        confidence="measured",
        source="RTX 6000 Ada, torch 2.10.0+cu130, nvidia-smi before any kernel: "
        "github unslothai/unsloth-zoo#1053",
    ),
}
"""What was measured after `torch.cuda` was made ready, by compute capability. Kernels that a model
runs come on top."""

ANY_CONTEXT = FixedCost(
    "cuda context",
    400_000_000,
    reserved=False,
    confidence="rough",
    source="around 400 MB where kernels are loaded lazily, whatever the card: "
    "github pytorch/pytorch#109888; 287 MB were measured with torch 1.13 (#86509)",
)

CUDNN = FixedCost(
    "cudnn workspaces",
    None,
    reserved=True,
    confidence="unknown",
    source="chosen by cuDNN on the machine, freed after each call; not counted",
)


def workspace_bytes(compute_capability: tuple[int, int] | None) -> int:
    """Bytes of one cuBLAS workspace, where `CUBLAS_WORKSPACE_CONFIG` is not set.

    Args:
        compute_capability: Of the card; None for a card before Hopper.

    Returns:
        What torch 2.14.1 asks its allocator for.

    >>> workspace_bytes((8, 0)), workspace_bytes((9, 0)) // MIB
    (8519680, 32)
    """
    major = compute_capability[0] if compute_capability else 0
    return HOPPER_WORKSPACE if major >= 9 else WORKSPACE


def workspaces(number: int, compute_capability: tuple[int, int] | None = None) -> FixedCost:
    """The cuBLAS workspaces of `number` threads."""
    return FixedCost(
        "cublas workspaces",
        number * workspace_bytes(compute_capability),
        reserved=True,
        confidence="exact" if compute_capability else "rough",
        source="default of torch 2.14.1, one for each thread that multiplies matrices"
        if compute_capability
        else "default of torch 2.14.1 before Hopper; the compute capability is not known",
    )


def context(
    compute_capability: tuple[int, int] | None = None, nbytes: int | None = None
) -> FixedCost:
    """The CUDA context.

    Args:
        compute_capability: Of the card; None where it is not known.
        nbytes: A figure of one's own, which is believed.

    Returns:
        The figure given, else one measured on a card of that capability, else a rough one.
    """
    if nbytes is not None:
        return FixedCost(
            "cuda context", nbytes, reserved=False, confidence="measured", source="given"
        )
    if compute_capability is None:
        return ANY_CONTEXT
    return CONTEXTS.get(compute_capability, ANY_CONTEXT)
