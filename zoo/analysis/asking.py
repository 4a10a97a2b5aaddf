"""How is another tool asked, so that nothing of it stays?

Tools patch torch, hang buffers on modules, crash, and do not end. So each runs in a process of its
own, which has a time limit: a copy of this one where the system can make one, so that the model
need not be built again; else a new one, which builds the model itself.

They compute on real weights, on the CPU, in eval mode, without gradients, and with torch's fast
path of attention turned off: it is one operator that no tool sees into.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.analysis.crosscheck import Answer
from zoo.analysis.opinions import Engine, Opinion
from zoo.analysis.records import TensorSpec
from zoo.analysis.tracer import given
from zoo.analysis.tracer.blank import replace_tensors
from zoo.errors import InputError, TooLarge

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from zoo.analysis.records import Trace

Make = Callable[[], nn.Module]
MARGIN = 1.2
"""What must be free, in times of what zoo predicts: a tool's own notes and copies come on top."""
PATIENCE = 5.0
"""Seconds in which a process that has answered must end."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a tool is asked about."""

    make: Make
    """Gives the model with its weights. Can be pickled where processes do not begin as copies."""
    inputs: tuple[Any, ...]
    """What `forward` gets: shapes, words, specs, tensors, or nests of these."""
    kwargs: Mapping[str, Any]
    """More of these, by name."""
    batch: int | None = None
    """First dim of the inputs; None leaves them."""


def ask(
    engines: Sequence[Engine],
    question: Question,
    timeout: float,
    say: Callable[[str], None] = lambda _: None,
    start: str | None = None,
) -> list[Answer]:
    """Ask tools, one after the other.

    Args:
        engines: Which.
        question: About what.
        timeout: Seconds for each.
        say: Is called with the name of the one that is asked.
        start: How processes begin: `fork` or `spawn`; None for what the system does best.

    Returns:
        An answer for each, in their order; what a tool does wrong is in its answer.
    """
    start = start or _best_start()
    here = {one.name: _lacks(one) for one in engines}
    if start == "fork" and not all(here.values()):
        model = question.make()  # once, for all copies of this process
        question = replace(question, make=lambda: model)
    answers = []
    for engine in engines:
        lacks = here[engine.name]
        if lacks:
            text = f"{lacks} is not installed. Run `pip install {engine.package}`."
            answers.append(Answer(engine, "missing", reason=text))
            continue
        say(engine.name)
        answers.append(_asked(engine, question, timeout, start))
    return answers


def _best_start() -> str:
    known = multiprocessing.get_all_start_methods()
    return "fork" if "fork" in known and os.uname().sysname == "Linux" else "spawn"


def _lacks(engine: Engine) -> str | None:
    """The first module that it needs and that is not there."""
    for name in engine.needs:
        try:
            found = find_spec(name) is not None
        except ImportError:
            found = False
        if not found:
            return engine.package if name.partition(".")[0] == engine.package else name
    return None


def _asked(engine: Engine, question: Question, timeout: float, start: str) -> Answer:
    """Ask one, and end its process whatever happens."""
    context: Any = multiprocessing.get_context(start)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(theirs, engine, question), daemon=True)
    began = time.perf_counter()
    try:
        process.start()
    except Exception as error:  # noqa: BLE001 - what is handed over may not pickle
        ours.close()
        theirs.close()
        reason = f"it cannot be run in a process of its own: {_sentence(error)}"
        return Answer(engine, "crashed", reason=reason)
    theirs.close()
    try:
        if not ours.poll(timeout):
            reason = f"no answer in {timeout:g} s. Give it more time (--timeout)."
            return Answer(engine, "timed out", reason=reason, seconds=_since(began))
        kind, value = ours.recv()
    except EOFError:
        process.join(PATIENCE)
        return Answer(engine, "crashed", reason=_death(process.exitcode), seconds=_since(began))
    except Exception as error:  # noqa: BLE001 - what it sent may not unpickle
        return Answer(engine, "crashed", reason=_sentence(error), seconds=_since(began))
    finally:
        ours.close()
        process.join(PATIENCE if not process.is_alive() else 0.2)
        if process.is_alive():
            process.kill()
            process.join()
    if kind == "error":
        return Answer(engine, "crashed", reason=value, seconds=_since(began))
    return Answer(engine, "answered", value, seconds=_since(began))


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 3)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with code {code} and said nothing"


def _serve(answer: Connection, engine: Engine, question: Question) -> None:
    """In the process of its own: run the tool and send what it says."""
    with _silent() as said:
        try:
            found: Any = ("opinion", _run(engine, question))
        except BaseException as error:  # noqa: BLE001 - a tool may raise or exit as it likes
            found = ("error", _sentence(_root(error)) or said())
    try:
        answer.send(found)
    except Exception as error:  # noqa: BLE001 - what it returned may not pickle
        answer.send(("error", f"what it returned cannot be sent: {_sentence(error)}"))
    answer.close()


def _run(engine: Engine, question: Question) -> Opinion:
    import warnings

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # the threads of the process that this is a copy of are not here
    torch.backends.mha.set_fastpath_enabled(False)  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    model = question.make().eval()
    inputs, kwargs = real_inputs(model, question)
    with torch.no_grad():
        found = engine.run(model, inputs, kwargs)
    if not isinstance(found, Opinion):
        raise TypeError(f"it returned {type(found).__name__}, which is no Opinion")
    return found


@contextlib.contextmanager
def _silent() -> Iterator[Callable[[], str]]:
    """Send what is printed, by C code too, to a file; gives a function for its last line."""
    with tempfile.TemporaryFile() as file:
        kept = [os.dup(1), os.dup(2)]
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

        def last() -> str:
            file.seek(0)
            lines = file.read().decode(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")

        try:
            yield last
        finally:
            for number, copy in enumerate(kept, start=1):
                os.dup2(copy, number)
                os.close(copy)


def _root(error: BaseException) -> BaseException:
    """What an exception was raised from, at the bottom."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _sentence(error: BaseException) -> str:
    """`TypeError: what it said`, in one line of bearable length."""
    text = " ".join(str(error).split())
    text = text if len(text) <= 200 else f"{text[:197]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class _Real(given.Maker):
    """Makes inputs with data: random numbers, ones for whole numbers; given tensors as they are."""

    def _blank(self, spec: Any, *, typed: bool) -> Tensor:
        dtype = self._cast(getattr(torch, spec.dtype) if typed else self.dtype)
        if dtype.is_floating_point or dtype.is_complex:
            return torch.rand(spec.shape).to(dtype)
        return torch.ones(spec.shape, dtype=dtype)

    def _twin(self, tensor: Tensor) -> Tensor:
        if tensor.is_meta:
            spec = TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
            return self._blank(spec, typed=True)
        return tensor.detach().cpu().to(self._cast(tensor.dtype))


def real_inputs(
    model: nn.Module, question: Question
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Inputs with data.

    Args:
        model: Whose dtype inputs without one take.
        question: What it is given.

    Returns:
        What to call the model with.
    """
    positional, named = given.split_named(question.inputs)
    maker = _Real(given.input_dtype(model), None, "cpu")
    args = [maker.make(value) for value in positional]
    kwargs = {name: maker.make(value) for name, value in {**named, **question.kwargs}.items()}
    if question.batch is not None:
        args, kwargs = given.rebatched((args, kwargs), question.batch)
    return tuple(map(_with_data, args)), {name: _with_data(one) for name, one in kwargs.items()}


def _with_data(value: Any) -> Any:
    """Random numbers for a tensor that `rebatched` left without data."""
    maker = _Real(torch.float32, None, "cpu")
    return replace_tensors(value, lambda one: maker.make(one) if one.is_meta else one)


def check_memory(trace: Trace, held: int = 0) -> int:
    """How many bytes the tools need: weights, and the most that the run holds beside them.

    Args:
        trace: The run.
        held: Bytes of it that are in memory already.

    Returns:
        Bytes.

    Raises:
        TooLarge: That is more than this machine has free.
    """
    from zoo.analysis.memory import memory

    needed = int(memory(trace).totals["peak_bytes"])
    free = available()
    if free is not None and needed * MARGIN - held > free:
        raise TooLarge(trace.model.name, needed, free)
    return needed


def available() -> int | None:
    """Bytes of memory that are free or can be made free; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def on_cpu(model: nn.Module) -> nn.Module:
    """The model on the CPU: itself where it is there, else a copy.

    Args:
        model: With its weights.

    Returns:
        A model whose tensors all have data on the CPU.

    Raises:
        InputError: It has tensors without data.
    """
    places = {one.device.type for one in (*model.parameters(), *model.buffers())}
    if "meta" in places:
        raise InputError(
            "model",
            "it has no weights (they are on the meta device), and other tools compute on them",
            "Give it as words, or with weights.",
        )
    if places <= {"cpu"}:
        return model
    import copy

    return copy.deepcopy(model).cpu()


