"""How are tensors, and nests of them, kept in a file that runs no code when it is read?

A file of zoo is a safetensors file: tensors by name, one after the other, that are mapped into
memory and not copied when read. Names are the paths of the tensors in what was saved, so that the
state of a module is a file that other tools read. What a list of named tensors cannot say is in the
file's metadata, under `zoo`, as the JSON of `packing` with its schema.
"""

from __future__ import annotations

import json
import re
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zoo.building.packing import pack, unpack
from zoo.errors import BadTensorFile, InitError, Misfit, OptionError, OutputError, StoreError
from zoo.files import check_writable, expanded, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SCHEMA = "zoo.tensors/1"
ENDING = ".safetensors"
"""How the name of a file that zoo writes ends."""
TORCH_ENDINGS = (".pt", ".pth")
"""How the names of files of `torch.save` end that zoo reads."""
LONGEST_HEADER = 100_000_000
"""Bytes of names and structure above which safetensors reads no file."""


def save(what: Any, path: str | Path) -> None:
    """Write tensors, or a nest of them, to a safetensors file: whole or not at all.

    Args:
        what: A tensor; a module, of which the state is kept; a number, a string or None; or a
            list, tuple or dict of these, at any depth. Keys are numbers, strings or None.
        path: A file whose name ends in `.safetensors`.

    Raises:
        StoreError: There is something in it that is none of these, or the name ends otherwise.
        OutputError: The file cannot be written.
    """
    place = expanded(path)
    if place.suffix != ENDING:
        hint = f"End it in {ENDING}; torch.save writes other files."
        raise StoreError(f"to {place}", "zoo writes safetensors files", hint)
    check_writable(str(place))
    try:
        stored, form = pack(what)
        structure = json.dumps({"schema": SCHEMA, **form})
    except RecursionError:
        raise StoreError("this", "it is nested too deeply", "Save its parts.") from None
    except ValueError:
        reason = "it has an integer of more digits than Python writes"
        raise StoreError("this", reason, "Save it as a string.") from None
    with whole(place) as temporary:
        try:
            save_file(stored, temporary, {"zoo": structure})
        except SafetensorError as error:
            raise OutputError(str(place), _first_line(error)) from None
        except KeyError as error:
            hint = "Save it as another dtype."
            raise StoreError("this", f"safetensors has no {error.args[0]}", hint) from None
        _check_header(temporary)


def load(path: str | Path, *, device: str | torch.device = "cpu") -> Any:
    """Read what `save` wrote, a safetensors file of others, or tensors of `torch.save`.

    No code of the file runs: `.pt` and `.pth` files are read with `weights_only=True`.

    Args:
        path: A file whose name ends in `.safetensors`, `.pt` or `.pth`.
        device: Where the tensors shall lie. On the CPU, tensors of a safetensors file are read from
            disk when they are used.

    Returns:
        What was saved, with a module's state as a dict; of a safetensors file of others, its
        tensors by name.

    Raises:
        BadTensorFile: There is no such file, it is damaged, it holds more than tensors, or its name
            ends otherwise.
        OptionError: There is no such device here.
    """
    place = expanded(path)
    if place.suffix not in (ENDING, *TORCH_ENDINGS):
        known = f"{ENDING}, {' and '.join(TORCH_ENDINGS)}"
        raise BadTensorFile(str(path), f"its name says nothing of what it is. Known are {known}.")
    try:
        found = place.is_file(), place.exists()
    except OSError as error:
        raise BadTensorFile(str(path), _refused(error)) from None
    if not found[0]:
        reason = "it is no file" if found[1] else "there is no such file"
        raise BadTensorFile(str(path), f"{reason}. Name one that zoo.save wrote.")
    there = _device(device)
    return _from_safetensors(place, there) if place.suffix == ENDING else _from_torch(place, there)


class LeftOut(NamedTuple):
    """What of a file and a model did not meet."""

    missing: tuple[str, ...]
    """Parameters and buffers of the model that the file lacks; they are as they were."""
    unexpected: tuple[str, ...]
    """Names in the file that the model has not."""
    wrong: tuple[str, ...]
    """Names in both, of another shape or of a dtype that cannot become the model's."""


def load_into(model: nn.Module, path: str | Path, *, strict: bool = True) -> LeftOut:
    """Put the state that is in a file into a model.

    A name that the file lacks is not missing where the file has another name of the same parameter.

    Args:
        model: Changed in place, or not at all where an error is raised.
        path: A file that `load` reads, which holds tensors by name.
        strict: Whether everything has to fit; if not, what fits is loaded.

    Returns:
        What did not fit: nothing where `strict`.

    Raises:
        Misfit: Names are missing or unexpected, or shapes or dtypes are wrong.
        BadTensorFile: The file cannot be read, or holds no state of a module.
        InitError: The model has no memory to load into.
    """
    state = load(path)
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        reason = f"it holds a {type(state).__name__}, and no tensors by name"
        hint = "Read it with zoo.load, and give a part of it to model.load_state_dict."
        raise BadTensorFile(str(path), f"{reason}. {hint}")
    own = model.state_dict(keep_vars=True)
    if any(isinstance(one, Tensor) and one.is_meta and not is_lazy(one) for one in own.values()):
        hint = "Make it with zoo.create, or call model.to_empty(device='cpu') first."
        raise InitError(type(model).__name__, "its tensors have no memory to load into", hint)
    wrong = {
        name: f"{name} ({why})"
        for name, given in state.items()
        if name in own and (why := _unlike(given, own[name]))
    }
    left = LeftOut(
        tuple(_missing(state, own)), tuple(name for name in state if name not in own), tuple(wrong)
    )
    if strict and any(left):
        raise Misfit(str(path), left.missing, left.unexpected, tuple(wrong.values()))
    fitting = {name: one for name, one in state.items() if name in own and name not in wrong}
    model.load_state_dict(fitting, strict=False)
    return left


def _missing(state: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    """Names of a model for whose tensor a file has neither this name nor another."""
    there = {id(one) for name, one in own.items() if name in state}
    return (name for name, one in own.items() if name not in state and id(one) not in there)


def _unlike(given: Any, own: Any) -> str | None:
    """Why what a file has under a name cannot become what the model has; None where it can."""
    if not isinstance(own, Tensor):
        return None
    if not isinstance(given, Tensor):
        return f"a {type(given).__name__}, and no tensor"
    if not is_lazy(own) and given.shape != own.shape:
        return f"{_shape(given)} for {_shape(own)}"
    if not torch.can_cast(given.dtype, own.dtype):
        return f"{_dtype(given)} for {_dtype(own)}"
    return None


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


# reading


def _from_safetensors(path: Path, device: torch.device) -> Any:
    try:
        with safe_open(str(path), framework="pt") as file:
            said = (file.metadata() or {}).get("zoo")
            stored = {name: file.get_tensor(name).to(device) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        reason = f"it is no safetensors file, or damaged ({_first_line(error)})"
        raise BadTensorFile(str(path), f"{reason}. Make it again.") from None
    try:
        form = json.loads(said or "null")
    except (ValueError, RecursionError) as error:
        if f'"{SCHEMA}"' in str(said):  # ours, and no more what it was
            raise _damaged(path, error) from None
        form = None
    if not isinstance(form, dict):
        return stored
    schema = form.get("schema")
    if schema != SCHEMA:
        if isinstance(schema, str) and schema.startswith("zoo.tensors/"):
            hint = "Read it with that version, or take its tensors with safetensors."
            raise BadTensorFile(str(path), f"another version of zoo wrote it ({schema}). {hint}")
        return stored
    try:
        return unpack(stored, form)
    except (
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        RuntimeError,
    ) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> BadTensorFile:
    reason = f"its structure is damaged ({_first_line(error)})"
    return BadTensorFile(str(path), f"{reason}. Its tensors can still be read with safetensors.")


def _from_torch(path: Path, device: torch.device) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location=device, weights_only=True)
    except OSError as error:
        raise BadTensorFile(str(path), _refused(error)) from None
    except Exception as error:  # noqa: BLE001 - damaged pickles raise anything
        raise BadTensorFile(str(path), _why_not(error)) from None


def _why_not(error: Exception) -> str:
    """Why torch read no tensors, in one line."""
    named = re.search(r"GLOBAL (\S+)", str(error))
    if named:
        what = f"it holds more than tensors ({named.group(1)}), which would run code"
        return f"{what}. Save its state_dict(), or ask for a safetensors file."
    if "weights only" in str(error).lower().replace("_", " "):
        return "it holds more than tensors. Save a state_dict(), or ask for a safetensors file."
    return "it is damaged, cut off, or no file of torch.save. Make it again."


def _refused(error: OSError) -> str:
    """Why the system does not read a file, in one line."""
    return f"{error.strerror or type(error).__name__}. Name a file that you can read."


def _device(device: str | torch.device) -> torch.device:
    """A device that is here.

    Args:
        device: As the user gave it.

    Returns:
        The device.

    Raises:
        OptionError: There is none of that name, or not here.
    """
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        hint = "zoo.try_gpu() falls back to the CPU."
        raise OptionError(f"device {device}", _first_line(error), hint) from None
    return found


def _first_line(error: Exception) -> str:
    """What an exception says, without its last point."""
    said = (str(error) or type(error).__name__).splitlines()[0]
    return said.removesuffix(".")


def _check_header(path: Path) -> None:
    """Raise where a file could not be read again."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > LONGEST_HEADER:
        hint = "Make a tensor of long lists of numbers."
        raise StoreError("this", f"names and structure take {length / 1e6:,.0f} MB", hint)
