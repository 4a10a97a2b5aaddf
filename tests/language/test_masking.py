"""Pairs of sentences and masked words: shares, what stays as it was, and what is refused."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import LanguageError
from zoo.language import (
    Vocabulary,
    get_tokens_and_segments,
    mask_tokens,
    pretraining_batch,
    sentence_pairs,
)
from zoo.language.masking import CLS, MASK, PAD, SEP, SPECIAL

LETTERS = st.lists(st.sampled_from("abcdefgh"), max_size=30)
TEXT = [[[f"{p}.{s}.{w}" for w in range(4)] for s in range(30)] for p in range(40)]


@given(LETTERS, st.none() | LETTERS)
def test_sentences_come_back_from_tokens_and_segments(
    first: list[str], second: list[str] | None
) -> None:
    tokens, segments = get_tokens_and_segments(first, second)
    assert len(tokens) == len(segments)
    assert tokens[0] == CLS
    by_segment = [[t for t, s in zip(tokens, segments, strict=True) if s == n] for n in (0, 1)]
    assert by_segment[0] == [CLS, *first, SEP]
    assert by_segment[1] == ([] if second is None else [*second, SEP])


@given(LETTERS.filter(bool), st.floats(0.01, 1.0), st.integers(0, 1000))
def test_masking_changes_chosen_words_alone(words: list[str], share: float, seed: int) -> None:
    tokens, _ = get_tokens_and_segments(words)
    made = mask_tokens(tokens, ["x", "y"], Random(seed), share)
    assert len(made.positions) == min(len(words), max(1, round(len(tokens) * share)))
    assert list(made.positions) == sorted(set(made.positions))
    assert made.words == tuple(tokens[at] for at in made.positions)
    for at, (before, after) in enumerate(zip(tokens, made.tokens, strict=True)):
        if at in made.positions:
            assert before not in SPECIAL
            assert after in (MASK, "x", "y", before)
        else:
            assert after == before


def test_shares_are_eighty_ten_and_ten() -> None:
    """Of 15,000 chosen words; four standard deviations either way."""
    tokens = [f"word{number}" for number in range(1000)]
    random, seen = Random(0), Counter[str]()
    for _ in range(100):
        made = mask_tokens(tokens, ["other"], random)
        assert len(made.positions) == 150
        for at, word in zip(made.positions, made.words, strict=True):
            now = made.tokens[at]
            seen[now if now in (MASK, "other") else "same" if now == word else "wrong"] += 1
    assert seen.total() == 15_000
    for kind, share in ((MASK, 0.8), ("other", 0.1), ("same", 0.1)):
        spread = 4 * (15_000 * share * (1 - share)) ** 0.5
        assert abs(seen[kind] - 15_000 * share) < spread


def test_half_of_the_pairs_follow_one_another() -> None:
    pairs = sentence_pairs(TEXT, 20, Random(0))
    assert len(pairs) == 40 * 29
    follow = sum(pair.follows for pair in pairs)
    assert abs(follow - len(pairs) / 2) < 4 * (len(pairs) / 4) ** 0.5
    for pair in pairs:
        paragraph, sentence, _ = pair.tokens[1].split(".")
        after = pair.tokens[6] == f"{paragraph}.{int(sentence) + 1}.0"
        assert after == pair.follows
        assert pair.segments == (0,) * 6 + (1,) * 5


def test_pairs_that_are_too_long_are_left_out() -> None:
    text = [[["a"], ["b"], ["c"] * 10, ["d"]]]
    for seed in range(20):
        assert all(len(pair.tokens) <= 8 for pair in sentence_pairs(text, 8, Random(seed)))
    assert sentence_pairs(text, 4, Random(0)) == []


def test_the_same_random_numbers_give_the_same_data() -> None:
    one, two, other = (sentence_pairs(TEXT, 20, Random(seed)) for seed in (5, 5, 6))
    assert one == two
    assert one != other


def test_a_batch_is_padded_and_says_what_counts() -> None:
    words = [word for text in TEXT for sentence in text for word in sentence]
    vocab = Vocabulary(words, reserved=[PAD, MASK, CLS, SEP])
    pairs = sentence_pairs(TEXT, 20, Random(0))[:16]
    batch = pretraining_batch(pairs, vocab.__getitem__, words, 64, Random(1))
    assert batch.tokens.shape == batch.segments.shape == (16, 64)
    assert batch.pred_positions.shape == batch.mlm_labels.shape == (16, 10)  # the book's 10 of 64
    assert batch.valid_lens.tolist() == [11] * 16
    assert bool((batch.tokens[:, 11:] == vocab[PAD]).all())
    assert batch.mlm_weights.sum(1).tolist() == [2.0] * 16  # 15% of 11
    assert batch.nsp_labels.tolist() == [int(pair.follows) for pair in pairs]
    for row, pair in enumerate(pairs):
        restored = batch.tokens[row].clone()
        at = batch.pred_positions[row, :2]
        restored[at] = batch.mlm_labels[row, :2]
        assert vocab.tokens(restored[:11]) == list(pair.tokens)
    dtypes = {part.dtype for part in batch[:4]} | {batch.mlm_labels.dtype}
    assert dtypes == {torch.int64}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: mask_tokens([CLS, SEP], ["a"], Random(0)), "none of them can be masked"),
        (lambda: mask_tokens(["a"], [], Random(0)), "none to replace a token by"),
        (lambda: mask_tokens(["a"], ["b"], Random(0), 0.0), r"share 0.0: .* above 0, at most 1"),
        (lambda: sentence_pairs([[["a"], ["b"]]], 9, Random(0)), "Give 3 sentences or more"),
    ],
)
def test_what_cannot_be_masked_is_refused(call: object, text: str) -> None:
    assert callable(call)
    with pytest.raises(LanguageError, match=text):
        call()


def test_a_pair_longer_than_the_batch_is_refused() -> None:
    vocab = Vocabulary("a b".split(), reserved=[PAD, MASK, CLS, SEP])
    pairs = sentence_pairs([[["a"], ["b"], ["a"]]], 9, Random(0))
    with pytest.raises(LanguageError, match="one has 5 tokens, more than 4"):
        pretraining_batch(pairs, vocab.__getitem__, ["a"], 4, Random(0))
    with pytest.raises(LanguageError, match="there is none"):
        pretraining_batch([], vocab.__getitem__, ["a"], 4, Random(0))
