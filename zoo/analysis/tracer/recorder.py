"""Writes down what happens in a run: module calls, operators, costs.

A module call begins in a forward pre-hook that runs before all others and ends in a forward hook
that runs after all others and also when the module raises, so that hooks of the user's belong to
the call. An operator belongs to the innermost call that has not ended. Operators by which a lazy
module makes its parameters are not part of the forward pass and are left out.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, is_dataclass
from dataclasses import fields as fields_of
from functools import cache
from threading import get_ident
from types import FunctionType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator
from torch.jit._script import RecursiveScriptModule
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.modules.module import register_module_forward_pre_hook

from zoo.analysis.costs.base import Inputs
from zoo.analysis.records import ModuleCall, OpCall, Submodule, TensorSpec
from zoo.analysis.tracer.blank import replace_tensors, tensors_in
from zoo.analysis.tracer.source import line_of_caller

if TYPE_CHECKING:
    from zoo.analysis.tracer.modes import BlankMode
    from zoo.analysis.tracer.pricing import Formulas


@cache
def dtype_name(dtype: torch.dtype) -> str:
    """`float32` of `torch.float32`."""
    return str(dtype).removeprefix("torch.")


def nested_tensors(value: Any, depth: int = 0) -> Iterator[Tensor]:
    """Tensors in a module's arguments or results; looks into containers and plain objects too."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from nested_tensors(item, depth + 1)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from nested_tensors(item, depth + 1)
    elif depth < 4 and not isinstance(value, type | nn.Module | FunctionType):
        for item in _attributes(value):
            yield from nested_tensors(item, depth + 1)


def _attributes(value: Any) -> list[Any]:
    """What a dataclass or an object of the user's holds."""
    if is_dataclass(value):
        return [getattr(value, one.name, None) for one in fields_of(value)]
    held = getattr(value, "__dict__", None)
    return list(held.values()) if isinstance(held, dict) else []


class LazyArguments(Mapping[str, Any]):
    """An operator's arguments by the names of its schema, put together when first asked for."""

    def __init__(
        self,
        func: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        spec: Callable[[Tensor], Any],
    ) -> None:
        self._call = (func, args, kwargs, spec)
        self._values: dict[str, Any] | None = None

    def _all(self) -> dict[str, Any]:
        if self._values is None:
            func, args, kwargs, spec = self._call
            values: dict[str, Any] = {}
            if isinstance(func, HigherOrderOperator):
                return values
            for position, declared in enumerate(func._schema.arguments):
                if position < len(args):
                    value = args[position]
                elif declared.name in kwargs:
                    value = kwargs[declared.name]
                else:
                    value = declared.default_value if declared.has_default_value() else None
                values[declared.name] = replace_tensors(value, spec)
            self._values = values
        return self._values

    def __getitem__(self, name: str) -> Any:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


@dataclass(slots=True)
class _Open:
    """A module call that has begun."""

    index: int
    path: str
    module: nn.Module
    depth: int
    inputs: tuple[TensorSpec, ...]
    lazy: bool
    """Whether the module had no parameters yet when the call began."""
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

    def reached(self, module: nn.Module, around: _Open | None) -> str:
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


class Recorder:
    """Observer of a run.

    Args:
        model: What runs.
        formulas: Costs by operator.
        progress: Is called with the number of operators so far, now and then.
    """

    def __init__(
        self,
        model: nn.Module,
        formulas: Formulas,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.paths = Paths(model)
        self.submodules = self.paths.submodules()
        """As the model is made before the run; lazy modules change their type in it."""
        self.formulas = formulas
        self.progress = progress
        self.ops: list[OpCall] = []
        self.calls: dict[int, ModuleCall] = {}
        self.used: set[int] = set()
        """Addresses of the storages that operators read."""
        self.autocast = False
        """Whether the model turned autocast on."""
        self.on_zeros: Counter[str] = Counter()
        self.broken: tuple[BaseException, int, tuple[TensorSpec, ...]] | None = None
        """The exception that ended the innermost call, that call, and its inputs."""
        self.broken_op: tuple[BaseException, str, tuple[TensorSpec, ...]] | None = None
        self._stack: list[_Open] = []
        self._count = 0
        self._known: dict[Any, tuple[str, frozenset[str]]] = {}
        self._mode: BlankMode | None = None
        self._hooks = ExitStack()
        self._adopted: list[nn.Module] = []
        """Modules that the forward pass made; held so that their addresses are not used again."""
        self._thread = get_ident()

    def __deepcopy__(self, memo: dict[int, Any]) -> Recorder:
        """Itself: a model that copies a module of its own copies our hooks with it."""
        return self

    def attach(self, mode: BlankMode, stack: ExitStack) -> None:
        """Hook every module of the model; `stack` takes the hooks off."""
        self._mode, self._hooks = mode, stack
        for module in self.paths.modules:
            self._hook(module)
        stack.callback(register_module_forward_pre_hook(self._enter_unknown).remove)

    def _hook(self, module: nn.Module) -> None:
        if isinstance(module, RecursiveScriptModule):
            return  # torch hooks no scripted module: its operators belong to the call around it
        before = module.register_forward_pre_hook(self._enter, prepend=True, with_kwargs=True)
        after = module.register_forward_hook(self._exit, with_kwargs=True, always_call=True)
        self._hooks.callback(before.remove)
        self._hooks.callback(after.remove)

    @property
    def place(self) -> str:
        """Where the run is said to take place."""
        return "cpu" if self._mode is None else self._mode.device

    def spec(self, tensor: Tensor) -> TensorSpec:
        """A tensor's description."""
        if tensor.is_nested:
            raise NotImplementedError("zoo does not trace nested tensors: they have no one shape")
        device = "cpu" if self._mode is None else self._mode.device_of(tensor)
        return TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype), device)

    def specs(self, value: Any) -> tuple[TensorSpec, ...]:
        """Descriptions of the tensors in a module's arguments or results."""
        mode = self._mode
        busy = mode.busy if mode else False
        if mode:
            mode.busy = True
        try:
            return tuple(self.spec(tensor) for tensor in nested_tensors(value))
        finally:
            if mode:
                mode.busy = busy

    def call(self, model: nn.Module, args: Any, kwargs: Any) -> None:
        """Run the model; the call of a scripted one is written down here, as no hook can do it."""
        if not isinstance(model, RecursiveScriptModule):
            model(*args, **kwargs)
            return
        self._enter(model, args, kwargs)
        self._exit(model, args, kwargs, model(*args, **kwargs))

    def _enter_unknown(self, module: nn.Module, args: Any) -> None:
        """A module that the model made in its forward pass."""
        if id(module) in self.paths.of or not self._stack or self._thread != get_ident():
            return
        self._adopted.append(module)
        self.paths.of[id(module)] = [self.paths.reached(module, self._stack[-1])]
        self._hook(module)
        self._enter(module, args, {})

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        around = self._stack[-1] if self._stack else None
        path = self.paths.reached(module, around)
        if around is not None:
            around.times[id(module)] += 1
        lazy = isinstance(module, LazyModuleMixin)
        specs = self.specs((args, kwargs))
        opened = _Open(self._count, path, module, len(self._stack), specs, lazy)
        self._count += 1
        self._stack.append(opened)

    def _exit(self, module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        error = sys.exc_info()[1] if result is None else None
        if not self._stack or self._stack[-1].module is not module:
            return
        opened = self._stack.pop()
        if error is not None and (self.broken is None or self.broken[0] is not error):
            self.broken = (error, opened.index, opened.inputs)
        self._close(opened, module, None if error is not None else self.specs(result))

    def _close(
        self, opened: _Open, module: nn.Module, outputs: tuple[TensorSpec, ...] | None
    ) -> None:
        names = self.paths.of.get(id(module))
        parent = self._stack[-1].index if self._stack else None
        self.calls[opened.index] = ModuleCall(
            index=opened.index,
            path=opened.path,
            type=type(module).__name__,
            depth=opened.depth,
            parent=parent,
            inputs=opened.inputs,
            outputs=outputs,
            training=module.training,
            module=names[0] if names else opened.path,
        )

    def unwind(self) -> None:
        """End the calls that are still open, as failed."""
        while self._stack:
            opened = self._stack.pop()
            self._close(opened, opened.module, None)

    def _describe(self, func: Any) -> tuple[str, frozenset[str]]:
        known = self._known.get(func)
        if known is None:
            if isinstance(func, HigherOrderOperator):
                known = self._known[func] = (f"higher_order.{func.name()}", frozenset())
                return known
            tags = {str(tag).removeprefix("torch.Tag.") for tag in func.tags}
            if func.is_view:
                tags.add("view")
            name = str(func._schema.name).replace("::", ".", 1)
            known = self._known[func] = (
                f"{name}.{func._schema.overload_name or 'default'}",
                frozenset(tags),
            )
        return known

    def saw(
        self,
        func: Any,
        given: Sequence[Tensor],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        out: Any,
    ) -> None:
        """Write an operator down."""
        mode = self._mode
        if not self._stack or mode is None:
            return
        opened = self._stack[-1]
        if opened.lazy and "_initialize_hook" in opened.module.__dict__:
            return
        name, tags = self._describe(func)
        busy, mode.busy = mode.busy, True
        try:
            inputs = Inputs(map(self.spec, given), LazyArguments(func, args, kwargs, self.spec))
            results = [out] if isinstance(out, Tensor) else list(tensors_in(out))
            if not results and not given:
                return  # a question about versions or settings
            outputs = tuple(map(self.spec, results))
            held = {
                tensor.untyped_storage()._cdata
                for tensor in given
                if tensor.layout == torch.strided
            }
            self.used |= held
            new = 0
            for tensor, spec in zip(results, outputs, strict=True):
                if tensor.layout == torch.strided:
                    storage = tensor.untyped_storage()._cdata
                    if storage not in held:
                        held.add(storage)
                        new += spec.nbytes
            cost = self.formulas.cost(name, inputs, outputs, tags)
        finally:
            mode.busy = busy
        index, source = len(self.ops), line_of_caller()
        self.ops.append(
            OpCall(index, name, opened.index, "forward", tuple(inputs), outputs, cost, source, new)
        )
        if self.progress is not None and index % 256 == 0:
            self.progress(index)

    def failed(self, func: Any, given: Sequence[Tensor], error: BaseException) -> None:
        """Remember which operator raised."""
        if self.broken_op is None or self.broken_op[0] is not error:
            name, _ = self._describe(func)
            self.broken_op = (error, name, self.specs(list(given)))

    def ran_on_zeros(self, func: Any) -> None:
        """Remember which operators have no meta kernel."""
        self.on_zeros[self._describe(func)[0]] += 1

    def finished_calls(self) -> tuple[ModuleCall, ...]:
        """All calls, in the order in which they began."""
        return tuple(self.calls[index] for index in sorted(self.calls))
