# ruff: noqa: PTH112, PTH113, PTH118, PTH120, PTH123
# (pathlib is a tenth of the time that `zoo list` may take)
"""Architectures and devices that a project names without being packaged.

    [tool.zoo.models]
    mynet = "mypkg.nets:MyNet"
    small = { factory = "mypkg.nets:MyNet", default_input = "1,3,32,32", arguments = { depth = 2 } }

    [tool.zoo.devices]
    mycard = { memory = "24GB", bandwidth = "1TB/s", bf16 = "165TFLOP/s" }

This is read from the nearest pyproject.toml at or above the working folder. The project's folder
and its `src` are importable while such a model is built. Nothing is imported to read the table.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.catalog.card import ModelCard
from zoo.errors import did_you_mean
from zoo.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from zoo.analysis.devices import Device

T = TypeVar("T")

NAME = "project"
"""Name of the plugin."""
FILE = "pyproject.toml"
FIELDS = tuple(field.name for field in fields(ModelCard) if field.name != "name")
"""What a table may say of a model."""
SETTINGS = ("models", "devices", "check")
"""What `[tool.zoo]` may hold; `check` is read by `zoo.plugins.project_checks`."""
SPEAKS_OF_ZOO = re.compile(
    rb"""tool["']?\s*\.\s*["']?zoo\b|^\s*["']?zoo["']?\s*(\.|=\s*\{)""", re.MULTILINE
)
"""Cheap, and true of every file with a `[tool.zoo]`: the others are not parsed."""


class Project:
    """The plugin that stands for the user's project.

    Args:
        path: The project's pyproject.toml.
        cards: Models of its table.
        problems: What in its tables is wrong, a sentence each.
        devices: Devices of its table.
    """

    def __init__(
        self,
        path: str,
        cards: Sequence[ModelCard],
        problems: Sequence[str],
        devices: Sequence[Device] = (),
    ) -> None:
        self.path, self.problems = path, tuple(problems)
        self._cards, self._devices = tuple(cards), tuple(devices)

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders that the project's modules are imported from."""
        root = os.path.dirname(self.path)
        src = os.path.join(root, "src")
        return (root, src) if os.path.isdir(src) else (root,)

    @hookimpl
    def zoo_models(self) -> Sequence[ModelCard]:
        """Models of the table."""
        return self._cards

    @hookimpl
    def zoo_devices(self) -> Sequence[Device]:
        """Devices of the table."""
        return self._devices


def nearest(start: str | os.PathLike[str]) -> str | None:
    """The pyproject.toml at or above the folder `start`; None where there is none."""
    try:
        folder = os.path.realpath(start)
    except OSError:  # the working folder is gone
        return None
    while True:
        path = os.path.join(folder, FILE)
        if os.path.isfile(path):
            return path
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def stamp(start: str | os.PathLike[str]) -> float:
    """When the project's pyproject.toml was changed last, in seconds; 0 where there is none."""
    path = nearest(start)
    try:
        return os.stat(path).st_mtime if path is not None else 0.0  # noqa: PTH116 - no pathlib here
    except OSError:
        return 0.0


def find_project(start: str | os.PathLike[str]) -> Project | None:
    """The project around the folder `start`; None where no pyproject.toml speaks of zoo."""
    path = nearest(start)
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        return Project(path, (), (f"{FILE} cannot be read: {error.strerror}",))
    return read_project(path, data) if SPEAKS_OF_ZOO.search(data) else None


def read_project(path: str, data: bytes) -> Project | None:
    """The project of a pyproject.toml that holds `data`; None where it has no `[tool.zoo]`."""
    import tomllib

    try:
        settings = tomllib.loads(data.decode()).get("tool", {}).get("zoo")
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        return Project(path, (), (f"{FILE} is not TOML: {error}",))
    except AttributeError:
        return Project(path, (), (f"`tool` of {FILE} is not a table",))
    if settings is None:
        return None
    if not isinstance(settings, dict):
        return Project(path, (), (f"`tool.zoo` of {FILE} is not a table",))
    problems = [
        f"[tool.zoo] has no setting {key!r}. {did_you_mean(key, SETTINGS, _SETTINGS)}"
        for key in settings
        if key not in SETTINGS
    ]
    cards = _read("models", settings, _card, problems)
    devices: list[Device] = []
    if "devices" in settings:
        from zoo.analysis.devices import read_device

        devices = _read("devices", settings, read_device, problems)
    return Project(path, cards, problems, devices)


def _read(
    table: str,
    settings: Mapping[str, Any],
    read: Callable[[str, object], T],
    problems: list[str],
) -> list[T]:
    """What can be read of a table; what cannot is added to `problems`."""
    said = settings.get(table, {})
    if not isinstance(said, dict):
        problems.append(f"`tool.zoo.{table}` of {FILE} is not a table")
        return []
    found = []
    for name, value in said.items():
        try:
            found.append(read(name, value))
        except (TypeError, ValueError) as error:
            problems.append(f"[tool.zoo.{table}] {name}: {error}")
    return found


def _card(name: str, value: object) -> ModelCard:
    """A model of the table. Its fields are checked with everybody's, by the manager."""
    if isinstance(value, str):
        return ModelCard(name, value, f"{value} of this project.")
    if not isinstance(value, Mapping):
        raise TypeError(f'it is {value!r}, not "module:attribute" or a table with `factory`')
    for key in value:
        if key not in FIELDS:
            raise ValueError(f"no field is called {key!r}. {did_you_mean(key, FIELDS, _KNOWN)}")
    if "factory" not in value:
        raise ValueError('it has no `factory = "module:attribute"`')
    said: dict[str, Any] = dict(value)
    for key in ("default_input", "tags"):
        if isinstance(said.get(key), list):
            said[key] = tuple(said[key])
    said.setdefault("summary", f"{value['factory']} of this project.")
    return ModelCard(name, **said)


_KNOWN = f"Known: {', '.join(FIELDS)}."
_SETTINGS = f"Known: {', '.join(SETTINGS)}."
