"""Byte pairs: the book's example, a trainer that counts anew, another library, and the way back."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pydoc_data.topics import topics
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import LanguageError
from zoo.language import BytePairs, train_byte_pairs, train_byte_pairs_on_bytes

if TYPE_CHECKING:
    from pathlib import Path

BOOK = {"fast": 4, "faster": 3, "tall": 5, "taller": 4}
ENGLISH = "\n".join(list(topics.values())[:25])
WORDS = st.dictionaries(st.text("abc", min_size=1, max_size=7), st.integers(1, 9), min_size=1)


def test_the_book_s_ten_merges() -> None:
    pairs = train_byte_pairs(BOOK, 10, end="_")
    merges = "t a, ta l, tal l, f a, fa s, fas t, e r, er _, tall _, fast _"
    assert pairs.merges == tuple(tuple(one.split()) for one in merges.split(", "))
    parts = [" ".join(pairs.segment(word)) for word in BOOK]
    assert parts == ["fast_", "fast er_", "tall_", "tall er_"]


def test_the_book_s_unseen_words() -> None:
    alphabet = sorted(set("".join(BOOK)))
    pairs = BytePairs(alphabet, train_byte_pairs(BOOK, 10, end="_").merges, end="_")
    assert [" ".join(pairs.segment(one)) for one in ("tallest", "fatter")] == [
        "tall e s t _",
        "fa t t er_",
    ]


# training


def merges_by_counting_anew(words: dict[str, int], limit: int) -> list[tuple[str, str]]:
    """Algorithm 1 as it is printed: count all pairs, join the first of the most frequent."""
    parts = {word: [*word, "_"] for word in words}
    merges: list[tuple[str, str]] = []
    while len(merges) < limit:
        counts: dict[tuple[str, str], int] = {}
        for word, count in words.items():
            for pair in pairwise(parts[word]):
                counts[pair] = counts.get(pair, 0) + count
        if not counts:
            break
        best = max(counts, key=counts.__getitem__)  # the first one that was counted
        merges.append(best)
        for word, some in parts.items():
            place = 0
            while place < len(some) - 1:
                if (some[place], some[place + 1]) == best:
                    some[place : place + 2] = ["".join(best)]
                place += 1
            parts[word] = some
    return merges


@given(WORDS, st.integers(0, 30))
def test_training_by_counting_anew(words: dict[str, int], limit: int) -> None:
    found = train_byte_pairs(words, limit, end="_")
    assert list(found.merges) == merges_by_counting_anew(words, limit)


@given(WORDS)
def test_each_word_of_the_training_text_ends_as_one_part(words: dict[str, int]) -> None:
    pairs = train_byte_pairs(words, 1000, end="_")
    assert all(pairs.segment(word) == (f"{word}_",) for word in words)


def test_another_library_finds_the_same_merges() -> None:
    """As long as no two pairs are equally frequent, of which `tokenizers` takes another."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    random = Random(5)
    words = {
        "".join(random.choices("abcdef", k=random.randint(3, 9))): random.randint(1, 400)
        for _ in range(150)
    }
    text = [" ".join([word] * count) for word, count in words.items()]
    ours = train_byte_pairs(words, 40)
    theirs = Tokenizer(models.BPE(end_of_word_suffix=""))
    theirs.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=7 + 40, show_progress=False)
    marked = [" ".join(f"{word}_" for word in line.split()) for line in text]
    theirs.train_from_iterator(marked, trainer)
    merges = [tuple(pair) for pair in json.loads(theirs.to_str())["model"]["merges"]]
    assert len(merges) == 40
    assert merges == [
        (left.replace(ours.end, "_"), right.replace(ours.end, "_")) for left, right in ours.merges
    ]


def test_another_library_encodes_the_same() -> None:
    from tokenizers import models

    counts = Counter(ENGLISH.split())
    ours = train_byte_pairs(counts, 400, end="\u2581")
    ids = {symbol: number for number, symbol in enumerate(ours.symbols)}
    theirs = models.BPE(vocab=ids, merges=list(ours.merges))
    unseen = ["".join(sorted(word)) for word in counts]
    for word in [*counts, *unseen]:
        wanted = [token.value for token in theirs.tokenize(f"{word}\u2581")]
        assert list(ours.segment(word)) == wanted


def test_a_long_word_by_counting_anew() -> None:
    """Hundreds of its pairs are alike in count at each step."""
    word = "".join(Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=400))
    assert list(train_byte_pairs({word: 1}, 400, end="_").merges) == merges_by_counting_anew(
        {word: 1}, 400
    )


def test_a_thousand_merges_on_real_english() -> None:
    pairs = train_byte_pairs_on_bytes(ENGLISH, 1000)
    ids = pairs.encode(ENGLISH)
    assert len(pairs) == 256 + 1000
    assert pairs.decode(ids) == ENGLISH
    assert len(ids) < len(ENGLISH.encode()) / 2.5


# the way back

PAIRS = train_byte_pairs_on_bytes(ENGLISH[:20_000], 200)
LETTERS = train_byte_pairs(BOOK, 6)


@given(st.text())
def test_any_text_comes_back_from_bytes(text: str) -> None:
    assert PAIRS.decode(PAIRS.encode(text)) == text


@given(st.text(st.characters(categories=["Cs", "Lo", "Zs", "So"])))
def test_lone_surrogates_come_back_too(text: str) -> None:
    assert PAIRS.decode(PAIRS.encode(text)) == text


@given(st.lists(st.text("fasterl", min_size=1)))
def test_words_come_back_with_single_spaces(words: list[str]) -> None:
    assert LETTERS.decode(LETTERS.encode("\n ".join(words))) == " ".join(words)


@given(st.text("fasterl", min_size=1))
def test_parts_are_the_word(word: str) -> None:
    parts = LETTERS.segment(word)
    assert "".join(parts) == word + LETTERS.end
    assert set(parts) <= set(LETTERS.symbols)


@given(st.lists(st.text("a_b", min_size=1).filter(lambda word: "__" not in word)))
def test_a_mark_that_a_word_s_end_runs_into_is_told_from_it(words: list[str]) -> None:
    pairs = train_byte_pairs({"a_": 2, "b_a": 1}, 3, end="__")
    assert pairs.decode(pairs.encode(" ".join(words))) == " ".join(words)


@pytest.mark.parametrize(
    "word", ["a", "\0", "e\u0301", "\U0001f469\u200d\U0001f467", "a\ufeffb", "<", "</w"]
)
def test_odd_letters_are_letters(word: str) -> None:
    pairs = train_byte_pairs({word: 2, "\u0301": 1}, 9)
    assert pairs.segment(word) == (word + pairs.end,)
    assert pairs.decode(pairs.encode(f"{word} {word}")) == f"{word} {word}"
    assert PAIRS.decode(PAIRS.encode(word)) == word


def test_of_no_text_there_are_no_ids() -> None:
    for pairs in (PAIRS, LETTERS):
        assert (pairs.encode(""), pairs.decode([])) == ([], "")


def test_half_a_letter_is_replaced() -> None:
    assert PAIRS.decode(PAIRS.encode("é")[:1]) == "\ufffd"


# unknown characters


def test_an_unknown_character_is_named() -> None:
    with pytest.raises(LanguageError, match="'x' in 'fax': it is not among the 7 characters"):
        LETTERS.encode("fast fax")


def test_an_unknown_character_has_a_symbol_where_one_is_named() -> None:
    pairs = train_byte_pairs(BOOK, 10, end="_", unknown="[UNK]")
    assert pairs.segment("fax") == ("fa", "[UNK]", "_")
    assert pairs.decode(pairs.encode("fax fast")) == "fa[UNK] fast"
    assert pairs.encode("x")[0] == 0


# files


@pytest.mark.parametrize(
    "pairs", [PAIRS, LETTERS, train_byte_pairs({"éa": 1}, 2, end="_", unknown="?")]
)
def test_a_file_gives_the_same_encoding(pairs: BytePairs, tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    pairs.save(path)
    again = BytePairs.load(path)
    assert (again.symbols, again.merges) == (pairs.symbols, pairs.merges)
    assert (again.end, again.unknown) == (pairs.end, pairs.unknown)
    assert again.segment("\u00e9a" if pairs.unknown else "fast") == pairs.segment(
        "\u00e9a" if pairs.unknown else "fast"
    )


GOOD: dict[str, Any] = {
    "schema": "zoo.bytepairs/1",
    "end": "_",
    "unknown": None,
    "alphabet": ["a", "b"],
    "merges": [["a", "b"]],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "zoo.bytepairs/9"}, "its schema is not zoo.bytepairs/1"),
        ({"end": 1}, "end or unknown is no text"),
        ({"alphabet": "ab"}, "alphabet is no list of texts"),
        ({"merges": None}, "merges is no list"),
        ({"merges": [["a", "b"], ["a"]]}, "merge 1 is no pair of texts"),
        ({"merges": [["a", "c"]]}, "merge 0 of 'a' and 'c': one of them is neither a character"),
    ],
)
def test_bad_files(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(GOOD))
    assert BytePairs.load(path).segment("ab") == ("ab", "_")
    path.write_text(json.dumps(GOOD | change))
    with pytest.raises(LanguageError, match=re.escape(message)):
        BytePairs.load(path)


def test_files_that_are_no_json_or_not_there(tmp_path: Path) -> None:
    for text in ("{", "[" * 100_000):
        (tmp_path / "pairs.json").write_text(text)
        with pytest.raises(LanguageError, match="it is no JSON"):
            BytePairs.load(tmp_path / "pairs.json")
    with pytest.raises(LanguageError, match="Name a file that is there"):
        BytePairs.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: train_byte_pairs({}, 3), "training on 0 words, end mark '</w>'"),
        (lambda: train_byte_pairs({"a b": 1}, 3), "have no white space"),
        (lambda: train_byte_pairs({"a": 1}, 3, end=""), "it wants an end mark"),
        (lambda: train_byte_pairs({"a_b": 1}, 3, end="_"), "it has the end mark '_' in it"),
        (lambda: train_byte_pairs_on_bytes("", 3), "it is empty"),
        (lambda: train_byte_pairs({"a": 1}, -1), "-1 merges: there are none. Ask for 0 or more."),
        (lambda: train_byte_pairs_on_bytes("a", -1), "-1 merges"),
        (lambda: train_byte_pairs({"a": -1}, 1), "a count is below 0"),
        (lambda: BytePairs("ab", end="_", unknown="_"), "unknown symbol '_': it is the end mark"),
        (lambda: BytePairs("a\u0142", end=""), "letter '\u0142' in an encoding of bytes"),
        (lambda: LETTERS.decode([99]), "id 99: there are 14 symbols"),
        (lambda: LETTERS.decode([-1]), "id -1"),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(LanguageError, match=re.escape(message)):
        call()
