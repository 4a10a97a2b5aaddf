"""Which line of the user's code is running.

The user's code is every file that is neither torch's nor zoo's own machinery: the architectures in
`zoo/models` count as the user's, and so does torchvision. Paths are written relative to the working
folder or to the folder they are imported from, so that a line reads the same on every machine.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zoo.lines import short_path

if TYPE_CHECKING:
    from types import TracebackType

TORCH = str(Path(torch.__file__).parent) + os.sep
ZOO = str(Path(__file__).resolve().parents[2]) + os.sep
ZOO_MODELS = ZOO + "models" + os.sep
ENDS = frozenset(
    f"{ZOO}analysis{os.sep}{file}"
    for file in (f"tracer{os.sep}run.py", f"tracer{os.sep}step.py", "skeleton.py")
)
"""Files that call the user's model: whoever called them is not part of it."""


@lru_cache(maxsize=4096)
def is_foreign(file: str) -> bool:
    """Whether a file is torch's, Python's own machinery or zoo's, and not the user's."""
    machinery = file.startswith(ZOO) and not file.startswith(ZOO_MODELS)
    stdlib = "contextlib.py" in file or "functools.py" in file or file.startswith("<")
    return file.startswith(TORCH) or machinery or stdlib


_short_path = lru_cache(maxsize=4096)(short_path)
"""`short_path` is asked for each operator."""


def line_of_caller() -> str | None:
    """`file:line` of the innermost frame of the user's code; None where there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not is_foreign(file):
            return f"{_short_path(file)}:{frame.f_lineno}"
        if file in ENDS:
            break
        frame = frame.f_back  # type: ignore[assignment]
    return None


def line_of_error(trace: TracebackType | None) -> str | None:
    """`file:line` of the innermost frame of the user's code that an exception went through."""
    found = None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not is_foreign(file):
            found = f"{_short_path(file)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found
