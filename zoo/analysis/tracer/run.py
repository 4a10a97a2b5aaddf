"""Runs a module once and returns the `Trace`."""

from __future__ import annotations

import io
import platform
import sys
import warnings
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

import zoo
from zoo.analysis.costs import DEFAULT
from zoo.analysis.costs.base import CostFormula, table
from zoo.analysis.inputs import dtype_of
from zoo.analysis.records import (
    InputSpec,
    ModelInfo,
    Note,
    Storage,
    TensorSpec,
    Trace,
)
from zoo.analysis.skeleton import garbage_kept, random_state_kept
from zoo.analysis.tracer import given, holdings
from zoo.analysis.tracer.again import Before, told_apart
from zoo.analysis.tracer.borrow import borrowed
from zoo.analysis.tracer.devices import DeviceMode, with_index
from zoo.analysis.tracer.failure import failure_of
from zoo.analysis.tracer.hints import Hints
from zoo.analysis.tracer.modes import BlankMode
from zoo.analysis.tracer.pricing import Formulas
from zoo.analysis.tracer.recorder import Recorder
from zoo.analysis.tracer.step import Training, TrainingStep, casting
from zoo.analysis.tracer.streams import answered
from zoo.errors import FormulaError, InputError, StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from zoo.analysis.tracer.ledger import Ledger
    from zoo.analysis.tracer.symbolic import Session
    from zoo.analysis.tracer.watching import Watch


WROTE_BLANK = "expected device cpu but got meta"
"""What autograd says where blank values were written into a tensor with data: it remembers where
the tensor lay, and its gradient is blank. Such a step is taken again without these tensors' data.
"""


def run(  # noqa: PLR0913 - each is an argument of zoo.trace
    model: nn.Module,
    inputs: Sequence[Any],
    *,
    kwargs: Mapping[str, Any] | None = None,
    batch: int | None = None,
    info: ModelInfo | None = None,
    training: bool = False,
    step: Training | None = None,
    autocast: torch.dtype | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    formulas: Mapping[str, CostFormula] | None = None,
    plugin_formulas: Mapping[str, CostFormula] | None = None,
    hints: Mapping[str, float] | None = None,
    progress: Callable[[int], None] | None = None,
    watch: Watch | None = None,
    session: Session | None = None,
) -> Trace:
    """Run `model` forward on tensors without data, or take a step of its training.

    The model is given back as it was. A model that raises gives a trace that ends there.

    Args:
        model: Any module; a compiled or data-parallel one is unwrapped.
        inputs: Shapes, words of `--input`, specs, real tensors, or nests of these, in the order of
            `forward`'s arguments.
        kwargs: More of the same, by name; other values are handed through.
        batch: First dim of the inputs; None leaves them.
        info: What to call the model.
        training: Whether dropout and batch statistics are on. See `borrowed`.
        step: How to train; None runs the forward pass alone, without gradients.
        autocast: Dtype that eligible operators run in.
        device: Where the run is said to take place.
        dtype: What floating point weights and inputs are cast to.
        formulas: Costs by operator, above all others; one that raises ends the run.
        plugin_formulas: Costs by operator, above the built-in ones; one that raises is a note, and
            its operator counts as unknown.
        hints: What data-dependent operations find, by operation or by `file:line`.
        progress: Is called now and then with the number of operators so far.
        watch: Writes down the functions of torch's that are called.
        session: Open dims of the inputs, which are blank tensors then.

    Returns:
        The trace.

    Raises:
        InputError: Inputs that cannot be read or that `forward` does not take, an unknown device
            or dtype.
        StepError: The training step cannot be made, or has nothing to train.
    """
    model = unwrapped(model)
    place, cast = device_name(device), torch_dtype(dtype)
    positional, named = given.split_named(inputs)
    named = {**named, **(kwargs or {})}
    given.check_fits(model, positional, named)
    maker = given.Maker(cast or given.input_dtype(model), cast, place)
    with torch.inference_mode(mode=False):
        args = [maker.make(value) for value in positional]
        options = {name: maker.make(value) for name, value in named.items()}
        if batch is not None:
            args, options = given.rebatched((args, options), batch)
    costs = Formulas(table(DEFAULT, plugin_formulas or {}, formulas or {}), formulas or {})

    def attempt(*, keeps_floats: bool = True) -> tuple[Trace, BaseException | None]:
        answers = Hints(hints)
        recorder, mode = _watchers(model, costs, progress, answers, place, session)
        mode.keeps_floats = keeps_floats
        with borrowed(model, training=training, dtype=cast, device=place):
            _there_before(recorder.ledger, place, model, args, options)
            before = Before(recorder.paths.modules) if place != "cpu" else None
            taken, error = _taken(model, args, options, recorder, mode, step, autocast, watch)
            trace = _written(model, args, options, recorder, answers, error)
            if before is not None and recorder.transfers and before.changed():
                later = None
                if error is None:
                    recorder.paused = True
                    later = _later(model, args, options, mode, hints, step, autocast)
                trace = replace(trace, transfers=told_apart(recorder, later))
        named = info or ModelInfo(type(model).__name__)
        return replace(trace, model=named, step=taken.record if taken else None), error

    with garbage_kept(), torch.inference_mode(mode=False):
        trace, error = attempt()
        if type(error).__module__.startswith("torch._dynamo"):
            trace, error = attempt()  # with torch._dynamo loaded, `_eagerly` can turn it off
        if error is not None and WROTE_BLANK in str(error):
            trace, _ = attempt(keeps_floats=False)
    return trace


def _watchers(
    model: nn.Module,
    costs: Formulas,
    progress: Callable[[int], None] | None,
    answers: Hints,
    place: str,
    session: Session | None,
) -> tuple[Recorder, BlankMode]:
    """What writes a run down, and the mode that it runs in."""
    if session is None:
        recorder = Recorder(model, costs, progress)
        return recorder, BlankMode(answers, recorder, place)
    from zoo.analysis.tracer.symbolic_run import SymbolicMode, SymbolicRecorder

    recorder = SymbolicRecorder(session, model, costs, progress)
    return recorder, SymbolicMode(answers, recorder, place)


@contextmanager
def _eagerly() -> Iterator[None]:
    """Inside, what the model compiles itself (`torch.compile`, `cond`) runs as it is written."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def _there_before(
    ledger: Ledger,
    place: str,
    model: nn.Module,
    args: Sequence[Any] = (),
    options: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write down the blocks of parameters, buffers and inputs."""
    for name, parameter in model.named_parameters():
        if not is_lazy(parameter):
            ledger.add(parameter, place, "parameter", name=name)
    for name, buffer in model.named_buffers():
        if not is_lazy(buffer):
            ledger.add(buffer, place, "buffer", name=name)
    for name, tensor in given.names_of(model, args, options):
        ledger.add(tensor, place, "input", name=name)


def _taken(
    model: nn.Module,
    args: Sequence[Any],
    options: Mapping[str, Any],
    recorder: Recorder,
    mode: BlankMode,
    training: Training | None,
    autocast: torch.dtype | None,
    watch: Watch | None = None,
) -> tuple[TrainingStep | None, BaseException | None]:
    """Run the model; returns the training step, which holds what outlives it, and an error."""
    error: BaseException | None = None
    step: TrainingStep | None = None
    with ExitStack() as stack:
        stack.enter_context(random_state_kept())
        caught = stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("default")
        stack.enter_context(torch.set_grad_enabled(training is not None))
        stack.enter_context(_eagerly())
        recorder.attach(mode, stack)
        try:
            seen = watch.mode(mode, recorder) if watch else DeviceMode(mode)
            with answered(mode), mode, seen:
                if training is None:
                    with casting(mode.device, autocast):
                        recorder.call(model, args, options)
                else:
                    step = TrainingStep(model, training, recorder, mode, autocast)
                    step.take(args, options)
        except (FormulaError, StepError):
            raise
        except (Exception, SystemExit) as raised:  # noqa: BLE001 - whatever a user's model raises is a finding
            error = raised
        recorder.unwind()
        said = [str(one.message) for one in caught or ()]
        recorder.autocast_refused = any(
            "autocast" in text or "User provided device_type" in text for text in said
        )
    return step, error


def _later(
    model: nn.Module,
    args: Sequence[Any],
    options: Mapping[str, Any],
    mode: BlankMode,
    hints: Mapping[str, float] | None,
    training: Training | None,
    autocast: torch.dtype | None,
) -> Recorder | None:
    """Take the step after the one that was recorded; None where it breaks."""
    recorder = Recorder(model, Formulas({}, {}))
    after = BlankMode(Hints(hints), recorder, mode.device)
    after.spoiled, after.pinned = mode.spoiled, mode.pinned
    if training is not None:
        training = replace(training, checkpoint=())  # those modules are wrapped already
    try:
        with redirect_stdout(io.StringIO()):  # what the user's code prints, it has printed
            _, error = _taken(model, args, options, recorder, after, training, autocast)
    except StepError:
        return None
    return recorder if error is None else None


def _written(
    model: nn.Module,
    args: Sequence[Any],
    options: Mapping[str, Any],
    recorder: Recorder,
    answers: Hints,
    error: BaseException | None,
) -> Trace:
    """The trace of a run that is over; the model still holds what it ran with."""

    def spec(tensor: Tensor) -> TensorSpec:
        return recorder.specs([tensor])[0]

    def lies(tensor: Tensor) -> TensorSpec:
        return replace(spec(tensor), device=recorder.place)

    def used(tensor: Tensor) -> bool:
        return tensor.layout == torch.strided and (tensor.untyped_storage()._cdata in recorder.used)

    parameters, unknown = holdings.parameters(model, spec, used)
    return Trace(
        model=ModelInfo(type(model).__name__),
        inputs=_inputs(recorder, model, args, options),
        modules=recorder.submodules,
        calls=recorder.finished_calls(),
        ops=tuple(recorder.ops),
        parameters=parameters,
        buffers=holdings.buffers(model, lies, used),
        storages=_storages(recorder, model),
        values=recorder.values.values(),
        transfers=tuple(recorder.transfers),
        failure=failure_of(error, model, recorder) if error is not None else None,
        notes=(*_notes(recorder, answers, unknown), *recorder.formulas.notes()),
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "zoo": zoo.__version__,
        },
    )


def _storages(recorder: Recorder, model: nn.Module) -> tuple[Storage, ...]:
    """All blocks; what a lazy module made in the run counts as there before."""
    _there_before(recorder.ledger, recorder.place, model)
    return recorder.ledger.storages()


def unwrapped(model: nn.Module) -> nn.Module:
    """The user's module inside `torch.compile` and data-parallel wrappers.

    Args:
        model: A module, wrapped or not.

    Returns:
        The innermost of them; `model` where it is not wrapped.

    Raises:
        InputError: No module.
    """
    if not isinstance(model, nn.Module):
        raise InputError(
            "model", f"{type(model).__name__} is no nn.Module", "Give a module or the name of one."
        )
    inner = getattr(model, "_orig_mod", None)
    if isinstance(inner, nn.Module):
        return unwrapped(inner)
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    return unwrapped(model.module) if isinstance(model, wrappers) else model


def device_name(device: str) -> str:
    """`cuda:0` of `cuda`.

    Args:
        device: A word that torch knows: `cpu`, `cuda`, `cuda:1`.

    Returns:
        The device with its index, 0 where none was said; `cpu` for `cpu` and `meta`.

    Raises:
        InputError: torch knows no such device.
    """
    try:
        known = torch.device(device)
    except RuntimeError:
        raise InputError(
            f"device {device!r}", "torch knows no such device", "Try cpu, cuda, cuda:1, mps or xpu."
        ) from None
    return "cpu" if known.type == "meta" else with_index(known)


def torch_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """A floating point dtype by name.

    Args:
        dtype: A name, such as `bfloat16` or `half`, or the dtype itself.

    Returns:
        Torch's dtype; None for None.

    Raises:
        InputError: No floating point dtype is called so.
    """
    if dtype is None:
        return None
    name = dtype_of(str(dtype), str(dtype))
    found: torch.dtype = getattr(torch, name)
    if not found.is_floating_point:
        raise InputError(
            f"dtype {name}", "weights are cast to it, so it must be floating point", "Try bfloat16."
        )
    return found


def _inputs(
    recorder: Recorder, model: nn.Module, args: Sequence[Any], options: Mapping[str, Any]
) -> tuple[InputSpec, ...]:
    found = given.names_of(model, args, options)
    return tuple(InputSpec(name, recorder.specs([tensor])[0]) for name, tensor in found)


def _notes(recorder: Recorder, answers: Hints, unknown: Sequence[str]) -> tuple[Note, ...]:
    notes = list(answers.notes())
    for place in answers.unused():
        text = f"the hint for {place} met no question"
        notes.append(
            Note("warning", "unused-hint", text + "; hints are named in data-dependent notes.")
        )
    for op, times in recorder.on_zeros.items():
        text = (
            f"{op} has no meta kernel; its output's shape is from a run on zeros ({times} times)."
        )
        notes.append(Note("info", "ran-on-zeros", text))
    for (what, line), hint in recorder.refusals.items():
        text = f"{what}: torch raises there. {hint}"
        notes.append(Note("warning", "device-mismatch", text, line))
    if recorder.autocast_refused:
        text = (
            "torch refused the model's own autocast, for want of such a device: dtypes and bytes "
            "are those without it; MACs are the same. Try --autocast."
        )
        notes.append(Note("warning", "autocast", text))
    if unknown:
        text = f"{len(unknown)} lazy parameters got no shape, since the run did not reach them: "
        shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        notes.append(Note("warning", "lazy-parameter", text + shown + "."))
    return tuple(notes)
