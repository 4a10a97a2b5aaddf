"""A process that makes rows of tasks, so that what a model does to its process ends no sweep.

    python -m zoo.sweeping.worker FD

Pickled tasks come in on standard input; JSON lines go out on the file descriptor FD: first
`{"ready": true}`, then `{"row": {...}}` for each task, or `{"refused": [...]}` where no model can
run as was asked. What models print goes to where standard output and error lead. When standard
input ends, whoever asked is gone, and so is the process.
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

    _without_triton()
    torch.set_num_threads(1)
    gc.freeze()
    with os.fdopen(results, "w", encoding="utf-8") as out:
        _say(out, {"ready": True})
        while True:
            task, how = waiting.get()
            refused = refusal(how)
            _say(out, {"refused": refused} if refused else {"row": made(task, how)})
            gc.collect()


def _without_triton() -> None:
    """Have torch find that there is no triton, which it else loads to see whether it is there.

    Nothing is compiled here, and triton holds 75 MB in each worker. Models that import it find it.
    """
    if "triton" in sys.modules:
        return
    try:
        from torch.utils import _triton

        sys.modules["triton"] = None  # type: ignore[assignment]  # an import fails then
        _triton.has_triton_package()  # which keeps its answer
    except (ImportError, AttributeError):  # another version of torch: memory is all that it costs
        return
    finally:
        sys.modules.pop("triton", None)


def _listen(tasks: BinaryIO, waiting: SimpleQueue[tuple[Task, How]]) -> None:
    while True:
        try:
            waiting.put(pickle.load(tasks))
        except EOFError:
            os._exit(0)


def _say(out: Any, message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


def refusal(how: How) -> list[str] | None:
    """Why no model can run in this way.

    Args:
        how: What all tasks have in common.

    Returns:
        What is wrong, why, and what to try; None where words alone show nothing wrong.
    """
    from zoo.analysis.tracer.run import device_name, torch_dtype
    from zoo.analysis.tracer.step import Training, autocast_dtype, casting
    from zoo.subjects import named_step

    said = how.options
    step = {name: said[name] for name in ("optimizer", "loss") if name in said}
    try:
        place = device_name(said.get("device", "cpu"))
        torch_dtype(said.get("dtype"))
        casting(place, autocast_dtype(said.get("autocast")))
        Training(**named_step(step))
    except ZooError as error:
        parts = [getattr(error, name, "") for name in ("what", "reason", "hint")]
        return parts if all(parts) else ["sweep", str(error), "See `zoo sweep --help`."]
    return None


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
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - a model's own
        cells = {"status": FAILED, "error": f"{type(error).__name__}: {error}"}
    return row({**cells, "seconds": round(perf_counter() - start, 4)})


def _ran(task: Task, how: How) -> Any:
    from zoo.subjects import Subject, named_step, words_of

    options = named_step(how.options)
    subject = Subject(task.name, task.inputs, arguments=how.arguments)
    cells = figures(subject.trace(batch=task.batch, **options))
    default = " and ".join(words_of(subject.default))
    if cells["status"] != FAILED or not task.inputs or not default or default in cells["error"]:
        return cells
    return {**cells, "error": f"{cells['error']} The default input is {default}."}


if __name__ == "__main__":
    main(int(sys.argv[1]))
