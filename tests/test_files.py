"""Is a file written whole or not at all, and is nothing replaced that is no file?"""

from __future__ import annotations

import errno
import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from zoo.cli import main
from zoo.errors import OutputError
from zoo.files import check_writable, expanded, whole, write_whole

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, b"before")
    with pytest.raises(KeyboardInterrupt), whole(path) as beside:  # noqa: PT012
        beside.write_bytes(b"half of")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"before"
    with pytest.raises(OutputError, match="No space left"), whole(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_keeps_its_mode_and_a_new_one_has_the_user_s(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"")
    old.chmod(0o604)
    mask = os.umask(0o027)
    try:
        write_whole(old, b"1")
        write_whole(new, b"1")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(mask)
    assert stat.S_IMODE(old.stat().st_mode) == 0o604
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "a.txt", tmp_path / "link.txt"
    link.symlink_to(target)
    for data in (b"new", b"newer"):
        check_writable(str(link))
        write_whole(link, data)
        assert link.is_symlink()
        assert target.read_bytes() == data
    (tmp_path / "lost").symlink_to(tmp_path / "none" / "a.txt")
    with pytest.raises(OutputError, match=r"there is no folder .*none"):
        check_writable(str(tmp_path / "lost"))


def test_a_pipe_gets_the_data_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    arguments = ["params", "lenet", "--format", "json", "-o", str(pipe)]
    result = CliRunner().invoke(main, arguments)
    reader.join(timeout=10)
    assert result.exit_code == 0, result.output
    assert pipe.is_fifo()
    assert b"conv1.weight" in got[0]
    with pytest.raises(OutputError, match="it is a device or a pipe"), whole(pipe):
        pass
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_device_stays_a_device() -> None:
    before = os.stat("/dev/full")  # noqa: PTH116
    result = CliRunner().invoke(main, ["params", "lenet", "-o", "/dev/full"])
    assert result.exit_code == 2
    assert "cannot write /dev/full: No space left on device" in result.output
    after = os.stat("/dev/full")  # noqa: PTH116
    assert (after.st_mode, after.st_rdev) == (before.st_mode, before.st_rdev)


@pytest.mark.parametrize(
    ("name", "reason"), [("x" * 300, "File name too long"), ("a\0b", "null byte")]
)
def test_names_that_no_file_has(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(OutputError, match=reason):
        check_writable(str(tmp_path / name))
    with pytest.raises(OutputError, match=reason):
        write_whole(tmp_path / name, b"")


def test_the_home_of_nobody_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert str(expanded("~/a")) == "/home/me/a"
    assert str(expanded("~nobody-is-called-so/a")) == "~nobody-is-called-so/a"
