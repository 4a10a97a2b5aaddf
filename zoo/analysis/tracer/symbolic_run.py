"""What is different about a run whose inputs have open dims?

Operators are asked of zoo's own shape rules first, as ever; what these leave goes to torch's Python
kernels and decompositions, since its C++ kernels take numbers only. A tensor with an open dim is
blank and has no stand-in values. Dims stay torch's until the run is over (`closed_trace`), so that
cost formulas, which are plain arithmetic, work on them as they do on numbers.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from zoo.analysis.expressions import Expression
from zoo.analysis.records import TensorSpec, Trace
from zoo.analysis.tracer import shapes_open
from zoo.analysis.tracer.blank import META, tensors_in
from zoo.analysis.tracer.functions_open import FUNCTIONS
from zoo.analysis.tracer.modes import BlankMode
from zoo.analysis.tracer.recorder import Recorder, dtype_name
from zoo.analysis.tracer.symbolic import Session, closed, is_open
from zoo.analysis.tracer.values import Values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo.analysis.ranges import Range
    from zoo.analysis.records import Phase
    from zoo.analysis.tracer.modes import _Operator


def _values(value: Any) -> Iterator[Any]:
    """All values in an argument, sizes of tensors among them."""
    if isinstance(value, Tensor):
        if not is_lazy(value):
            yield from value.shape
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _values(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _values(item)
    else:
        yield value


def has_open(value: Any) -> bool:
    """Whether a tensor or size among some arguments depends on open dims."""
    return any(map(is_open, _values(value)))


class SymbolicMode(BlankMode):
    """`BlankMode` for operands with open dims."""

    functions = FUNCTIONS
    dirty = False
    """Whether torch's Python kernels may have left cycles that hold tensors."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # torch's signature
        if self.dirty:
            self.dirty = False
            gc.collect()
        return super().__torch_dispatch__(func, types, args, kwargs)

    def _zeros(self, args: Any, kwargs: dict[str, Any]) -> Tensor:
        if has_open(args):
            return torch.empty(*args, dtype=kwargs["dtype"], device=META)
        return super()._zeros(args, kwargs)

    def _make(self, known: _Operator, args: Any, kwargs: dict[str, Any]) -> Any:
        if not has_open(args):
            return super()._make(known, args, kwargs)
        options = {key: value for key, value in kwargs.items() if key != "pin_memory"}
        options["device"] = META
        return self._shaped(known, args, options)

    def _run_with_data(
        self, known: _Operator, given: list[Tensor], args: Any, kwargs: dict[str, Any]
    ) -> Any:
        if has_open((args, kwargs)):
            return self._run_blank(known, given, args, kwargs)
        return super()._run_with_data(known, given, args, kwargs)

    def _shaped(self, known: _Operator, blanks: Any, options: Any) -> Any:
        if not has_open((blanks, options)):
            return super()._shaped(known, blanks, options)
        func = known.func
        overload = f"{known.name}.{func._schema.overload_name or 'default'}"
        rule = shapes_open.RULES.get(overload) if func.namespace == "aten" else None
        if rule is not None:
            out = rule(*blanks, **options)
            if out is not NotImplemented:
                return out
        if known.rule is not None:
            out = known.rule(*blanks, **options)
            if out is not NotImplemented:
                return out
        self.dirty = True
        return _in_python(known.func, blanks, options)

    def _run_on_zeros(
        self, func: Any, given: list[Tensor], args: Any, kwargs: dict[str, Any]
    ) -> Any:
        if has_open((args, kwargs)):
            raise NotImplementedError(f"{func} has no kernel that takes open dims")
        return super()._run_on_zeros(func, given, args, kwargs)

    def _carry_stand_in(
        self, known: _Operator, given: list[Tensor], args: Any, kwargs: Any, out: Any
    ) -> None:
        if not has_open((args, kwargs)) and not has_open(list(tensors_in(out))):
            super()._carry_stand_in(known, given, args, kwargs, out)


NUMBERS_ONLY = ("symbolic sizes", "concrete integers", "concrete integer", "SymInt")
"""What torch says of a kernel that takes no open dims."""


def _in_python(func: Any, args: Any, kwargs: Any) -> Any:
    """An operator by torch's Python kernel or decomposition, or else with numbers for its dims."""
    from torch._decomp import decomposition_table, meta_table

    try:
        if func not in meta_table:
            if func in decomposition_table:
                return decomposition_table[func](*args, **kwargs)
            found = func.decompose(*args, **kwargs)
            if found is not NotImplemented:
                return found
        return func(*args, **kwargs)
    except (RuntimeError, TypeError) as error:
        if func.is_view or not any(text in str(error) for text in NUMBERS_ONLY):
            raise
    return func(*_numbers(args), **_numbers(kwargs))


def _numbers(value: Any) -> Any:
    """Arguments with numbers for open dims, which these then are in the whole range."""
    if isinstance(value, Tensor):
        if not has_open(value):
            return value
        size, stride = map(int, value.shape), map(int, value.stride())
        return torch.empty_strided(tuple(size), tuple(stride), dtype=value.dtype, device=META)
    if isinstance(value, list | tuple):
        return type(value)(map(_numbers, value))
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    return int(value) if is_open(value) else value


class _Measured:
    """Workspaces, asked so that they do not narrow the range of the run."""

    def __init__(self, workspaces: Any, session: Session) -> None:
        self.workspaces, self.session = workspaces, session

    def of(self, func: Any, args: Sequence[Any], outputs: Sequence[Tensor]) -> Any:
        with self.session.measuring():
            return closed(self.workspaces.of(func, args, outputs))


class _Unnumbered(Values):
    """No value has a number: formulas ask for none, and open sizes tell no two tensors apart."""

    def read(
        self,
        func: Any,  # noqa: ARG002 - as of `Values`
        tensors: Sequence[Tensor],  # noqa: ARG002
        storages: Sequence[int],  # noqa: ARG002
        phase: Phase,  # noqa: ARG002
    ) -> tuple[int, ...]:
        """Nothing."""
        return ()

    def number(self, tensor: Tensor, storage: int, born: int = -1) -> int:  # noqa: ARG002
        """None."""
        return -1


class SymbolicRecorder(Recorder):
    """`Recorder` for tensors with open dims.

    Args:
        session: The run's dims.
        *args: As of `Recorder`.
    """

    def __init__(self, session: Session, *args: Any) -> None:
        super().__init__(*args)
        self.session = session
        self.values = _Unnumbered(self.ledger)

    def attach(self, mode: BlankMode, stack: Any) -> None:
        """Hook every module of the model; `stack` takes the hooks off."""
        super().attach(mode, stack)
        self._workspaces = _Measured(self._workspaces, self.session)  # type: ignore[assignment]

    def spec(self, tensor: Tensor) -> TensorSpec:
        """A tensor's description."""
        if not any(map(is_open, tensor.shape)):
            return super().spec(tensor)
        mode = self._mode
        device = mode.device_of(tensor) if mode is not None and mode.simulating else "cpu"
        key = (tuple(map(closed, tensor.shape)), tensor.dtype, device)
        known = self._specs.get(key)
        if known is None:
            known = TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype), device)
            self._specs[key] = known
        return known


@contextmanager
def quick_collections() -> Iterator[None]:
    """Inside, collecting garbage looks at what was made inside only."""
    frozen = gc.get_freeze_count() == 0
    if frozen:
        gc.freeze()
    try:
        yield
    finally:
        if frozen:
            gc.unfreeze()


def closed_trace(trace: Trace, holds: Range) -> Trace:
    """A trace with expressions in the place of torch's open sizes.

    Args:
        trace: A run with open dims.
        holds: Its range, in which some expressions are numbers.

    Returns:
        The trace, of ints and expressions.
    """
    specs: dict[int, TensorSpec] = {}
    simple: dict[Expression, Any] = {}

    def number(value: Any) -> Any:
        one = closed(value)
        if not isinstance(one, Expression):
            return one
        if one not in simple:
            found = holds.simple(one)
            simple[one] = found if found.number is None else found.number
        return simple[one]

    def walk(value: Any) -> Any:
        if isinstance(value, torch.SymInt | Expression):
            return number(value)
        if isinstance(value, TensorSpec):
            known = specs.get(id(value))
            if known is None:
                shape = tuple(map(number, value.shape))
                known = specs[id(value)] = replace(value, shape=shape)
            return known
        if is_dataclass(value) and not isinstance(value, type):
            return replace(
                value, **{one.name: walk(getattr(value, one.name)) for one in fields(value)}
            )
        return tuple(map(walk, value)) if isinstance(value, tuple) else value

    found: Trace = walk(trace)
    return found
