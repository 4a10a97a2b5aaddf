"""Where a user's `./net.py:Net` or `package.module:factory` leads.

Loading runs the user's file or module, with its folder importable as if it were run by Python:
siblings of `./net.py` for a file, the working folder for a module. What it leads to is a class, a
function or anything else that can be called, an `nn.Module`, or a `ModelCard`. Nothing is built
here.
"""

from __future__ import annotations

import linecache
import sys
import zlib
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from zoo.catalog.card import ModelCard
from zoo.catalog.folders import importable
from zoo.catalog.where import account
from zoo.errors import BadReference, ZooError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType, ModuleType

    from torch import nn

PATHS = ("./", "../", "/", "~", ".\\", "..\\")
"""Beginnings of words that are a path."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a reference leads to."""

    reference: str
    """The user's words."""
    target: object
    """A callable, an `nn.Module` or a `ModelCard`."""
    folders: tuple[str, ...]
    """Folders that must be importable while it is built."""


def is_reference(words: str) -> bool:
    """Whether words are a file or a module, and not a name of the catalog.

    Args:
        words: What the user wrote.

    Returns:
        False for `name` and `plugin/name`.

    Example:
        >>> [is_reference(words) for words in ("lenet", "book/lenet", "net.py", "./net", "a.b:c")]
        [False, False, True, True, True]
    """
    return ":" in words or _is_path(words)


def _is_path(words: str) -> bool:
    return words.endswith(".py") or words.startswith(PATHS)


def is_module(target: object) -> TypeGuard[nn.Module]:
    """Whether something is an `nn.Module`. Does not import torch to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(target, torch.nn.Module)


def locate(reference: str) -> Found:
    """Load what the user's words name.

    Args:
        reference: `./net.py:Net` or `package.module:factory`.

    Returns:
        What they lead to.

    Raises:
        BadReference: A file, module or attribute is missing, does not load, or builds nothing.
    """
    place, _, attribute = reference.rpartition(":") if ":" in reference else (reference, "", "")
    if _is_path(place):
        path = _file(reference, place)
        folders: tuple[str, ...] = (str(path.parent),)
        module = _load(reference, folders, lambda: load_file(path))
    else:
        folders = (str(Path.cwd()),)
        module = _load_module(reference, place, folders)
    return Found(reference, attribute_of(module, attribute, reference), folders)


def locate_factory(factory: str, folders: Sequence[str] = ()) -> Found:
    """Load the `module:attribute` of a card.

    Args:
        factory: `module:attribute`.
        folders: Where it is imported from, beside what Python knows.

    Returns:
        What it leads to.

    Raises:
        BadReference: As for `locate`.
    """
    place, _, attribute = factory.partition(":")
    module = _load_module(factory, place, tuple(folders))
    return Found(factory, attribute_of(module, attribute, factory), tuple(folders))


def _file(reference: str, place: str) -> Path:
    """The file that `place` names."""
    path = Path(place).expanduser()
    if path.is_dir():
        raise BadReference(
            reference, f"{place} is a folder. Name a file in it: {place}/net.py:Net."
        )
    if not path.is_file():
        folder = path.parent
        names = sorted(one.name for one in folder.glob("*.py")) if folder.is_dir() else []
        hint = did_you_mean(path.name, names, "Check the path.")
        raise BadReference(reference, f"there is no file {place}. {hint}")
    return path.resolve()


def _load(reference: str, folders: tuple[str, ...], load: Callable[[], ModuleType]) -> ModuleType:
    """Run a loader of the user's code."""
    try:
        with importable(folders):
            return load()
    except ZooError:
        raise
    except (Exception, SystemExit) as error:
        hint = ""
        if isinstance(error, ImportError) and "relative import" in str(error):
            hint = ". Name it as package.module:factory"
        raise BadReference(reference, account(error, "importing it") + hint) from error


def _load_module(reference: str, place: str, folders: tuple[str, ...]) -> ModuleType:
    if not all(part.isidentifier() for part in place.split(".")):
        raise BadReference(reference, f"{place!r} is neither a file nor a module. {_FORMS}")

    def load() -> ModuleType:
        try:
            return import_module(place)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if place == missing or place.startswith(f"{missing}."):
                text = f"no module is called {missing!r}. Is it installed, or in this folder?"
                raise BadReference(reference, text) from None
            raise

    return _load(reference, folders, load)


_FORMS = "Write ./net.py:Net or package.module:factory."


def load_file(path: Path) -> ModuleType:
    """Run a file as a module of a name of its own, which stays in `sys.modules`.

    A file that was loaded before is run anew, so that changes to it are seen. Nothing is written
    beside it.

    Args:
        path: Absolute.

    Returns:
        The module.
    """
    name = f"zoo_file_{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    code: CodeType = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    linecache.checkcache(str(path))
    spec = spec_from_file_location(name, path)
    if spec is None:
        raise ImportError(f"Python cannot load {path.name}")
    module = module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    return module


def attribute_of(module: ModuleType, attribute: str, reference: str) -> object:
    """`Net` or `Outer.Net` of a module.

    Args:
        module: Loaded.
        attribute: Path of names.
        reference: The user's words, for the errors.

    Returns:
        A callable, an `nn.Module` or a `ModelCard`.

    Raises:
        BadReference: There is none, or it cannot be built from.
    """
    file = getattr(module, "__file__", None)
    short = Path(file).name if isinstance(file, str) else module.__name__
    known = defined_in(module)
    lists = f"It defines {', '.join(known[:12])}." if known else "It defines no class or function."
    if not attribute:
        raise BadReference(
            reference, f"{short} needs a name after it, as in {_example(reference, known)}. {lists}"
        )
    target: object = module
    for part in attribute.split("."):
        try:
            target = getattr(target, part)
        except AttributeError:
            hint = did_you_mean(part, known, lists)
            raise BadReference(reference, f"{short} has no {attribute!r}. {hint}") from None
        except Exception as error:
            raise BadReference(reference, account(error, f"reading {attribute}")) from error
    if not (callable(target) or is_module(target) or isinstance(target, ModelCard)):
        kind = type(target).__name__
        text = f"{attribute} is of type {kind}, not a class, function or nn.Module. {lists}"
        raise BadReference(reference, text)
    return target


def _example(reference: str, known: Sequence[str]) -> str:
    return f"{reference.rstrip(':')}:{known[0] if known else 'Net'}"


def defined_in(module: ModuleType) -> tuple[str, ...]:
    """Names of a module that a model can be built from, in the order in which it defines them."""
    return tuple(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (
            (callable(value) and getattr(value, "__module__", None) == module.__name__)
            or is_module(value)
            or isinstance(value, ModelCard)
        )
    )
