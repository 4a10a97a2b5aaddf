"""Where are the rows of a sweep kept, so that it can go on where it was interrupted?

A file gets a line for each row as soon as there is one. What is found in a file that is there
already are rows that need not be made again, if they were made in the same way: with the same
columns, options and versions; any other file is refused as it is. A last line that lacks its end is
cut off. When a sweep is through, the file is written once more, in the order of the catalog; a row
that was made again replaces the old one.

Parquet cannot be added to: rows are kept in a file of JSON lines beside it, and the Parquet file is
made of them at the end.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.analysis.sweeps import COLUMNS, FLOATS, LISTS
from zoo.errors import MissingDependency, OutputError, SweepError
from zoo.files import check_writable, write_whole
from zoo.sweeping.lines import Csv, JsonLines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import BinaryIO

    from zoo.sweeping.tasks import Key

ENDINGS = (".csv", ".jsonl", ".parquet")
"""How the name of a file of rows ends."""
ANOTHER = "Name another file, or move this one away."


def check(path: str) -> None:
    """Find out before a sweep whether rows can be kept in a file.

    Args:
        path: The file.

    Raises:
        SweepError: Its name ends otherwise than in one of `ENDINGS`.
        OutputError: It cannot be written.
        MissingDependency: A package that Parquet needs is not installed.
    """
    place = Path(path)
    if place.suffix not in ENDINGS:
        reason = f"its name ends in none of {', '.join(ENDINGS)}"
        raise SweepError(path, reason, "Name it as the form that you want: rows.csv.")
    check_writable(path)
    if place.suffix == ".parquet":
        from importlib.util import find_spec

        for package in ("pandas", "pyarrow"):
            if find_spec(package) is None:
                raise MissingDependency(package, f"writing {path}")


class Rows:
    """Rows that are kept for the time of a sweep.

    Args:
        options: How the rows are made, in one line.
        versions: By which versions.
    """

    def __init__(self, options: str, versions: str) -> None:
        self.of_all = {"options": options or None, "versions": versions}
        self.rows: dict[Key, dict[str, Any]] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a row.

        Args:
            row: Its cells, but for those that are the same in all.
        """
        whole = {**row, **self.of_all}
        self.rows[key(whole)] = whole


class Store(Rows):
    """A file of rows. To be closed, also where a sweep ends early.

    Args:
        path: The file.
        options: How the rows are made, in one line.
        versions: By which versions.

    Raises:
        SweepError: The file holds something else, or another sweep is writing it.
        OutputError: It cannot be read or written.
    """

    def __init__(self, path: str, options: str, versions: str) -> None:
        super().__init__(options, versions)
        self.path = Path(path)
        self._parquet = self.path.suffix == ".parquet"
        self.kept = self.path.with_name(self.path.name + ".jsonl") if self._parquet else self.path
        self.form: type[Csv | JsonLines] = Csv if self.path.suffix == ".csv" else JsonLines
        self._many = 0
        self._locked = False
        if self._parquet and self.path.exists() and not self.kept.exists():
            reason = f"it is there, without {self.kept.name} to go on from"
            raise SweepError(path, reason, ANOTHER)
        try:
            self._file = self.kept.open("a+b")
        except OSError as error:
            raise OutputError(path, error.strerror or str(error)) from None
        try:
            _lock(self._file, str(self.kept))
            self._locked = True
            self._take_in()
        except BaseException:
            self.close()
            raise

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a row, and write it down at once.

        Args:
            row: Its cells, but for those that are the same in all.

        Raises:
            OutputError: The system refused.
        """
        self._write(self.form.write({**row, **self.of_all}))
        self._many += 1
        super().add(row)

    def finish(self, order: Iterable[Key]) -> None:
        """Put the file in order; rows that are not of this sweep stay first.

        Args:
            order: Of the sweep's rows.

        Raises:
            OutputError: The system refused.
        """
        ours = dict.fromkeys(order)
        keys = [one for one in self.rows if one not in ours]
        keys += [one for one in ours if one in self.rows]
        if keys != list(self.rows) or len(keys) != self._many:
            lines = [self.form.head, *(self.form.write(self.rows[one]) for one in keys)]
            write_whole(self.kept, "".join(lines).encode())
        if self._parquet:
            _write_parquet(self.path, [self.rows[one] for one in keys])

    def close(self) -> None:
        """Let go of the file. One to which nothing was added is not left empty."""
        size = os.fstat(self._file.fileno()).st_size
        empty = self._locked and size in (0, len(self.form.head.encode()))
        self._file.close()
        if empty:
            with suppress(OSError):
                self.kept.unlink()

    def _write(self, line: str) -> None:
        try:
            self._file.write(line.encode())
            self._file.flush()
        except OSError as error:
            raise OutputError(str(self.kept), error.strerror or str(error)) from None

    def _take_in(self) -> None:
        """Read what is there, cut off half a line, begin where nothing is."""
        self._file.seek(0)
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]
        start = self.form.start.encode()
        if whole:
            self._read(whole)
        elif not (start.startswith(data) or data.startswith(start)):
            raise self._other("it is no table of a sweep")
        if whole != data:
            self._file.truncate(len(whole))
        if not whole and self.form.head:
            self._write(self.form.head)

    def _read(self, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise self._other("it is no table of a sweep") from None
        if not text.startswith(self.form.start):
            raise self._other("it is no table of a sweep of this version of zoo")
        lines = text.removeprefix(self.form.head).split("\n")[:-1]
        for number, line in enumerate(lines, 2 if self.form.head else 1):
            try:
                row = self.form.read(line)
            except (ValueError, KeyError, TypeError) as error:
                raise self._other(f"line {number} is no row of a sweep ({error})") from None
            self._same(row)
            self._many += 1
            self.rows.pop(key(row), None)
            self.rows[key(row)] = row

    def _same(self, row: Mapping[str, Any]) -> None:
        """Refuse rows that were made in another way."""
        for name, ours in self.of_all.items():
            if row[name] != ours:
                theirs = row[name] or "no options"
                raise self._other(f"its rows have {name} {theirs!r}, not {ours or 'no options'!r}")

    def _other(self, reason: str) -> SweepError:
        return SweepError(str(self.kept), reason, ANOTHER)


def key(row: Mapping[str, Any]) -> Key:
    """What tells a row from others."""
    return row["name"], row["asked"] or "", row["batch"]


def _lock(file: BinaryIO, path: str) -> None:
    """Keep other sweeps from writing the same file, where the system can."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SweepError(path, "another sweep is writing it", "Wait for it.") from None
    except OSError:  # a file system without locks
        return


def _write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    import io

    import pandas as pd

    frame = pd.DataFrame.from_records(rows, columns=[column.name for column in COLUMNS])
    for column in COLUMNS:
        if column.name in LISTS:
            continue
        kind = "string" if not column.unit else "Float64" if column.name in FLOATS else "Int64"
        frame[column.name] = frame[column.name].astype(kind)
    file = io.BytesIO()
    frame.to_parquet(file, index=False)
    write_whole(path, file.getvalue())
