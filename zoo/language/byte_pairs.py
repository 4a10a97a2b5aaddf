r"""Byte pair encoding: words as sequences of frequent parts.

Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", 2016,
algorithm 1; Dive into Deep Learning, 15.6.2. Training begins with single characters and joins the
most frequent pair of neighbours everywhere, again and again; of equally frequent pairs the one that
comes first in the words. A word is encoded by the same joins in the same order, so that a word of
the training text gets the parts it had in the end, and a word never seen gets parts of others.

Two ways to cut a text into words and those into characters:

    characters  Words are what stands between white space; a mark ends each. A character that the
                training text does not have is unknown. Decoding joins words with single spaces.
    bytes       Words have the space before them, other white space stands alone, and a character
                is a byte of UTF-8, written as the letter of that number (U+0000 to U+00FF): 256 of
                them write any text, and decoding gives every text back as it was.

A file is JSON: schema, end, unknown, alphabet, merges.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import LanguageError
from zoo.files import write_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    Pair = tuple[str, str]

SCHEMA = "zoo.bytepairs/1"
END = "</w>"
BYTES = tuple(map(chr, range(256)))
_CHUNKS = re.compile(r" ?\w+| ?[^\w\s]+|\s+(?!\S)|\s+")


class BytePairs:
    """An encoding: characters, and which pairs are joined, in order. Never changed once made.

    Args:
        alphabet: Single characters; the end mark is added.
        merges: Pairs of parts, the first to be joined first.
        end: The mark at the end of a word; empty for an encoding of bytes.
        unknown: The symbol of characters that are not in the alphabet; None refuses them.

    Raises:
        LanguageError: A pair has a part that nothing makes, the unknown symbol is the end mark, or
            an encoding of bytes has letters that are none.
    """

    def __init__(
        self,
        alphabet: Iterable[str],
        merges: Iterable[tuple[str, str]] = (),
        *,
        end: str = END,
        unknown: str | None = None,
    ) -> None:
        self.alphabet, self.merges = tuple(alphabet), tuple(merges)
        self.end, self.unknown = end, unknown
        self._check_marks()
        known = dict.fromkeys([*([unknown] if unknown else []), *self.alphabet])
        if end:
            known[end] = None
        for place, (left, right) in enumerate(self.merges):
            if left not in known or right not in known:
                raise LanguageError(
                    f"merge {place} of {left!r} and {right!r}",
                    "one of them is neither a character nor made by a merge before",
                    "Keep merges in the order in which they were found.",
                )
            known[left + right] = None
        self.symbols = tuple(known)
        """All parts that a word can have, in the order of their ids."""
        self._ids = {symbol: number for number, symbol in enumerate(self.symbols)}
        self._ranks = {pair: rank for rank, pair in reversed([*enumerate(self.merges)])}

    def __len__(self) -> int:
        return len(self.symbols)

    def _check_marks(self) -> None:
        if self.unknown is not None and self.unknown == self.end:
            raise LanguageError(
                f"unknown symbol {self.unknown!r}", "it is the end mark too", "Choose another."
            )
        letters = "".join((*self.alphabet, self.unknown or ""))
        wrong = "" if self.end else letters.lstrip("".join(BYTES))[:1]
        if wrong:
            raise LanguageError(
                f"letter {wrong!r} in an encoding of bytes",
                "a byte is a letter from U+0000 to U+00FF",
                "Name an end mark, for an encoding of characters.",
            )

    def segment(self, word: str) -> tuple[str, ...]:
        """Parts of one word, its end mark among them.

        Args:
            word: Without white space and without the end mark; it need not have been seen. In an
                encoding of bytes, any text.

        Returns:
            Symbols. Joined, they are the word and its end mark.

        Raises:
            LanguageError: The word has a character that is not known, or the end mark.

        Example:
            >>> BytePairs("low", [("l", "o"), ("lo", "w")], end="_").segment("owlow")
            ('o', 'w', 'low', '_')
        """
        parts = [self._known(character, word) for character in _characters(word, self.end)]
        while len(parts) > 1:
            pairs = set(pairwise(parts)) & self._ranks.keys()
            if not pairs:
                break
            parts = _joined(parts, min(pairs, key=self._ranks.__getitem__))
        return tuple(parts)

    def _known(self, character: str, word: str) -> str:
        if character in self._ids:
            return character
        if self.unknown is None:
            raise LanguageError(
                f"{character!r} in {word!r}",
                f"it is not among the {len(self.alphabet)} characters of the training text",
                "Name an unknown symbol, or train on bytes, which write any text.",
            )
        return self.unknown

    def encode(self, text: str) -> list[int]:
        """Ids of a text's parts.

        Args:
            text: Any length.

        Returns:
            Ids, 0 to `len(self) - 1`.
        """
        seen: dict[str, list[int]] = {}
        found: list[int] = []
        for word in self._words(text):
            if word not in seen:
                seen[word] = [self._ids[part] for part in self.segment(word)]
            found += seen[word]
        return found

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids.

        Args:
            ids: As `encode` gives them. Bytes that are no UTF-8, such as half a letter, become
                U+FFFD.

        Returns:
            The text; words of characters with a single space between them.

        Raises:
            LanguageError: There is no such id.
        """
        parts = []
        for number in ids:
            if not 0 <= number < len(self.symbols):
                raise LanguageError(
                    f"id {number}", f"there are {len(self.symbols)} symbols", "Give ids below that."
                )
            parts.append(self.symbols[number])
        if self.end:  # a part ends with the mark where a word ends, and nowhere else
            words = (
                part.removesuffix(self.end) + " " if part.endswith(self.end) else part
                for part in parts
            )
            return "".join(words).removesuffix(" ")
        data = "".join(parts).encode("latin-1")
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("utf-8", "replace")

    def _words(self, text: str) -> Iterable[str]:
        return text.split() if self.end else _CHUNKS.findall(text)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file.

        Args:
            path: The file; it is replaced.
        """
        form = {
            "schema": SCHEMA,
            "end": self.end,
            "unknown": self.unknown,
            "alphabet": self.alphabet,
            "merges": self.merges,
        }
        write_whole(Path(path), json.dumps(form, indent=1).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BytePairs:
        """Read a file that `save` wrote.

        Args:
            path: The file.

        Returns:
            The encoding.

        Raises:
            LanguageError: It is none.
        """
        try:
            form = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            reason = error.strerror or str(error)
            raise LanguageError(str(path), reason, "Name a file that is there.") from None
        except (ValueError, RecursionError) as error:
            raise _no_file(path, f"it is no JSON ({error})") from None
        fault = _fault(form)
        if fault:
            raise _no_file(path, fault)
        merges = [(left, right) for left, right in form["merges"]]
        return cls(form["alphabet"], merges, end=form["end"], unknown=form["unknown"])


def train_byte_pairs(
    counts: Mapping[str, int], merges: int, *, end: str = END, unknown: str | None = None
) -> BytePairs:
    """Find the frequent parts of words.

    Args:
        counts: How often each word occurs.
        merges: How many pairs to join; fewer where no word has two parts left.
        end: The mark at the end of a word.
        unknown: See `BytePairs`.

    Returns:
        An encoding of characters: those of the words, sorted.

    Raises:
        LanguageError: There is no word or no end mark, a word has white space or the end mark, or
            there are less than 0 merges or words.

    Example:
        >>> train_byte_pairs({"low": 5, "lower": 2}, 3, end="_").merges
        (('l', 'o'), ('lo', 'w'), ('low', '_'))
    """
    if not end or not counts or any(word.split() != [word] for word in counts):
        raise LanguageError(
            f"training on {len(counts)} words, end mark {end!r}",
            "it wants an end mark, and words that are not empty and have no white space",
            "Count the words of text.split(), or train on bytes.",
        )
    _check_limit(merges)
    if min(counts.values()) < 0:
        raise LanguageError("training on words", "a count is below 0", "Count the words of a text.")
    alphabet = sorted({character for word in counts for character in word})
    words = [(_characters(word, end), count) for word, count in counts.items()]
    return BytePairs(alphabet, find_merges(words, merges), end=end, unknown=unknown)


def train_byte_pairs_on_bytes(text: str, merges: int) -> BytePairs:
    r"""Find the frequent parts of a text's bytes.

    Args:
        text: Not empty.
        merges: How many pairs to join; fewer where no word has two parts left.

    Returns:
        An encoding of any text.

    Raises:
        LanguageError: There is no text, or there are less than 0 merges.

    Example:
        >>> pairs = train_byte_pairs_on_bytes("so so so", 2)
        >>> pairs.merges, pairs.decode(pairs.encode("so, s\u00f6!\n"))
        ((('s', 'o'), (' ', 'so')), 'so, sö!\n')
    """
    if not text:
        raise LanguageError("training on a text", "it is empty", "Give some text.")
    _check_limit(merges)
    counts = Counter(_CHUNKS.findall(text))
    words = [(_characters(word, ""), count) for word, count in counts.items()]
    return BytePairs(BYTES, find_merges(words, merges), end="")


def find_merges(words: Sequence[tuple[list[str], int]], limit: int) -> list[Pair]:
    """Which pairs are most frequent, when the one before is joined.

    After each join only the words that have the pair are counted anew.

    Args:
        words: Parts and count of each; these parts are joined in place.
        limit: How many pairs at most.

    Returns:
        Pairs, in order.
    """
    total: Counter[Pair] = Counter()
    where: dict[Pair, set[int]] = {}

    def note(number: int) -> None:
        parts, count = words[number]
        for pair in pairwise(parts):
            total[pair] += count
            where.setdefault(pair, set()).add(number)

    def forget(number: int) -> None:
        parts, count = words[number]
        for pair in pairwise(parts):
            total[pair] -= count
            where[pair].discard(number)

    for number in range(len(words)):
        note(number)
    merges: list[Pair] = []
    while len(merges) < limit and (most := max(total.values(), default=0)) > 0:
        tied = {pair for pair, count in total.items() if count == most}
        first = min(min(where[pair]) for pair in tied)
        best = next(pair for pair in pairwise(words[first][0]) if pair in tied)
        merges.append(best)
        for number in sorted(where[best]):
            forget(number)
            words[number][0][:] = _joined(words[number][0], best)
            note(number)
        del total[best]
    return merges


def _check_limit(merges: int) -> None:
    if merges < 0:
        raise LanguageError(f"{merges} merges", "there are none", "Ask for 0 or more.")


def _joined(parts: Sequence[str], pair: Pair) -> list[str]:
    """Parts with each occurrence of a pair joined, from left to right."""
    found: list[str] = []
    for part in parts:
        if found and (found[-1], part) == pair:
            found[-1] += part
        else:
            found.append(part)
    return found


def _characters(word: str, end: str) -> list[str]:
    """Characters of a word and its end mark, or bytes where there is no mark."""
    if not end:
        return list(word.encode("utf-8", "surrogatepass").decode("latin-1"))
    if end in word:
        raise LanguageError(
            f"word {word!r}", f"it has the end mark {end!r} in it", "Choose another end mark."
        )
    return [*word, end]


def _fault(form: Any) -> str:
    """What is wrong with the contents of a file; empty where nothing is."""
    if not isinstance(form, dict) or form.get("schema") != SCHEMA:
        return f"its schema is not {SCHEMA}"
    if not isinstance(form.get("end"), str) or not isinstance(form.get("unknown"), str | None):
        return "end or unknown is no text"
    alphabet, merges = form.get("alphabet"), form.get("merges")
    if not _texts(alphabet):
        return "alphabet is no list of texts"
    if not isinstance(merges, list):
        return "merges is no list"
    wrong = [place for place, pair in enumerate(merges) if not _texts(pair) or len(pair) != 2]
    return f"merge {wrong[0]} is no pair of texts" if wrong else ""


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _no_file(path: str | os.PathLike[str], reason: str) -> LanguageError:
    return LanguageError(str(path), reason, "Give a file that BytePairs.save wrote.")
