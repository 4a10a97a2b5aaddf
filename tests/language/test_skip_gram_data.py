"""What skip-gram trains on: the book's batch, formulas by hand, and what chance must not change."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import LanguageError
from zoo.language import (
    centers_and_contexts,
    cooccurrences,
    keep_probabilities,
    negatives,
    noise_weights,
    skip_gram_batch,
    subsample,
)

ORACLE = Path(__file__).parents[1] / "oracles" / "d2l.json"
D2L_ITEMS = ("ptb-batch",)
(BATCH,) = (item for item in json.loads(ORACLE.read_text())["items"] if item["id"] in D2L_ITEMS)
SENTENCES = st.lists(st.lists(st.sampled_from("abcdef"), max_size=8), max_size=6)


def english() -> list[list[str]]:
    """The standard library's own English, a paragraph a sentence."""
    paragraphs = "\n\n".join(topics.values()).split("\n\n")
    return [re.findall(r"[a-z]+", one.lower()) for one in islice(paragraphs, 1500)]


def test_the_book_s_batch() -> None:
    """Of another text, since the book's is not here; its sizes follow from the settings."""
    settings: dict[str, int] = BATCH["args"]
    sentences = english()
    counts = Counter(token for line in sentences for token in line)
    ids = {token: number for number, token in enumerate(counts)}
    corpus = [[ids[token] for token in line] for line in subsample(sentences, 1e-3)]
    centers, contexts = centers_and_contexts(corpus, settings["max_window_size"])
    weights = noise_weights({ids[token]: count for token, count in counts.items()})
    size = settings["batch_size"]
    noise = negatives(contexts[:size], weights, settings["num_noise_words"])
    found = skip_gram_batch(zip(centers[:size], contexts[:size], noise, strict=True))
    wanted = BATCH["outputs"].values()
    assert [list(one.shape) for one in found] == list(wanted)
    _, words, masks, labels = found
    assert labels.sum(1).tolist() == [len(one) for one in contexts[:size]]
    assert masks.sum(1).tolist() == [6 * len(one) for one in contexts[:size]]
    assert int(words.max()) < len(ids)


# subsampling


def test_keep_probability_is_the_root_of_threshold_by_frequency() -> None:
    counts = {"the": 900, "cat": 99, "sat": 1}
    found = keep_probabilities(counts, 1e-2)
    assert found == pytest.approx(
        {"the": math.sqrt(1e-2 / 0.9), "cat": math.sqrt(1e-2 / 0.099), "sat": 1}
    )


def test_subsampling_keeps_as_many_as_it_should() -> None:
    lines = [["often"] * 9 + ["seldom"]] * 2000
    left = Counter(token for line in subsample(lines, 0.1, seed=1) for token in line)
    share = math.sqrt(0.1 / 0.9)
    deviation = math.sqrt(18_000 * share * (1 - share))
    assert abs(left["often"] - 18_000 * share) < 4 * deviation
    assert left["seldom"] == 2000


@given(SENTENCES, st.floats(0, 1), st.integers(0, 99))
def test_subsampling_keeps_order(sentences: list[list[str]], threshold: float, seed: int) -> None:
    left = subsample(sentences, threshold, seed=seed)
    assert len(left) == len(sentences)
    for before, after in zip(sentences, left, strict=True):
        rest = iter(before)
        assert all(token in rest for token in after)
    assert left == subsample(sentences, threshold, seed=seed)


# windows


@given(SENTENCES, st.integers(1, 5), st.integers(0, 99))
def test_windows_reach_equally_far_to_both_sides(
    sentences: list[list[str]], size: int, seed: int
) -> None:
    centers, contexts = centers_and_contexts(sentences, size, seed=seed)
    rows = iter(zip(centers, contexts, strict=True))
    for sentence in sentences:
        for place in range(len(sentence) if len(sentence) > 1 else 0):
            center, around = next(rows)
            assert center == sentence[place]
            possible = [
                sentence[max(0, place - reach) : place] + sentence[place + 1 : place + 1 + reach]
                for reach in range(1, size + 1)
            ]
            assert around in possible
    assert next(rows, None) is None


def test_all_sizes_of_windows_are_drawn_alike() -> None:
    _, contexts = centers_and_contexts([list(range(3000))], 3, seed=2)
    sizes = Counter(len(one) // 2 for one in contexts[3:-3])
    assert set(sizes) == {1, 2, 3}
    assert all(abs(count - 998) < 4 * math.sqrt(3000 * 2 / 9) for count in sizes.values())


# noise


def test_noise_weights_are_counts_to_the_power() -> None:
    found = noise_weights({"a": 81, "b": 16, "c": 0})
    assert found == pytest.approx({"a": 27 / 35, "b": 8 / 35})
    assert noise_weights({"a": 3, "b": 1}, power=1) == {"a": 0.75, "b": 0.25}


def test_noise_is_drawn_by_its_weights() -> None:
    weights = noise_weights({1: 81, 2: 16, 3: 1})
    drawn = Counter(negatives([[0]], weights, 20_000)[0])
    for token, weight in weights.items():
        assert abs(drawn[token] - 20_000 * weight) < 4 * math.sqrt(20_000 * weight)


@given(st.lists(st.lists(st.integers(0, 5), max_size=5), max_size=5), st.integers(0, 4))
def test_no_noise_word_is_a_context(contexts: list[list[int]], per_context: int) -> None:
    weights = dict.fromkeys(range(9), 1.0)
    found = negatives(contexts, weights, per_context)
    assert [len(one) for one in found] == [per_context * len(one) for one in contexts]
    assert not any(set(a) & set(b) for a, b in zip(contexts, found, strict=True))


# batches


def test_a_batch_by_hand() -> None:
    centers, words, masks, labels = skip_gram_batch([(1, [2, 2], [3] * 4), (1, [2, 2, 2], [3] * 2)])
    assert centers.tolist() == [[1], [1]]
    assert words.tolist() == [[2, 2, 3, 3, 3, 3], [2, 2, 2, 3, 3, 0]]
    assert masks.tolist() == [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]]
    assert labels.tolist() == [[1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]]


# co-occurrence


@given(SENTENCES, st.integers(1, 5))
def test_cooccurrences_by_all_pairs(sentences: list[list[str]], window: int) -> None:
    wanted: dict[tuple[str, str], float] = {}
    for line in sentences:
        for i, left in enumerate(line):
            for j, right in enumerate(line):
                if 0 < abs(i - j) <= window:
                    wanted[left, right] = wanted.get((left, right), 0) + 1 / abs(i - j)
    found = cooccurrences(sentences, window)
    assert found == pytest.approx(wanted)
    assert all(found[b, a] == count for (a, b), count in found.items())


# what is refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: keep_probabilities({"a": -1}), "a count or the threshold is below 0"),
        (lambda: keep_probabilities({"a": 1}, -1), "Count the words of a text."),
        (lambda: centers_and_contexts([["a", "b"]], 0), "window of 0: a context is at least 1"),
        (lambda: cooccurrences([["a", "b"]], 0), "window of 0: a pair is at least 1 word apart"),
        (lambda: noise_weights({}), "there are no counts above 0"),
        (lambda: noise_weights({"a": 1, "b": -1}), "or one is below"),
        (lambda: negatives([["a", "b"]], {"a": 1, "b": 1}), "all 2 words are contexts"),
        (lambda: negatives([["a"]], {"a": 1, "b": 0}), "all 1 words are contexts"),
        (lambda: skip_gram_batch([]), "a batch: it has no examples. Give at least one."),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(LanguageError, match=re.escape(message)):
        call()
