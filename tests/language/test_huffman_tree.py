"""Huffman trees are trees, and none is better."""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import LanguageError
from zoo.language import huffman
from zoo.models.hierarchical_softmax import check_tree

COUNTS = st.lists(st.integers(0, 1000), min_size=2, max_size=60)


@given(COUNTS)
def test_no_code_begins_another(counts: list[int]) -> None:
    tree = huffman(counts)
    check_tree(tree.paths, tree.codes)
    assert {path[0] for path in tree.paths} == {0}
    for one, other in combinations(tree.codes, 2):
        assert one != other[: len(one)]
        assert other != one[: len(other)]
    assert sum(2 ** -len(code) for code in tree.codes) == 1  # Kraft's sum: nothing is left over


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=60))
def test_mean_depth_is_within_a_bit_of_the_entropy(counts: list[int]) -> None:
    total = sum(counts)
    entropy = -sum(count / total * math.log2(count / total) for count in counts)
    depth = huffman(counts).cost(counts) / total
    assert entropy - 1e-9 <= depth < entropy + 1


def best_cost(counts: tuple[int, ...]) -> int:
    """The least cost of any binary tree, by trying each way to part the words at each node."""

    @cache
    def cost(words: frozenset[int]) -> int:
        if len(words) == 1:
            return 0
        first, *others = sorted(words)
        parts = (
            frozenset({first, *some})
            for size in range(len(others))
            for some in combinations(others, size)
        )
        here = sum(counts[word] for word in words)
        return here + min(cost(part) + cost(words - part) for part in parts)

    return cost(frozenset(range(len(counts))))


@given(st.lists(st.integers(0, 30), min_size=2, max_size=6))
def test_no_tree_is_cheaper(counts: list[int]) -> None:
    assert huffman(counts).cost(counts) == best_cost(tuple(counts))


def test_frequent_words_are_near_the_root() -> None:
    tree = huffman([1, 2, 4, 8, 16])
    assert [len(code) for code in tree.codes] == [4, 4, 3, 2, 1]


def test_equal_counts_make_a_balanced_tree() -> None:
    assert {len(code) for code in huffman([7] * 16).codes} == {4}
    assert {len(code) for code in huffman([0] * 5).codes} == {2, 3}


def test_a_deep_tree_needs_no_deep_recursion() -> None:
    counts = [2**power for power in range(2000)]
    assert max(map(len, huffman(counts).codes)) == 1999


@pytest.mark.parametrize("counts", [[], [1], [3, -1]])
def test_bad_counts(counts: list[int]) -> None:
    with pytest.raises(LanguageError, match="wants two or more counts, none below 0"):
        huffman(counts)
