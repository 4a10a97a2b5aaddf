"""Which binary tree of words has the shortest walks, when frequent words are asked for often?

Huffman, "A method for the construction of minimum-redundancy codes", 1952: the two rarest are
joined into one node, again and again. No tree has a smaller sum of count times depth, and the mean
depth is less than the entropy of the counts (in bits) + 1. Hierarchical softmax walks down such a
tree (Dive into Deep Learning, 15.2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from zoo.errors import LanguageError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class HuffmanTree:
    """A walk from the root to each word."""

    paths: tuple[tuple[int, ...], ...]
    """For each of V words, the inner nodes from the root down: 0, the root, to V - 2."""
    codes: tuple[tuple[int, ...], ...]
    """For each word, which way the walk leaves each of them: 1 left, 0 right."""

    def cost(self, counts: Sequence[int]) -> int:
        """Steps of all walks, as often as each word occurs."""
        return sum(count * len(code) for count, code in zip(counts, self.codes, strict=True))


def huffman(counts: Sequence[int]) -> HuffmanTree:
    """The tree of words with these counts.

    Where two are equally rare, the one that is first in the list, or was joined first, is taken; so
    one list has one tree, and no deeper one than need be.

    Args:
        counts: How often each word occurs, by its id.

    Returns:
        The tree.

    Raises:
        LanguageError: There are less than two words, or a count is below 0.

    Example:
        >>> huffman([4, 1, 1, 2]).codes
        ((1,), (0, 0, 1), (0, 0, 0), (0, 1))
    """
    if len(counts) < 2 or min(counts) < 0:
        raise LanguageError(
            f"a tree of {len(counts)} words",
            "it wants two or more counts, none below 0",
            "Count the words of a text.",
        )
    words = len(counts)
    heap = [(count, node) for node, count in enumerate(counts)]
    heapify(heap)
    above: dict[int, tuple[int, int]] = {}
    for joined in range(words, 2 * words - 1):
        (rarest, left), (rare, right) = heappop(heap), heappop(heap)
        above[left], above[right] = (joined, 1), (joined, 0)
        heappush(heap, (rarest + rare, joined))
    root = 2 * words - 2
    paths, codes = [], []
    for word in range(words):
        node, path, code = word, [], []
        while node != root:
            node, bit = above[node]
            path.append(root - node)  # the root is 0
            code.append(bit)
        paths.append(tuple(reversed(path)))
        codes.append(tuple(reversed(code)))
    return HuffmanTree(tuple(paths), tuple(codes))
