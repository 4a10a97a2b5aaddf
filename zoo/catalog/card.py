"""What a plugin says about an architecture, before anything of it is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DefaultInput = str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One architecture of a plugin.

    Example:
        >>> ModelCard("lenet", "zoo.models.lenet:lenet", "LeNet-5 of the book.", "1,1,28,28").name
        'lenet'
    """

    name: str
    """What users call it: letters, digits, `_`, `-` and `.`."""
    factory: str
    """`module:attribute`; called with `arguments`, returns an `nn.Module`. Imported when first
    built."""
    summary: str
    """One line."""
    default_input: DefaultInput = None
    """In the words of `--input`; a tuple of them for several inputs."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments that the factory is called with unless the user sets others."""
    tags: tuple[str, ...] = ()
    """Words to filter by."""
    paper: str | None = None
    """Authors and title."""
    year: int | None = None
    """Year of the paper."""
    link: str | None = None
    """Where to read on."""
    table: str | None = None
    """Where the paper gives its sizes: `table 1`, `section 3.1`."""
    book: str | None = None
    """Section of *Dive into Deep Learning*: `8.4`."""
