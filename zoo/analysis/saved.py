"""Where a trace is kept: a file that every command takes in place of a model.

The file is the JSON of `jsonform`, gzipped where its name ends in `.gz`. It holds shapes, names,
costs and lines of code, and no weights, and is read without torch and without the model's code. A
trace of one machine reads the same on another; one of another version of zoo is refused where its
schema differs.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from zoo.analysis.jsonform import BadRecord, dumps, loads
from zoo.analysis.records import Trace
from zoo.errors import OptionError, ZooError

ENDINGS = (".json", ".json.gz")
"""How the name of a saved trace ends."""


class BadTraceFile(ZooError):
    """A file that is no saved trace, or cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"cannot read {path}: {reason}")


def is_saved(words: object) -> bool:
    """Whether words name a saved trace, and not a model.

    >>> [is_saved(words) for words in ("lenet", "net.py", "lenet.json", "./lenet.json.gz")]
    [False, False, True, True]
    """
    return isinstance(words, str) and words.endswith(ENDINGS)


def load_trace(path: str | Path) -> Trace:
    """The trace that `save_trace` wrote.

    Args:
        path: A file whose name ends in `.json` or `.json.gz`.

    Returns:
        The trace, equal to the one that was saved.

    Raises:
        BadTraceFile: There is no such file, it cannot be read, or it holds no trace.
    """
    try:
        data = Path(path).expanduser().read_bytes()
        text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode()
    except FileNotFoundError:
        hint = "there is no such file. Make it with `zoo trace MODEL -o FILE`."
        raise BadTraceFile(str(path), hint) from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise BadTraceFile(str(path), "it is damaged or cut off. Make it again.") from None
    except UnicodeDecodeError:
        raise BadTraceFile(str(path), "it is no JSON. Make it with `zoo trace`.") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadTraceFile(str(path), f"{reason}. Name a file that you can read.") from None
    try:
        return loads(text, Trace)
    except BadRecord as error:
        raise BadTraceFile(str(path), str(error)) from None


def check(path: str | Path) -> None:
    """Find out before a long run whether commands will know the file.

    Args:
        path: Its name.

    Raises:
        OptionError: The name does not end as that of a saved trace.
    """
    if not is_saved(str(path)):
        raise OptionError(
            str(path), "a saved trace is known by its name", "End it in .json or .json.gz."
        )


def packed(trace: Trace, path: str | Path | None) -> bytes:
    """What a file holds; the same bytes each time.

    Args:
        trace: Any trace, also one that broke.
        path: The file; gzipped where its name ends in `.gz`.

    Returns:
        The contents.
    """
    data = (dumps(trace) + "\n").encode()
    return gzip.compress(data, mtime=0) if str(path).endswith(".gz") else data
