"""Who does the tasks of a sweep: worker processes, and what happens when one dies or hangs.

Each worker is a process of its own that loads torch once and does one task after the other, with
one thread. One that dies takes its task with it, which is a failed row, and another takes its
place. They are started by `subprocess` and not by `multiprocessing`, which would run the caller's
script again in each of them.
"""

from __future__ import annotations

import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
from collections import deque
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from zoo.analysis.sweeps import FAILED, row
from zoo.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from zoo.sweeping.tasks import How, Task

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
GRACE = 5.0
"""Seconds that a worker has to end after it closed its results."""
LOOK = 1.0
"""Seconds between two looks at who is still alive."""
TAIL = 4096
"""Bytes of what a worker printed last that are looked at when it dies."""


class Worker:
    """A process, and the task that it is at."""

    def __init__(self) -> None:
        self.task: Task | None = None
        self.ready = False
        self.since = 0.0
        self._unread = b""
        self._log = _log()
        self.results, theirs = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "zoo.sweeping.worker", str(theirs)],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                pass_fds=(theirs,),
                env=_environment(),
            )
        finally:
            os.close(theirs)

    def give(self, task: Task, how: How) -> None:
        """Hand over a task."""
        self.task, self.since = task, monotonic()
        stdin = self._process.stdin
        try:
            if stdin is not None:
                os.ftruncate(self._log.fileno(), 0)
                stdin.write(pickle.dumps((task, how)))
                stdin.flush()
        except BrokenPipeError:  # it died just now, which its results will tell
            return

    def messages(self) -> list[dict[str, Any]] | None:
        """What it said; None where it died. Is called when there is something to read."""
        data = os.read(self.results, 1 << 16)
        if not data:
            return None
        *lines, self._unread = (self._unread + data).split(b"\n")
        return [json.loads(line) for line in lines]

    @property
    def gone(self) -> bool:
        """Whether the process ended; a child of its own may still hold its results open."""
        return self._process.poll() is not None

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # a task that it did not read
                self._process.stdin.close()
        os.close(self.results)
        self._log.close()

    def last_words(self) -> str:
        """How the process ended, and the last line that it printed."""
        try:
            code = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:  # it closed its results and lives on
            self._process.kill()
            code = self._process.wait()
        self._log.seek(max(os.fstat(self._log.fileno()).st_size - TAIL, 0))
        lines = self._log.read().decode(errors="replace").split("\n")
        said = next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "")
        return how_it_ended(code) + (f"; it printed last: {said[:200]}" if said else "")


def how_it_ended(code: int) -> str:
    """A process's exit code in words.

    >>> how_it_ended(-9), how_it_ended(3)
    ('it was killed by SIGKILL, as by a system out of memory', 'it ended with exit code 3')
    """
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    memory = ", as by a system out of memory" if name == "SIGKILL" else ""
    return f"it was killed by {name}{memory}"


def _log() -> Any:
    """A file without a name, to which what is printed is added at its end."""
    descriptor, name = tempfile.mkstemp(prefix="zoo-sweep-")
    os.close(descriptor)
    file = Path(name).open("a+b")  # noqa: SIM115 - closed with its worker
    Path(name).unlink()
    return file


def _environment() -> dict[str, str]:
    """Ours, with one thread, and with the folders that we import from."""
    places = [str(Path(place or ".").absolute()) for place in sys.path]
    threads = dict.fromkeys(THREADS, "1")
    return {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(places)}


def rows(
    tasks: Iterable[Task], how: How, *, jobs: int, timeout: float | None = None
) -> Generator[tuple[Task, dict[str, Any]]]:
    """Do tasks in worker processes.

    Args:
        tasks: What to do.
        how: How to do it.
        jobs: Workers at most.
        timeout: Seconds that a task may take; None for as long as it takes.

    Yields:
        tuple[Task, dict[str, Any]]: Each task with its row, as they are done.

    Raises:
        SweepError: A worker does not start, or no model can run as was asked.
    """
    waiting = deque(tasks)
    with selectors.DefaultSelector() as selector:
        crew = _Crew(selector, how, waiting)
        try:
            crew.hire(jobs)
            while crew.workers:
                events = selector.select(crew.patience(timeout))
                for key, _ in events:
                    yield from crew.hear(key.data)
                if not events:
                    yield from crew.missing()
                yield from crew.late(timeout)
        finally:
            crew.end()


class _Crew:
    """The workers of a sweep, and the tasks that wait for them."""

    def __init__(self, selector: selectors.BaseSelector, how: How, waiting: deque[Task]) -> None:
        self.selector, self.how, self.waiting = selector, how, waiting
        self.workers: list[Worker] = []

    def hire(self, jobs: int) -> None:
        """Start workers, no more than there are tasks for."""
        for _ in range(min(jobs, len(self.waiting))):
            worker = Worker()
            self.workers.append(worker)
            self.selector.register(worker.results, selectors.EVENT_READ, worker)

    def hear(self, worker: Worker) -> Iterator[tuple[Task, dict[str, Any]]]:
        """Take in what a worker says."""
        if worker not in self.workers:
            return
        said = worker.messages()
        if said is None:
            yield from self._died(worker)
            return
        for message in said:
            worker.ready = True
            if "refused" in message:
                raise SweepError(*message["refused"])
            if worker.task is not None and "row" in message:
                yield worker.task, {**message["row"], **_identity(worker.task)}
            self._next(worker)

    def missing(self) -> Iterator[tuple[Task, dict[str, Any]]]:
        """Replace workers that are gone, where nothing of what they said is left to hear."""
        for worker in [worker for worker in self.workers if worker.gone]:
            yield from self._died(worker)

    def late(self, timeout: float | None) -> Iterator[tuple[Task, dict[str, Any]]]:
        """End workers that take too long."""
        if timeout is None:
            return
        for worker in list(self.workers):
            if worker.task is not None and monotonic() - worker.since > timeout:
                yield self._lost(worker, f"it took longer than {timeout:g} s (timeout)")
                self._replace(worker)

    def patience(self, timeout: float | None) -> float:
        """Seconds until a worker will be late, or has to be looked at."""
        busy = [worker.since for worker in self.workers if worker.task is not None]
        if timeout is None or not busy:
            return LOOK
        return min(max(min(busy) + timeout - monotonic(), 0.01), LOOK)

    def end(self) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.end()
        self.workers.clear()

    def _died(self, worker: Worker) -> Iterator[tuple[Task, dict[str, Any]]]:
        if not worker.ready:
            reason = f"a worker process does not start: {worker.last_words()}"
            raise SweepError("sweep", reason, "Try `zoo doctor`.")
        if worker.task is not None:
            yield self._lost(worker, f"the worker process died: {worker.last_words()}")
        self._replace(worker)

    def _next(self, worker: Worker) -> None:
        if self.waiting:
            worker.give(self.waiting.popleft(), self.how)
        else:
            self._dismiss(worker)

    def _replace(self, worker: Worker) -> None:
        self._dismiss(worker)
        idle = sum(one.task is None for one in self.workers)
        if len(self.waiting) > idle:
            self.hire(1)

    def _dismiss(self, worker: Worker) -> None:
        self.selector.unregister(worker.results)
        self.workers.remove(worker)
        worker.end()

    @staticmethod
    def _lost(worker: Worker, reason: str) -> tuple[Task, dict[str, Any]]:
        """The row of a task that nobody finished."""
        task = worker.task
        if task is None:
            raise ValueError("an idle worker has nothing to lose")
        seconds = round(monotonic() - worker.since, 4)
        cells = {"status": FAILED, "error": reason, "seconds": seconds}
        return task, row({**cells, **_identity(task)})


def _identity(task: Task) -> dict[str, Any]:
    """Cells that say which row it is."""
    name, asked, batch = task.key
    return {"name": name, "plugin": task.plugin, "asked": asked or None, "batch": batch}
