"""What is wrong with what a plugin returned, in words.

Each check gives a sentence, or None where nothing is wrong. Nothing that a card names is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zoo.catalog.card import ModelCard
from zoo.catalog.where import sentence
from zoo.errors import InputError

SIGNS = str.maketrans("", "", "_-.")
"""What a model's name may hold beside letters and digits."""


def fault(card: object) -> str | None:
    """What is wrong with something that a plugin returned as a card; None where nothing is."""
    if not isinstance(card, ModelCard):
        return f"{_shown(card)} is no ModelCard"
    if not (isinstance(card.name, str) and _is_name(card.name)):
        return f"{_shown(card.name)} is no name of a model; use letters, digits, `_`, `-` and `.`"
    if not (isinstance(card.factory, str) and _is_factory(card.factory)):
        return f"card {card.name!r}: factory {_shown(card.factory)} is not module:attribute"
    wrong = next((text for text in _field_faults(card) if text), None) or _input_fault(card)
    return f"card {card.name!r}: {wrong}" if wrong else None


def _field_faults(card: ModelCard) -> Iterator[str | None]:
    one_line = (
        isinstance(card.summary, str)
        and card.summary.strip()
        and len(card.summary.splitlines()) == 1
    )
    yield None if one_line else f"summary {_shown(card.summary)} is not one line of text"
    named = isinstance(card.arguments, Mapping) and all(
        isinstance(key, str) and key.isidentifier() for key in card.arguments
    )
    yield (
        None
        if named
        else f"arguments {_shown(card.arguments)} are not a mapping of names to values"
    )
    words = isinstance(card.tags, tuple | list) and all(isinstance(tag, str) for tag in card.tags)
    yield None if words else f"tags {_shown(card.tags)} are not a tuple of words"
    is_year = card.year is None or type(card.year) is int
    yield None if is_year else f"year {_shown(card.year)} is not a whole number"
    for key in ("paper", "link", "table", "book"):
        value = getattr(card, key)
        yield (
            None
            if value is None or isinstance(value, str)
            else f"{key} {_shown(value)} is not text"
        )


def _input_fault(card: ModelCard) -> str | None:
    if card.default_input is None:
        return None
    words = (card.default_input,) if isinstance(card.default_input, str) else card.default_input
    if not (isinstance(words, tuple) and all(isinstance(word, str) for word in words)):
        return f"default_input {_shown(words)} is neither text nor a tuple of texts"
    names = [word.partition("=")[0] for word in words if "=" in word]
    if all(map(_is_plain, words)) and len(set(names)) == len(names):
        return None
    from zoo.analysis.inputs import parse_all

    try:
        parse_all(words)
    except InputError as error:
        return f"default_input: {error}"
    return None


def _is_plain(word: str) -> bool:
    """Whether a word is dims, or dims of token ids, named or not, so that it need not be parsed."""
    name, named, rest = word.partition("=")
    if named and not (name.isidentifier() and name.isascii()):
        return False
    figures, ids, vocabulary = (rest if named else word).partition("@ints:")
    dims = figures.split(",")
    numbers = (*dims, vocabulary) if ids else dims
    plain = all(one.isascii() and one.isdigit() and one[0] != "0" for one in numbers)
    return plain and len(figures) <= 17 and len(dims) <= 6


def _is_name(name: str) -> bool:
    rest = name.translate(SIGNS)
    return rest.isalnum() and rest.isascii() and name[0] not in "-."


def _is_dotted(path: str) -> bool:
    return all(part.isidentifier() for part in path.split("."))


def _is_factory(factory: str) -> bool:
    module, colon, attribute = factory.partition(":")
    return bool(colon) and _is_dotted(module) and _is_dotted(attribute)


def formula_fault(op: object, formula: object, owners: Mapping[str, str]) -> str | None:
    """What is wrong with an operator and its formula; `owners` has the plugins of those taken."""
    if not (isinstance(op, str) and "." in op and _is_dotted(op)):
        return f"{_shown(op)} is no operator; write library.name or library.name.overload"
    if not callable(formula):
        return f"the formula of {op} is {_shown(formula)}, which cannot be called"
    return (
        f"{op} has a formula of plugin {owners[op]}; the first keeps it" if op in owners else None
    )


def command_fault(command: object, owners: Mapping[str, str]) -> str | None:
    """What is wrong with a command; `owners` has who has the names that are taken."""
    import click

    if not isinstance(command, click.Command):
        return f"{_shown(command)} is no click command"
    if not command.name:
        return "a command has no name"
    if command.name in owners:
        return (
            f"the command {command.name!r} is taken by {owners[command.name]}; the first keeps it"
        )
    return None


def _shown(value: object) -> str:
    """`repr`, in bearable length."""
    try:
        text = " ".join(repr(value).split())
    except Exception as error:  # noqa: BLE001  # a stranger's __repr__
        text = f"<{type(value).__name__}: {sentence(error)}>"
    return text if len(text) <= 80 else text[:77] + "..."
