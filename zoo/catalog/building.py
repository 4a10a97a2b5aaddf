"""From the user's words to something that can be built.

    resolved = resolve("resnet18", catalog, {"num_classes": 10})
    model = resolved.build()

`resolve` finds, loads and checks; nothing is built before `build` is called, so that the caller
can call it where no weight is allocated. What a file makes when it is loaded (`net = Net()`) is
made then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.catalog.arguments import taker_of
from zoo.catalog.card import DefaultInput, ModelCard
from zoo.catalog.folders import importable
from zoo.catalog.locate import Found, is_module, is_reference, locate, locate_factory
from zoo.catalog.where import line_of_error, sentence
from zoo.errors import BadArgument, BadReference, BuildError, ZooError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

    from zoo.catalog.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Resolved:
    """An architecture with its arguments, ready to be built."""

    name: str
    """Name in the catalog, or the user's words."""
    plugin: str | None
    """The plugin that brought it; None for the user's own file or module."""
    factory: str
    """`module:attribute` or `file.py:Name`."""
    arguments: Mapping[str, Any]
    """What it is built with: the card's arguments and the user's. A card describes the
    architecture without trained weights; where `weights` are asked for, they say what it is, and of
    the card's arguments only those stay that the factory cannot do without."""
    default_input: DefaultInput
    """In the words of `--input`; None where nobody said."""
    build: Callable[[], nn.Module]
    """Builds it. Raises BuildError where its constructor raises, BadReference where no `nn.Module`
    comes out."""


def resolve(words: str, catalog: Catalog, arguments: Mapping[str, Any] | None = None) -> Resolved:
    """Find the architecture that the user's words name, load it and check its arguments.

    Args:
        words: `name`, `plugin/name`, `./net.py:Net` or `package.module:factory`.
        catalog: Architectures by name.
        arguments: Arguments for its constructor; they win over the card's.

    Returns:
        What `build` builds it from.

    Raises:
        UnknownModel: Also UnknownPlugin and AmbiguousModel: no architecture is called so.
        BadReference: The file or module leads nowhere.
        BadArgument: An argument is unknown, of the wrong type, or missing.
    """
    given = dict(arguments or {})
    if not is_reference(words):
        entry = catalog.find(words)
        found = _of_card(entry.card, entry.qualified, entry.folders)
        return _resolved(found, entry.card, entry.plugin, entry.name, given)
    try:
        found = locate(words)
    except BadReference as error:
        raise _with_plugins_in_mind(error, words, catalog) from error.__cause__
    if isinstance(found.target, ModelCard):
        card = found.target
        found = _of_card(card, words, found.folders)
        return _resolved(found, card, None, card.name, given)
    return _resolved(found, None, None, words, given)


def _of_card(card: ModelCard, named: str, folders: tuple[str, ...]) -> Found:
    try:
        return locate_factory(card.factory, folders)
    except BadReference as error:
        raise BadReference(f"{card.factory} of {named}", error.reason) from error.__cause__


def _with_plugins_in_mind(error: BadReference, words: str, catalog: Catalog) -> BadReference:
    """`book:lenet` is a likely slip of the pen."""
    qualified = words.replace(":", "/", 1)
    known = [entry.qualified for entry in catalog]
    if words.partition(":")[0] in catalog.plugins:
        return BadReference(words, f"{error.reason} {did_you_mean(qualified, known, '')}")
    return error


def _resolved(
    found: Found, card: ModelCard | None, plugin: str | None, name: str, given: Mapping[str, Any]
) -> Resolved:
    target = found.target
    if is_module(target):
        for argument in given:
            raise BadArgument(name, argument, "the model is built already and takes no arguments.")
        return Resolved(name, plugin, found.reference, {}, _default(card), lambda: target)
    if not callable(target):
        raise BadReference(found.reference, "it is a card, whose factory must not be a card again")
    taker = taker_of(target, name)
    own = dict(card.arguments) if card else {}
    if given.get("weights") is not None:
        own = {key: value for key, value in own.items() if taker.requires(key)}
    accepted = taker.accept({**own, **given})

    def build() -> nn.Module:
        with importable(found.folders):
            try:
                model = taker.call(target, accepted)
            except ZooError:
                raise
            except (Exception, SystemExit) as error:
                raise BuildError(name, sentence(error), line_of_error(error)) from error
        if not is_module(model):
            kind = type(model).__name__
            hint = "Name a class or a function that makes one."
            text = f"calling it returned {kind}, not an nn.Module. {hint}"
            raise BadReference(found.reference, text)
        return model

    return Resolved(name, plugin, found.reference, accepted, _default(card), build)


def _default(card: ModelCard | None) -> DefaultInput:
    return card.default_input if card else None
