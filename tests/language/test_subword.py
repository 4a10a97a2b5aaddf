"""fastText's parts of words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import LanguageError
from zoo.language import subword_ids, subwords
from zoo.language.subword import fnv1a


def test_the_paper_s_example() -> None:
    assert subwords("where", 3, 3) == ("<wh", "whe", "her", "ere", "re>", "<where>")


@given(st.text(max_size=12), st.integers(1, 4), st.integers(0, 4))
def test_parts_are_all_there_and_once(word: str, shortest: int, more: int) -> None:
    longest = shortest + more
    found = subwords(word, shortest, longest)
    whole = f"<{word}>"
    wanted = {
        whole[a:b]
        for a in range(len(whole))
        for b in range(a + shortest, min(a + longest, len(whole)) + 1)
    }
    assert set(found) == wanted - {"<", ">"} | {whole}
    assert len(set(found)) == len(found)
    assert found[-1] == whole


@pytest.mark.parametrize(
    ("text", "value"),
    [("", 0x811C9DC5), ("a", 0xE40C292C), ("b", 0xE70C2DE5), ("foobar", 0xBF9CF968)],
)
def test_published_hashes(text: str, value: int) -> None:
    """Of the authors' test vectors for 32 bits."""
    assert fnv1a(text) == value


def test_bytes_above_127_are_negative_as_in_fasttext() -> None:
    value = 2166136261
    for byte in "é".encode():
        value = (value ^ (byte - 256) % 2**32) * 16777619 % 2**32
    assert fnv1a("é") == value


def test_bags_share_the_parts_that_words_share() -> None:
    known = {"where": 0, "there": 1}
    where, there, unseen = map(set, subword_ids(["where", "there", "nowhere"], known, 10_000_000))
    padding = 2 + 10_000_000
    assert 0 in where
    assert 1 in there
    assert not {0, 1} & unseen
    common = set(subwords("where")) & set(subwords("there"))
    assert len(where & there - {padding}) == len(common)
    assert where & unseen - {padding} == {2 + fnv1a(p) % 10_000_000 for p in ends("where")}


def ends(word: str) -> set[str]:
    """Parts that do not have the word's beginning."""
    return {part for part in subwords(word) if not part.startswith("<")}


def test_ids_stay_within_the_table() -> None:
    bags = subword_ids(["a", "banana", ""], {"a": 0}, 50)
    assert len({len(bag) for bag in bags}) == 1
    assert all(0 <= one <= 51 for bag in bags for one in bag)
    assert subword_ids([], {"a": 0}, 50) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: subwords("a", 0, 3), "parts of 0 to 3 characters: there are none"),
        (lambda: subwords("a", 4, 3), "Try 3 and 6."),
        (lambda: subword_ids(["a"], {"a": 0}, 0), "0 buckets after 1 words"),
        (lambda: subword_ids(["a"], {"a": 1}, 5), "number the words from 0 on"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(LanguageError, match=re.escape(message)):
        call()
