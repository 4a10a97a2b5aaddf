"""Limits that a project sets for its models.

    [tool.zoo.check."./net.py:Net"]
    input = "1,3,32,32"
    max-params = "5M"
    max-macs = "600M"

    [tool.zoo.check.training]
    model = "./net.py:Net"
    input = "32,3,32,32"
    optimizer = "adamw"
    max-peak = "2GB"

A table is called as its model is, or has a `model`. Its other keys are the options of `zoo check`.
A path that begins with a dot starts at the folder of the pyproject.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import OptionError, did_you_mean
from zoo.plugins.project import FILE, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LISTS = {"input": "inputs", "checkpoint": "checkpoint"}
"""A word or a list of words -> what Python calls it."""
TABLES = {"set": "arguments", "hint": "hints"}
"""A table -> what Python calls it."""
WORDS = ("device", "dtype", "optimizer", "loss", "autocast")
NUMBERS = ("batch", "accumulate")
FLAGS = ("train", "keep-gradients")
OPTIONS = ("model", *LISTS, *TABLES, *WORDS, *NUMBERS, *FLAGS)
"""What a table may say, beside its limits."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A model with its limits."""

    name: str
    """What the table is called."""
    model: str
    """Words of the model, as they were written."""
    place: str
    """The same, as seen from the working folder."""
    inputs: tuple[str, ...]
    """Words of its inputs; none for its default input."""
    options: Mapping[str, Any]
    """More of what `zoo.trace` takes."""
    limits: Mapping[str, Any]
    """Limits as they were written, by what Python calls them."""


def checks(start: str | Path, limits: Iterable[str]) -> tuple[Checked, ...]:
    """What the nearest pyproject.toml says is to be checked.

    Args:
        start: The folder at or above which it is looked for.
        limits: Names of limits as Python calls them.

    Returns:
        A model each, in the order of the file; none where nothing is said.

    Raises:
        OptionError: A table, key or value that is none.
    """
    path = nearest(start)
    if path is None:
        return ()
    try:
        said = tomllib.loads(Path(path).read_bytes().decode())
    except (OSError, ValueError) as error:
        raise OptionError(path, f"it cannot be read: {error}", "Correct the file.") from None
    tables = said.get("tool", {})
    for key in ("zoo", "check"):
        tables = tables.get(key, {}) if isinstance(tables, dict) else None
    if not isinstance(tables, dict):
        raise OptionError("[tool.zoo.check]", "it is no table", _FORM)
    known = tuple(limits)
    root = Path(path).parent
    return tuple(_Reader(name, table, known, root).read() for name, table in tables.items())


_FORM = 'Write [tool.zoo.check."./net.py:Net"] and below it max-params = "5M".'


class _Reader:
    """Reads one table.

    Args:
        name: What it is called.
        table: What it holds.
        limits: Names of limits as Python calls them.
        root: Folder of the file.
    """

    def __init__(self, name: str, table: Any, limits: Sequence[str], root: Path) -> None:
        self.name, self.limits, self.root = name, limits, root
        if not isinstance(table, Mapping):
            raise OptionError(f"[tool.zoo.check] {name}", "it is no table", _FORM)
        self.table = {key.replace("_", "-"): value for key, value in table.items()}

    def read(self) -> Checked:
        """The model, its run and its limits."""
        words = [one.replace("_", "-") for one in self.limits]
        for key in self.table:
            if key not in (*words, *OPTIONS):
                known = [*words, *OPTIONS]
                hint = did_you_mean(key, known, f"Known: {', '.join(known)}.")
                raise self._wrong(key, "there is no such key", hint)
        found = {key: value for key, value in self.table.items() if key in words}
        if not any(value is not False for value in found.values()):
            raise self._wrong("", "it sets no limit", 'Write for example max-params = "5M".')
        return Checked(
            self.name,
            model := self._one("model", str, "a word") or self.name,
            self._seen(model),
            tuple(self._list("input")),
            self._options(),
            {key.replace("-", "_"): value for key, value in found.items()},
        )

    def _seen(self, model: str) -> str:
        elsewhere = model.startswith(("./", "../")) and Path.cwd() != self.root
        return str(self.root / model) if elsewhere else model

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            python: table
            for key, python in TABLES.items()
            if (table := self._one(key, Mapping, "a table")) is not None
        }
        options |= {key: self._one(key, str, "a word") for key in WORDS}
        options |= {key: self._one(key, int, "a whole number") for key in NUMBERS}
        flags = {key: self._one(key, bool, "true or false") for key in FLAGS}
        options["train"] = flags["train"]
        options["set_to_none"] = False if flags["keep-gradients"] else None
        options["checkpoint"] = tuple(self._list("checkpoint")) or None
        return {key: value for key, value in options.items() if value is not None}

    def _one(self, key: str, kind: type, what: str) -> Any:
        value = self.table.get(key)
        wrong = isinstance(value, bool) is not (kind is bool)
        if value is not None and (wrong or not isinstance(value, kind)):
            raise self._wrong(key, f"it is {value!r}", f"Write {what}.")
        return value

    def _list(self, key: str) -> list[str]:
        value = self.table.get(key, [])
        words = [value] if isinstance(value, str) else value
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise self._wrong(key, f"it is {value!r}", "Write a word, or a list of words.")
        return words

    def _wrong(self, key: str, reason: str, hint: str) -> OptionError:
        what = f"[tool.zoo.check.{self.name!r}] {key}".rstrip()
        return OptionError(f"{what} of {FILE}", reason, hint)
