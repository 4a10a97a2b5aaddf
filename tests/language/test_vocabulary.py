"""Tokens of a text, and their numbers."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import LanguageError
from zoo.language import Vocabulary, clean, tokenize

TEXT = "the time traveller for so it will be convenient to speak of him\nwas expounding the time"
CORPORA = st.lists(st.text("abcde", min_size=1, max_size=2), max_size=30)


def test_words_and_characters() -> None:
    assert tokenize(TEXT)[:3] == ["the", "time", "traveller"]
    assert "".join(tokenize(TEXT, by="characters")) == TEXT
    assert len(tokenize(TEXT, by="characters")) == len(TEXT)


def test_clean_leaves_letters_and_spaces() -> None:
    assert clean("  It's 1895,\nand NOT 1898!") == "it s and not"
    assert clean("42") == ""


def test_another_unit_is_refused_by_name() -> None:
    with pytest.raises(LanguageError, match=r"not split by 'word'\. Did you mean words"):
        tokenize(TEXT, by="word")


@given(CORPORA, st.integers(0, 4))
def test_ids_are_dense_and_rank_by_count(corpus: list[str], min_freq: int) -> None:
    vocab, counts = Vocabulary(corpus, min_freq), Counter(corpus)
    assert vocab.tokens(range(len(vocab))) == list(vocab)
    assert [vocab[token] for token in vocab] == list(range(len(vocab)))
    assert set(vocab) == {"<unk>"} | {token for token in counts if counts[token] >= min_freq}
    ranked = [counts[token] for token in vocab][1:]
    assert ranked == sorted(ranked, reverse=True)
    assert vocab.counts == counts


@given(CORPORA, st.randoms())
def test_the_order_of_a_corpus_changes_nothing(corpus: list[str], random: object) -> None:
    mixed = sorted(corpus, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert list(Vocabulary(mixed)) == list(Vocabulary(corpus))


@given(CORPORA)
def test_a_text_comes_back(corpus: list[str]) -> None:
    vocab = Vocabulary(corpus)
    assert vocab.tokens(vocab[corpus]) == corpus
    rare = Vocabulary(corpus, min_freq=2)
    kept = [token if rare.counts[token] > 1 else "<unk>" for token in corpus]
    assert rare.tokens(rare[corpus]) == kept


def test_lines_are_taken_together() -> None:
    lines = [tokenize(line) for line in TEXT.split("\n")]
    assert list(Vocabulary(lines)) == list(Vocabulary(tokenize(TEXT)))


def test_reserved_tokens_come_before_the_corpus() -> None:
    vocab = Vocabulary(tokenize(TEXT), min_freq=2, reserved=("<pad>", "<bos>"))
    assert list(vocab) == ["<unk>", "<pad>", "<bos>", "the", "time"]
    assert (vocab["<pad>"], vocab["was"], vocab.unknown) == (1, 0, 0)
    assert "was" not in vocab
    assert vocab.counts["was"] == 1


def test_ids_of_a_tensor() -> None:
    vocab = Vocabulary(tokenize(TEXT))
    ids = torch.tensor(vocab[["time", "the"]])
    assert vocab.tokens(ids) == ["time", "the"]


@pytest.mark.parametrize("wrong", [-1, 3])
def test_an_id_that_no_token_has(wrong: int) -> None:
    vocab = Vocabulary("a b".split())
    with pytest.raises(LanguageError, match=r"3 tokens\. Take ids from 0 to 2"):
        vocab.tokens([0, wrong])
