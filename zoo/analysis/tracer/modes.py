"""How operators run on blank tensors.

`BlankMode` sees each operator below autograd. It decides whether the result has data (`blank.py`),
answers what depends on values (`hints.py`, `depends.py`), tells an observer, and returns the
result. Operators that have no meta kernel run on zeros on the CPU where that is small, which says
their output's shape.

Overriding `_should_skip_dynamo` keeps torch from wrapping the handler in `torch._dynamo.disable`,
whose import takes longer than all the rest (1.1 s). While an operator is handled, function modes
are off: in a backward pass, which torch runs with them on, each `tensor.shape` would go through
`DeviceMode`.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.analysis.tracer import (
    depends,
    higher_order,
    moves,
    shapes,
    shapes_backward,
    shapes_cuda,
)
from zoo.analysis.tracer.arguments import operands
from zoo.analysis.tracer.blank import (
    CPU,
    KEEPS_DATA,
    META,
    RANDOM,
    SMALL,
    UNINITIALISED,
    Storages,
    blank_like,
    factory_numel,
    packet_name,
    replace_tensors,
    tensors_in,
)
from zoo.analysis.tracer.hints import Hints

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

GROWS = 2_048
"""Elements of operands from which on a result's size is looked at before it is computed with data.
"""
FALLBACK_BYTES = 64_000_000
"""Most bytes that an operator without a meta kernel is run on."""

NO_META = ("no fake impl registered", "get_ctx() for the meta implementation")
"""What torch says of a custom operator without a meta kernel."""


class Observer(Protocol):
    """What is told of each operator."""

    def saw(
        self,
        func: Any,
        given: Sequence[Tensor],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        out: Any,
    ) -> None:
        """An operator ran."""

    def failed(self, func: Any, given: Sequence[Tensor], error: BaseException) -> None:
        """An operator raised."""

    def ran_on_zeros(self, func: Any) -> None:
        """An operator without a meta kernel ran on zeros."""

    def moved(self, move: moves.Move, *, by_operator: bool) -> None:
        """Something was copied between devices, or the host waited."""

    def refused(self, what: str, hint: str) -> None:
        """The device refuses what this run went on with."""


def _is_whole(dtype: torch.dtype | None) -> bool:
    return dtype is not None and not dtype.is_floating_point and not dtype.is_complex


def _written_with_data(args: Any) -> Tensor | None:
    """The tensor with data that an operator is about to write blank values into."""
    first = args[0] if args and isinstance(args[0], Tensor) else None
    return first if first is not None and not first.is_meta else None


def _on_cpu(kwargs: Mapping[str, Any]) -> bool:
    device = kwargs.get("device")
    return device is None or device.type == "cpu"


class _Operator:
    """What is asked of an operator each time it runs, looked up once."""

    __slots__ = ("answer", "fresh", "func", "moves", "mutable", "name", "rule", "takes_both")

    def __init__(self, func: Any) -> None:
        self.func = func  # held, so that no other operator gets its address
        self.name = packet_name(func)
        self.fresh = self.name in UNINITIALISED or self.name in RANDOM
        self.answer = depends.ANSWERS.get(self.name)
        self.mutable = bool(func._schema.is_mutable)
        self.rule = _rule(func, self.name)
        self.moves = moves.rule_of(self.name, func._schema.overload_name)
        self.takes_both = self.name in moves.TAKE_BOTH


def _rule(func: Any, name: str) -> shapes.Rule | None:
    if not func._schema.name.startswith("aten::"):
        return None
    overload = f"{name}.{func._schema.overload_name or 'default'}"
    tables = (shapes.RULES, shapes_backward.RULES, shapes_cuda.RULES)
    return next((table[overload] for table in tables if overload in table), None)


class BlankMode(TorchDispatchMode):
    """Runs operators on tensors without data.

    Args:
        hints: Answers what depends on values.
        observer: Is told of each operator.
        device: Where blank tensors are said to lie.
    """

    supports_higher_order_operators = True
    functions: Mapping[Any, Any] = MappingProxyType({})
    """What stands in for functions of torch's."""

    def __init__(
        self, hints: Hints | None = None, observer: Observer | None = None, device: str = "cpu"
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.hints = hints or Hints()
        self.observer = observer
        self.device = device
        self.simulating = device != "cpu"
        self.target: str | None = None
        """Device that the running call asked for, in the words of the simulation."""
        self.busy = False
        """Whether an operator is being handled, so that what is asked of a tensor is the truth."""
        self.spoiled = Storages()
        self.keeps_floats = True
        """Whether small floating point tensors of the model's own making have data."""
        self.pinned = Storages()
        """Memory of the host's that a device reads by itself."""
        self.asked_as: str | None = None
        """What the user called an operation whose operators wait: `bool`, `allclose`, ..."""
        self.muted = False
        """Whether waits of operators are not told of, since they are not those of the device."""
        self.assigns_number = False
        """Whether `tensor[index] = number` is running."""
        self.assigned_number: set[int] = set()
        """Sequence numbers of autograd's nodes for such assignments."""
        self._operators: dict[int, _Operator] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # torch's signature
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            return self._run_higher_order(func, args, kwargs)
        with torch._C.DisableTorchFunction():
            outer, self.busy = self.busy, True
            given = operands(args, kwargs)
            try:
                known = self._operator(func)
                out = self._run(known, given, args, kwargs)
                if self.simulating:
                    self._place(known, given, kwargs, out)
                    if known.moves is not None and self.observer is not None and not self.muted:
                        for move in known.moves(self, args, kwargs, out):
                            self.observer.moved(move, by_operator=True)
            except Exception as error:
                if self.observer is not None:
                    self.observer.failed(func, given, error)
                raise
            finally:
                self.busy = outer
            if self.observer is not None:
                self.observer.saw(func, given, args, kwargs, out)
            return out

    def _run_higher_order(self, func: HigherOrderOperator, args: Any, kwargs: Any) -> Any:
        given = operands(args, kwargs)
        out = higher_order.run(self, func, args, kwargs)
        if self.observer is not None and func.name() in higher_order.RECORDED:
            self.observer.saw(func, given, args, kwargs, out)
        return out

    def _operator(self, func: Any) -> _Operator:
        known = self._operators.get(id(func))
        if known is None:
            known = self._operators[id(func)] = _Operator(func)
        return known

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Inside, operators are ours and not the model's: no observer is told of them."""
        busy, observer = self.busy, self.observer
        self.busy, self.observer = True, None
        try:
            yield
        finally:
            self.busy, self.observer = busy, observer

    def is_blank(self, tensor: Tensor) -> bool:
        """Whether a tensor's data is unknown."""
        return tensor.is_meta or tensor in self.spoiled

    def device_of(self, tensor: Tensor) -> str:
        """Where a tensor is said to lie."""
        if not self.simulating:
            return "cpu"
        said = getattr(tensor, "_zoo_device", None)
        return said or (self.device if tensor.is_meta else "cpu")

    def stand_in(self, tensor: Tensor) -> Tensor:
        """Data for a tensor that may have none: its own, its stand-in values, or ones."""
        if not self.is_blank(tensor):
            return tensor
        value: Tensor | None = getattr(tensor, "_zoo_value", None)
        if value is None:
            return torch.ones(tensor.shape, dtype=tensor.dtype, device=CPU)
        return value

    def _run(self, known: _Operator, given: list[Tensor], args: Any, kwargs: dict[str, Any]) -> Any:
        if known.fresh:
            whole = known.name == "empty" and _is_whole(kwargs.get("dtype")) and _on_cpu(kwargs)
            if whole:
                return self._zeros(args, kwargs)
            return self._run_blank(known, given, args, kwargs)
        if not given:
            return self._make(known, args, kwargs)
        for tensor in given:
            if tensor.is_meta or tensor in self.spoiled:
                return self._run_blank(known, given, args, kwargs)
        return self._run_with_data(known, given, args, kwargs)

    def _zeros(self, args: Any, kwargs: dict[str, Any]) -> Tensor:
        """Whole numbers that torch's own code is about to write into by address (lengths)."""
        if factory_numel("empty", args) > KEEPS_DATA:
            return torch.empty(*args, dtype=kwargs["dtype"], device=META)
        return torch.zeros(*args, dtype=kwargs["dtype"], device=CPU)

    def _make(self, known: _Operator, args: Any, kwargs: dict[str, Any]) -> Any:
        """A factory: small results have data."""
        large = factory_numel(known.name, args) > KEEPS_DATA
        options = {key: value for key, value in kwargs.items() if key != "pin_memory"}
        if large or "device" in options:
            options["device"] = META if large else CPU
        return self._kept(known.func(*args, **options))

    def _kept(self, out: Any) -> Any:
        """A result with data, or a blank one with that data as what stands in for it."""
        if self.keeps_floats or not isinstance(out, Tensor) or out.is_meta:
            return out
        if not out.is_floating_point() or not self.busy or self.observer is None:
            return out
        blank = blank_like(out)
        if out.numel() <= SMALL:
            blank._zoo_value = out  # type: ignore[attr-defined]
        return blank

    def _run_with_data(
        self, known: _Operator, given: list[Tensor], args: Any, kwargs: dict[str, Any]
    ) -> Any:
        elements = sum(tensor.numel() for tensor in given)
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": CPU}
        if elements > GROWS and not known.mutable:
            blanks, options = replace_tensors((args, kwargs), blank_like)
            if options.get("device") is not None:
                options["device"] = META
            try:
                shaped = self._shaped(known, blanks, options)
            except (NotImplementedError, RuntimeError):
                shaped = None
            if sum(tensor.numel() for tensor in tensors_in(shaped)) > KEEPS_DATA:
                return shaped
        out = known.func(*args, **kwargs)
        return out if known.mutable else self._kept(out)

    def _run_blank(
        self, known: _Operator, given: list[Tensor], args: Any, kwargs: dict[str, Any]
    ) -> Any:
        if known.answer is not None:
            out = known.answer(self, args, kwargs)
            if out is not NotImplemented:
                return out
        written = _written_with_data(args) if known.mutable else None
        blanks, options = args, kwargs
        for tensor in given:
            if not tensor.is_meta:
                blanks, options = replace_tensors(
                    (args, kwargs), lambda t: t if t.is_meta else blank_like(t)
                )
                break
        if not given or options.get("device") is not None:
            options = {**options, "device": META}
        out = self._output(known, blanks, options, given, args, kwargs)
        if written is not None:
            self.spoiled.add(written)
            return written if isinstance(out, Tensor) else out
        self._carry_stand_in(known, given, args, kwargs, out)
        return out

    def _output(
        self, known: _Operator, blanks: Any, options: Any, given: list[Tensor], *call: Any
    ) -> Any:
        """The blank result: by rule, by torch's meta kernel, or from a run on zeros."""
        try:
            return self._shaped(known, blanks, options)
        except RuntimeError as error:  # NotImplementedError is one
            if isinstance(error, NotImplementedError) or any(t in str(error) for t in NO_META):
                return self._run_on_zeros(known.func, given, *call)
            raise

    def _shaped(self, known: _Operator, blanks: Any, options: Any) -> Any:
        if known.rule is not None:
            out = known.rule(*blanks, **options)
            if out is not NotImplemented:
                return out
        return known.func(*blanks, **options)

    def _run_on_zeros(
        self, func: Any, given: list[Tensor], args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """The output's shape, from a run on zeros."""
        if sum(tensor.numel() * tensor.element_size() for tensor in given) > FALLBACK_BYTES:
            raise NotImplementedError(
                f"{func} has no meta kernel and its operands are too large to run it on zeros; "
                "register one with torch.library.register_fake"
            )
        zeros, options = replace_tensors(
            (args, kwargs), lambda t: torch.zeros(t.shape, dtype=t.dtype, device=CPU)
        )
        if options.get("device") is not None:
            options = {**options, "device": CPU}
        out = replace_tensors(func(*zeros, **options), blank_like)
        if self.observer is not None:
            self.observer.ran_on_zeros(func)
        return out

    def _carry_stand_in(
        self, known: _Operator, given: list[Tensor], args: Any, kwargs: Any, out: Any
    ) -> None:
        """Compute the stand-in values of a small result of small operands."""
        if not given or known.name in RANDOM:
            return
        for tensor in given:
            if not 0 < tensor.numel() <= SMALL:
                return
        results = list(tensors_in(out))
        if not results or any(tensor.numel() > SMALL or not tensor.is_meta for tensor in results):
            return
        real, options = replace_tensors((args, kwargs), self.stand_in)
        if options.get("device") is not None:
            options["device"] = CPU
        try:
            values = list(tensors_in(known.func(*real, **options)))
        except (RuntimeError, NotImplementedError, IndexError, TypeError, ValueError):
            return
        for tensor, value in zip(results, values, strict=False):
            if tensor.shape == value.shape:
                tensor._zoo_value = value.clone()  # type: ignore[attr-defined]

    def tell(self, found: Iterable[moves.Move]) -> None:
        """Tell the observer of copies and waits that no operator stands for."""
        if self.observer is not None:
            for move in found:
                self.observer.moved(move, by_operator=False)

    def refuse(self, what: str, hint: str) -> None:
        """Tell the observer what the device refuses."""
        if self.observer is not None:
            self.observer.refused(what, hint)

    @contextmanager
    def asking(self, kind: str) -> Iterator[None]:
        """Inside, the host waits for what the user calls `kind`."""
        before, self.asked_as = self.asked_as, self.asked_as or kind
        try:
            yield
        finally:
            self.asked_as = before

    def _mixes(self, known: _Operator, given: list[Tensor], places: list[str]) -> None:
        """Tell of operands that lie on several devices, of which only scalars may."""
        apart = {place for one, place in zip(given, places, strict=True) if one.dim()}
        if len(apart) > 1 and not known.takes_both and self.observer is not None:
            what = f"{known.name} gets tensors on {' and '.join(sorted(apart))}"
            self.observer.refused(
                what, "Move one of them, where it is made or with register_buffer."
            )

    def _place(
        self, known: _Operator, given: list[Tensor], kwargs: Mapping[str, Any], out: Any
    ) -> None:
        """Say where results lie: where the call asked, else where its operands do."""
        asked = kwargs.get("device")
        if self.target is not None and asked is not None:
            device = self.target
        elif asked is not None and given and given[0].device.type == asked.type:
            device = self.device_of(given[0])  # torch's own code means the operand's device
        elif asked is not None:
            device = self.device if asked.type == "meta" else str(asked)
        elif given:
            places = [self.device_of(tensor) for tensor in given]
            device = next((place for place in places if place != "cpu"), "cpu")
            if places.count(device) != len(places) and not self.muted:
                self._mixes(known, given, places)
        else:
            device = "cpu"
        there = {id(tensor) for tensor in given}
        for tensor in tensors_in(out):
            if id(tensor) in there:
                continue  # written in place, where it lies
            placed = asked is None and getattr(tensor, "_zoo_device", None) is not None
            if not placed and self.device_of(tensor) != device:
                tensor._zoo_device = device  # type: ignore[attr-defined]
