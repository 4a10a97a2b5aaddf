"""How a file is written: whole or not at all, and known beforehand to be writable.

A link stays a link: what it points to is written. Devices and pipes (`/dev/null`, `/dev/stdout`)
are written to and never replaced.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator


def expanded(path: str | Path) -> Path:
    """A path with the home folder for `~`; as it is where no user is called so."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def check_writable(path: str) -> None:
    """Find out before long work whether a file can be written.

    Args:
        path: The file, or a device or pipe.

    Raises:
        OutputError: It is a folder, its folder is missing or not writable, or no file can have
            such a name.
    """
    place = _target(Path(path))
    if place.is_dir():
        raise OutputError(path, "it is a folder")
    if not place.parent.is_dir():
        folder = place.parent if Path(path).is_symlink() else Path(path).parent
        raise OutputError(path, f"there is no folder {folder}")
    needed = [place] if place.exists() else []
    if not _is_special(place):
        needed.append(place.parent)
    if not all(os.access(one, os.W_OK) for one in needed):
        raise OutputError(path, "permission denied")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all; a device or pipe as it takes it.

    Args:
        path: The file; its folder is there.
        data: What it holds.

    Raises:
        OutputError: The system refused.
    """
    place = _target(path)
    if not _is_special(place):
        with whole(place) as temporary:
            temporary.write_bytes(data)
        return
    try:
        place.write_bytes(data)
    except OSError as error:
        raise OutputError(str(path), error.strerror or str(error)) from None


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end, or is gone where the body raises.

    Args:
        path: The file; its folder is there.

    Yields:
        Path: The other file, empty; whoever writes it may also replace it.

    Raises:
        OutputError: The system refused, or it is a device or pipe.
    """
    place = _target(path)
    if _is_special(place):
        raise OutputError(str(path), "it is a device or a pipe")
    beside = place.with_name(f".{place.name}.{os.urandom(4).hex()}")
    temporary = None
    try:
        with beside.open("xb"):
            temporary = beside
        mode = (place if place.exists() else temporary).stat().st_mode & 0o777
        yield temporary
        temporary.chmod(mode)
        temporary.replace(place)
    except OSError as error:
        raise OutputError(str(path), error.strerror or str(error)) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _target(path: Path) -> Path:
    """What is written: behind a link, what that points to; devices and pipes by their name.

    Args:
        path: As it was given.

    Returns:
        The path.

    Raises:
        OutputError: No file can have such a name.
    """
    try:
        if _is_special(path):
            return path
        found = Path(os.path.realpath(path))
        found.exists()
    except OSError as error:
        raise OutputError(str(path), error.strerror or str(error)) from None
    except ValueError as error:
        raise OutputError(repr(str(path)), str(error)) from None
    return found


def _is_special(path: Path) -> bool:
    """Whether it is there, and neither a file nor a folder."""
    return path.exists() and not path.is_file() and not path.is_dir()
