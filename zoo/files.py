"""How a file is written: whole or not at all, and known beforehand to be writable."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator


def check_writable(path: str) -> None:
    """Find out before long work whether a file can be written.

    Args:
        path: The file.

    Raises:
        OutputError: It is a folder, or its folder is missing or not writable.
    """
    place = Path(path)
    if place.is_dir():
        raise OutputError(path, "it is a folder")
    if not place.parent.is_dir():
        raise OutputError(path, f"there is no folder {place.parent}")
    if not os.access(place.parent, os.W_OK) or (place.exists() and not os.access(place, os.W_OK)):
        raise OutputError(path, "permission denied")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Args:
        path: The file; its folder is there.
        data: What it holds.

    Raises:
        OutputError: The system refused.
    """
    with whole(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end, or is gone where the body raises.

    Args:
        path: The file; its folder is there.

    Yields:
        Path: The other file, empty; whoever writes it may also replace it.

    Raises:
        OutputError: The system refused.
    """
    import tempfile

    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
        yield temporary
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(str(path), error.strerror or str(error)) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
