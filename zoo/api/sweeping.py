"""Many models, a row each."""

from __future__ import annotations

import os
from contextlib import closing
from time import monotonic
from typing import TYPE_CHECKING, Any

from zoo.analysis import report as plain
from zoo.analysis.sweeps import COLUMNS, FAILED
from zoo.api.shown import Report, shown
from zoo.errors import InputError, OptionError, StepError, did_you_mean
from zoo.subjects import STEP, manager

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zoo.sweeping.stores import Rows
    from zoo.sweeping.tasks import How, Task

    Progress = Callable[[int, int, int], None]

HOW = ("train", *STEP, "device", "dtype", "hints")
"""Options of `trace` that a sweep takes: those that can be said to another process."""
DEFAULTS = {"train": False, "accumulate": 1, "set_to_none": True, "device": "cpu"}
"""What they are where nothing is said."""


def sweep(  # noqa: PLR0913 - what, how, and where to
    patterns: str | Sequence[str],
    inputs: Sequence[Any] = (),
    *,
    batch: int | Sequence[int] | None = None,
    arguments: Mapping[str, Any] | None = None,
    jobs: int | None = None,
    timeout: float | None = None,
    output: str | os.PathLike[str] | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Look at many models, in worker processes, and say of each what it costs in one row.

    A model that fails is a row too, with the reason. Workers are processes of their own: what
    models do to them (crash, run out of memory, hang) does not end the sweep.

    Args:
        patterns: Names with `*`, `?` or `[` (`"torchvision/*"`), or models as for `trace`.
        inputs: What each model gets: shapes and words; none for each one's default input.
        batch: First dim of the inputs; several make several rows of each model.
        arguments: What every model is built with.
        jobs: Worker processes, each with torch and one thread; None for one a core.
        timeout: Seconds that a model may take; None for as long as it takes.
        output: A file that ends in `.csv`, `.jsonl` or `.parquet`. Rows are added to it as they
            are made; those that are there already are not made again.
        retry_failed: Whether rows that failed are made again.
        progress: Is called with the rows done, all rows, and those that failed.
        **options: `train`, `device`, `dtype` and others of `trace`; optimizer and loss in words.

    Returns:
        The report, its rows in the order of the patterns and of the catalog.

    Raises:
        SweepError: Nothing matches, the file holds something else, or no worker starts.
        ZooError: Words or options that cannot be read, or a file that cannot be written.
    """
    from zoo.sweeping.stores import Rows, Store, check
    from zoo.sweeping.tasks import How, tasks

    how = How(arguments or {}, _options(options))
    jobs = _positive("jobs", _cores() if jobs is None else jobs)
    timeout = timeout if timeout is None else _positive("timeout", timeout)
    named = [patterns] if isinstance(patterns, str) else patterns
    plan = tasks(named, manager().catalog(), _words(inputs), _batches(batch))
    start = monotonic()
    made = _Sweep(plan, how, jobs, timeout, progress)
    if output is None:
        rows = made.into(Rows(str(how), _versions()))
    else:
        check(os.fspath(output))
        with closing(Store(os.fspath(output), str(how), _versions())) as store:
            rows = made.into(store, retry=retry_failed)
            store.finish(task.key for task in plan)
    return _report(rows, len({task.name for task in plan}), monotonic() - start)


class _Sweep:
    """What is to be done, and how."""

    def __init__(
        self,
        plan: Sequence[Task],
        how: How,
        jobs: int,
        timeout: float | None,
        progress: Progress | None,
    ) -> None:
        self.plan, self.how, self.jobs, self.timeout = plan, how, jobs, timeout
        self.progress = progress

    def into(self, store: Rows, *, retry: bool = False) -> list[dict[str, Any]]:
        """Rows of the plan: those that are there, and those that are made now."""
        from zoo.sweeping.pool import rows

        found = {task.key: store.rows.get(task.key) for task in self.plan}
        missing = [
            task
            for task in self.plan
            if (row := found[task.key]) is None or (retry and row["status"] == FAILED)
        ]
        failed = sum(row is not None and row["status"] == FAILED for row in found.values())
        failed -= sum(found[task.key] is not None for task in missing)
        done = len(self.plan) - len(missing)
        self._say(done, failed)
        with closing(rows(missing, self.how, jobs=self.jobs, timeout=self.timeout)) as making:
            for _, row in making:
                store.add(row)
                done, failed = done + 1, failed + (row["status"] == FAILED)
                self._say(done, failed)
        return [store.rows[task.key] for task in self.plan]

    def _say(self, done: int, failed: int) -> None:
        if self.progress is not None:
            self.progress(done, len(self.plan), failed)


def _report(rows: Sequence[dict[str, Any]], models: int, seconds: float) -> Report:
    totals = {
        "models": models,
        "rows": len(rows),
        "failed": sum(row["status"] == FAILED for row in rows),
        "seconds": round(seconds, 2),
    }
    return shown(plain.Report("sweep", plain.ModelInfo(""), (), COLUMNS, tuple(rows), totals))


def _words(inputs: Sequence[Any]) -> tuple[str, ...]:
    """Shapes and words as words; a shape alone is one input."""
    from zoo.analysis.inputs import parse_all

    if isinstance(inputs, str) or _is_shape(inputs):
        inputs = [inputs]
    words = []
    for one in inputs:
        if not (isinstance(one, str) or _is_shape(one)):
            reason = "a sweep runs in other processes, which tensors do not reach"
            raise InputError(type(one).__name__, reason, "Give a shape, or a word of --input.")
        words.append(one if isinstance(one, str) else ",".join(map(str, one)))
    parse_all(words)
    return tuple(words)


def _is_shape(value: Any) -> bool:
    if not isinstance(value, tuple | list) or not value:
        return False
    return all(isinstance(dim, int) and not isinstance(dim, bool) for dim in value)


def _batches(batch: int | Sequence[int] | None) -> list[int | None]:
    if batch is None:
        return [None]
    every = [batch] if isinstance(batch, int) else batch
    return [_positive("batch", one) for one in dict.fromkeys(every)]


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options that are not as they are by themselves."""
    for name, value in given.items():
        if name not in HOW:
            hint = did_you_mean(name, HOW, f"Known: {', '.join(HOW)}.")
            raise OptionError(name, "a sweep has no such option", hint)
        if callable(value):
            reason = "a sweep runs in other processes, which a function does not reach"
            raise OptionError(name, reason, "Name it: 'package.module:function'.")
    said = {
        name: value
        for name, value in given.items()
        if value is not None and value not in ({}, ()) and value != DEFAULTS.get(name)
    }
    step = [name for name in said if name in STEP]
    if step and not said.get("train"):
        raise StepError(step[0], "it was given without a training step", "Say train=True.")
    return said


def _positive(what: str, number: Any) -> Any:
    if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:
        raise OptionError(what, f"it is {number!r}", "Give a number above 0.")
    return number


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _versions() -> str:
    """Versions of what rows depend on, without loading it."""
    from importlib.metadata import PackageNotFoundError, version

    import zoo

    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "unknown"
    return f"zoo {zoo.__version__}, torch {torch}"
