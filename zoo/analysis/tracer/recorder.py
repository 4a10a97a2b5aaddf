"""Writes down what happens in a run: module calls, operators, costs.

A module call begins in a forward pre-hook that runs before all others and ends in a forward hook
that runs after all others and also when the module raises, so that hooks of the user's belong to
the call. An operator belongs to the innermost call that has not ended, and in the backward pass to
the call that made the node of autograd's graph which runs it (`makers.py`). A module that runs
again in the backward pass, because it is checkpointed, repeats a call and has no other record.
Operators by which a lazy module makes its parameters are not part of the forward pass and are left
out.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager
from functools import cache
from threading import get_ident
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator
from torch.jit._script import RecursiveScriptModule
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.modules.module import register_module_forward_pre_hook

from zoo.analysis.costs.base import Inputs
from zoo.analysis.records import ModuleCall, OpCall, Phase, Role, TensorSpec, Transfer
from zoo.analysis.tracer.arguments import Declared, LazyArguments, declared, nested_tensors
from zoo.analysis.tracer.blank import tensors_in
from zoo.analysis.tracer.ledger import Ledger
from zoo.analysis.tracer.makers import Makers
from zoo.analysis.tracer.paths import Opened, Paths
from zoo.analysis.tracer.source import line_of_caller
from zoo.analysis.tracer.values import Values
from zoo.analysis.tracer.workspaces import Workspaces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from zoo.analysis.records import Cost
    from zoo.analysis.tracer.modes import BlankMode
    from zoo.analysis.tracer.moves import Move
    from zoo.analysis.tracer.pricing import Formulas


ADD = torch.ops.aten.add.Tensor
STRIDED = torch.strided


@cache
def dtype_name(dtype: torch.dtype) -> str:
    """`float32` of `torch.float32`."""
    return str(dtype).removeprefix("torch.")


def _draws(arguments: Mapping[str, Any]) -> bool:
    """Whether an operator that may draw random numbers does; dropout of 0 draws none."""
    chances = [arguments[name] for name in ("dropout_p", "dropout", "p") if name in arguments]
    trains = arguments.get("train", True) is not False
    return trains and all(chance != 0 for chance in chances)


class _Named:
    """What is asked of an operator each time it runs, looked up once."""

    __slots__ = ("_declared", "causal", "func", "name", "random", "tags")

    def __init__(self, func: Any) -> None:
        self.func = func  # held, so that no other operator gets its address
        self.tags: frozenset[str] = frozenset()
        self.causal = False
        """Whether it can be told to look only backwards."""
        self.random = False
        """Whether it may draw random numbers."""
        self._declared: Declared | None = None
        if isinstance(func, HigherOrderOperator):
            self.name = f"higher_order.{func.name()}"
            self._declared = ()
            return
        schema = func._schema
        name = str(schema.name).replace("::", ".", 1)
        self.name = f"{name}.{schema.overload_name or 'default'}"
        tags = {tag.name for tag in func.tags}
        self.tags = frozenset((*tags, "view") if func.is_view else tags)
        self.causal = any(argument.name == "is_causal" for argument in schema.arguments)
        self.random = "nondeterministic_seeded" in tags

    def declared(self) -> Declared:
        """Its arguments."""
        if self._declared is None:
            self._declared = declared(self.func._schema)
        return self._declared


class Recorder:
    """Observer of a run.

    Args:
        model: What runs.
        formulas: Costs by operator.
        progress: Is called with the number of operators so far, now and then.
    """

    def __init__(  # noqa: PLR0915 - a run has many facts
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
        self.transfers: list[Transfer] = []
        self.refusals: dict[tuple[str, str | None], str] = {}
        """(what the device refuses, line) -> what to try."""
        self.used: set[int] = set()
        """Addresses of the storages that operators read."""
        self.autocast_refused = False
        """Whether the model asked for autocast on a device that is not here."""
        self.on_zeros: Counter[str] = Counter()
        self.broken: tuple[BaseException, int, tuple[TensorSpec, ...]] | None = None
        """The exception that ended the innermost call, that call, and its inputs."""
        self.broken_op: tuple[BaseException, str, tuple[TensorSpec, ...]] | None = None
        self.phase: Phase = "forward"
        self.paused = False
        """Whether what runs is a rehearsal, of which nothing is written down."""
        self.ledger = Ledger()
        self.values = Values(self.ledger)
        self._makers = Makers()
        self._trains = True
        """Whether a backward pass may follow, which asks who made what."""
        self._workspaces = Workspaces("cpu")
        self._again: Counter[tuple[int | None, int]] = Counter()
        """How often the backward pass ran each module, in all or in one call."""
        self._finished: defaultdict[tuple[str, int | None], list[int]] | None = None
        """Calls by module, in all (None) and by the call around; None after another call."""
        self._stack: list[Opened] = []
        self._count = 0
        self._operators: dict[int, _Named] = {}
        self._specs: dict[Any, TensorSpec] = {}
        """One of each kind, so that equal ones are one object."""
        self._costs: dict[Any, Cost | None] = {}
        """By operator and specs, of formulas that look at nothing else."""
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
        self._trains = torch.is_grad_enabled()
        self._workspaces = Workspaces(mode.device)
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
        mode = self._mode
        device = mode.device_of(tensor) if mode is not None and mode.simulating else "cpu"
        key = (tensor.shape, tensor.dtype, device)
        known = self._specs.get(key)
        if known is None:
            known = TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype), device)
            self._specs[key] = known
        return known

    def specs(self, value: Any) -> tuple[TensorSpec, ...]:
        """Descriptions of the tensors in a module's arguments or results."""
        mode = self._mode
        busy = mode.busy if mode else False
        if mode:
            mode.busy = True
        try:
            return tuple(map(self.spec, nested_tensors(value)))
        finally:
            if mode:
                mode.busy = busy

    def call(self, model: nn.Module, args: Any, kwargs: Any) -> Any:
        """Run the model; the call of a scripted one is written down here, as no hook can do it."""
        if not isinstance(model, RecursiveScriptModule):
            return model(*args, **kwargs)
        self._enter(model, args, kwargs)
        result = model(*args, **kwargs)
        self._exit(model, args, kwargs, result)
        return result

    @contextmanager
    def repeating(self, module: nn.Module) -> Iterator[None]:
        """Inside, in the backward pass, operators belong to a call of `module` that is repeated."""
        known = self._calls_of(self.paths.first(module, ""), None)
        if self.phase == "forward" or self.paused or not known:
            yield  # no call of it is on record where the model calls its `forward` itself
            return
        self._enter(module, (), {})
        try:
            yield
        finally:
            self._stack.pop()

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Inside, nothing is written down."""
        self.paused = True
        try:
            yield
        finally:
            self.paused = False

    def _enter_unknown(self, module: nn.Module, args: Any) -> None:
        """A module that the model made in its forward pass."""
        if id(module) in self.paths.of or not self._stack or self._thread != get_ident():
            return
        self._adopted.append(module)
        self.paths.of[id(module)] = [self.paths.reached(module, self._stack[-1])]
        self._hook(module)
        self._enter(module, args, {})

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if self.paused:
            return
        around = self._stack[-1] if self._stack else None
        path = self.paths.reached(module, around)
        if around is not None:
            around.times[id(module)] += 1
        lazy = isinstance(module, LazyModuleMixin)
        specs = self.specs((args, kwargs))
        repeats = None if self.phase == "forward" else self._repeats(module, around)
        if repeats is not None:
            opened = Opened(repeats, path, module, len(self._stack), specs, lazy, again=True)
        else:
            if around is not None and self._trains:
                self._makers.made(around.index, None)
            opened = Opened(self._count, path, module, len(self._stack), specs, lazy)
            self._count += 1
        self._stack.append(opened)

    def _repeats(self, module: nn.Module, around: Opened | None) -> int | None:
        """The call of the forward pass that the backward pass repeats.

        Inside a repeated call, calls come in the order in which they came; outermost ones come in
        the reverse order.
        """
        inside = around.index if around is not None and around.again else None
        calls = self._calls_of(self.paths.first(module, ""), inside)
        turn = self._again[inside, id(module)] % len(calls) if calls else 0
        self._again[inside, id(module)] += 1
        if not calls:
            return None
        return calls[turn] if inside is not None else calls[-1 - turn]

    def _calls_of(self, path: str, inside: int | None) -> Sequence[int]:
        """Finished calls of a module, in all or right inside another call, in order."""
        if self._finished is None:
            self._finished = defaultdict(list)
            for call in self.finished_calls():
                self._finished[call.module, None].append(call.index)
                if call.parent is not None:
                    self._finished[call.module, call.parent].append(call.index)
        return self._finished.get((path, inside), ())

    def _exit(self, module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        error = sys.exc_info()[1] if result is None else None
        if not self._stack or self._stack[-1].module is not module:
            return
        opened = self._stack.pop()
        if opened.again:
            return
        if error is not None and (self.broken is None or self.broken[0] is not error):
            self.broken = (error, opened.index, opened.inputs)
        if opened.index == 0 and error is None:
            for tensor in nested_tensors(result):
                self.ledger.mark(tensor, "output")
        self._close(opened, module, None if error is not None else self.specs(result))

    def _close(
        self, opened: Opened, module: nn.Module, outputs: tuple[TensorSpec, ...] | None
    ) -> None:
        parent = self._stack[-1].index if self._stack else None
        self._finished = None
        self.calls[opened.index] = ModuleCall(
            index=opened.index,
            path=opened.path,
            type=type(module).__name__,
            depth=opened.depth,
            parent=parent,
            inputs=opened.inputs,
            outputs=outputs,
            training=module.training,
            module=self.paths.first(module, opened.path),
        )

    def backward_begins(self) -> None:
        """From here on, operators belong to the backward pass."""
        self.phase = "backward"
        self.ledger.forward_is_over()
        first: dict[str, int] = {}
        for call in self.finished_calls():
            first.setdefault(call.module, call.index)
        self._makers.owned(
            {
                id(parameter): first[path]
                for module in reversed(self.paths.modules)
                for parameter in module._parameters.values()
                if parameter is not None and (path := self.paths.first(module, "")) in first
            }
        )

    def unwind(self) -> None:
        """End the calls that are still open, as failed."""
        while self._stack:
            opened = self._stack.pop()
            self._close(opened, opened.module, None)

    def holds_now(self) -> None:
        """Write down what lazy modules have made while nothing was written down."""
        for module in self.paths.modules:
            if not isinstance(module, LazyModuleMixin) or "_initialize_hook" not in module.__dict__:
                self._made_now(module)

    def _made_now(self, module: nn.Module) -> None:
        """Write down the parameters and buffers that a lazy module has made; they stay."""
        path = self.paths.first(module, "")
        kinds: tuple[tuple[Role, Any], ...] = (
            ("parameter", module._parameters),
            ("buffer", module._buffers),
        )
        for role, held in kinds:
            for name, tensor in held.items():
                if tensor is not None:
                    known = f"{path}.{name}" if path else name
                    self.ledger.add(tensor, self.place, role, name=known)

    def _operator(self, func: Any) -> _Named:
        known = self._operators.get(id(func))
        if known is None:
            known = self._operators[id(func)] = _Named(func)
        return known

    def _cost(self, known: _Named, inputs: Inputs, outputs: tuple[TensorSpec, ...]) -> Cost | None:
        """What an operator costs; asked once of a formula that looks at specs alone."""
        name = known.name
        key = (name, len(inputs), *map(id, inputs), *map(id, outputs))
        if key in self._costs:
            return self._costs[key]
        cost = self.formulas.cost(name, inputs, outputs, known.tags)
        arguments = inputs.arguments
        if isinstance(arguments, LazyArguments) and not arguments.asked and not self.formulas.own:
            self._costs[key] = cost
        return cost

    def _owner(self) -> tuple[int, str | None]:
        """The call and the line that the running operator belongs to."""
        if self.phase == "optimizer":
            return 0, None
        if self._stack:
            call = self._stack[-1].index
        elif self.phase == "forward":
            call = 0  # the loss
        else:
            return self._makers.running()
        source = line_of_caller()
        if self._trains:
            self._makers.made(call, source, len(self.ops))
        return call, source

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
        if mode is None or self.paused or not (self._stack or self.calls):
            return
        if self._stack:
            opened = self._stack[-1]
            if opened.lazy:
                if "_initialize_hook" in opened.module.__dict__:
                    return
                opened.lazy = False
                self._made_now(opened.module)
        results = [out] if isinstance(out, Tensor) else list(tensors_in(out))
        if results or given:  # what has neither is a question about versions or settings
            self._write(mode, func, given, args, kwargs, results)

    def _write(
        self,
        mode: BlankMode,
        func: Any,
        given: Sequence[Tensor],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        results: Sequence[Tensor],
    ) -> None:
        known = self._operator(func)
        name = known.name
        index, (call, source) = len(self.ops), self._owner()
        self.ledger.now = index
        busy, mode.busy = mode.busy, True
        try:
            arguments = LazyArguments(known.declared, args, kwargs, self.spec)
            inputs = Inputs(map(self.spec, given), arguments)
            outputs = tuple(map(self.spec, results))
            storages = [
                one.untyped_storage()._cdata if one.layout is STRIDED else 0 for one in given
            ]
            held = set(storages)
            self.ledger.read(held)
            reads = self.values.read(func, given, storages, self.phase)
            if self.phase == "forward":
                self.used |= held
            new = 0
            for tensor, spec in zip(results, outputs, strict=True):
                if tensor.layout is STRIDED:
                    storage = tensor.untyped_storage()._cdata
                    if storage not in held:
                        held.add(storage)
                        new += spec.nbytes
                        self.ledger.add(
                            tensor, spec.device, name=name, born=index, call=call, source=source
                        )
                    if self.phase == "forward":
                        self.values.number(tensor, storage, index)
            if func is ADD and self.phase == "backward" and self._joins():
                self.ledger.joined(results[0], given[0])
            cost = self._cost(known, inputs, outputs)
            causal = known.causal and bool(arguments["is_causal"])
            random = known.random and _draws(arguments)
            spent = self._workspaces.of(func, args, results)
            if spent:
                self.ledger.spend(spent, mode.device, call, source, name)
        finally:
            mode.busy = busy
        self.ops.append(
            OpCall(
                index=index,
                op=name,
                call=call,
                phase=self.phase,
                inputs=tuple(inputs),
                outputs=outputs,
                cost=cost,
                source=source,
                new_bytes=new,
                causal=causal,
                random=random,
                reads=reads,
                of=self._makers.op if self.phase == "backward" and not self._stack else None,
            )
        )
        if self.progress is not None and index % 256 == 0:
            self.progress(index)

    def _joins(self) -> bool:
        """Whether autograd itself adds, and no code of the user's nor a repeated forward pass."""
        return not (torch.is_grad_enabled() or self._makers.in_user_code())

    def failed(self, func: Any, given: Sequence[Tensor], error: BaseException) -> None:
        """Remember which operator raised."""
        if self.broken_op is None or self.broken_op[0] is not error:
            name = self._operator(func).name
            self.broken_op = (error, name, self.specs(list(given)))

    def ran_on_zeros(self, func: Any) -> None:
        """Remember which operators have no meta kernel."""
        self.on_zeros[self._operator(func).name] += 1

    def moved(self, move: Move, *, by_operator: bool) -> None:
        """Write down a copy or a wait.

        Args:
            move: What is copied, from where to where.
            by_operator: Whether it is part of the operator that is about to be written down.
        """
        if not self._listens():
            return
        call, source = self._asker()
        self.transfers.append(
            Transfer(
                kind=move.kind,
                nbytes=move.nbytes,
                source_device=move.source,
                target_device=move.target,
                blocking=move.blocking,
                op=len(self.ops) if by_operator else None,
                call=call,
                source=source,
                phase=self.phase,
            )
        )

    def refused(self, what: str, hint: str) -> None:
        """Remember what the device refuses, and what to try."""
        if self._listens():
            self.refusals.setdefault((what, self._asker()[1]), hint)

    def _listens(self) -> bool:
        """Whether what happens now is part of the run that is written down."""
        if self.paused or not (self._stack or self.calls):
            return False
        opened = self._stack[-1] if self._stack else None
        return not (opened and opened.lazy and "_initialize_hook" in opened.module.__dict__)

    def _asker(self) -> tuple[int, str | None]:
        """The call and the line that a copy or a wait belongs to."""
        source = line_of_caller()
        if self._stack:
            return self._stack[-1].index, source
        if self.phase != "backward":
            return 0, source
        call, made_at = self._makers.running()
        return call, source or made_at

    def finished_calls(self) -> tuple[ModuleCall, ...]:
        """All calls, in the order in which they began."""
        return tuple(self.calls[index] for index in sorted(self.calls))
