"""How is another tool asked, so that nothing of it stays?

Tools patch torch, hang buffers on modules, crash, and do not end. So each runs in a process of its
own, which has a time limit: a copy of this one where the system can make one, so that the model
need not be built again; else a new one, which builds the model itself.

They compute on real weights, on the CPU, in eval mode, without gradients, and with torch's fast
path of attention turned off: it is one operator that no tool sees into.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing.connection import Pipe
from pathlib import Path
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
    from zoo.analysis.records import Trace

Make = Callable[[], nn.Module]
LONGEST = 1e6
"""Seconds that the system can be told to wait for."""
MARGIN = 1.2
"""What must be free, in times of what zoo predicts: a tool's own notes and copies come on top."""


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
    made: nn.Module | None = None,
) -> list[Answer]:
    """Ask tools, one after the other.

    Args:
        engines: Which.
        question: About what.
        timeout: Seconds for each.
        say: Is called with the name of the one that is asked.
        start: How processes begin: `fork` or `spawn`; None for what the system does best.
        made: The model, where it was made before; copies of this process have it.

    Returns:
        An answer for each, in their order; what a tool does wrong is in its answer.
    """
    start = start or _best_start()
    here = {one.name: _lacks(one) for one in engines}
    if start == "fork" and not all(here.values()):
        model = made or question.make()  # once, for all copies of this process
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
    return "fork" if sys.platform == "linux" else "spawn"


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
    began = time.perf_counter()
    timeout = min(timeout, LONGEST)
    begin = _by_fork if start == "fork" else _by_spawn
    try:
        kind, value = begin(engine, question, timeout)
    except TimeoutError:
        reason = f"no answer in {timeout:g} s. Give it more time (--timeout)."
        return Answer(engine, "timed out", reason=reason, seconds=_since(began))
    except Exception as error:  # noqa: BLE001 - what is sent either way may not pickle
        kind, value = "error", f"it cannot be run in a process of its own: {_sentence(error)}"
    if kind == "opinion":
        return Answer(engine, "answered", value, seconds=_since(began))
    return Answer(engine, "crashed", reason=value, seconds=_since(began))


def _by_fork(engine: Engine, question: Question, timeout: float) -> tuple[str, Any]:
    """Ask in a copy of this process."""
    ours, theirs = Pipe(duplex=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other threads of this process hold no lock of the copy's
        child = os.fork()
    if child == 0:
        try:
            ours.close()
            theirs.send_bytes(answer(engine, question))
        finally:
            os._exit(0)  # nothing of this process is to be cleaned up in its copy
    theirs.close()
    try:
        if not ours.poll(timeout):
            raise TimeoutError
        said: tuple[str, Any] = pickle.loads(ours.recv_bytes())
    except EOFError:
        return "error", _death(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    finally:
        ours.close()
        _end(child)
    return said


def _end(child: int) -> None:
    """End a copy of this process that has answered, or did not; it may have ended already."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _by_spawn(engine: Engine, question: Question, timeout: float) -> tuple[str, Any]:
    """Ask in a new process, which imports what the model is made of."""
    with tempfile.TemporaryDirectory() as folder:
        asked, said = Path(folder) / "asked", Path(folder) / "said"
        asked.write_bytes(pickle.dumps((engine, question)))
        command = (
            f"from zoo.analysis import asking; asking.answer_file({str(asked)!r}, {str(said)!r})"
        )
        try:
            done = subprocess.run(
                [sys.executable, "-c", command],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        if not said.exists():
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            return "error", lines[-1] if lines else _death(done.returncode)
        found: tuple[str, Any] = pickle.loads(said.read_bytes())
        return found


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 3)


def _death(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with code {code} and said nothing"


def answer_file(asked: str, said: str) -> None:
    """In a new process: answer a question that is in a file, in a file.

    Args:
        asked: Holds the engine and the question.
        said: Is written, whole.
    """
    engine, question = pickle.loads(Path(asked).read_bytes())
    unfinished = Path(f"{said}.part")
    unfinished.write_bytes(answer(engine, question))
    unfinished.replace(said)


def answer(engine: Engine, question: Question) -> bytes:
    """In the process of its own: run the tool.

    Args:
        engine: The tool.
        question: What it is asked.

    Returns:
        `("opinion", Opinion)` or `("error", sentence)`, pickled.
    """
    with _silent() as said:
        try:
            found: Any = ("opinion", _run(engine, question))
        except BaseException as error:  # noqa: BLE001 - a tool may raise or exit as it likes
            found = ("error", _sentence(_root(error)) or said())
    try:
        return pickle.dumps(found)
    except Exception as error:  # noqa: BLE001 - what it returned may not pickle
        return pickle.dumps(("error", f"what it returned cannot be sent: {_sentence(error)}"))


def _run(engine: Engine, question: Question) -> Opinion:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # the threads of the process that this is a copy of are not here
    torch.backends.mha.set_fastpath_enabled(False)
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


def real_inputs(model: nn.Module, question: Question) -> tuple[tuple[Any, ...], dict[str, Any]]:
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
