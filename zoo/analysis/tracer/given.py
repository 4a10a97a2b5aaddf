"""How what the caller gives becomes the arguments of `forward`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.analysis.inputs import checked, parse
from zoo.analysis.records import TensorSpec
from zoo.analysis.tracer.blank import (
    KEEPS_DATA,
    META,
    SMALL,
    blank_like,
    replace_tensors,
    tensors_in,
)
from zoo.errors import InputError


class Maker:
    """Makes tensors of a run from shapes, words, specs and real tensors.

    Args:
        dtype: Of inputs whose dtype was not said.
        cast: What floating point inputs are cast to; None leaves them.
        device: Where inputs are said to lie.
    """

    def __init__(self, dtype: torch.dtype, cast: torch.dtype | None, device: str) -> None:
        self.dtype, self.cast, self.device = dtype, cast, device

    def make(self, value: Any) -> Any:
        """A shape, word, spec, array or real tensor as a tensor of the run; nests keep their form.

        Args:
            value: One of these, or a container of them.

        Returns:
            A blank tensor, or a container of the same class with its items made; any other value
            as it is.

        Raises:
            InputError: A word or shape that is none.
        """
        if isinstance(value, Tensor):
            return self._twin(value)
        if isinstance(value, TensorSpec):
            return self._blank(value, typed=True)
        if isinstance(value, str):
            word = parse(value)
            return self._blank(word.spec, typed=word.typed)
        if is_shape(value):
            return self._blank(TensorSpec(checked(tuple(value), str(tuple(value)))), typed=False)
        if type(value).__module__ == "numpy" and hasattr(value, "__array_interface__"):
            return self._twin(torch.from_numpy(value))
        return self._nest(value)

    def _nest(self, value: Any) -> Any:
        """A container with its items made; anything else as it is."""
        kind: Any = type(value)
        if isinstance(value, Mapping):
            return kind({key: self.make(item) for key, item in value.items()})
        if isinstance(value, list | tuple):
            items = [self.make(item) for item in value]
            return kind(*items) if hasattr(value, "_fields") else kind(items)
        return value

    def _blank(self, spec: TensorSpec, *, typed: bool) -> Tensor:
        dtype = getattr(torch, spec.dtype) if typed else self.dtype
        return torch.empty(spec.shape, dtype=self._cast(dtype), device=META)

    def _cast(self, dtype: torch.dtype) -> torch.dtype:
        return self.cast if self.cast is not None and dtype.is_floating_point else dtype

    def _twin(self, tensor: Tensor) -> Tensor:
        """Blank; small whole numbers keep their data, and few others stand for themselves."""
        numel = tensor.numel()
        counts = not tensor.is_floating_point() and not tensor.is_complex()
        known = not tensor.is_meta
        if known and counts and numel <= KEEPS_DATA:
            twin = tensor.detach().cpu().clone()
            twin._zoo_device = self.device  # type: ignore[attr-defined]
            return twin
        blank = blank_like(tensor.detach(), self._cast(tensor.dtype))
        if known and numel <= SMALL:
            blank._zoo_value = tensor.detach().cpu().to(blank.dtype, copy=True)  # type: ignore[attr-defined]
        return blank


def is_shape(value: Any) -> bool:
    """Whether a value reads as a shape: a tuple, list or torch.Size of whole numbers, not empty."""
    if not isinstance(value, tuple | list) or hasattr(value, "_fields") or not value:
        return False
    return all(isinstance(dim, int) and not isinstance(dim, bool) for dim in value)


def input_dtype(model: nn.Module) -> torch.dtype:
    """The model's own floating point dtype, which inputs without one take."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return parameter.dtype
    return torch.float32


def split_named(inputs: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Positional inputs and those given as words with a name."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for value in inputs:
        word = parse(value) if isinstance(value, str) else None
        if word is not None and word.name is not None:
            if word.name in named:
                raise InputError(word.name, "it is given twice", "Give each input once.")
            named[word.name] = value
        else:
            positional.append(value)
    return positional, named


def wants(model: nn.Module) -> str:
    """`forward`'s arguments in words."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return "what it takes"
    words = []
    for parameter in parameters:
        optional = parameter.default is not inspect.Parameter.empty
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else stars
        words.append(f"[{parameter.name}]" if optional else f"{stars}{parameter.name}")
    return f"({', '.join(words)})"


def check_fits(model: nn.Module, positional: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Check that `forward` takes these inputs.

    Args:
        model: The module whose `forward` is asked.
        positional: Inputs by position.
        named: Inputs by name.

    Raises:
        InputError: Too few or many, or a name that it does not take.
    """
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):
        return
    parameters = signature.parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in named:
        if name not in parameters and not open_ended:
            raise InputError(
                name,
                f"{type(model).__name__}.forward takes no such input",
                f"It wants {wants(model)}.",
            )
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        count = len(positional) + len(named)
        got = "none was given" if count == 0 else f"{count} given"
        raise InputError(
            f"of {type(model).__name__}",
            f"{got}, forward wants {wants(model)}: {error}",
            "Give one --input for each, in that order or by name.",
        ) from None


def rebatched(values: Any, batch: int) -> Any:
    """Inputs with another batch size.

    Args:
        values: Inputs of a run, in their nests.
        batch: New length of the first dim of every tensor whose first dim is that of the first.

    Returns:
        The inputs; those that change are blank, or repeat their first element.

    Raises:
        InputError: No input has a dim, or `batch` is not positive.
    """
    first = next((one for one in tensors_in(values) if one.dim()), None)
    if first is None:
        raise InputError(f"batch {batch}", "no input has a first dim", "Give the shape itself.")
    if batch < 1:
        raise InputError(f"batch {batch}", "a batch has at least one element", "Try 1.")
    length = first.shape[0]

    def new(tensor: Tensor) -> Tensor:
        if not tensor.dim() or tensor.shape[0] != length or batch == length:
            return tensor
        checked((batch, *tensor.shape[1:]), f"of batch {batch}")
        if tensor.is_meta or tensor.numel() // length * batch > KEEPS_DATA:
            shape = (batch, *tensor.shape[1:])
            made = torch.empty(shape, dtype=tensor.dtype, device=META)
        else:
            made = tensor[:1].expand(batch, *tensor.shape[1:]).clone()
        made.__dict__.update(tensor.__dict__)
        made.__dict__.pop("_zoo_value", None)
        return made

    return replace_tensors(values, new)


def names_of(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[tuple[str, Tensor]]:
    """Each tensor among the arguments with the name of the argument it is, or is part of."""
    try:
        bound = inspect.signature(model.forward).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        bound = {f"input{i}": value for i, value in enumerate(args)} | dict(kwargs)
    return [found for name, value in bound.items() for found in _named(name, value)]


def _named(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _named(f"{name}[{position}]", item)
