"""Counting language models: the equations by hand, laws of probabilities, English."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from pydoc_data.topics import topics
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import LanguageError
from zoo.language import AddK, KneserNey, Laplace, NGramModel, Vocabulary, clean, tokenize

if TYPE_CHECKING:
    from zoo.language.ngrams import Smoothing

WAYS: tuple[Smoothing, ...] = (
    AddK(),
    AddK(0.1),
    Laplace(),
    Laplace((1, 20, 5)),
    Laplace((3,)),
    KneserNey(),
    KneserNey(0.5),
)
CORPORA = st.lists(st.integers(0, 5), min_size=1, max_size=40)
CONTEXTS = st.lists(st.integers(0, 6), max_size=4)


@given(CORPORA, CONTEXTS, st.integers(1, 4), st.sampled_from(WAYS))
def test_probabilities_are_above_0_and_their_sum_is_1(
    corpus: list[int], context: list[int], n: int, way: Smoothing
) -> None:
    found = NGramModel(n, way).fit(corpus, size=7).distribution(context)
    assert len(found) == 7
    assert min(found) > 0
    assert math.isclose(sum(found), 1, rel_tol=1e-9)


@given(CORPORA, st.integers(1, 3), st.sampled_from(WAYS), st.integers(1, 3))
def test_probabilities_of_all_texts_of_a_length_have_the_sum_1(
    corpus: list[int], n: int, way: Smoothing, length: int
) -> None:
    model = NGramModel(n, way).fit([one % 3 for one in corpus], size=3)
    texts = product(range(3), repeat=length)
    assert math.isclose(sum(math.exp(sum(model.log_probabilities(one))) for one in texts), 1)


def test_the_equations_of_the_book() -> None:
    """9.3.2 in fractions: a b a b a c, of four ids."""
    e1, e2, e3 = Fraction(1), Fraction(2), Fraction(3)
    model = NGramModel(3, Laplace((1, 2, 3))).fit([0, 1, 0, 1, 0, 2], size=4)
    b = (2 + e1 / 4) / (6 + e1)
    b_after_a = (2 + e2 * b) / (3 + e2)
    b_after_b_a = (1 + e3 * b) / (2 + e3)
    unseen = (0 + e3 * b) / (0 + e3)
    for context, wanted in (((), b), ((0,), b_after_a), ((1, 0), b_after_b_a), ((3, 3), unseen)):
        assert math.isclose(model.probability(1, context), wanted)


def test_kneser_ney_by_hand() -> None:
    """a b a b a c: c was seen after one token only, b after one, a after one; d = 1/2."""
    model = NGramModel(2, KneserNey(0.5)).fit([0, 1, 0, 1, 0, 2], size=4)
    d, kinds = Fraction(1, 2), 3  # pairs: ab, ba, ac
    before = dict.fromkeys((0, 1, 2), (1 - d) / kinds + d * 3 / kinds / 4)
    before[3] = d * 3 / kinds / 4
    assert math.isclose(model.probability(1), before[1])
    assert math.isclose(model.probability(1, [0]), (2 - d) / 3 + d * 2 / 3 * before[1])
    assert math.isclose(model.probability(3, [0]), d * 2 / 3 * before[3])
    assert math.isclose(model.probability(2, [3]), before[2])


def test_a_token_of_one_context_only_is_not_likely_elsewhere() -> None:
    """The paper's Francisco: frequent, and after San alone."""
    san, francisco, glasses, other = range(4)
    corpus = [san, francisco] * 20 + [other, glasses, san, glasses, francisco, glasses] * 3
    counted = NGramModel(2, Laplace((1, 5))).fit(corpus, size=5)
    kneser_ney = NGramModel(2, KneserNey(0.75)).fit(corpus, size=5)
    unseen = [4]
    assert counted.probability(francisco, unseen) > counted.probability(glasses, unseen)
    assert kneser_ney.probability(francisco, unseen) < kneser_ney.probability(glasses, unseen)


def test_only_the_last_tokens_of_a_context_count() -> None:
    model = NGramModel(3).fit([0, 1, 2, 0, 1, 3], size=4)
    assert model.distribution([3, 3, 0, 1]) == model.distribution([0, 1])
    assert NGramModel(1).fit([0, 1], 2).distribution([0]) == pytest.approx([0.5, 0.5])


def test_samples_follow_the_corpus() -> None:
    model = NGramModel(2, AddK(1e-9)).fit([0, 1, 2] * 9, size=3)
    assert model.sample(6, prefix=[1]) == [1, 2, 0, 1, 2, 0, 1]
    chance = NGramModel(1, AddK()).fit([0, 0, 0, 1] * 500, size=2)
    drawn = chance.sample(2000, seed=1)
    assert drawn == chance.sample(2000, seed=1)
    assert 0.7 < drawn.count(0) / 2000 < 0.8


def test_longer_contexts_and_better_smoothing_say_more_of_english() -> None:
    """Words of the standard library's help, a tenth held out."""
    words = tokenize(clean(" ".join(topics[name] for name in sorted(topics))))[:30_000]
    cut = len(words) * 9 // 10
    vocabulary = Vocabulary(words[:cut], min_freq=2)
    corpus, held = vocabulary[words[:cut]], vocabulary[words[cut:]]

    def found(n: int, way: Smoothing) -> float:
        return NGramModel(n, way).fit(corpus, len(vocabulary)).perplexity(held)

    one, two, three = (found(n, KneserNey()) for n in (1, 2, 3))
    assert three < two < one < len(vocabulary)
    assert three < found(3, Laplace((1, 20, 20))) < found(3, AddK(1))


def test_what_is_refused() -> None:
    with pytest.raises(LanguageError, match="n = 0: an n-gram has one token or more"):
        NGramModel(0)
    with pytest.raises(LanguageError, match=r"discount = 0\. Take a number between 0 and 1"):
        NGramModel(2, KneserNey(0))
    with pytest.raises(LanguageError, match=r"k = 0\. Take a number above 0"):
        NGramModel(2, AddK(0))
    with pytest.raises(LanguageError, match=r"epsilons = \(1, 0\)\. Take one or more"):
        NGramModel(2, Laplace((1, 0)))
    with pytest.raises(LanguageError, match=r"ids from 0 to 3 are not among 3\. Give size="):
        NGramModel(2).fit([0, 3], size=3)
    with pytest.raises(LanguageError, match=r"it has counted nothing\. Call fit"):
        NGramModel(2).distribution()
    with pytest.raises(LanguageError, match="id 3: there are 3"):
        NGramModel(2).fit([0, 2], size=3).probability(3)
