# ruff: noqa: PTH100, PTH118, PTH120
# (pathlib is a tenth of the time that `zoo list` may take)
"""Which line of a user's or a plugin's code an error comes from.

Frames of torch, Python's own library and zoo's machinery are passed over. Loads no torch.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from zoo.lines import short_path

if TYPE_CHECKING:
    from types import TracebackType

ZOO = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
OURS = tuple(ZOO + folder + os.sep for folder in ("catalog", "analysis"))
MANAGERS = tuple(os.path.join(ZOO, "plugins", name) for name in ("manager.py", "installed.py"))
STDLIB = os.path.dirname(os.__file__) + os.sep


def _is_foreign(file: str) -> bool:
    torch = getattr(sys.modules.get("torch"), "__file__", None)
    in_torch = torch is not None and file.startswith(os.path.dirname(torch) + os.sep)
    in_stdlib = file.startswith(STDLIB) and "site-packages" not in file
    return in_torch or in_stdlib or file.startswith(("<", *OURS)) or file in MANAGERS


def line_of_error(error: BaseException) -> str | None:
    """`file:line` of the innermost frame of somebody's own code that an exception went through."""
    found, trace = None, error.__traceback__
    while trace is not None:
        found = _line(trace) or found
        trace = trace.tb_next
    return found


def _line(trace: TracebackType) -> str | None:
    file = trace.tb_frame.f_code.co_filename
    return None if _is_foreign(file) else f"{short_path(file)}:{trace.tb_lineno}"


def sentence(error: BaseException) -> str:
    """`TypeError: what it said`, in one line of bearable length."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  # an exception's own __str__ may raise
        text = ""
    if len(text) > 300:
        text = text[:297] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def account(error: BaseException, doing: str) -> str:
    """What happened, with its line.

    Args:
        error: What was raised.
        doing: What was done: `importing it`.

    Returns:
        One line.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{short_path(error.filename)}:{error.lineno}: {error.msg}"
    where = line_of_error(error)
    return f"{doing} raised {sentence(error)}" + (f" at {where}" if where else "")
