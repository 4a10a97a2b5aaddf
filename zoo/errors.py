"""Everything that a user can cause and zoo can name.

    ZooError
    |- UnknownModel          no architecture of that name
    |- UnknownPlugin         no plugin of that name
    |- DuplicateModel        two plugins claim one name
    |- AmbiguousModel        a bare name that several plugins have
    |- BadReference          ./file.py:Name or package.module:factory that leads nowhere
    |- BadArgument           --set with an unknown argument or a wrong type
    |- BuildError            the constructor raised
    |- InputError            an input that cannot be read, or does not fit the model
    |  `- OptionError        an option of an analysis that is none
    |- StepError             a training step that cannot be made
    |  `- NothingToTrain     no gradient reaches a parameter
    |- SweepError            a sweep that cannot begin or go on
    |- PlanError             a plan to freeze that cannot be made
    |- ExpressionError       a formula that cannot be read, or has no value there
    |- LanguageError         tokens, ids or texts that a tool of zoo.language does not take
    |- UnknownColumn         a column that no report has
    |- BadFormat             a format that no view writes
    |- OutputError           a file that cannot be written
    |- InitError             first weights that cannot be drawn
    |- StoreError            something that a file of tensors does not hold
    |- BadTensorFile         a file of tensors that cannot be read
    |- Misfit                a file that does not fit the model
    |- UnknownDevice         no device of that name
    |- DuplicateDevice       two devices claim one name
    |- BadBudget             a memory size that cannot be read, or is not known
    |- UnknownEngine         no second opinion of that name
    |- TooLarge              a model whose weights do not fit into this machine's memory
    |- MissingDependency     an optional package that is not installed
    `- FormulaError          a cost formula that raised or returned rubbish

Errors hold data; the sentence is derived from it and ends in what to try. The command line prints
the sentence as one line on stderr and exits with 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """A closing sentence that names what is near `word`, or `otherwise` where nothing is."""
    from difflib import get_close_matches

    names = list(dict.fromkeys(known))
    by_lower = {name.lower(): name for name in reversed(names)}
    near = [by_lower[hit] for hit in get_close_matches(word.lower(), list(by_lower), n=3)]
    return f"Did you mean {' or '.join(near)}?" if near else otherwise


def _first_few(names: Sequence[str], most: int = 4) -> str:
    """Names in a row, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class ZooError(Exception):
    """Root of the tree; its text is one line."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.split()))


class UnknownModel(ZooError):
    """No architecture is called so."""

    def __init__(self, name: str, known: Iterable[str], elsewhere: Iterable[str] = ()) -> None:
        self.name, self.elsewhere = name, tuple(elsewhere)
        found = f"Did you mean {' or '.join(self.elsewhere)}?"
        hint = found if self.elsewhere else did_you_mean(name, known, "See `zoo list`.")
        super().__init__(f"no model is called {name!r}. {hint}")


class UnknownPlugin(ZooError):
    """No plugin is called so."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        hint = did_you_mean(name, known, "See `zoo plugins`.")
        super().__init__(f"no plugin is called {name!r}. {hint}")


class DuplicateModel(ZooError):
    """One qualified name, two claims."""

    def __init__(self, name: str, owner: str, claimant: str) -> None:
        self.name, self.owner, self.claimant = name, owner, claimant
        super().__init__(
            f"{name!r} is claimed by {owner} and by {claimant}; the first keeps it. "
            "Rename one of them."
        )


class AmbiguousModel(ZooError):
    """A bare name that more than one plugin has, and `book` does not."""

    def __init__(self, name: str, qualified: Iterable[str]) -> None:
        self.name, self.qualified = name, tuple(qualified)
        super().__init__(
            f"{name!r} is in several plugins: {', '.join(self.qualified)}. Name one of these."
        )


class BadReference(ZooError):
    """A `./file.py:Name` or `package.module:factory` that leads nowhere."""

    def __init__(self, reference: str, reason: str) -> None:
        self.reference, self.reason = reference, reason
        super().__init__(f"cannot load {reference}: {reason}")


class BadArgument(ZooError):
    """An argument that the architecture does not take, or takes in another type."""

    def __init__(self, model: str, argument: str, reason: str) -> None:
        self.model, self.argument, self.reason = model, argument, reason
        super().__init__(f"argument {argument!r} of {model}: {reason}")


class BuildError(ZooError):
    """The constructor of a model raised."""

    def __init__(self, model: str, reason: str, where: str | None) -> None:
        self.model, self.reason, self.where = model, reason, where
        at = f" at {where}" if where else ""
        super().__init__(f"building {model} raised {reason}{at}. Check its arguments (--set).")


class InputError(ZooError):
    """An input that cannot be read, or that the model does not take."""

    def __init__(self, what: str, reason: str, hint: str) -> None:
        self.what, self.reason, self.hint = what, reason, hint
        super().__init__(f"input {what}: {reason}. {hint}")


class OptionError(InputError):
    """An option of an analysis that is none, or that does not go with another."""

    def __init__(self, what: str, reason: str, hint: str) -> None:
        self.what, self.reason, self.hint = what, reason, hint
        ZooError.__init__(self, f"{what}: {reason}. {hint}")


class StepError(ZooError):
    """A training step that cannot be made."""

    def __init__(self, what: str, reason: str, hint: str) -> None:
        self.what, self.reason, self.hint = what, reason, hint
        super().__init__(f"{what}: {reason}. {hint}")


class NothingToTrain(StepError):
    """A training step in which no gradient reaches a parameter."""

    def __init__(self, reason: str = "no output depends on a trainable parameter") -> None:
        super().__init__(
            "training step", reason, "Leave something to train, or ask for the forward pass alone."
        )


class SweepError(ZooError):
    """A sweep over many models that cannot begin or go on."""

    def __init__(self, what: str, reason: str, hint: str) -> None:
        self.what, self.reason, self.hint = what, reason, hint
        super().__init__(f"{what}: {reason}. {hint}")


class PlanError(ZooError):
    """A plan to freeze that cannot be made."""

    def __init__(self, what: str, reason: str, hint: str) -> None:
        self.what, self.reason, self.hint = what, reason, hint
        super().__init__(f"{what}: {reason}. {hint}")


class ExpressionError(ZooError):
    """A formula that cannot be read, or that has no value where it was asked for."""

    def __init__(self, what: str, reason: str, hint: str = "See `zoo formula --help`.") -> None:
        self.what, self.reason, self.hint = what, reason, hint
        super().__init__(f"{what}: {reason}. {hint}")


class LanguageError(ZooError):
    """Tokens, ids or texts that a tool of `zoo.language` does not take."""

    def __init__(self, what: str, reason: str, hint: str) -> None:
        self.what, self.reason, self.hint = what, reason, hint
        super().__init__(f"{what}: {reason}. {hint}")


class UnknownColumn(ZooError):
    """A column that the report does not have."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, tuple(known)
        hint = did_you_mean(name, self.known, f"Known: {', '.join(self.known)}.")
        super().__init__(f"no column is called {name!r}. {hint}")


class BadFormat(ZooError):
    """A format that no view writes."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"no format is called {name!r}. Known: {', '.join(self.known)}.")


class OutputError(ZooError):
    """A file that cannot be written."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"cannot write {path}: {reason}. Name a file in a folder you can write to."
        )


class InitError(ZooError):
    """First weights that cannot be drawn."""

    def __init__(self, what: str, reason: str, hint: str) -> None:
        self.what, self.reason, self.hint = what, reason, hint
        super().__init__(f"{what}: {reason}. {hint}")


class StoreError(ZooError):
    """Something that a file of tensors does not hold."""

    def __init__(self, what: str, reason: str, hint: str) -> None:
        self.what, self.reason, self.hint = what, reason, hint
        super().__init__(f"cannot save {what}: {reason}. {hint}")


class BadTensorFile(ZooError):
    """A file of tensors that cannot be read; the reason ends in what to try."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"cannot load {path}: {reason}")


class Misfit(ZooError):
    """A file whose tensors are not those of the model."""

    def __init__(
        self, path: str, missing: Sequence[str], unexpected: Sequence[str], wrong: Sequence[str]
    ) -> None:
        self.path = path
        self.missing, self.unexpected, self.wrong = missing, unexpected, wrong
        parts = [
            f"{word} {_first_few(names)}"
            for word, names in (
                ("it lacks", missing),
                ("the model has no", unexpected),
                ("wrong are", wrong),
            )
            if names
        ]
        super().__init__(
            f"{path} does not fit the model: {'; '.join(parts)}. "
            "With strict=False what fits is loaded."
        )


class UnknownDevice(ZooError):
    """No device is called so."""

    def __init__(self, name: str, word: str, known: Iterable[str]) -> None:
        self.name = name
        self.hint = did_you_mean(word, known, "See `zoo devices`.")
        super().__init__(f"no device is called {name!r}. {self.hint}")


class DuplicateDevice(ZooError):
    """One name, two devices."""

    def __init__(self, name: str, owner: str, claimant: str) -> None:
        self.name, self.owner, self.claimant = name, owner, claimant
        super().__init__(
            f"the device name {name!r} is claimed by {owner} and by {claimant}; the first keeps "
            "it. Rename one of them."
        )


class BadBudget(ZooError):
    """A memory size that cannot be read, or that nobody knows."""

    def __init__(self, given: object, reason: str, hint: str) -> None:
        self.given, self.reason, self.hint = given, reason, hint
        super().__init__(f"memory {given!r}: {reason}. {hint}")


class UnknownEngine(ZooError):
    """No engine is called so."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, tuple(known)
        hint = did_you_mean(name, self.known, f"Known: {', '.join(self.known)}.")
        super().__init__(f"no engine is called {name!r}. {hint}")


class TooLarge(ZooError):
    """A model that other tools would have to compute, and that this machine cannot hold."""

    def __init__(self, model: str, needed: int, free: int) -> None:
        self.model, self.needed, self.free = model, needed, free
        super().__init__(
            f"other tools compute {model} on real weights, which takes {needed / 1e9:,.1f} GB; "
            f"{free / 1e9:,.1f} GB are free. Try a smaller input, or `zoo flops`, which needs none."
        )


class MissingDependency(ZooError):
    """An optional package that a call needs."""

    def __init__(self, package: str, needed_for: str) -> None:
        self.package, self.needed_for = package, needed_for
        super().__init__(
            f"{needed_for} needs {package}, which is not installed. Run `pip install {package}`."
        )


class FormulaError(ZooError):
    """A cost formula that raised, or returned something that is no cost."""

    def __init__(self, op: str, reason: str) -> None:
        self.op, self.reason = op, reason
        super().__init__(
            f"the formula of {op} {reason}. A formula returns MACs (int) or a zoo Cost."
        )
