"""Under which paths a model reaches its modules."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.analysis.records import Submodule, TensorSpec

if TYPE_CHECKING:
    from torch import nn


@dataclass(slots=True)
class Opened:
    """A module call that has begun."""

    index: int
    path: str
    module: nn.Module
    depth: int
    inputs: tuple[TensorSpec, ...]
    lazy: bool
    """Whether the module had no parameters yet when the call began."""
    again: bool = False
    """Whether it repeats a call of the forward pass, and has no record of its own."""
    times: Counter[int] = field(default_factory=Counter)
    """How often it has called each module."""


class Paths:
    """Under which paths a model reaches its modules."""

    def __init__(self, model: nn.Module) -> None:
        self.of: dict[int, list[str]] = {}
        self.modules: list[nn.Module] = []
        for path, module in model.named_modules(remove_duplicate=False):
            if id(module) not in self.of:
                self.modules.append(module)
            self.of.setdefault(id(module), []).append(path)

    def first(self, module: nn.Module, otherwise: str) -> str:
        """The module's first path, or `otherwise` where the model holds it under none."""
        names = self.of.get(id(module))
        return names[0] if names else otherwise

    def reached(self, module: nn.Module, around: Opened | None) -> str:
        """The path by which the call `around` reaches `module`, the n-th name at the n-th call."""
        names = self.of.get(id(module))
        if names is None:
            held = around.module._modules if around else {}
            own = (name for name, child in held.items() if child is module)
            name = next(own, f"({type(module).__name__})")
            return f"{around.path}.{name}" if around and around.path else name
        if around is None or len(names) == 1:
            return names[0]
        below = [n for n in names if not around.path or n.startswith(around.path + ".")] or names
        return below[around.times[id(module)] % len(below)]

    def submodules(self) -> tuple[Submodule, ...]:
        """All modules, in the order of `named_modules`."""
        return tuple(
            Submodule(names[0], type(module).__name__, tuple(names))
            for module in self.modules
            for names in (self.of[id(module)],)
        )
