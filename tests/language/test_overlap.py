"""BLEU: the book's examples, its formula by hand, and sacrebleu on all kinds of corpora."""

from __future__ import annotations

from math import exp
from pydoc_data.topics import topics
from random import Random

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import LanguageError
from zoo.language import bleu, corpus_bleu
from zoo.language.overlap import SMOOTHINGS

SENTENCES = st.lists(st.sampled_from("abcde"), max_size=9).map(" ".join)
CORPORA = st.lists(st.tuples(SENTENCES, SENTENCES, SENTENCES), min_size=1, max_size=4)


def theirs(
    predicted: list[str],
    labels: list[list[str]],
    n: int = 4,
    smoothing: str = "exp",
    *,
    effective: bool = False,
) -> float:
    metric = sacrebleu.BLEU(
        tokenize="none",
        force=True,
        smooth_method=smoothing,
        max_ngram_order=n,
        effective_order=effective,
    )
    streams = [list(stream) for stream in zip(*labels, strict=True)]
    return float(metric.corpus_score(predicted, streams).score) / 100


# the book's


def test_the_book_s_example_of_precisions() -> None:
    """A B B C D of A B C D E F: 4/5, 3/4, 1/3 and 0; it is shorter by one token of six."""
    predicted, label = "A B B C D", "A B C D E F"
    off = exp(1 - 6 / 5)
    assert bleu(predicted, label, n=1) == pytest.approx(off * (4 / 5) ** 0.5)
    assert bleu(predicted, label, n=2) == pytest.approx(off * (4 / 5) ** 0.5 * (3 / 4) ** 0.25)
    third = (1 / 3) ** 0.125
    assert bleu(predicted, label, n=3) == pytest.approx(
        off * (4 / 5) ** 0.5 * (3 / 4) ** 0.25 * third
    )
    assert bleu(predicted, label) == 0


def test_equal_sequences_score_one_however_short() -> None:
    assert bleu("va !", "va !") == 1
    assert bleu([7], [7]) == 1
    assert bleu("calme !", "va !", n=2) == 0
    assert bleu("", "va !") == 0
    assert bleu([], [3, 4]) == 0


def test_a_short_prediction_is_taken_off_and_a_long_one_is_not() -> None:
    assert bleu("a b", "a b c d", n=2) == pytest.approx(exp(-1))
    assert bleu("a b c d", "a b", n=1) == pytest.approx((2 / 4) ** 0.5)


def test_a_token_counts_as_often_as_in_the_label_that_has_most() -> None:
    """The paper's example: `the` seven times, of which the reference has two."""
    label = "the cat is on the mat"
    assert bleu("the the the the the the the", label, n=1) == pytest.approx((2 / 7) ** 0.5)
    other = "there is a cat on the mat the the"
    assert bleu("the the the the the the the", label, other, n=1) == pytest.approx((3 / 7) ** 0.5)


@given(SENTENCES, SENTENCES, SENTENCES, st.integers(1, 5))
def test_another_label_of_that_length_takes_nothing_off(
    predicted: str, label: str, other: str, n: int
) -> None:
    alone = bleu(predicted, label, n=n)
    other = " ".join(other.split()[: len(label.split())])
    if len(other.split()) == len(label.split()):
        assert bleu(predicted, label, other, n=n) >= alone - 1e-12
    assert 0 <= alone <= 1
    assert (alone == 1) == (predicted == label != "") or n < 5


# papers'


@pytest.mark.parametrize("effective", [False, True])
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@given(corpus=CORPORA, n=st.integers(1, 5))
def test_random_corpora_as_sacrebleu_has_them(
    smoothing: str, corpus: list[tuple[str, str, str]], n: int, *, effective: bool
) -> None:
    predicted = [one for one, _, _ in corpus]
    labels = [list(its) for _, *its in corpus]
    mine = corpus_bleu(predicted, labels, n, smoothing, effective_order=effective)
    assert mine == pytest.approx(theirs(predicted, labels, n, smoothing, effective=effective))


@pytest.mark.parametrize("changed", [0.0, 0.05, 0.3])
def test_real_sentences_as_sacrebleu_has_them(changed: float) -> None:
    """English of the standard library, some of whose words are left out or said twice."""
    random = Random(0)
    lines = [" ".join(line.split()) for text in topics.values() for line in text.split(".")]
    sentences = [line for line in lines if len(line.split()) > 3][:300]

    def noisy(sentence: str) -> str:
        words = sentence.split()
        return " ".join(
            word
            for word in words
            for _ in range(random.choice((0, 2)) if random.random() < changed else 1)
        )

    labels = [[sentence, noisy(sentence)] for sentence in sentences]
    predicted = [noisy(sentence) for sentence in sentences]
    score = corpus_bleu(predicted, labels)
    assert score == pytest.approx(theirs(predicted, labels))
    assert (score == pytest.approx(1)) == (changed == 0)
    for one, its in zip(predicted[:50], labels, strict=False):
        alone = sacrebleu.sentence_bleu(one, its, tokenize="none").score / 100
        assert corpus_bleu([one], [its], effective_order=True) == pytest.approx(alone)


def test_ids_and_words_score_the_same() -> None:
    words, ids = "a b c d e".split(), [3, 1, 4, 1, 5]
    assert corpus_bleu([words[:4]], [[words]]) == corpus_bleu(["a b c d"], [["a b c d e"]])
    assert bleu(ids, ids) == bleu(tuple(ids), ids) == 1


def test_what_is_no_corpus_is_refused() -> None:
    with pytest.raises(LanguageError, match=r"2 sequences and 1 lists of labels\. Give lists"):
        corpus_bleu(["a", "b"], [["a"]])
    with pytest.raises(LanguageError, match="0 sequences and 0 lists"):
        corpus_bleu([], [])
    with pytest.raises(LanguageError, match="sequence 0: it has no list of labels"):
        corpus_bleu(["a b"], ["a b"])
    with pytest.raises(LanguageError, match=r"no smoothing 'exq'\. Did you mean exp"):
        corpus_bleu(["a"], [["a"]], smoothing="exq")
    with pytest.raises(LanguageError, match="n 0: there are no such n-grams"):
        bleu("a", "a", n=0)
    with pytest.raises(LanguageError, match="n 0: there are no such n-grams"):
        corpus_bleu(["a"], [["a"]], n=0)
    with pytest.raises(LanguageError, match="it has no list of labels"):
        bleu("a")
