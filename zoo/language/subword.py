"""Which parts does fastText make a word of?

Bojanowski, Grave, Joulin and Mikolov, "Enriching word vectors with subword information", 2017,
section 3.2; Dive into Deep Learning, 15.6.1. `<` and `>` mark where a word begins and ends, so that
a prefix or suffix is told from the same letters elsewhere: of `where`, `her` is a part and `<her>`,
the word, is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.errors import LanguageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def subwords(word: str, shortest: int = 3, longest: int = 6) -> tuple[str, ...]:
    """The character n-grams of a word with its marks, and the whole.

    Args:
        word: Without marks.
        shortest: Least characters of a part.
        longest: Most.

    Returns:
        Each part once, short ones first, from left to right; the word with its marks last.

    Raises:
        LanguageError: No length is possible.

    Example:
        >>> subwords("where", 3, 3)
        ('<wh', 'whe', 'her', 'ere', 're>', '<where>')
    """
    if not 1 <= shortest <= longest:
        raise LanguageError(
            f"parts of {shortest} to {longest} characters", "there are none", "Try 3 and 6."
        )
    whole = f"<{word}>"
    lengths = range(shortest, min(longest, len(whole) - 1) + 1)
    parts = (whole[at : at + n] for n in lengths for at in range(len(whole) - n + 1))
    marks = ("<", ">")  # alone they say nothing of the word
    return (*dict.fromkeys(part for part in parts if part not in marks), whole)


def fnv1a(text: str) -> int:
    """Fowler, Noll and Vo's 32-bit hash 1a of a text in UTF-8, as fastText computes it.

    fastText takes bytes above 127 for negative numbers; so does this, for the same buckets.

    Args:
        text: What is hashed.

    Returns:
        0 to 2^32 - 1.

    Example:
        >>> hex(fnv1a("a"))
        '0xe40c292c'
    """
    found = 2166136261
    for byte in text.encode("utf-8", "surrogatepass"):
        signed = byte | 0xFFFFFF00 if byte > 127 else byte
        found = (found ^ signed) * 16777619 & 0xFFFFFFFF
    return found


def subword_ids(
    words: Iterable[str],
    vocabulary: Mapping[str, int],
    buckets: int,
    *,
    shortest: int = 3,
    longest: int = 6,
) -> list[list[int]]:
    """A bag of ids for each word, all of one length: what `zoo.models.fasttext` takes.

    Args:
        words: Known or not; one that is not known has its n-grams alone.
        vocabulary: Ids of known words, 0 to V - 1.
        buckets: K; n-grams are hashed into ids V to V + K - 1.
        shortest: Least characters of an n-gram.
        longest: Most.

    Returns:
        Ids, padded with V + K.

    Raises:
        LanguageError: There are no buckets, or ids of words are not those from 0 on.

    Example:
        >>> subword_ids(["cat", "a"], {"a": 0, "cat": 1}, buckets=100, longest=3)
        [[1, 49, 33, 8], [0, 2, 102, 102]]
    """
    known = len(vocabulary)
    if buckets < 1 or (known and set(vocabulary.values()) != set(range(known))):
        raise LanguageError(
            f"{buckets} buckets after {known} words",
            "there is no room for n-grams, or ids of words are not 0, 1, 2, ...",
            "Give at least one bucket, and number the words from 0 on.",
        )
    bags = []
    for word in words:
        *parts, whole = subwords(word, shortest, longest)
        if shortest <= len(whole) <= longest:
            parts.append(whole)  # short enough to be an n-gram as well
        own = [vocabulary[word]] if word in vocabulary else []
        bags.append([*own, *(known + fnv1a(part) % buckets for part in parts)])
    most = max(map(len, bags), default=0)
    return [[*bag, *[known + buckets] * (most - len(bag))] for bag in bags]
