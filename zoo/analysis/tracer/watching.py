"""Which functions of torch's does a model call, and of which classes are its modules?

Operators do not show it: `x @ y` and `torch.matmul(x, y)` run the same ones, and a tool that
replaces `torch.matmul` sees the second alone. So a run can be watched: the mode that answers
questions about devices sees each function first, and writes it down here.
"""

from __future__ import annotations

import dis
import sys
from types import BuiltinFunctionType, FunctionType, MethodWrapperType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn, overrides
from torch.nn.parameter import is_lazy

from zoo.analysis.opinions import FunctionCall, ModuleFact
from zoo.analysis.tracer.devices import DeviceMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.analysis.records import TensorSpec
    from zoo.analysis.tracer.modes import BlankMode
    from zoo.analysis.tracer.recorder import Recorder

PLAIN = (bool, int, float, str, type(None))
_OPERATORS = {
    f"torch.Tensor.{name}": f"torch.Tensor.__{name}__" for name in ("add", "sub", "mul", "matmul")
}
"""Methods that torch reports for `+`, `-`, `*` and `@` too, and what it should say."""
_BINARY = dis.opmap["BINARY_OP"]


class Watch:
    """Writes down function calls of a run; one for each run."""

    def __init__(self) -> None:
        self.functions: list[FunctionCall] = []
        self._names: dict[Any, str] = {}

    def mode(self, blank: BlankMode, recorder: Recorder) -> DeviceMode:
        """The mode that answers questions about devices, watched; forgets an earlier attempt."""
        self.functions = []
        return _Watched(blank, recorder, self)

    def name(self, func: Any) -> str:
        """How Python finds a function."""
        known = self._names.get(func)
        if known is None:
            known = self._names[func] = _name(func)
        return known


def _name(func: Any) -> str:
    with torch._C.DisableTorchFunction():
        known = overrides.resolve_name(func)
    if known is None:
        owner = getattr(func, "__module__", None) or "torch"
        known = f"{owner}.{getattr(func, '__qualname__', type(func).__name__)}"
    return str(known).replace("torch._VariableFunctionsClass.", "torch.")


class _Watched(DeviceMode):
    """Writes a function down before it is answered."""

    def __init__(self, blank: BlankMode, recorder: Recorder, watch: Watch) -> None:
        super().__init__(blank)
        self._recorder, self._watch = recorder, watch
        self._stack: list[int] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # torch's signature
        special = self._special.get(func)
        if special is not None and not self.blank.busy:
            return special(*args, **(kwargs or {}))
        unseen = self.blank.busy or self._recorder.paused or self._recorder.phase != "forward"
        if unseen or type(func) is MethodWrapperType or not self._recorder._stack:
            return super().__torch_function__(func, types, args, kwargs)
        return self._written(func, types, args, kwargs or {})

    def _written(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        functions, ops = self._watch.functions, self._recorder.ops
        index, first = len(functions), len(ops)
        functions.append(None)  # type: ignore[arg-type]  # filled below, in the order of beginning
        parent = self._stack[-1] if self._stack else None
        call = self._recorder._stack[-1].index
        name = self._watch.name(func)
        if name in _OPERATORS:
            asks = sys._getframe(2)  # below this and `__torch_function__`
            if asks.f_code.co_code[asks.f_lasti] == _BINARY:
                name = _OPERATORS[name]
        given = tuple(map(self._plain, args))
        named = {name: self._plain(value) for name, value in kwargs.items()}
        learned = [one for one in (*args, *kwargs.values()) if isinstance(one, nn.Parameter)]
        parameters = self._recorder.specs(learned)
        outputs: tuple[TensorSpec, ...] = ()
        again = func is self._inside  # the twin of a Python function came back here
        self._stack.append(index)
        try:
            out = super().__torch_function__(func, types, args, kwargs)
            outputs = self._recorder.specs(out)
        finally:
            self._stack.pop()
            functions[index] = FunctionCall(
                index=index,
                name=name,
                call=call,
                parent=parent,
                native=type(func) is not FunctionType or again,
                given=given,
                named=named,
                outputs=outputs,
                first_op=first,
                after_op=len(ops),
                parameters=parameters,
            )
        return out

    def _plain(self, value: Any) -> Any:
        """A spec for a tensor, a plain value as it is, tuples of these, None for the rest."""
        if isinstance(value, Tensor):
            return self._recorder.specs(value)[0]
        if isinstance(value, list | tuple):
            return tuple(map(self._plain, value))
        return value if isinstance(value, PLAIN) else None


def facts(model: nn.Module) -> Mapping[str, ModuleFact]:
    """What each module of a model is, by first path.

    Args:
        model: The model, with its weights or without.

    Returns:
        In the order of `named_modules`.
    """
    paths = {id(module): path for path, module in model.named_modules()}
    visits = dict.fromkeys(paths, 0)

    def visit(module: nn.Module) -> None:
        visits[id(module)] += 1
        for child in module.children():
            visit(child)

    visit(model)
    return {
        path: ModuleFact(
            path=path,
            kind=f"{type(module).__module__}.{type(module).__qualname__}",
            children=tuple(paths[id(child)] for child in module.children()),
            visits=visits[id(module)],
            own={
                name: held.numel()
                for name, held in module._parameters.items()
                if held is not None and not is_lazy(held)
            },
            elements=_elements(module, trainable=False),
            trainable=_elements(module, trainable=True),
            settings={
                name: value
                for name, value in vars(module).items()
                if not name.startswith("_") and _is_plain(value)
            },
            functions=tuple(_name(held) for held in vars(module).values() if _is_function(held)),
        )
        for path, module in model.named_modules()
    }


def _elements(module: nn.Module, *, trainable: bool) -> int:
    return sum(
        held.numel()
        for held in module.parameters()
        if not is_lazy(held) and (held.requires_grad or not trainable)
    )


def _is_function(value: Any) -> bool:
    return isinstance(value, FunctionType | BuiltinFunctionType) and (
        getattr(value, "__module__", None) or ""
    ).startswith("torch")


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(part, PLAIN) for part in value)
    return isinstance(value, PLAIN)
