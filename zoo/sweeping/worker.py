"""A process that makes rows of tasks, so that what a model does to its process ends no sweep.

    python -m zoo.sweeping.worker FD

Pickled tasks come in on standard input; JSON lines go out on the file descriptor FD: first
`{"ready": true}`, then `{"row": {...}}` for each task. What models print goes to where standard
output and error lead. When standard input ends, whoever asked is gone, and so is the process.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import signal
import sys
import threading
from queue import SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING, Any

from zoo.analysis.sweeps import FAILED, figures, row
from zoo.errors import ZooError

if TYPE_CHECKING:
    from typing import BinaryIO

    from zoo.sweeping.tasks import How, Task


def main(results: int) -> None:
    """Work until standard input ends.

    Args:
        results: File descriptor that rows are written to.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked decides what Ctrl-C means
    tasks = os.fdopen(os.dup(0), "rb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)  # a model that reads standard input must not read tasks
    waiting: SimpleQueue[tuple[Task, How]] = SimpleQueue()
    threading.Thread(target=_listen, args=(tasks, waiting), daemon=True).start()
    import torch

    import zoo.analysis.tracer.run  # noqa: F401 - loaded before the first model is timed

    torch.set_num_threads(1)
    gc.freeze()
    with os.fdopen(results, "w", encoding="utf-8") as out:
        _say(out, {"ready": True})
        while True:
            task, how = waiting.get()
            _say(out, {"row": made(task, how)})
            gc.collect()


def _listen(tasks: BinaryIO, waiting: SimpleQueue[tuple[Task, How]]) -> None:
    while True:
        try:
            waiting.put(pickle.load(tasks))
        except EOFError:
            os._exit(0)


def _say(out: Any, message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


def made(task: Task, how: How) -> dict[str, Any]:
    """A task's row, whatever the model does short of ending the process.

    Args:
        task: What to run.
        how: How to run it.

    Returns:
        The cells that the run fills, with its time and its status.
    """
    start = perf_counter()
    try:
        cells = dict(_ran(task, how))
    except ZooError as error:
        cells = {"status": FAILED, "error": str(error)}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the next model may do better
        cells = {"status": FAILED, "error": f"{type(error).__name__}: {error}"}
    return row({**cells, "seconds": round(perf_counter() - start, 4)})


def _ran(task: Task, how: How) -> Any:
    from zoo.subjects import Subject, named, words_of

    options = dict(how.options)
    for name in ("optimizer", "loss"):
        if name in options:
            options[name] = named(options[name])
    subject = Subject(task.name, task.inputs, arguments=how.arguments)
    cells = figures(subject.trace(batch=task.batch, **options))
    default = " and ".join(words_of(subject.default))
    if cells["status"] != FAILED or not task.inputs or not default or default in cells["error"]:
        return cells
    return {**cells, "error": f"{cells['error']} The default input is {default}."}


if __name__ == "__main__":
    main(int(sys.argv[1]))
