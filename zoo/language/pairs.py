"""Pairs of sentences as batches of ids, for a model that translates.

Dive into Deep Learning, 10.5. A source ends with `<eos>`. A decoder is given its target from
`<bos>` on, and is to answer with the same shifted by one, up to `<eos>`. All are filled up with
`<pad>`, or cut off, at one number of steps:

    source   go .                va !
    src      go . <eos> <pad>
    tgt                          <bos> va ! <eos>
    labels                       va ! <eos> <pad>
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol

import torch

from zoo.errors import LanguageError
from zoo.language.batches import Batches
from zoo.language.padding import truncate_pad

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

PAD, BEGIN, END = "<pad>", "<bos>", "<eos>"
"""Tokens that a vocabulary of such pairs has to have: `Vocabulary(..., reserved=RESERVED)`."""
RESERVED = (PAD, BEGIN, END)


class Ids(Protocol):
    """What gives tokens their ids, as a `Vocabulary` does."""

    def __getitem__(self, tokens: list[str], /) -> list[int]:
        """An id for each token."""
        ...

    def __contains__(self, token: object, /) -> bool:
        """Whether a token has an id of its own."""
        ...


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of sequences as ids, int64."""

    src: Tensor
    """Sources, (B, S)."""
    tgt: Tensor
    """What the decoder is given, (B, T)."""
    src_valid_len: Tensor
    """How many tokens of each source are no padding, (B,)."""
    labels: Tensor
    """What it is to answer, (B, T)."""

    def __len__(self) -> int:
        return len(self.src)

    def rows(self, which: Tensor | slice) -> Pairs:
        """Some of the pairs.

        Args:
            which: A slice, or numbers of pairs (N,).

        Returns:
            N pairs.
        """
        return Pairs(*(getattr(self, one.name)[which] for one in fields(self)))

    def batches(self, size: int, generator: torch.Generator | None = None) -> Iterator[Pairs]:
        """All pairs once, in a new order; the last batch may be smaller.

        Args:
            size: Pairs of a batch.
            generator: Where the order comes from; None leaves the pairs in theirs.

        Yields:
            Pairs: Batches.
        """
        if size < 1:
            raise LanguageError(f"batch of {size}", "it holds no pair", "Give 1 or more.")
        columns = tuple(getattr(self, one.name) for one in fields(self))
        for some in Batches(columns, size, generator):
            yield Pairs(*some)


def read_pairs(text: str, most: int | None = None) -> list[tuple[list[str], list[str]]]:
    r"""Words of pairs that are written one a line, source and target with a tab between.

    Args:
        text: Lines; what stands after a second tab is passed over, as are lines without a tab.
        most: How many pairs are read; None for all.

    Returns:
        Pairs of lower-case words; a mark of punctuation is a word of its own.

    Example:
        >>> read_pairs("Go now.\tVa !\nWho?\tQui?")
        [(['go', 'now', '.'], ['va', '!']), (['who', '?'], ['qui', '?'])]
    """
    found: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) > 1 and (most is None or len(found) < most):
            found.append((_words(parts[0]), _words(parts[1])))
    return found


def _words(text: str) -> list[str]:
    return re.sub(r"(?<=\S)(?=[,.!?])", " ", text.lower()).split()


def build_pairs(
    pairs: Iterable[tuple[Sequence[str], Sequence[str]]],
    source: Ids,
    target: Ids,
    steps: int | None = None,
) -> Pairs:
    """Ids of pairs of token lists, filled up to one length.

    Args:
        pairs: Source and target of each, without `<bos>`, `<eos>` and `<pad>`.
        source: Vocabulary of the sources; it has `<pad>` and `<eos>`.
        target: Vocabulary of the targets; it has `<pad>`, `<bos>` and `<eos>`.
        steps: S and T of the tensors; longer sequences lose their ends, `<eos>` first. None for
            what the longest takes.

    Returns:
        The pairs, in order.

    Raises:
        LanguageError: There is no pair, or a vocabulary has not the tokens that it has to have.

    Example:
        >>> from zoo.language import Vocabulary
        >>> words = Vocabulary(["a", "b"], reserved=["<pad>", "<bos>", "<eos>"])
        >>> made = build_pairs([(["a"], ["b", "b"])], words, words, steps=4)
        >>> made.src.tolist(), made.tgt.tolist(), made.labels.tolist()
        ([[4, 3, 1, 1]], [[2, 5, 5, 3]], [[5, 5, 3, 1]])
    """
    given = [(list(left), list(right)) for left, right in pairs]
    if not given or (steps is not None and steps < 1):
        raise LanguageError(
            "pairs", f"{len(given)} pairs of {steps} steps", "Give at least one of each."
        )
    _check(source, (PAD, END), "source")
    _check(target, RESERVED, "target")
    width = steps or 1 + max(len(side) for pair in given for side in pair)
    src = torch.tensor([source[_filled(left, width)] for left, _ in given])  # (B, S)
    labels = torch.tensor([target[_filled(right, width)] for _, right in given])  # (B, T)
    first = torch.full_like(labels[:, :1], target[[BEGIN]][0])  # (B, 1)
    lengths = torch.tensor([min(len(left) + 1, width) for left, _ in given])  # (B,)
    return Pairs(src, torch.cat((first, labels[:, :-1]), dim=1), lengths, labels)


def _filled(tokens: list[str], width: int) -> list[str]:
    """Tokens with their end, filled up or cut off at a width."""
    return truncate_pad([*tokens, END], width, PAD)


def _check(vocabulary: Ids, needed: Sequence[str], side: str) -> None:
    """Refuse a vocabulary without the tokens that are added here."""
    missing = [token for token in needed if token not in vocabulary]
    if missing:
        raise LanguageError(
            f"vocabulary of the {side}s",
            f"it has no {' '.join(missing)}",
            "Reserve them: Vocabulary(tokens, reserved=['<pad>', '<bos>', '<eos>']).",
        )
