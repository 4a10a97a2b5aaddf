"""How any model is built without allocating a weight.

Every operator of the constructor goes through a dispatch mode that sends uninitialised, random and
large tensors to the meta device and leaves small constants real (`linspace(...).item()`, buffers
computed from `arange`). A constructor that asks a blank tensor for a value gets 1. Nothing of torch
is patched.

Not covered: constructors that read weights from a file, or hand raw memory to another library.
"""

from __future__ import annotations

import gc
import random
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zoo.analysis.inputs import parse_all
from zoo.analysis.tracer.modes import BlankMode
from zoo.building.init import dummy_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Seed Python's and torch's CPU random number generators, and give them back as they were."""
    python, generator = random.getstate(), torch.get_rng_state()
    random.seed(0)
    torch.default_generator.manual_seed(0)
    try:
        yield
    finally:
        random.setstate(python)
        torch.set_rng_state(generator)


@contextmanager
def garbage_kept() -> Iterator[None]:
    """Put garbage collection off: one over all that torch has loaded takes longer than a run.

    Yields:
        None: Nothing; collection is on again afterwards where it was on before.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def without_weights() -> Iterator[None]:
    """Inside, new tensors are blank (on the meta device) unless they are small constants."""
    with garbage_kept(), random_state_kept(), warnings.catch_warnings(), BlankMode():
        warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
        warnings.filterwarnings("ignore", message="Lazy modules are a new feature")
        yield


def skeleton(build: Callable[[], T]) -> T:
    """Call `build` so that no weight is allocated; its parameters lie on the meta device.

    Args:
        build: Returns an `nn.Module`.

    Returns:
        What `build` returned.
    """
    with without_weights():
        return build()


def materialise(model: nn.Module, words: Sequence[str]) -> None:
    """Give lazy layers their parameters by one run on zeros; leave other models alone.

    Args:
        model: Changed in place; flags and random numbers apart from the new parameters stay.
        words: Its default input, in the words of `--input`; where there is none, nothing is done.
    """
    if not words or not any(is_lazy(p) for p in [*model.parameters(), *model.buffers()]):
        return
    inputs: list[Tensor] = []
    named: dict[str, Tensor] = {}
    for one in parse_all(words):
        zeros = torch.zeros(one.spec.shape, dtype=getattr(torch, one.spec.dtype))
        if one.name is None:
            inputs.append(zeros)
        else:
            named[one.name] = zeros
    dummy_run(model, inputs, named)
