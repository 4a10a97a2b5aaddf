"""How often does each word meet each other one?

Pennington, Socher and Manning, "GloVe: Global vectors for word representation", 2014, section 4.2:
a pair that is d words apart counts 1 / d. Dive into Deep Learning, 15.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from zoo.errors import LanguageError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

Token = TypeVar("Token", bound="Hashable")


def cooccurrences(
    sentences: Iterable[Sequence[Token]], window: int = 10
) -> dict[tuple[Token, Token], float]:
    """Count pairs of words, less for those that are far apart.

    Args:
        sentences: Lists of words; no pair reaches over a sentence's end.
        window: How many words apart a pair may be.

    Returns:
        The sum of 1 / d for each pair that meets, in both orders: counts are symmetric.

    Raises:
        LanguageError: The window reaches nowhere.

    Example:
        >>> cooccurrences([["a", "b", "a"]], window=2)
        {('a', 'b'): 2.0, ('b', 'a'): 2.0, ('a', 'a'): 1.0}
    """
    if window < 1:
        raise LanguageError(
            f"window of {window}", "a pair is at least 1 word apart", "Give 1 or more."
        )
    found: dict[tuple[Token, Token], float] = {}
    for sentence in sentences:
        for place, right in enumerate(sentence):
            for left_place in range(max(0, place - window), place):
                left, share = sentence[left_place], 1 / (place - left_place)
                for pair in ((left, right), (right, left)):
                    found[pair] = found.get(pair, 0.0) + share
    return found
